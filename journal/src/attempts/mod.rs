//! Refused attempts: what was refused to machines that asked to be a node, added up and recorded now and then (R5).
//!
//! `grpc::enrollment` notes each refusal; a task of its own has the sums recorded, by the nodes' actors, so that no order
//! under way meets another version of its node. What decides is pure ([`sums`]); this is its shell.
//!
//! Not here, on purpose: machines that resemble no node. They would let anybody make the log grow for ever, and their facts
//! would lie in the domain's stream, which every enrollment names: each one would make all of them decide again.
//!
//! **Invariant:** a refusal waits for nothing here, and what waits here when the process ends was no decision.

mod sums;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::node::RefusalReason;
use events::vocabulary::{HardwareField, JournalId, NodeId, Principal};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::actors::{AskError, Nodes, Order, Request};
use crate::log::Log;
use crate::{clock, source_remark};

use sums::{Attempt, Sum, Sums};

/// Attempts gather for so long before they are recorded, and sums that must wait are looked at again then.
const GATHER: Duration = Duration::from_secs(1);

/// See the module. Cheap to clone.
#[derive(Clone, Default)]
pub struct Attempts {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    sums: Mutex<Sums>,
    /// Told when there is a first sum.
    some: Notify,
}

impl Attempts {
    /// A machine that resembles a node was turned away, because of these fields (R13).
    pub fn mismatch(&self, node: &NodeId, differing: Vec<HardwareField>, from: Option<IpAddr>) {
        self.add(node, RefusalReason::HardwareMismatch, differing, from);
    }

    /// A machine that asked to be a node got no certificate. What broke, or passes by itself, is not noted.
    /// `differing`: what did not match, of a mismatch.
    pub fn refused(
        &self,
        node: &NodeId,
        error: &AskError,
        differing: Vec<HardwareField>,
        from: Option<IpAddr>,
    ) {
        if let Some(reason) = noted(error) {
            self.add(node, reason, differing, from);
        }
    }

    /// Has the sums recorded, for as long as the journal runs; the voters share what may be recorded.
    pub async fn run(self, nodes: Nodes, log: Log, journal_id: JournalId) {
        loop {
            if self.shared.sums.lock().is_empty() {
                self.shared.some.notified().await;
            }
            tokio::time::sleep(GATHER).await;
            while let Some((node, sum)) = self.next(log.seats().voters.len()) {
                let request = Request {
                    order: Order::NoteRefused(sum.attempts.clone()),
                    principal: Principal::Journal(journal_id.clone()),
                    source: sum.from.and_then(source_remark::of),
                };
                if let Err(error) = nodes.ask(&node, request).await {
                    tracing::debug!(%node, %error, "refused attempts are recorded later");
                    self.shared.sums.lock().give_back(&node, sum);
                }
            }
        }
    }

    fn next(&self, voters: usize) -> Option<(NodeId, Sum)> {
        self.shared.sums.lock().take(Instant::now(), voters)
    }

    fn add(&self, node: &NodeId, reason: RefusalReason, differing: Vec<HardwareField>, from: Option<IpAddr>) {
        let attempt = Attempt { reason, differing, from, at: clock::now() };
        self.shared.sums.lock().add(node, attempt);
        self.shared.some.notify_one();
    }
}

/// As what a refusal is noted.
fn noted(error: &AskError) -> Option<RefusalReason> {
    match error {
        AskError::Rejected { rejection, .. } => rejection.noted(),
        AskError::Csr(_) => Some(RefusalReason::CsrInvalid),
        AskError::Overloaded
        | AskError::Contended
        | AskError::Interrupted
        | AskError::Sign(_)
        | AskError::Append(_)
        | AskError::Read(_)
        | AskError::Missing { .. }
        | AskError::Random
        | AskError::NoAuthority
        | AskError::AskerGone => None,
    }
}
