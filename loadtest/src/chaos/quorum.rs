//! The journals of a run: who they are, who leads, and who starts them again.
//!
//! [`crate::chaos`] forms the quorum and runs [`Quorum::supervise`] beside the load; [`super::injection`] asks whom to
//! harm.
//!
//! **Invariant:** a process that ends while no fault explains it is noted, with the time and how it ended.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb::{
        CreateJoinTokenRequest, CreateJoinTokenResponse, MembersRequest,
        member_service_client::MemberServiceClient,
    },
    pem_file::{Credential, Trust},
};
use tokio::time::{self, Instant};
use tonic::{Response, Status};

use super::{
    history::{History, Told, What},
    member::Member,
    network::Network,
    schedule::Whom,
    watch::Watch,
};

/// How often it is looked who has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A journal that ended is started again after this.
const AGAIN: Duration = Duration::from_millis(400);
/// An operator's call.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A quorum forms, on a machine that has other things to do.
const FORMS_WITHIN: Duration = Duration::from_secs(90);

/// A process that ended by itself.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which.
    pub journal: String,
    /// When.
    pub at: Duration,
    /// How.
    pub how: String,
}

/// A time in which something was wrong with a journal.
#[derive(Debug, Clone)]
pub struct Disturbed {
    /// Which, as its place among all.
    pub journal: usize,
    /// From when on.
    pub from: Duration,
    /// Until when.
    pub to: Duration,
}

/// A time in which a journal's clock was wrong.
#[derive(Debug, Clone, Copy)]
pub struct WrongClock {
    /// Which, as its place among all.
    pub journal: usize,
    /// From when on.
    pub from: Duration,
    /// Until when.
    pub to: Duration,
    /// How far it was ahead; of one that was behind nothing.
    pub ahead: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Quorum {
    /// Whom clients trust.
    pub trust: Trust,
    /// The first operator.
    pub operator: Credential,
    /// All that are or were members, and hosts for those that may come.
    pub members: Vec<Arc<Member>>,
    /// What connects them.
    pub network: Arc<Network>,
    /// What is seen of them from outside.
    pub watch: Arc<Watch>,
    /// What happened.
    pub history: Arc<History>,
    ended: Mutex<Vec<Ended>>,
    disturbed: Mutex<Vec<Disturbed>>,
    wrong_clocks: Mutex<Vec<WrongClock>>,
}

impl Quorum {
    /// Forms a quorum of the first so many.
    ///
    /// # Errors
    /// If it does not form in time.
    pub async fn form(
        members: Vec<Arc<Member>>,
        network: Arc<Network>,
        journals: usize,
        history: Arc<History>,
    ) -> Result<Self, Failure> {
        let founder = &members[0];
        founder.found()?;
        founder.start()?;
        let bootstrap = founder.data_dir().join("bootstrap");
        let quorum = Self {
            trust: Trust::read(&bootstrap.join("domain-ca.pem"))?,
            operator: Credential::read(&bootstrap.join("operator.pem"))?,
            watch: Arc::new(Watch::of(&members)),
            members,
            network,
            history,
            ended: Mutex::default(),
            disturbed: Mutex::default(),
            wrong_clocks: Mutex::default(),
        };
        quorum.serves(0).await?;
        for nth in 1..journals {
            quorum.admit(nth, 0).await?;
            quorum.votes(0, nth + 1).await?;
        }
        Ok(quorum)
    }

    /// Lets a journal join by another one, and starts it.
    ///
    /// # Errors
    /// If no token could be made.
    pub async fn admit(&self, nth: usize, by: usize) -> Result<(), Failure> {
        let connection = self.operator_at(by).await?;
        let mut client = MemberServiceClient::new(connection.channel());
        let asked = client.create_join_token(CreateJoinTokenRequest { expires_secs: None });
        let (by, told) = (&self.members[by].name, |answer: &CreateJoinTokenResponse| Some(answer.seq));
        let token = self.noted(&connection, by, What::CreateJoinToken, asked, told).await?.token;
        // The domain CA's key lies where the domain was founded: who joins is signed there.
        self.members[nth].life().door = Some((self.members[0].door(), token));
        self.members[nth].start()
    }

    /// Waits for the answer to a call about the quorum itself, and notes what came of it. `told` says its fact.
    ///
    /// # Errors
    /// If it is refused, or not answered in time.
    pub async fn noted<A>(
        &self,
        connection: &Connection,
        about: &str,
        what: What,
        asked: impl Future<Output = Result<Response<A>, Status>>,
        told: impl FnOnce(&A) -> Option<u64>,
    ) -> Result<A, Failure> {
        let began = self.history.now();
        let answer = match time::timeout(ANSWERED_WITHIN, asked).await {
            Ok(answer) => answer.map_err(|status| connection.failure(&status)),
            Err(_) => Err(late()),
        };
        let answer = answer.map(Response::into_inner);
        let told = |answer: &A| Told { seq: told(answer), ..Told::default() };
        self.history.note_answer(about, what, None, began, &answer, told);
        answer
    }

    /// An operator's connection.
    ///
    /// # Errors
    /// If the journal does not let it in.
    pub async fn operator_at(&self, nth: usize) -> Result<Connection, Failure> {
        let journal = &self.members[nth].operators;
        Ok(Connection::open(journal, &self.trust, Some(&self.operator), CONNECT_WITHIN).await?)
    }

