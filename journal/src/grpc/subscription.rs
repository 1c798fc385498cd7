//! The journal's end of one subscription: what the node says on it, and what it is told (R19).
//!
//! One object without a task or a queue of its own, because a machine of 10,000 nodes holds as many: hyper polls it for
//! what to send, and it reads what came at the same time.
//!
//! **Invariant:** the node is here from before the stream is answered until this is dropped or the node said goodbye; and
//! the end of the stream after a goodbye means that the goodbye is recorded.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use events::vocabulary::{NodeId, Serial};
use futures_util::Stream;
use proto::convert::field;
use proto::pb;
use proto::pb::agent_message::Message;
use proto::pb::journal_message;
use proto::refusal::Refusal;
use tokio::sync::watch;
use tonic::{Status, Streaming};

use crate::actors::{Nodes, Order, Request as Ask};
use crate::agent_endpoints::{self, AgentEndpoints};
use crate::presence::{self, Told, updates::Updates};

use super::access::Admitted;
use super::refusal::status;
use super::serve::stopped;

/// What a subscription is made of.
pub struct Parts {
    /// The node.
    pub node: NodeId,
    /// By which certificate it came.
    pub serial: Serial,
    /// The same, admitted.
    pub admitted: Admitted,
    /// Its presence.
    pub stream: presence::Stream,
    /// Tells it of changes.
    pub updates: Updates,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// What it says.
    pub incoming: Streaming<pb::AgentMessage>,
    /// Where the journals are: the first message, which shows the node that its stream is open, and later ones when that
    /// changes.
    pub endpoints: Arc<AgentEndpoints>,
    /// Becomes true when the journal stops.
    pub stopping: watch::Receiver<bool>,
}

/// See the module.
pub struct Subscription {
    parts: Parts,
    welcomed: bool,
    stops: Later<()>,
    /// A goodbye that is being recorded.
    goodbye: Option<Later<Result<(), Status>>>,
    ended: bool,
    _counted: crate::metrics::Subscription,
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Subscription {
    /// Begins one.
    pub fn new(parts: Parts) -> Self {
        let mut stopping = parts.stopping.clone();
        let stops = Box::pin(async move { stopped(&mut stopping).await });
        Self {
            parts,
            welcomed: false,
            stops,
            goodbye: None,
            ended: false,
            _counted: crate::metrics::Subscription::open(),
        }
    }

    /// Reads all that the node said. Ready: the subscription is over, in this way.
    fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<Option<Status>> {
        loop {
            if let Some(goodbye) = &mut self.goodbye {
                return goodbye.as_mut().poll(context).map(Result::err);
            }
            match Pin::new(&mut self.parts.incoming).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None | Some(Err(_))) => return Poll::Ready(None),
                Poll::Ready(Some(Ok(pb::AgentMessage { message }))) => {
                    if let Err(refusal) = self.hear(message) {
                        return Poll::Ready(Some(refusal.into()));
                    }
                }
            }
        }
    }

    fn hear(&mut self, message: Option<Message>) -> Result<(), Refusal> {
        match message {
            Some(Message::Hello(hello)) => {
                check(&hello)?;
                let parts = &self.parts;
                tracing::debug!(node = %parts.node, version = %hello.agent_version, "the node subscribed");
                parts.updates.begin(&parts.node, parts.stream.outbox(), hello.from_seq);
            }
            Some(Message::Goodbye(_)) => {
                // First away, then said so: else its open stream would bring it back.
                self.parts.stream.leave();
                self.goodbye = Some(Box::pin(self.say_goodbye()));
            }
            Some(Message::Sessions(sessions)) => self.parts.stream.say_sessions(sessions.count),
            None => {}
        }
        Ok(())
    }

    fn say_goodbye(&self) -> impl Future<Output = Result<(), Status>> + Send + 'static {
        let Parts { node, serial, admitted, nodes, .. } = &self.parts;
        let order = Order::Goodbye { serial: *serial };
        let ask = Ask { order, principal: admitted.principal(), source: admitted.source.clone() };
        let (nodes, node) = (nodes.clone(), node.clone());
        async move { nodes.ask(&node, ask).await.map(drop).map_err(status) }
    }

    /// Where the journals are now.
    fn journals(&self) -> journal_message::Message {
        let agent_endpoints::Told { endpoints, evicted, edition } = self.parts.endpoints.told();
        self.parts.stream.outbox().knows_journals(edition);
        let told = journal_message::Endpoints { endpoints, evicted_journals: evicted };
        journal_message::Message::Endpoints(told)
    }

    fn next_told(&mut self) -> Option<journal_message::Message> {
        if !self.welcomed {
            self.welcomed = true;
            return Some(self.journals());
        }
        let changed = match self.parts.stream.outbox().take()? {
            Told::Journals => return Some(self.journals()),
            Told::Changed(changed) => changed,
        };
        let vcluster_id = changed.config.vcluster.map(|vcluster| vcluster.to_string()).unwrap_or_default();
        let (revision, seq) = (changed.config.revision, changed.seq);
        Some(journal_message::Message::Changed(journal_message::Changed { vcluster_id, revision, seq }))
    }
}

impl Stream for Subscription {
    type Item = Result<pb::JournalMessage, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        // First whom to wake, then what there is: a message in between is not missed.
        this.parts.stream.outbox().register(context.waker());
        if let Poll::Ready(how) = this.poll_said(context) {
            this.ended = true;
            return Poll::Ready(how.map(Err));
        }
        if let Some(message) = this.next_told() {
            return Poll::Ready(Some(Ok(pb::JournalMessage { message: Some(message) })));
        }
        if this.goodbye.is_none() && this.stops.as_mut().poll(context).is_ready() {
            this.ended = true;
            return Poll::Ready(Some(Err(Status::unavailable("the journal stops"))));
        }
        Poll::Pending
    }
}

fn check(hello: &pb::agent_message::Hello) -> Result<(), Refusal> {
    if hello.agent_version.len() > 64 || hello.agent_version.chars().any(char::is_control) {
        return Err(field::invalid("agent_version", "at most 64 printable characters"));
    }
    if hello.boot_id.is_empty() {
        return Ok(());
    }
    field::parsed::<events::vocabulary::BootId>("boot_id", &hello.boot_id).map(drop)
}
