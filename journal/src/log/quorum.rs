//! The quorum as the rest of the journal sees it: who leads, who is a member, how fresh what is known here is; and the
//! changes that a leader makes to it.
//!
//! Not here: who shall be a member (the facts say so, `crate::cluster` reconciles), and Raft's messages
//! ([`super::network`], [`super::inbox`]).

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::error::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, EmptyNode, ServerState};
use tokio::sync::oneshot;

use super::Log;
use super::broken::in_one_line;
use super::clocks::MAX_SKEW;
use super::network::{PeerError, ask};
use super::transfer::{SETTLED, TransferError};
use super::types::{Raft, RaftMetrics};
use super::wire::{Ask, Release, Told, Vitals};

/// What was recorded elsewhere is known here within this, or a refusal stands as it is (R10, R22).
pub const KNOWN: Duration = Duration::from_secs(2);
/// The leader is asked again after so long.
const AGAIN: Duration = Duration::from_millis(50);
/// A member that is there says at once which release it is.
const RELEASE: Duration = Duration::from_millis(400);
/// A member that answered within this is there.
pub(super) const HEARD: Duration = Duration::from_secs(2);
/// A change of the members is settled by then, or tried again later.
const CHANGE: Duration = Duration::from_secs(10);
/// A leader says what became of a transfer.
const HANDED_OVER: Duration = SETTLED.saturating_add(Duration::from_secs(1));

/// Who counts in Raft.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seats {
    /// They vote.
    pub voters: BTreeSet<u64>,
    /// They only follow.
    pub learners: BTreeSet<u64>,
    /// Who leads, as far as is known here.
    pub leader: Option<u64>,
    /// This member.
    pub own: u64,
    /// Whether the entry that says so is applied here: until then another leader may undo it, and entries before it may be
    /// on their way.
    pub applied: bool,
}

impl Seats {
    /// Whether a member counts.
    pub fn has(&self, raft_id: u64) -> bool {
        self.voters.contains(&raft_id) || self.learners.contains(&raft_id)
    }
}

/// How far a member is, as its leader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its number in Raft.
    pub raft_id: u64,
    /// The last entry that is on its disk; None: nothing is known.
    pub matched: Option<u64>,
    /// Entries of the leader that it lacks.
    pub lag: u64,
}

/// Whether a journal may serve anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It may.
    Fit,
    /// It was not proven up to date for too long (R17).
    Stale,
    /// Its clock is the wrong one (R24).
    Skewed,
}

/// What a member told its leader with its last answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWord {
    /// How long ago.
    pub ago: Duration,
    /// The last fact that it had applied.
    pub applied_seq: u64,
    /// Whether its reserve of disk was reached (R3).
    pub disk_low: bool,
    /// The release that it runs.
    pub version: String,
}

/// Why the quorum could not be asked or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// Nobody leads, or nobody knows who.
    #[error("no journal leads, or it cannot be reached")]
    NoLeader,
    /// Raft says no.
    #[error("the members could not be changed: {0}")]
    Refused(String),
}

impl Log {
    /// Who counts.
    pub fn seats(&self) -> Seats {
        let raft = self.shared.raft.borrow();
        let members = raft.membership_config.membership();
        Seats {
            voters: members.voter_ids().collect(),
            learners: members.learner_ids().collect(),
            leader: raft.current_leader,
            own: raft.id,
            applied: *raft.membership_config.log_id() <= raft.last_applied,
        }
    }

    /// Whether this member has no other beside it.
    pub fn is_alone(&self) -> bool {
        is_alone(&self.shared.raft.borrow())
    }

    /// Whether this member leads.
    pub fn leads(&self) -> bool {
        self.shared.raft.borrow().state == ServerState::Leader
    }

    /// How old the proof is that what is known here is all that was committed (R17). None: there was none yet.
    pub fn age(&self) -> Option<Duration> {
        if self.is_alone() { Some(Duration::ZERO) } else { self.shared.freshness.age() }
    }

    /// Whether what is known here is proven to be younger than the setting: only then may anything be served (R17).
    pub fn is_fresh(&self) -> bool {
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is(crate::planted::Bug::ServeStale) {
            return true;
        }
        self.age().is_some_and(|age| age < self.shared.stale_after)
    }

    /// How far this machine's clock is from the median of the members' (R24).
    pub fn skew(&self) -> Duration {
        if self.is_alone() {
            return Duration::ZERO;
        }
        let (clock, now) = ((self.shared.clock)(), self.shared.freshness.now());
        self.shared.clocks.skew(self.leads(), clock, now)
    }

