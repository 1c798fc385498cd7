//! The way to a node's actor: started when the node is first spoken of, found again afterwards.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::SendError;
use actix::{Actor, Addr, ArbiterHandle};
use events::vocabulary::{NodeId, Principal};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::executor::Executor;
use super::node_actor::{Ask, NodeActor, Reply};
use super::order::{Answer, AskError, Request};
use crate::metrics::Queued;

/// A node has one machine: more of its requests than this at once are somebody's mistake, and each would be decided on a
/// state that the one before changed. Counted here, because the bound of an actix mailbox holds for each clone of an
/// address alone.
const PLACES: usize = 8;

/// Asks nodes' actors. Cheap to clone.
#[derive(Clone)]
pub struct Nodes {
    executor: Arc<Executor>,
    arbiters: Arc<[ArbiterHandle]>,
    actors: Arc<Mutex<HashMap<NodeId, Known>>>,
    spread: RandomState,
}

/// How often idle actors are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// A node's actor and the places in front of it.
#[derive(Clone)]
struct Known {
    address: Addr<NodeActor>,
    places: Arc<Semaphore>,
    /// Every order on its way holds a clone.
    orders: Arc<()>,
    /// Asked since the last sweep.
    used: bool,
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

    /// Has a node's actor carry out an order. Without a free place it answers at once ([`AskError::Overloaded`]).
    pub async fn ask(&self, node: &NodeId, request: Request) -> Result<Answer, AskError> {
        let (reply, answer) = oneshot::channel();
        self.send(node, request, reply)?;
        let answer = answer.await.unwrap_or(Err(AskError::Interrupted));
        self.forget_stranger(node);
        answer
    }

    /// What would become of an order now; nothing is recorded.
    pub fn rehearse(&self, node: &NodeId, request: &Request) -> Result<Answer, AskError> {
        self.executor.rehearse(node, request)
    }

    /// Has a node's actor carry out an order, when its turn comes; nobody waits for the answer.
    pub fn tell(&self, node: &NodeId, request: Request) -> Result<(), AskError> {
        self.send(node, request, oneshot::channel().0)
    }

    /// Puts idle actors to sleep, for as long as the journal runs: a machine of 100,000 nodes orders little once it is up.
    pub async fn sweep(self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            self.put_to_sleep();
        }
    }

    /// Forgets the actors that were not asked since the last time; they end. None that has an order on its way: the next
    /// one would be decided beside it, by another actor.
    fn put_to_sleep(&self) {
        let mut actors = self.actors.lock();
        actors.retain(|_, known| std::mem::take(&mut known.used) || Arc::strong_count(&known.orders) > 1);
        actors.shrink_to_fit();
    }

    /// The order takes its place with it, until it is carried out: a caller that gives up does not make room for the
    /// next one. An operator's takes none, for it must not wait behind a node's.
    fn send(&self, node: &NodeId, request: Request, reply: Reply) -> Result<(), AskError> {
        let known = self.known(node);
        let place = match &request.principal {
            Principal::Operator(_) | Principal::Journal(_) => None,
            Principal::Anonymous | Principal::Node(_) => {
                Some(known.places.try_acquire_owned().map_err(|_| AskError::Overloaded)?)
            }
        };
        let ask = match known.address.try_send(Ask {
            request,
            reply,
            place,
            queued: Queued::begin(),
            order: Arc::clone(&known.orders),
        }) {
            Ok(()) => return Ok(()),
            Err(SendError::Full(_)) => return Err(AskError::Overloaded),
            Err(SendError::Closed(ask)) => ask,
        };
        // The actor panicked over an earlier order; a new one takes this.
        self.actors.lock().remove(node);
        self.known(node).address.try_send(ask).map_err(|_| AskError::Overloaded)
    }

    fn known(&self, node: &NodeId) -> Known {
        let start = || {
            let (name, executor) = (node.clone(), Arc::clone(&self.executor));
            let address =
                NodeActor::start_in_arbiter(self.arbiter(node), move |_| NodeActor::new(name, executor));
            Known { address, places: Arc::new(Semaphore::new(PLACES)), orders: Arc::new(()), used: true }
        };
        let mut actors = self.actors.lock();
        if let Some(known) = actors.get_mut(node) {
            known.used = true;
            return known.clone();
        }
        actors.entry(node.clone()).or_insert_with(start).clone()
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
            let mut actors = self.actors.lock();
            // Unless others ask meanwhile; the sweep comes then.
            if actors.get(node).is_some_and(|known| Arc::strong_count(&known.orders) == 1) {
                actors.remove(node);
            }
        }
    }
}