    async fn serves(&self, nth: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + FORMS_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.members[nth].ended() {
                return Err(Failure::other(format!("{} ended with {status}", self.members[nth].name)));
            }
            if self.operator_at(nth).await.is_ok() {
                return Ok(());
            }
            time::sleep(LOOK_EVERY).await;
        }
        Err(late())
    }

    /// Waits until so many vote.
    async fn votes(&self, asked: usize, voters: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + FORMS_WITHIN;
        while Instant::now() < deadline {
            if self.voters(asked).await.is_ok_and(|found| found.len() >= voters) {
                self.members[..voters].iter().for_each(|member| member.life().joined = true);
                return Ok(());
            }
            time::sleep(LOOK_EVERY * 4).await;
        }
        Err(late())
    }

    /// The names of those that vote, by the word of one.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn voters(&self, asked: usize) -> Result<Vec<String>, Failure> {
        let connection = self.operator_at(asked).await?;
        let mut client = MemberServiceClient::new(connection.channel());
        let answer = time::timeout(ANSWERED_WITHIN, client.members(MembersRequest::default())).await;
        let answer = answer.map_err(|_| late())?.map_err(|status| connection.failure(&status))?;
        let members = answer.into_inner().members.into_iter();
        Ok(members.filter(|member| member.standing == "voter").map(|member| member.journal_id).collect())
    }

    /// Who is in the quorum, or about to be: by their places.
    pub fn seated(&self) -> Vec<usize> {
        let seated = |nth: &usize| {
            let life = self.members[*nth].life();
            !life.evicted && (life.joined || life.door.is_some())
        };
        (0..self.members.len()).filter(seated).collect()
    }

    /// Where clients ask: everybody who was ever there.
    pub fn agents(&self) -> Vec<JournalAddress> {
        self.seated().into_iter().map(|nth| self.members[nth].agents.clone()).collect()
    }

    /// Who has a role at this moment.
    pub fn find(&self, whom: Whom) -> usize {
        let seated = self.seated();
        let leader = self.watch.leader().filter(|leader| seated.contains(leader)).unwrap_or(seated[0]);
        let followers: Vec<usize> = seated.into_iter().filter(|nth| *nth != leader).collect();
        match whom {
            Whom::Follower(nth) if !followers.is_empty() => followers[nth % followers.len()],
            Whom::Follower(_) | Whom::Leader => leader,
        }
    }

    /// Starts again whoever ended and is not held down, for ever.
    pub async fn supervise(&self) {
        let mut ended_at: Vec<Option<Instant>> = vec![None; self.members.len()];
        loop {
            for (nth, member) in self.members.iter().enumerate() {
                self.look_after(member, &mut ended_at[nth]);
            }
            time::sleep(LOOK_EVERY).await;
        }
    }

    fn look_after(&self, member: &Member, ended_at: &mut Option<Instant>) {
        let Some(status) = member.ended() else { return };
        let (held_down, explained, evicted) = {
            let life = member.life();
            // Who cannot join gives up, and is started again.
            let explained = life.killed || life.excused > 0 || !life.joined || life.evicted;
            (life.held_down > 0, explained, life.evicted)
        };
        if ended_at.is_none() {
            *ended_at = Some(Instant::now());
            if !explained {
                let (journal, at) = (member.name.clone(), self.history.now());
                let ended = Ended { journal, at, how: status.to_string() };
                self.ended.lock().expect("nobody panics while it is held").push(ended);
            }
        }
        let rested = ended_at.is_some_and(|at| at.elapsed() >= AGAIN);
        if rested && !held_down && !evicted {
            *ended_at = None;
            // Tried again in a moment, if it cannot be started.
            if let Err(failure) = member.start() {
                tracing::warn!(journal = member.name, %failure, "it cannot be started");
            }
        }
    }

    /// Who ended by itself.
    pub fn ended(&self) -> Vec<Ended> {
        self.ended.lock().expect("nobody panics while it is held").clone()
    }

    /// Notes that something was wrong with journals.
    pub fn disturb(&self, journals: &[usize], from: Duration) {
        let to = self.history.now();
        let mut disturbed = self.disturbed.lock().expect("nobody panics while it is held");
        disturbed.extend(journals.iter().map(|journal| Disturbed { journal: *journal, from, to }));
    }

    /// When something was wrong with which.
    pub fn disturbed(&self) -> Vec<Disturbed> {
        self.disturbed.lock().expect("nobody panics while it is held").clone()
    }

    /// Notes that a journal's clock was wrong until now.
    pub fn note_wrong_clock(&self, journal: usize, from: Duration, ahead_secs: i32) {
        let ahead = Duration::from_secs(u64::try_from(ahead_secs).unwrap_or_default());
        let wrong = WrongClock { journal, from, to: self.history.now(), ahead };
        self.wrong_clocks.lock().expect("nobody panics while it is held").push(wrong);
    }

    /// When whose clock was wrong.
    pub fn wrong_clocks(&self) -> Vec<WrongClock> {
        self.wrong_clocks.lock().expect("nobody panics while it is held").clone()
    }

    /// The data directories of those that are in the quorum.
    pub fn logs(&self) -> Vec<(&str, &Path)> {
        let seated = self.seated().into_iter();
        seated.map(|nth| (self.members[nth].name.as_str(), self.members[nth].data_dir())).collect()
    }
}

fn late() -> Failure {
    Failure::Deadline("the quorum did not answer in time".to_owned())
}
