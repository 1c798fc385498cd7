//! A node's first authenticated call confirms its enrollment, and brings an inactive node back (design §3 step 9, §5).

use events::node::{Command, Decision, State, decide};
use events::vocabulary::{NodeId, Serial};
use tonic::Status;

use crate::actors::{Nodes, Order, Request as Ask};
use crate::clock;
use crate::log::Log;

use super::access::Admitted;
use super::refusal::status;

/// See the module.
#[derive(Clone)]
pub struct Confirmation {
    /// The log's views.
    pub log: Log,
    /// The nodes' actors.
    pub nodes: Nodes,
}

/// What an authenticated call means for the node's state.
enum Meaning {
    /// Nothing new.
    Noted,
    /// Its certificate is used for the first time.
    FirstUse,
    /// It is back, or its certificate opens nothing any more.
    Other,
}

impl Confirmation {
    /// Notes an authenticated call of a node. A first use is recorded behind the call's back: its answer says nothing
    /// about it, and whatever else the node orders comes after it, for its actor takes one order after another. All
    /// else is waited for.
    pub async fn note(&self, node: &NodeId, serial: Serial, admitted: &Admitted) -> Result<(), Status> {
        let ask = || {
            let source = admitted.source.clone();
            Ask { order: Order::Confirm { serial }, principal: admitted.principal(), source }
        };
        match self.meaning(node, serial) {
            Meaning::Noted => Ok(()),
            Meaning::FirstUse => self.nodes.tell(node, ask()).map_err(status),
            Meaning::Other => self.nodes.ask(node, ask()).await.map(drop).map_err(status),
        }
    }

    fn meaning(&self, node: &NodeId, serial: Serial) -> Meaning {
        let views = self.log.views();
        let unknown = State::Unknown;
        let state = views.registry.node(node).map_or(&unknown, |node| &node.state);
        match (decide(node, state, Command::Confirm { serial, now: clock::now() }), state) {
            (Ok(Decision::Nothing), _) => Meaning::Noted,
            (Ok(Decision::Record(_)), State::Active { .. }) => Meaning::FirstUse,
            (
                Ok(_) | Err(_),
                State::Unknown
                | State::Registered { .. }
                | State::Active { .. }
                | State::Inactive { .. }
                | State::Revoked { .. },
            ) => Meaning::Other,
        }
    }
}
