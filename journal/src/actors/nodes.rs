//! The way to a node's actor: started when the node is first spoken of, found again afterwards.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::prelude::SendError;
use actix::{Actor, Addr, ArbiterHandle};
use events::vocabulary::NodeId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::executor::Executor;
use super::node_actor::{Ask, NodeActor};
use super::order::{Answer, AskError, Request};

/// Asks nodes' actors. Cheap to clone.
#[derive(Clone)]
pub struct Nodes {
    executor: Arc<Executor>,
    arbiters: Arc<[ArbiterHandle]>,
    actors: Arc<Mutex<HashMap<NodeId, Addr<NodeActor>>>>,
    spread: RandomState,
}

impl Nodes {
    /// Actors will live on these event loops, each node on one of them.
    pub fn new(executor: Executor, arbiters: &[ArbiterHandle]) -> Self {
        Self {
            executor: Arc::new(executor),
            arbiters: arbiters.into(),
            actors: Arc::default(),
            spread: RandomState::new(),
        }
    }

    /// Has a node's actor carry out an order. A full mailbox answers at once ([`AskError::Overloaded`]).
    pub async fn ask(&self, node: &NodeId, request: Request) -> Result<Answer, AskError> {
        let (reply, answer) = oneshot::channel();
        self.send(node, Ask { request, reply })?;
        let answer = answer.await.unwrap_or(Err(AskError::Interrupted));
        self.forget_stranger(node);
        answer
    }

    fn send(&self, node: &NodeId, ask: Ask) -> Result<(), AskError>
    where
        NodeActor: Actor,
        <NodeActor as Actor>::Context: ToEnvelope<NodeActor, Ask>,
    {
        let ask = match self.address(node).try_send(ask) {
            Ok(()) => return Ok(()),
            Err(SendError::Full(_)) => return Err(AskError::Overloaded),
            Err(SendError::Closed(ask)) => ask,
        };
        // The actor panicked over an earlier order; a new one takes this.
        self.actors.lock().remove(node);
        self.address(node).try_send(ask).map_err(|_| AskError::Overloaded)
    }

    fn address(&self, node: &NodeId) -> Addr<NodeActor> {
        let start = || {
            let (name, executor) = (node.clone(), Arc::clone(&self.executor));
            NodeActor::start_in_arbiter(self.arbiter(node), move |_| NodeActor::new(name, executor))
        };
        self.actors.lock().entry(node.clone()).or_insert_with(start).clone()
    }

    fn arbiter(&self, node: &NodeId) -> &ArbiterHandle {
        let mut hasher = self.spread.build_hasher();
        hasher.write(node.as_str().as_bytes());
        let index = usize::try_from(hasher.finish() % self.arbiters.len() as u64).unwrap_or_default();
        &self.arbiters[index]
    }

    /// An order about a node that still does not exist leaves no actor behind: names cost nothing to invent.
    fn forget_stranger(&self, node: &NodeId) {
        if self.executor.log.views().registry.node(node).is_none() {
            self.actors.lock().remove(node);
        }
    }
}
