//! Has it recorded when two machines claim to be one node (R14).
//!
//! `grpc::enrollment` tells of every machine that was refused because its node is active with another key. If the node's
//! stream stands, it is watched ([`super::suspicions`]); once it shows that a machine is behind it, the other's proof of
//! possession is checked (R12: a request that proves nothing changes nothing), and the node's actor decides.
//!
//! Not here, on purpose: the answer to the machine that asked. It has got its refusal long before.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::node::Contest;
use events::vocabulary::{BootId, HardwareIdentity, JournalId, NodeId, Principal};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::actors::{Nodes, Order, Request};
use crate::authority::{Csr, Pool};
use crate::log::Log;
use crate::source_remark;

use super::Streams;
use super::suspicions::{Suspicion, Suspicions};

/// How often the streams are looked at while there are suspicions.
const LOOK: Duration = Duration::from_millis(500);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Contests {
    log: Log,
    streams: Streams,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    suspicions: Mutex<Suspicions<Rival>>,
    /// Told when there is a first one.
    some: Notify,
}

/// A machine with a node's hardware and another key.
#[derive(Debug)]
pub struct Rival {
    /// Its request.
    pub csr: Csr,
    /// What it presented.
    pub presented: HardwareIdentity,
    /// Which boot of it asked.
    pub boot_id: Option<BootId>,
    /// From where.
    pub from: Option<IpAddr>,
}

impl Contests {
    /// Watches these streams.
    pub fn new(log: Log, streams: Streams) -> Self {
        Self { log, streams, shared: Arc::default() }
    }

    /// A machine was refused because the node is active with another key.
    pub fn suspect(&self, node: &NodeId, rival: impl FnOnce() -> Option<Rival>) {
        let Some(stream) = self.streams.pulse(node) else { return };
        let contested = self.log.views().registry.node(node).is_some_and(|node| node.state.is_contested());
        if contested {
            return;
        }
        if let Some(rival) = rival() {
            self.shared.suspicions.lock().begin(node, stream, rival, Instant::now());
            self.shared.some.notify_one();
        }
    }

    /// Watches, for as long as the journal runs.
    pub async fn run(self, nodes: Nodes, pool: Pool, journal_id: JournalId) {
        loop {
            if self.shared.suspicions.lock().is_empty() {
                self.shared.some.notified().await;
            }
            tokio::time::sleep(LOOK).await;
            let shown = self.shared.suspicions.lock().take(Instant::now());
            for (node, Suspicion { serial, rival, .. }) in shown {
                // What was heard may have been its farewell.
                if self.streams.pulse(&node).is_none_or(|(open, _)| open != serial) {
                    continue;
                }
                let Rival { csr, presented, boot_id, from } = rival;
                let key = csr.key();
                if pool.verify(csr).await.is_err() {
                    continue;
                }
                let order = Order::Contest(Contest { serial, key, presented, boot_id });
                let principal = Principal::Journal(journal_id.clone());
                let source = from.and_then(source_remark::of);
                match nodes.ask(&node, Request { order, principal, source }).await {
                    Ok(_) => tracing::warn!(%node, "two machines claim to be the node"),
                    // The machine asks again, and so it comes up again.
                    Err(error) => tracing::warn!(%node, %error, "a contest was not recorded"),
                }
            }
        }
    }
}