    /// Whether it is near enough. By what is known of the other clocks, without another message, so that it is seen at once
    /// when this machine's is set.
    pub fn has_right_clock(&self) -> bool {
        self.skew() <= MAX_SKEW
    }

    /// Looks whether that is too far; then this member neither leads nor serves, until it is looked again.
    pub fn judge_clock(&self) -> bool {
        let skewed = self.skew() > MAX_SKEW;
        let before = self.shared.skewed.swap(skewed, Ordering::Relaxed);
        if skewed && !before {
            tracing::error!(skew = ?self.skew(), "this machine's clock is wrong by the other journals': set it");
        } else if before && !skewed {
            tracing::info!("this machine's clock is right again");
        }
        skewed
    }

    /// Whether it may serve anybody. Looked at for each call.
    pub fn fitness(&self) -> Fitness {
        if !self.is_fresh() {
            Fitness::Stale
        } else if self.shared.skewed.load(Ordering::Relaxed) {
            Fitness::Skewed
        } else {
            Fitness::Fit
        }
    }

    /// Whether it is known by now how far that is: a leader told so, or all others were heard.
    pub fn has_compared_clocks(&self) -> bool {
        let Seats { voters, own, .. } = self.seats();
        let others = voters.into_iter().filter(|voter| *voter != own);
        self.is_alone() || self.shared.clocks.compared(others, self.shared.freshness.now())
    }

    /// Whether this member may stand for election when it misses a leader (R24).
    pub fn stands_for_election(&self, may: bool) {
        if let Some(inbox) = self.inbox() {
            inbox.raft.runtime_config().elect(may);
        }
    }

    /// Whether this member, if it leads, says so to the others when there is nothing else to say. If not, they elect.
    pub fn keeps_leading(&self, may: bool) {
        if let Some(inbox) = self.inbox() {
            inbox.transfers.keep_leading(&inbox.raft, may);
        }
    }

    /// Who of the other voters could lead in place of this leader: of those who are fit the one that lacks least.
    pub fn successor(&self) -> Option<u64> {
        let (fit, Seats { voters, .. }) = (self.fit_members(), self.seats());
        let fit = |member: &Member| fit.contains(&member.raft_id) && voters.contains(&member.raft_id);
        self.members().into_iter().filter(fit).min_by_key(|member| member.lag).map(|member| member.raft_id)
    }

    /// Whom this leader has heard of just now, itself among them.
    pub fn heard_members(&self) -> BTreeSet<u64> {
        let heard = |raft_id: &u64| self.shared.freshness.heard(*raft_id).is_some_and(|(_, ago)| ago < HEARD);
        let others = self.members().into_iter().map(|member| member.raft_id).filter(heard);
        others.chain([self.seats().own]).collect()
    }

    /// The others whom this leader has heard of just now, and whose clocks are right (R24).
    pub fn fit_members(&self) -> BTreeSet<u64> {
        let (clock, now, own) = ((self.shared.clock)(), self.shared.freshness.now(), self.seats().own);
        let mut heard = self.heard_members();
        heard.remove(&own);
        let right = |raft_id: &u64| {
            self.shared.clocks.skew_of(*raft_id, clock, now).is_some_and(|skew| skew <= MAX_SKEW)
        };
        heard.retain(right);
        heard
    }

    /// What another member last told this one while it led, and how long ago.
    pub fn heard(&self, raft_id: u64) -> Option<LastWord> {
        let (Vitals { applied_seq, disk_low, version, .. }, ago) = self.shared.freshness.heard(raft_id)?;
        Some(LastWord { ago, applied_seq, disk_low, version })
    }

