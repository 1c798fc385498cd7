//! ClusterService: one message of another journal to the log, and the answer back; reports of who is connected where.

use std::sync::{Arc, OnceLock};

use events::vocabulary::{JournalId, LogId};
use proto::pb::cluster_service_server::ClusterService;
use proto::pb::{Connected, ExchangeRequest, ExchangeResponse, ReportRequest, ReportResponse};
use tonic::{Request, Response, Status};

use super::listener::{Peer, may_speak};
use crate::clock;
use crate::log::Log;
use crate::presence::Streams;
use crate::presence::elsewhere::Report;

/// See the module.
pub struct ClusterEdge {
    /// Answers.
    pub log: Log,
    /// Only members of the same log are answered.
    pub log_id: LogId,
    /// Hears who is connected elsewhere, once this journal serves nodes.
    pub streams: Arc<OnceLock<Streams>>,
}

impl ClusterEdge {
    /// Who asks, if that is a journal of this log which was not evicted. Looked up at every call: a connection may be
    /// older than an eviction.
    fn peer<T>(&self, request: &Request<T>, log_id: &[u8]) -> Result<JournalId, Status> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0.clone());
        let peer = peer.ok_or_else(|| Status::unauthenticated("a journal's certificate is required"))?;
        if !may_speak(&self.log, &peer) {
            return Err(Status::permission_denied("this journal was evicted"));
        }
        if log_id != self.log_id.as_bytes() {
            return Err(Status::failed_precondition("this journal is of another log"));
        }
        Ok(peer)
    }
}

fn reported(request: ReportRequest) -> Result<Report, Status> {
    let wrong = || Status::invalid_argument("the report cannot be read");
    let connected = |one: Connected| -> Result<_, Status> {
        Ok((one.node_id.parse().map_err(|_| wrong())?, one.serial.parse().map_err(|_| wrong())?))
    };
    let ReportRequest { log_id: _, incarnation, number, full, gained, lost } = request;
    let gained = gained.into_iter().map(connected).collect::<Result<_, _>>()?;
    let lost = lost.iter().map(|node| node.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    Ok(Report { incarnation, number, full, gained, lost })
}

#[tonic::async_trait]
impl ClusterService for ClusterEdge {
    async fn exchange(
        &self,
        request: Request<ExchangeRequest>,
    ) -> Result<Response<ExchangeResponse>, Status> {
        let peer = self.peer(&request, &request.get_ref().log_id)?;
        let body = request.into_inner().body;
        let body = self.log.answer(&peer, &body).await.map_err(Status::unavailable)?;
        Ok(Response::new(ExchangeResponse { body }))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let peer = self.peer(&request, &request.get_ref().log_id)?;
        let streams = self.streams.get().ok_or_else(|| Status::unavailable("the journal is starting"))?;
        let taken = streams.reported(&peer, reported(request.into_inner())?, clock::now());
        Ok(Response::new(ReportResponse { taken }))
    }
}
