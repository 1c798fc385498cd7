//! How many sessions run on a node, whichever journal holds its stream: what a decommission depends on.
//!
//! Each journal counts what nodes say on the streams that it holds, and the leader hears of all ([`super::reports`], twice a
//! second). So the leader answers, and others ask it. It is no fact (R5): a node says it again on its next stream.
//!
//! **Invariant:** not known is not none. A leader that was elected just now knows once all others have reported.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use events::vocabulary::{JournalId, NodeId};

use crate::clock;
use crate::log::Log;

use super::Streams;
use super::timers::leads;

/// How often it is looked again while it is not known.
const AGAIN: Duration = Duration::from_millis(200);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    log: Log,
    streams: Streams,
    journal_id: JournalId,
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
    /// Counts what these streams say, and asks the leader for the others.
    pub fn new(log: Log, streams: Streams, journal_id: JournalId, way: Arc<dyn ToCounter>) -> Self {
        Self { log, streams, journal_id, way }
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
        let complete = self.log.is_alone() || (leads(&self.log) && self.has_heard_all());
        complete.then(|| self.streams.sessions(node))
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

    fn has_heard_all(&self) -> bool {
        let others: Vec<JournalId> = {
            let views = self.log.views();
            let members = views.members.members().map(|(id, _)| id);
            members.filter(|id| **id != self.journal_id).cloned().collect()
        };
        self.streams.knows_of(&others, clock::now())
    }
}
