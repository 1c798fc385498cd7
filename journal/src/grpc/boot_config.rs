//! BootConfigService: the subscription that an enrolled node holds open for as long as it lives (R19).
//!
//! A revocation, a supersession or the certificate's end cuts the connection under it ([`super::connections`]). What
//! the stream will carry (changes of the boot configuration) is not here yet; that it is open is what counts.

use std::pin::Pin;
use std::sync::Arc;

use events::vocabulary::{NodeId, Serial};
use futures_util::Stream;
use proto::convert::field;
use proto::pb;
use proto::pb::agent_message::Message;
use proto::pb::boot_config_service_server::BootConfigService;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::actors::{Nodes, Order, Request as Ask};

use super::access::{Access, Admitted, Call};
use super::confirmation::Confirmation;
use super::refusal::status;

/// Messages to a node that it has not taken yet: one is sent at the beginning, more would be a new feature.
const WAITING: usize = 4;

/// See the module.
pub struct BootConfigEdge {
    /// Who may call.
    pub access: Access,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// Notes a node's first authenticated call.
    pub confirmation: Confirmation,
    /// The agents' listeners of all journals.
    pub endpoints: Arc<[String]>,
    /// Becomes true when the journal stops: open streams would hold it for ever.
    pub stopping: watch::Receiver<bool>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<pb::JournalMessage, Status>> + Send>>;

#[tonic::async_trait]
impl BootConfigService for BootConfigEdge {
    type StreamBootConfigStream = Pin<Box<dyn Stream<Item = Result<pb::ConfigChunk, Status>> + Send>>;
    type SubscribeConfigUpdatesStream = Messages;

    async fn stream_boot_config(
        &self,
        _: Request<pb::BootConfigRequest>,
    ) -> Result<Response<Self::StreamBootConfigStream>, Status> {
        Err(Status::unimplemented("under construction"))
    }

    async fn subscribe_config_updates(
        &self,
        request: Request<Streaming<pb::AgentMessage>>,
    ) -> Result<Response<Messages>, Status> {
        let admitted = self.access.admit(&request, Call::OwnNode)?;
        let (node, serial) = admitted.node()?;
        self.confirmation.note(&node, serial, &admitted).await?;
        let (send, messages) = mpsc::channel(WAITING);
        let subscription = crate::metrics::Subscription::open();
        let listener =
            Listener { node, serial, admitted, nodes: self.nodes.clone(), _subscription: subscription };
        // Room for it is certain: nothing was sent before.
        send.try_send(Ok(self.welcome())).ok();
        let stopping = self.stopping.clone();
        tokio::spawn(listener.listen(request.into_inner(), send, stopping));
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }
}

impl BootConfigEdge {
    /// The first message: it shows the node that its stream is open, and where the journals are.
    fn welcome(&self) -> pb::JournalMessage {
        let endpoints =
            pb::journal_message::Endpoints { endpoints: self.endpoints.to_vec(), evicted_journals: vec![] };
        pb::JournalMessage { message: Some(pb::journal_message::Message::Endpoints(endpoints)) }
    }
}

/// The journal's end of one subscription.
struct Listener {
    node: NodeId,
    serial: Serial,
    admitted: Admitted,
    nodes: Nodes,
    _subscription: crate::metrics::Subscription,
}

impl Listener {
    /// Listens until the node says goodbye, the connection ends or the journal stops.
    async fn listen(
        self,
        mut from: Streaming<pb::AgentMessage>,
        to: mpsc::Sender<Result<pb::JournalMessage, Status>>,
        mut stopping: watch::Receiver<bool>,
    ) {
        loop {
            let message = tokio::select! {
                message = from.message() => Some(message),
                () = stopped(&mut stopping) => None,
            };
            let Some(message) = message else {
                to.send(Err(Status::unavailable("the journal stops"))).await.ok();
                return;
            };
            match message.map(|message| message.map(|message| message.message)) {
                Ok(Some(Some(Message::Goodbye(_)))) => {
                    // The end of the stream is the answer, and comes when the fact is recorded.
                    if let Err(failed) = self.goodbye().await {
                        to.send(Err(failed)).await.ok();
                    }
                    return;
                }
                Ok(Some(Some(Message::Hello(hello)))) => {
                    if let Err(refusal) = check(&hello) {
                        to.send(Err(refusal.into())).await.ok();
                        return;
                    }
                    tracing::debug!(node = %self.node, version = %hello.agent_version, "the node subscribed");
                }
                // The stream is its own heartbeat; sessions are counted when something depends on them.
                Ok(Some(Some(Message::Sessions(_)) | None)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn goodbye(self) -> Result<(), Status> {
        let order = Order::Goodbye { serial: self.serial };
        let ask = Ask { order, principal: self.admitted.principal(), source: self.admitted.source };
        self.nodes.ask(&self.node, ask).await.map(drop).map_err(status)
    }
}

/// Resolves when the journal stops; also when nobody is left to say so.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    stopping.wait_for(|stopping| *stopping).await.ok();
}

fn check(hello: &pb::agent_message::Hello) -> Result<(), proto::refusal::Refusal> {
    if hello.agent_version.len() > 64 || hello.agent_version.chars().any(char::is_control) {
        return Err(field::invalid("agent_version", "at most 64 printable characters"));
    }
    if hello.boot_id.is_empty() {
        return Ok(());
    }
    field::parsed::<events::vocabulary::BootId>("boot_id", &hello.boot_id).map(drop)
}
