//! BootConfigService: the boot configuration of an enrolled node, and the subscription that it holds open for as long as
//! it lives (R19).
//!
//! A revocation, a supersession or the certificate's end cuts the connection under both ([`super::connections`]).

use std::pin::Pin;
use std::sync::Arc;

use events::vocabulary::Overlay;
use futures_util::{Stream, stream};
use proto::pb;
use proto::pb::boot_config_service_server::BootConfigService;
use proto::pb::config_chunk::{self, Chunk};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::actors::Nodes;
use crate::agent_endpoints::AgentEndpoints;
use crate::log::Log;
use crate::overlays::Overlays;
use crate::presence::{Streams, updates::Updates};

use super::access::{Access, Call};
use super::confirmation::Confirmation;
use super::connection::Peer;
use super::subscription::{Parts, Subscription};

/// The most data of one message (contract: ConfigChunk).
const CHUNK: usize = 64 << 10;

/// See the module.
pub struct BootConfigEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views.
    pub log: Log,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// Notes a node's first authenticated call.
    pub confirmation: Confirmation,
    /// The bytes of overlays.
    pub overlays: Overlays,
    /// Which nodes are here.
    pub streams: Streams,
    /// Tells them of changes.
    pub updates: Updates,
    /// The agents' listeners of all journals.
    pub endpoints: Arc<AgentEndpoints>,
    /// Becomes true when the journal stops: open streams would hold it for ever.
    pub stopping: watch::Receiver<bool>,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<pb::ConfigChunk, Status>> + Send>>;

#[tonic::async_trait]
impl BootConfigService for BootConfigEdge {
    type StreamBootConfigStream = Chunks;
    type SubscribeConfigUpdatesStream = Subscription;

    async fn stream_boot_config(
        &self,
        request: Request<pb::BootConfigRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let admitted = self.access.admit(&request, Call::OwnNode)?;
        let (node, serial) = admitted.node()?;
        self.confirmation.note(&node, serial, &admitted).await?;
        let (config, seq) = {
            let views = self.log.views();
            (views.boot_config(&node), views.seq)
        };
        let config = config.ok_or_else(|| Status::internal("the node is not in the views"))?;
        let vcluster_id = config.vcluster.map(|vcluster| vcluster.to_string()).unwrap_or_default();
        let revision = config.revision;
        let known = request.into_inner().known_revision == revision;
        let parts = match config.overlay.filter(|_| !known) {
            Some(overlay) => Some(Cut {
                bytes: self.bytes(&overlay)?,
                overlay,
                vcluster_id: vcluster_id.clone(),
                revision,
            }),
            None => None,
        };
        let parts = parts.into_iter().flat_map(Cut::chunks);
        let complete = Chunk::Complete(config_chunk::Complete { vcluster_id, revision, seq });
        let chunks = parts.chain([complete]).map(|chunk| Ok(pb::ConfigChunk { chunk: Some(chunk) }));
        Ok(Response::new(Box::pin(stream::iter(chunks))))
    }

    async fn subscribe_config_updates(
        &self,
        request: Request<Streaming<pb::AgentMessage>>,
    ) -> Result<Response<Subscription>, Status> {
        let admitted = self.access.admit(&request, Call::OwnNode)?;
        let (node, serial) = admitted.node()?;
        // First here, then looked up: whoever gives the node up in between sees its stream (R19).
        let pulse = request.extensions().get::<Peer>().map(Peer::pulse).unwrap_or_default();
        let stream = self.streams.open(&node, serial, pulse);
        self.confirmation.note(&node, serial, &admitted).await?;
        Ok(Response::new(Subscription::new(Parts {
            node,
            serial,
            admitted,
            stream,
            updates: self.updates.clone(),
            nodes: self.nodes.clone(),
            incoming: request.into_inner(),
            endpoints: Arc::clone(&self.endpoints),
            stopping: self.stopping.clone(),
        })))
    }
}

impl BootConfigEdge {
    fn bytes(&self, overlay: &Overlay) -> Result<Arc<[u8]>, Status> {
        self.overlays.show(&overlay.sha256).map_err(|error| {
            tracing::error!(%error, "an overlay cannot be shown");
            Status::internal("the journal failed; its log says why")
        })
    }
}

/// An overlay on its way to a node.
struct Cut {
    bytes: Arc<[u8]>,
    overlay: Overlay,
    vcluster_id: String,
    revision: u64,
}

impl Cut {
    /// Its parts, in order; an empty overlay has one part without data. Each is made when it is sent.
    fn chunks(self) -> impl Iterator<Item = Chunk> {
        let total = self.bytes.len().div_ceil(CHUNK).max(1);
        (0..total).map(move |index| {
            let end = self.bytes.len().min((index + 1) * CHUNK);
            let number = |count: usize| u32::try_from(count).expect("an overlay has at most 160 parts");
            Chunk::Overlay(config_chunk::Overlay {
                vcluster_id: self.vcluster_id.clone(),
                revision: self.revision,
                index: number(index),
                total: number(total),
                data: self.bytes[index * CHUNK..end].to_vec(),
                sha256: self.overlay.sha256.as_bytes().to_vec(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(size: usize) -> Vec<config_chunk::Overlay> {
        let bytes: Arc<[u8]> = (0..size).map(|at| (at % 251) as u8).collect();
        let overlay = Overlay::of(&bytes).unwrap();
        let chunks = Cut { bytes, overlay, vcluster_id: "prod".to_owned(), revision: 7 }.chunks();
        chunks
            .map(|chunk| if let Chunk::Overlay(part) = chunk { part } else { panic!("{chunk:?}") })
            .collect()
    }

    #[test]
    fn an_overlay_is_cut_into_parts_of_64_kb_that_make_the_whole() {
        for (size, parts) in [(0, 1), (1, 1), (CHUNK, 1), (CHUNK + 1, 2), (10 << 20, 160)] {
            let cut = cut(size);
            assert_eq!(cut.len(), parts, "{size}");
            let whole: Vec<u8> = cut.iter().flat_map(|part| part.data.clone()).collect();
            assert_eq!(whole.len(), size);
            assert_eq!(cut[0].sha256, events::vocabulary::OverlayHash::of(&whole).as_bytes());
            for (index, part) in cut.iter().enumerate() {
                assert_eq!((part.index as usize, part.total as usize), (index, parts));
                assert!(part.data.len() <= CHUNK && part.revision == 7 && part.vcluster_id == "prod");
            }
        }
    }
}
