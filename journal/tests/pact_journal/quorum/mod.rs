//! Several journals that act as one (design §7): how a journal joins, what each member knows of the others' nodes, and who
//! is kept out.

mod certificates;
mod clocks;
mod contests;
mod directions;
mod eviction;
mod groups;
mod imposters;
mod joining;
mod levels;
mod listener;
mod presence;
mod reads;
mod reserve;
mod revocation;
mod sessions;
mod staleness;
mod warm_reboot;

use proto::pb;
use proto::pb::member_service_client::MemberServiceClient;
use tokio::sync::{Mutex, MutexGuard};

use crate::calls::{Answer, Operator, answer};
use crate::journal_process::{ANSWERED, DataDirectory, Journal, free_port, until};

/// Quorums take turns: each has three processes that elect by time, and there may be two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A founder and two that joined it.
pub struct Trio {
    journals: [Journal; 3],
    _turn: MutexGuard<'static, ()>,
}

impl Operator {
    pub async fn members(&self) -> Answer<Vec<pb::Member>> {
        let answered =
            MemberServiceClient::new(self.0.channel()).members(pb::MembersRequest::default()).await;
        Ok(answer(&self.0, answered)?.members)
    }

    pub async fn join_token(&self) -> String {
        let request = pb::CreateJoinTokenRequest { expires_secs: None };
        let answered = MemberServiceClient::new(self.0.channel()).create_join_token(request).await;
        answer(&self.0, answered).expect("the operator may").token
    }

    /// Waits until so many vote.
    pub async fn voters(&self, count: usize) {
        until("they vote", ANSWERED, async || {
            let members = self.members().await.ok()?;
            (members.iter().filter(|member| member.standing == "voter").count() == count).then_some(())
        })
        .await;
    }
}

/// A directory whose cluster listener keeps its port.
pub fn founder_dir() -> DataDirectory {
    let dir = DataDirectory::init("test");
    dir.configure("cluster_listen", format!("\"{}\"", free_port()));
    dir
}

impl Trio {
    /// One's own turn, for a quorum that is made otherwise.
    pub async fn turn() -> MutexGuard<'static, ()> {
        ONE_AT_A_TIME.lock().await
    }

    pub async fn start() -> Self {
        Self::start_with(vec![]).await
    }

    async fn start_with(environment: Vec<(&'static str, &'static str)>) -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let founder = Journal::serve_with(founder_dir(), environment.clone());
        let operator = founder.operator().await;
        let door = founder.cluster_address().to_string();
        let join = async |name: &str, voters: usize| {
            let token = operator.join_token().await;
            let journal = Journal::join(name, &door, &token, environment.clone());
            operator.voters(voters).await;
            journal
        };
        let (two, three) = (join("j2", 2).await, join("j3", 3).await);
        Self { journals: [founder, two, three], _turn: turn }
    }

    pub fn journal(&self, nth: usize) -> &Journal {
        &self.journals[nth]
    }

    /// Ends all of them at once, and leaves their files.
    pub fn into_dirs(self) -> [DataDirectory; 3] {
        let mut journals = self.journals;
        journals.iter_mut().for_each(Journal::kill);
        journals.map(Journal::into_dir)
    }

    /// The domain's first operator on a member's listener.
    pub async fn operator(&self, nth: usize) -> Operator {
        let credential = self.journals[0].dir.operator();
        self.journals[nth].operator_with(Some(&credential)).await.expect("the operator is let in")
    }

    /// Who leads, by the word of these members.
    async fn leader(&self, asked: &[usize]) -> usize {
        self.leader_but(asked, usize::MAX).await
    }

    /// Has this one lead.
    async fn leader_is(&self, nth: usize) {
        let leader = self.leader(&[0, 1, 2]).await;
        if leader != nth {
            let request = pb::TransferLeaderRequest { journal_id: format!("j{}", nth + 1) };
            let operator = self.operator(leader).await;
            let moved = MemberServiceClient::new(operator.0.channel()).transfer_leader(request).await;
            answer(&operator.0, moved).expect("it is a voter");
            self.leader_but(&[0, 1, 2], leader).await;
        }
    }

    /// The same, and it is not this one.
    async fn leader_but(&self, asked: &[usize], former: usize) -> usize {
        until("one leads", ANSWERED, async || {
            let mut told = Vec::new();
            for nth in asked {
                let members = self.operator(*nth).await.members().await.ok()?;
                told.push(members.iter().position(|member| member.leader)?);
            }
            told.iter().all(|leader| *leader == told[0] && *leader != former).then_some(told[0])
        })
        .await
    }
}
