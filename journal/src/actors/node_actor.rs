//! One node's actor: takes its orders one after another.

use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, Message, WrapFuture};
use events::vocabulary::NodeId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::executor::Executor;
use super::order::{Answer, AskError, Request};
use crate::metrics::Queued;

/// Orders that wait. [`super::Nodes`] bounds what nodes send; this leaves room for operators beside.
const MAILBOX: usize = 16;

/// See the module. Holds no state of the node: that is in the views.
pub struct NodeActor {
    node: NodeId,
    executor: Arc<Executor>,
}

/// An order, and where its answer goes.
pub struct Ask {
    /// What is asked.
    pub request: Request,
    /// Who waits; gone, if the caller gave up.
    pub reply: Reply,
    /// Its place among the node's orders, given back when it is carried out.
    pub place: Option<OwnedSemaphorePermit>,
    /// Keeps the actor from being put to sleep before it is carried out.
    pub order: Arc<()>,
    /// Counts it while it waits.
    pub queued: Queued,
}

/// Where an answer goes.
pub type Reply = oneshot::Sender<Result<Answer, AskError>>;

impl Message for Ask {
    type Result = ();
}

impl NodeActor {
    /// An actor for a node.
    pub fn new(node: NodeId, executor: Arc<Executor>) -> Self {
        Self { node, executor }
    }
}

impl Actor for NodeActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Ask> for NodeActor {
    // Atomic: this node's next order waits, so that none is decided on a state that is about to change.
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, ask: Ask, _: &mut Context<Self>) -> Self::Result {
        let (node, executor) = (self.node.clone(), Arc::clone(&self.executor));
        ask.queued.end(ask.request.order.is_enrollment());
        let work = async move {
            let answer = executor.carry_out(&node, &ask.request).await;
            // A caller that gave up asks again and gets the same answer (R14 a).
            ask.reply.send(answer).ok();
            drop((ask.place, ask.order));
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}
