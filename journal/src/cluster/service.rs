//! ClusterService: one message of another journal to the log, and the answer back.

use events::vocabulary::LogId;
use proto::pb::cluster_service_server::ClusterService;
use proto::pb::{ExchangeRequest, ExchangeResponse};
use tonic::{Request, Response, Status};

use super::listener::Peer;
use crate::log::Log;

/// See the module.
pub struct ClusterEdge {
    /// Answers.
    pub log: Log,
    /// Only members of the same log are answered.
    pub log_id: LogId,
}

#[tonic::async_trait]
impl ClusterService for ClusterEdge {
    async fn exchange(&self, request: Request<ExchangeRequest>) -> Result<Response<ExchangeResponse>, Status> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0.clone());
        let peer = peer.ok_or_else(|| Status::unauthenticated("a journal's certificate is required"))?;
        // Looked up at every call: a connection may be older than an eviction.
        if self.log.views().members.is_evicted(&peer) {
            return Err(Status::permission_denied("this journal was evicted"));
        }
        let ExchangeRequest { log_id, body } = request.into_inner();
        if log_id != self.log_id.as_bytes() {
            return Err(Status::failed_precondition("this journal is of another log"));
        }
        let body = self.log.answer(&peer, &body).await.map_err(Status::unavailable)?;
        Ok(Response::new(ExchangeResponse { body }))
    }
}
