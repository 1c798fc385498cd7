//! How many sessions run on a node, whichever journal holds its stream: what a decommission depends on.
//!
//! Each journal counts what nodes say on the streams that it holds, and the leader hears of all ([`super::reports`], twice a
//! second). So the leader answers, and others ask it. It is no fact (R5): a node says it again on its next stream.
//!
//! **Invariant:** not known is not none. A leader that was elected just now knows once all others have reported; of one that is
//! cut off it knows nothing before that has cut its streams.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use events::vocabulary::{JournalId, NodeId};

use crate::log::Log;

use super::timers::leads;
use super::{Streams, have_all_reported};

/// How often it is looked again while it is not known.
const AGAIN: Duration = Duration::from_millis(200);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    log: Log,
    streams: Streams,
    journal_id: JournalId,
    cut_off: Duration,
    way: Arc<dyn ToCounter>,
}

/// The answer of a leader; None: it does not know yet. `Err`: there was none.
pub type Counted = Pin<Box<dyn Future<Output = Result<Option<u32>, String>> + Send>>;

/// The way to the leader.
pub trait ToCounter: Send + Sync + 'static {
    /// Asks the member with this number in Raft how many sessions run on a node.
    fn count_sessions(&self, leader: u64, node: NodeId) -> Counted;
}

impl Sessions {
    /// Counts what these streams say, and asks the leader for the others. `cut_off`: after so long without a report a journal
    /// holds no stream any more, because it has cut them itself (R17).
    pub fn new(
        log: Log,
        streams: Streams,
        journal_id: JournalId,
        cut_off: Duration,
        way: Arc<dyn ToCounter>,
    ) -> Self {
        Self { log, streams, journal_id, cut_off, way }
    }

    /// How many run on a node. None: it was not known within this time.
    pub async fn count(&self, node: &NodeId, patience: Duration) -> Option<u32> {
        let known = async {
            loop {
                if let Some(count) = self.ask(node).await {
                    return count;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(patience, known).await.ok()
    }

    /// The same, as a leader knows it now. None: it does not, or this journal does not lead.
    pub fn known(&self, node: &NodeId) -> Option<u32> {
        let count = self.streams.sessions(node);
        if self.log.is_alone() {
            return Some(count);
        }
        // Some are enough to know of; that there are none must be known of all.
        let complete =
            || count > 0 || have_all_reported(&self.log, &self.streams, &self.journal_id, self.cut_off);
        (leads(&self.log) && complete()).then_some(count)
    }

    async fn ask(&self, node: &NodeId) -> Option<u32> {
        if let Some(known) = self.known(node) {
            return Some(known);
        }
        let seats = self.log.seats();
        let leader = seats.leader.filter(|leader| *leader != seats.own)?;
        match self.way.count_sessions(leader, node.clone()).await {
            // What was said here a moment ago the leader may not have heard yet.
            Ok(count) => count.map(|count| count.max(self.streams.sessions_here(node))),
            Err(error) => {
                tracing::debug!(%node, error, "the leader did not tell how many sessions run on a node");
                None
            }
        }
    }
}
