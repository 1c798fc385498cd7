//! The lead goes to another voter on purpose. openraft has no word for it: the leader stops its heartbeats until the others
//! would elect, and asks that voter to stand first.
//!
//! [`super::quorum`] calls it at the leader, [`super::inbox`] for a member that was asked in its place.
//!
//! Not here: who may order it; that is decided where it was ordered (`grpc::access`).
//!
//! **Invariant:** a leader whose transfer is over, however it ended, sends heartbeats again if it still leads.

use std::time::Duration;

use openraft::ServerState;

use super::network::{Peers, ask};
use super::quorum::QuorumError;
use super::types::Raft;
use super::wire::Ask;

/// It is settled by then, or ordered again.
pub(super) const SETTLED: Duration = Duration::from_secs(10);
/// Who stands leads by then, or is asked to stand again.
const LEADS: Duration = Duration::from_millis(300);

/// A leader that sends no heartbeats, until this is dropped: also when nobody waits for the transfer any more.
struct Quiet<'a>(&'a Raft);

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.runtime_config().heartbeat(true);
    }
}

/// Steps aside for another voter, which leads afterwards.
///
/// # Errors
/// If this member does not lead, or the other does not vote or did not come to lead.
pub(super) async fn step_aside(raft: &Raft, peers: &dyn Peers, to: u64) -> Result<(), QuorumError> {
    let may = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        let votes = metrics.membership_config.membership().voter_ids().any(|voter| voter == to);
        metrics.state == ServerState::Leader && votes
    };
    if !may {
        return Err(QuorumError::NoLeader);
    }
    let quiet = Quiet(raft);
    quiet.0.runtime_config().heartbeat(false);
    let mut metrics = raft.metrics();
    let give_up = tokio::time::Instant::now() + SETTLED;
    while tokio::time::Instant::now() < give_up {
        // Refused by those whose lease of this leader is not over yet; asked again until it is.
        ask(peers, to, &Ask::Elect, SETTLED).await.map_err(|_| QuorumError::NoLeader)?;
        let leads = metrics.wait_for(|raft| raft.current_leader == Some(to));
        if matches!(tokio::time::timeout(LEADS, leads).await, Ok(Ok(_))) {
            return Ok(());
        }
    }
    Err(QuorumError::NoLeader)
}
