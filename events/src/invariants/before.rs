//! The past, as one fact meets it: its subject is looked up once, for all invariants.

use std::ops::Deref;

use crate::fact::{Fact, Record};
use crate::stream::StreamName;
use crate::views::{Node, Operator};
use crate::vocabulary::NodeId;
use crate::{node, operator};

use super::Past;

/// See the module.
pub(super) struct Before<'a> {
    past: &'a Past,
    node: Option<(&'a NodeId, Option<&'a Node>)>,
    operator: Option<&'a Operator>,
}

impl<'a> Before<'a> {
    /// Looks the fact's subject up.
    pub(super) fn new(past: &'a Past, record: &'a Record) -> Self {
        let (node, operator) = match &record.fact {
            Fact::Node(id, _) => (Some((id, past.views.registry.node(id))), None),
            Fact::Operator(id, _) => (None, past.views.operators.get(id)),
            Fact::Domain(_) | Fact::Authority(..) | Fact::VCluster(..) | Fact::Member(..) => (None, None),
        };
        Self { past, node, operator }
    }

    /// The state of the node that the fact is about.
    pub(super) fn node(&self) -> &'a node::State {
        let known = self.node.and_then(|(_, node)| node);
        known.map_or(&node::State::Unknown, |node| &node.state)
    }

    /// The state of the operator whom the fact is about.
    pub(super) fn operator(&self) -> &'a operator::State {
        self.operator.map_or(&operator::State::Unknown, |operator| &operator.state)
    }

    /// The version of any stream; 0: it is empty.
    pub(super) fn version(&self, stream: &StreamName) -> u64 {
        match (stream, self.node) {
            (StreamName::Node(name), Some((id, node))) if name == id => node.map_or(0, |node| node.version),
            (
                StreamName::Domain
                | StreamName::Node(_)
                | StreamName::Authority(_)
                | StreamName::Operator(_)
                | StreamName::Mac(_)
                | StreamName::Key(_)
                | StreamName::Join(_)
                | StreamName::VCluster(_)
                | StreamName::Journal(_)
                | StreamName::Spiffe(_),
                _,
            ) => self.past.version(stream),
        }
    }
}

impl Deref for Before<'_> {
    type Target = Past;

    fn deref(&self) -> &Past {
        self.past
    }
}
