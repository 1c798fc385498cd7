//! Tells open subscriptions that their node's boot configuration changed, or where the journals are.
//!
//! Woken by the log after each fold that set an overlay, assigned a node or changed the members, and then looks at all of
//! them: whatever was missed between two looks is seen by the next one. A subscription that opens looks for itself.

use std::sync::Arc;

use events::vocabulary::NodeId;
use tokio::sync::Notify;

use crate::agent_endpoints::AgentEndpoints;
use crate::log::Log;

use super::{Outbox, Streams};

/// Subscriptions that are looked at while the views are held: some tens of microseconds, for nothing is recorded then.
const AT_ONCE: usize = 64;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Updates {
    log: Log,
    streams: Streams,
    endpoints: Arc<AgentEndpoints>,
    changed: Arc<Notify>,
}

impl Updates {
    /// Tells the nodes with these streams of what this log says, and where the journals are.
    pub fn new(log: Log, streams: Streams, endpoints: Arc<AgentEndpoints>) -> Self {
        Self { log, streams, endpoints, changed: Arc::new(Notify::new()) }
    }

    /// Some configuration changed, or the journals did. Quick, as the thread of the log needs it.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// A node says on its new subscription what it has; it is told at once what changed since.
    pub fn begin(&self, node: &NodeId, outbox: &Outbox, has_seq: u64) {
        // Who claims to have more than there is has it of another log, or of one that was restored since.
        let has_seq = Some(has_seq).filter(|seq| *seq <= self.log.views().seq).unwrap_or_default();
        outbox.knows(has_seq);
        self.look(&[(node, outbox)]);
    }

    /// Looks whenever something changed.
    pub async fn run(self) {
        loop {
            self.changed.notified().await;
            for some in self.streams.all().chunks(AT_ONCE) {
                let some: Vec<_> = some.iter().map(|(node, outbox)| (node, outbox.as_ref())).collect();
                self.look(&some);
                tokio::task::yield_now().await;
            }
        }
    }

    fn look(&self, some: &[(&NodeId, &Outbox)]) {
        let edition = self.endpoints.edition();
        let views = self.log.views();
        for (node, outbox) in some {
            outbox.show_journals(edition);
            if let Some(config) = views.boot_config(node) {
                outbox.show(config, views.seq);
            }
        }
    }
}
