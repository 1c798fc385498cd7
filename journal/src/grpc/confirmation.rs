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

impl Confirmation {
    /// Notes an authenticated call of a node. Asks its actor only if that would record something.
    pub async fn note(&self, node: &NodeId, serial: Serial, admitted: &Admitted) -> Result<(), Status> {
        if self.is_noted(node, serial) {
            return Ok(());
        }
        let source = admitted.source.clone();
        let ask = Ask { order: Order::Confirm { serial }, principal: admitted.principal(), source };
        self.nodes.ask(node, ask).await.map_err(status)?;
        Ok(())
    }

    fn is_noted(&self, node: &NodeId, serial: Serial) -> bool {
        let views = self.log.views();
        let unknown = State::Unknown;
        let state = views.registry.node(node).map_or(&unknown, |node| &node.state);
        matches!(decide(node, state, Command::Confirm { serial, now: clock::now() }), Ok(Decision::Nothing))
    }
}
