//! Read indexes: up to which fact a read must see, as a leader says whom a majority has just confirmed (R10, R22).
//!
//! Each is a message to the leader and one from it to everybody. So all who ask within [`EVERY`] share one, however many
//! they are: who comes while one is under way waits for the next, since that must begin after they asked.
//!
//! [`super::Log::read_index`] asks. **Invariant:** one is under way at a time, and none begins sooner than [`EVERY`] after
//! the one before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::inbox::Inbox;
use super::network::{Peers, ask};
use super::wire::{Ask, Told};

/// R22.
pub(super) const EVERY: Duration = Duration::from_millis(50);
/// Who may wait for one; more wait at the edge, where they have a deadline.
pub(super) const MAX_WAITING: usize = 4096;
/// A leader that has not confirmed itself by then will not: whoever waits asks again.
const CONFIRMED: Duration = Duration::from_secs(2);

/// Whom to tell. None: no leader confirmed one.
pub(super) type Asker = oneshot::Sender<Option<u64>>;

/// See the module.
pub(super) struct ReadIndexes {
    pub asked: mpsc::Receiver<Asker>,
    pub inbox: Inbox,
    pub peers: Arc<dyn Peers>,
}

impl ReadIndexes {
    /// Asks until nobody can want one any more.
    pub(super) async fn run(mut self) {
        let mut next = Instant::now();
        let mut askers = Vec::new();
        while let Some(first) = self.asked.recv().await {
            tokio::time::sleep_until(next).await;
            next = Instant::now() + EVERY;
            askers.push(first);
            while let Ok(asker) = self.asked.try_recv() {
                askers.push(asker);
            }
            // Nobody may be left: they have deadlines.
            askers.retain(|asker| !asker.is_closed());
            if askers.is_empty() {
                continue;
            }
            let seq = self.ask().await;
            for asker in askers.drain(..) {
                // Gone meanwhile: it is not missed.
                asker.send(seq).ok();
            }
        }
    }

    async fn ask(&self) -> Option<u64> {
        let mut raft = self.inbox.raft.metrics();
        let (leader, own) = {
            let raft = raft.borrow_and_update();
            (raft.current_leader?, raft.id)
        };
        let asking = async {
            if leader == own {
                self.inbox.read_index().await.ok()
            } else {
                ask(&*self.peers, leader, &Ask::ReadIndex, CONFIRMED).await.ok()
            }
        };
        let told = tokio::select! {
            told = asking => told?,
            // It would answer in vain.
            _ = raft.wait_for(|raft| raft.current_leader != Some(leader)) => return None,
        };
        if let Told::ReadIndex { seq } = told { Some(seq) } else { None }
    }
}
