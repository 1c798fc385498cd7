//! Three journals that form a quorum, each to be killed, stopped and started again.

use std::{
    env,
    time::{Duration, Instant},
};

use loadtest::{journal_process::JournalProcess, log_check, preparation::Operator, quorum::Quorum, siblings};
use proto::{
    pb::{
        ListNodesRequest, MembersRequest, member_service_client::MemberServiceClient,
        node_service_client::NodeServiceClient,
    },
    pem_file::Credential,
};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

/// What takes seconds at most, on a machine that has other things to do.
pub const IN_TIME: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Two quorums in storms at once are too much for two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The turn of a test that makes a quorum in another way.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.blocking_lock()
}

/// The same on a runtime.
pub async fn one_at_a_time_async() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().await
}

/// Three members. The founder is the first.
pub struct Trio {
    journals: [Option<JournalProcess>; 3],
    operator: Credential,
    _place: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// How many machines take part.
pub fn nodes(usual: u32) -> u32 {
    env::var("PACT_FAULT_NODES").map_or(usual, |text| text.parse().expect("PACT_FAULT_NODES is a number"))
}

impl Trio {
    pub async fn start() -> Self {
        for name in ["pact-journal", "pact-replay"] {
            siblings::find(name).unwrap_or_else(|failure| panic!("{failure}"));
        }
        let (turn, place) = (ONE_AT_A_TIME.lock().await, tempfile::tempdir().unwrap());
        let founder = JournalProcess::start(place.path()).await.unwrap();
        let (trust, operator) = (founder.trust().unwrap(), founder.operator().unwrap());
        let quorum = Quorum::connect(&founder.operators, &trust, &operator).await.unwrap();
        let mut journals = [Some(founder), None, None];
        for nth in 1..3 {
            let (name, token) = (format!("j{}", nth + 1), quorum.join_token().await.unwrap());
            let (dir, log) = (place.path().join(&name), place.path().join(format!("{name}.log")));
            let founder = journals[0].as_ref().unwrap();
            journals[nth] = Some(founder.join(&dir, &log, &name, &token).await.unwrap());
            quorum.votes(nth + 1).await.unwrap();
        }
        Self { journals, operator, _place: place, _turn: turn }
    }

    pub fn journal(&self, nth: usize) -> &JournalProcess {
        self.journals[nth].as_ref().expect("it was started")
    }

    pub fn all(&self) -> [&JournalProcess; 3] {
        [0, 1, 2].map(|nth| self.journal(nth))
    }

    /// An operator on a member's listener.
    pub async fn operator(&self, nth: usize) -> Operator {
        let journal = self.journal(nth);
        let trust = journal.trust().unwrap();
        Operator::connect(&journal.operators, &trust, &self.operator).await.expect("the operator is let in")
    }

    pub async fn kill(&mut self, nth: usize) {
        let journal = self.journals[nth].as_mut().unwrap();
        journal.signal(Signal::KILL).unwrap();
        journal.ended().await.unwrap();
    }

    pub async fn start_again(&mut self, nth: usize) {
        let journal = self.journals[nth].take().unwrap();
        self.journals[nth] = Some(journal.serve_again().await.unwrap());
    }

    /// Starts members at the same moment: none of them is ready before most of them are there.
    pub async fn start_all_again(&mut self) {
        let again = self.journals.each_mut().map(|journal| journal.take().unwrap().serve_again());
        let [one, two, three] = again;
        let (one, two, three) = tokio::join!(one, two, three);
        self.journals = [one, two, three].map(|journal| Some(journal.unwrap()));
    }

    /// Who leads, as the others say of whom each says so.
    pub async fn leader(&self, asked: &[usize]) -> usize {
        let until = Instant::now() + IN_TIME;
        loop {
            let mut told = Vec::new();
            for nth in asked {
                told.push(self.leader_by(*nth).await);
            }
            match told[0] {
                Some(leader) if told.iter().all(|each| *each == told[0]) => return leader,
                Some(_) | None => assert!(Instant::now() < until, "nobody leads: {told:?}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn leader_by(&self, nth: usize) -> Option<usize> {
        let operator = self.operator(nth).await;
        let mut client = MemberServiceClient::new(operator.connection().channel());
        let members = client.members(MembersRequest::default()).await.ok()?.into_inner().members;
        members.iter().position(|member| member.leader)
    }

    /// Waits until these members know the same facts.
    pub async fn level(&self, asked: &[usize]) {
        let until = Instant::now() + IN_TIME;
        loop {
            let mut seqs = Vec::new();
            for nth in asked {
                let operator = self.operator(*nth).await;
                let mut client = NodeServiceClient::new(operator.connection().channel())
                    .max_decoding_message_size(ANSWER_BYTES_MAX);
                seqs.push(
                    client
                        .list_nodes(ListNodesRequest::default())
                        .await
                        .ok()
                        .map(|told| told.into_inner().seq),
                );
            }
            if seqs.iter().all(|seq| seq.is_some() && *seq == seqs[0]) {
                return;
            }
            assert!(Instant::now() < until, "not level: {seqs:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops all and has each log verified against each other.
    pub async fn verify(self) {
        self.verify_these(&[0, 1, 2]).await;
    }

    /// The same of those that are left.
    pub async fn verify_these(mut self, these: &[usize]) {
        for nth in these.iter().rev() {
            self.journals[*nth].as_mut().unwrap().stop().await.unwrap();
        }
        for one in these.iter().copied() {
            for other in these.iter().copied().filter(|other| *other != one) {
                let (one, other) = (self.journal(one).data_dir(), self.journal(other).data_dir());
                log_check::verify_against(one, other).await.unwrap_or_else(|failure| panic!("{failure}"));
            }
        }
    }
}
