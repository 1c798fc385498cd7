//! The lead goes to another voter on purpose. openraft has no word for it: the leader writes nothing new until that voter has
//! all that it has, stops its heartbeats, and asks it to stand until the others' leases are over.
//!
//! [`super::quorum`] calls it at the leader, [`super::inbox`] for a member that was asked in its place. [`super::writer`] looks
//! whether one is under way.
//!
//! Not here: who may order it; that is decided where it was ordered (`grpc::access`).
//!
//! **Invariant:** one at a time; and a leader whose transfer is over, however it ended, writes and sends heartbeats again if it
//! still leads, unless it was silent before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::ServerState;

use super::network::{Peers, ask};
use super::types::{Raft, RaftMetrics};
use super::wire::Ask;

/// Whoever waits for all of it waits so long: until the other was heard 2 s, until it has everything 2 s, and five times 0.8 s
/// until it leads.
pub(super) const SETTLED: Duration = Duration::from_secs(10);
/// A voter that lacks more than it gets in this time does not lead: nothing is written meanwhile.
const CAUGHT_UP: Duration = Duration::from_secs(2);
/// Whoever stands leads by then, or is asked to stand again: the others vote once their lease of this leader is over.
const LEADS: Duration = Duration::from_millis(300);
/// So often: the leases are over by the third time. By the fifth the others stand too, and whoever asks on is in their way.
const ASKS: usize = 5;
/// A member says at once that it stands.
const STANDS: Duration = Duration::from_millis(500);

/// Why another voter does not lead now. Nothing else came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// Nobody leads, or nobody knows who.
    #[error("no journal leads at the moment; ask again")]
    NoLeader,
    /// It is no voter, or is the one that was asked to step aside.
    #[error("it does not vote (`pact journal members`)")]
    NoVoter,
    /// The leader is stepping aside for somebody already.
    #[error("the leader is being moved already; ask again")]
    UnderWay,
    /// The leader has not heard of it just now.
    #[error("the leader has not heard of it for 2 s: is it up, and can it be reached?")]
    Silent,
    /// Its clock is too far off, or not known yet (R24).
    #[error("its clock is more than 10 s off the others', or not known yet")]
    WrongClock,
    /// It did not get in time what it lacks.
    #[error("it lacks facts and did not catch up within 2 s; ask again")]
    Behind,
    /// It was not elected: it did not stand, or another one was elected.
    #[error("it was not elected; ask again")]
    NotElected,
    /// The leader was asked, and says this, or could not be asked for this reason.
    #[error("the leader did not step aside: {0}")]
    Leader(String),
}

/// Whether a transfer is under way here. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Transfers(Arc<State>);

#[derive(Debug, Default)]
struct State {
    under_way: AtomicBool,
    /// This leader's clock is wrong, and nobody else could lead: it sends no heartbeats, so that the others elect.
    silent: AtomicBool,
}

impl Transfers {
    /// Whether the leader writes nothing new at the moment.
    pub(super) fn are_under_way(&self) -> bool {
        self.0.under_way.load(Ordering::Acquire)
    }

    /// Whether this member, if it leads, sends heartbeats; while a transfer is under way from its end on.
    pub(super) fn keep_leading(&self, raft: &Raft, may: bool) {
        self.0.silent.store(!may, Ordering::Release);
        if !self.are_under_way() {
            raft.runtime_config().heartbeat(may);
        }
    }

    /// Steps aside for another voter, which leads afterwards. Whoever calls it has looked whether that [`may_lead`].
    ///
    /// # Errors
    /// If this member leads no more or is about to step aside already, or the other lacks too much or did not come to lead.
    pub(super) async fn step_aside(
        &self,
        raft: &Raft,
        peers: &dyn Peers,
        to: u64,
    ) -> Result<(), TransferError> {
        if self.0.under_way.swap(true, Ordering::AcqRel) {
            return Err(TransferError::UnderWay);
        }
        let _quiet = Quiet { raft, transfers: self };
        let mut metrics = raft.metrics();
        {
            let ready = metrics.wait_for(|raft| raft.state != ServerState::Leader || has_all(raft, to));
            let ready = tokio::time::timeout(CAUGHT_UP, ready).await.map_err(|_| TransferError::Behind)?;
            if !matches!(ready, Ok(raft) if raft.state == ServerState::Leader) {
                return Err(TransferError::NoLeader);
            }
        }
        raft.runtime_config().heartbeat(false);
        for _ in 0..ASKS {
            ask(peers, to, &Ask::Elect, STANDS).await.map_err(|error| {
                tracing::warn!(to, %error, "who shall lead does not stand for election");
                TransferError::NotElected
            })?;
            let another = {
                let another =
                    metrics.wait_for(|raft| raft.current_leader.is_some_and(|leader| leader != raft.id));
                let another = tokio::time::timeout(LEADS, another).await;
                another.ok().and_then(|raft| raft.ok()?.current_leader)
            };
            if let Some(leader) = another {
                return if leader == to { Ok(()) } else { Err(TransferError::NotElected) };
            }
        }
        Err(TransferError::NotElected)
    }
}

/// Whether this member leads and the other votes.
pub(super) fn may_lead(raft: &RaftMetrics, to: u64) -> Result<(), TransferError> {
    if raft.state != ServerState::Leader {
        return Err(TransferError::NoLeader);
    }
    let votes = raft.membership_config.membership().voter_ids().any(|voter| voter == to);
    if votes && to != raft.id { Ok(()) } else { Err(TransferError::NoVoter) }
}

/// Whether a member has all entries of this leader: those who lack none of them may vote for it.
fn has_all(raft: &RaftMetrics, member: u64) -> bool {
    let replication = raft.replication.as_ref();
    let matched = replication.and_then(|members| members.get(&member).copied().flatten());
    matched.map(|place| place.index) >= raft.last_log_index
}

/// A leader that writes nothing new and sends no heartbeats, until this is dropped: also when nobody waits for the transfer any
/// more.
struct Quiet<'a> {
    raft: &'a Raft,
    transfers: &'a Transfers,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.transfers.0.under_way.store(false, Ordering::Release);
        let silent = self.transfers.0.silent.load(Ordering::Acquire);
        self.raft.runtime_config().heartbeat(!silent);
    }
}
