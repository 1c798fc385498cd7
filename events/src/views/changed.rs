//! What a fold changed, for whoever must hear of it: open connections and timers.
//!
//! **Invariant:** a fold does the same whether somebody listens or not.

use crate::vocabulary::{CertificateHash, NodeId, SpiffeHash};

/// What a fold changed that open connections and timers depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// The certificates whose [`Standing`](super::Standing) may be another now.
    pub certificates: Vec<CertificateHash>,
    /// The nodes that a fact told of.
    pub nodes: Vec<NodeId>,
    /// The workload identities of others whose [`Standing`](super::Standing) may be another now.
    pub workloads: Vec<SpiffeHash>,
    /// Whether an overlay was set or a node assigned: some nodes may have another boot configuration now.
    pub configurations: bool,
    /// Whether a fact told of a journal as a member of the quorum.
    pub members: bool,
}

/// One thing of [`Changed`].
pub(super) enum Change<'a> {
    Certificate(CertificateHash),
    Node(&'a NodeId),
    Workload(SpiffeHash),
    Configurations,
    Members,
}

/// Who hears what a fold changed.
pub(super) trait Listener {
    /// Whether it is worth the while to find out.
    const LISTENS: bool;

    /// Hears one thing.
    fn hear(&mut self, change: Change<'_>);
}

/// Nobody waits to hear anything: a log is read again.
pub(super) struct Nobody;

impl Listener for Nobody {
    const LISTENS: bool = false;

    fn hear(&mut self, _: Change<'_>) {}
}

impl Listener for Changed {
    const LISTENS: bool = true;

    fn hear(&mut self, change: Change<'_>) {
        match change {
            Change::Certificate(hash) => self.certificates.push(hash),
            Change::Node(id) => self.nodes.push(id.clone()),
            Change::Workload(id) => self.workloads.push(id),
            Change::Configurations => self.configurations = true,
            Change::Members => self.members = true,
        }
    }
}

impl Changed {
    /// Takes in what the next fold changed.
    pub fn add(&mut self, next: Self) {
        self.certificates.extend(next.certificates);
        self.nodes.extend(next.nodes);
        self.workloads.extend(next.workloads);
        self.configurations |= next.configurations;
        self.members |= next.members;
    }

    /// Tells all of it to another.
    pub(super) fn tell(&self, listener: &mut impl Listener) {
        self.certificates.iter().for_each(|hash| listener.hear(Change::Certificate(*hash)));
        self.nodes.iter().for_each(|id| listener.hear(Change::Node(id)));
        self.workloads.iter().for_each(|id| listener.hear(Change::Workload(*id)));
        if self.configurations {
            listener.hear(Change::Configurations);
        }
        if self.members {
            listener.hear(Change::Members);
        }
    }
}