    /// Waits until all that was committed when it was called is recorded and folded here (R10); answers the last fact.
    ///
    /// # Errors
    /// If no leader could confirm it within the time.
    pub async fn read_index(&self, within: Duration) -> Result<u64, QuorumError> {
        if self.is_alone() {
            return Ok(self.shared.folded.position().seq);
        }
        let asked = self.shared.freshness.now();
        let confirmed = async {
            loop {
                if let Some(seq) = self.ask_read_index().await {
                    self.reaches(seq).await;
                    self.shared.freshness.confirmed(asked);
                    return seq;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(within, confirmed).await.map_err(|_| QuorumError::NoLeader)
    }

    async fn ask_read_index(&self) -> Option<u64> {
        let (asker, answer) = oneshot::channel();
        self.shared.read_indexes.send(asker).await.ok()?;
        answer.await.ok()?
    }

    /// How far the other members are. Empty if this one does not lead.
    pub fn members(&self) -> Vec<Member> {
        let raft = self.shared.raft.borrow();
        let last = raft.last_log_index.unwrap_or_default();
        let Some(replication) = &raft.replication else { return vec![] };
        let member = |(raft_id, place): (&u64, &Option<super::types::Place>)| {
            let matched = place.map(|place| place.index);
            Member { raft_id: *raft_id, matched, lag: last.saturating_sub(matched.unwrap_or_default()) }
        };
        replication.iter().map(member).collect()
    }

    /// Which release a member is, and what it reads (R26). None: it did not say.
    pub async fn release(&self, raft_id: u64) -> Option<Release> {
        if raft_id == self.seats().own {
            return Some(self.inbox()?.release());
        }
        match ask(&*self.shared.peers, raft_id, &Ask::Release, RELEASE).await {
            Ok(Told::Release(release)) => Some(release),
            Ok(_) | Err(_) => None,
        }
    }

    /// Adds a member that follows and does not vote. A member already: nothing changes.
    ///
    /// # Errors
    /// If this member does not lead, or another change is under way.
    pub async fn add_learner(&self, raft_id: u64) -> Result<(), QuorumError> {
        let raft = self.running()?;
        let change = raft.add_learner(raft_id, EmptyNode {}, false);
        settled(tokio::time::timeout(CHANGE, change).await)
    }

    /// Lets a member that follows vote.
    ///
    /// # Errors
    /// As [`Log::add_learner`].
    pub async fn promote(&self, raft_id: u64) -> Result<(), QuorumError> {
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([raft_id]))).await
    }

    /// Removes a member, whether it votes or not.
    ///
    /// # Errors
    /// As [`Log::add_learner`].
    pub async fn remove(&self, raft_id: u64) -> Result<(), QuorumError> {
        if self.seats().voters.contains(&raft_id) {
            return self.change(ChangeMembers::RemoveVoters(BTreeSet::from([raft_id]))).await;
        }
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([raft_id]))).await
    }

    async fn change(&self, change: ChangeMembers<u64, EmptyNode>) -> Result<(), QuorumError> {
        let raft = self.running()?;
        let change = raft.change_membership(change, false);
        settled(tokio::time::timeout(CHANGE, change).await)
    }

    /// Steps aside for another voter, if this member leads.
    ///
    /// # Errors
    /// If it does not lead, or the other did not come to lead.
    pub async fn transfer(&self, to: u64) -> Result<(), TransferError> {
        self.inbox().ok_or(TransferError::NoLeader)?.transfer(to).await
    }

    /// Has another voter lead, whoever leads now: the leader is asked to step aside. Afterwards it is known here.
    ///
    /// # Errors
    /// If nobody leads, or the leader cannot be reached or did not step aside: one of an earlier release does not know how.
    pub async fn hand_over(&self, to: u64) -> Result<(), TransferError> {
        let Seats { leader, own, .. } = self.seats();
        let leader = leader.ok_or(TransferError::NoLeader)?;
        if leader == to {
            return Ok(());
        }
        if leader == own {
            return self.transfer(to).await;
        }
        match ask(&*self.shared.peers, leader, &Ask::StepAside { to }, HANDED_OVER).await {
            Ok(Told::SteppedAside) => {}
            Ok(_) => return Err(TransferError::NoLeader),
            Err(PeerError::Unreachable { reason, .. } | PeerError::Broken { reason, .. }) => {
                return Err(TransferError::Leader(reason));
            }
        }
        let mut metrics = self.shared.raft.clone();
        let known = metrics.wait_for(|raft| raft.current_leader == Some(to));
        // It does lead: that it is not heard of here yet, or that another was elected meanwhile, refuses nothing.
        tokio::time::timeout(KNOWN, known).await.ok();
        Ok(())
    }

    fn running(&self) -> Result<Raft, QuorumError> {
        self.inbox().map(|inbox| inbox.raft).ok_or(QuorumError::NoLeader)
    }
}

/// Whether Raft knows of this member, and of no other. Before its first step it knows of none at all: then nothing is known,
/// and a member that starts again among others must not take itself for the only one.
pub(super) fn is_alone(raft: &RaftMetrics) -> bool {
    let mut members = raft.membership_config.membership().nodes().map(|(id, _)| *id);
    members.next() == Some(raft.id) && members.next().is_none()
}

type Changed = Result<
    Result<
        openraft::raft::ClientWriteResponse<super::types::TypeConfig>,
        RaftError<u64, ClientWriteError<u64, EmptyNode>>,
    >,
    tokio::time::error::Elapsed,
>;

fn settled(changed: Changed) -> Result<(), QuorumError> {
    match changed {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) | Err(_) => {
            Err(QuorumError::NoLeader)
        }
        Ok(Err(error)) => Err(QuorumError::Refused(in_one_line(&error))),
    }
}
