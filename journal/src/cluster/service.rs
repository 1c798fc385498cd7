//! ClusterService: one message of another journal to the log, and the answer back; reports of who is connected where, and of
//! machines that may be a second one.

use std::sync::{Arc, OnceLock};

use events::vocabulary::{JournalId, LogId};
use proto::convert::{field, hardware, moment};
use proto::pb::cluster_service_server::ClusterService;
use proto::pb::{
    AskCertificateRequest, AskCertificateResponse, CertifyRequest, CertifyResponse, Connected,
    CountSessionsRequest, CountSessionsResponse, ExchangeRequest, ExchangeResponse, ReportRequest,
    ReportResponse, SoundRequest, SoundResponse, SuspectRequest, SuspectResponse,
};
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use super::listener::{Peer, Shown, may_speak};
use super::notary::Notary;
use crate::authority::MAX_CSR_BYTES;
use crate::clock;
use crate::log::Log;
use crate::presence::Streams;
use crate::presence::contests::{Contests, Rival, Told};
use crate::presence::elsewhere::{Report, Seen};
use crate::presence::sessions::Sessions;
use crate::presence::soundings::Soundings;
use crate::renewal::Outlook;

/// See the module.
pub struct ClusterEdge {
    /// Answers.
    pub log: Log,
    /// Only members of the same log are answered.
    pub log_id: LogId,
    /// Who hears of other journals' nodes, once this journal serves nodes.
    pub hearers: Arc<OnceLock<Hearers>>,
    /// Signs server certificates, if it can.
    pub notary: Notary,
    /// Until when this journal's own lasts.
    pub outlook: Outlook,
}

/// Who hears of other journals' nodes.
#[derive(Clone)]
pub struct Hearers {
    /// Hears who is connected elsewhere.
    pub streams: Streams,
    /// Hears of machines that may be a second one.
    pub contests: Contests,
    /// Knows how many sessions run on nodes.
    pub sessions: Sessions,
    /// Finds out whether the machines of nodes are still there.
    pub soundings: Soundings,
}

/// What an evicted journal hears: it ends then.
pub(super) const EVICTED: &str = "this journal was evicted from the quorum";

impl ClusterEdge {
    fn hearers(&self) -> Result<&Hearers, Status> {
        self.hearers.get().ok_or_else(|| Status::unavailable("the journal is starting"))
    }

    /// Who asks, if that is a journal of this log which was not evicted. Looked up at every call: a connection may be
    /// older than an eviction.
    fn peer<T>(&self, request: &Request<T>, log_id: &[u8]) -> Result<JournalId, Status> {
        let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0.clone());
        let peer = peer.ok_or_else(|| Status::unauthenticated("a journal's certificate is required"))?;
        if !may_speak(&self.log, &peer) {
            return Err(Refusal::new(Reason::JournalEvicted, EVICTED).into());
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
        let serial = one.serial.parse().map_err(|_| wrong())?;
        Ok((one.node_id.parse().map_err(|_| wrong())?, Seen { serial, sessions: one.sessions }))
    };
    let ReportRequest { log_id: _, incarnation, number, full, gained, lost } = request;
    let gained = gained.into_iter().map(connected).collect::<Result<_, _>>()?;
    let lost = lost.iter().map(|node| node.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    Ok(Report { incarnation, number, full, gained, lost })
}

fn suspected(request: SuspectRequest) -> Result<Told, Status> {
    let SuspectRequest { log_id: _, node_id, hardware_identity, csr, boot_id, source, passed_on } = request;
    if csr.len() > MAX_CSR_BYTES {
        return Err(Status::invalid_argument("the certificate request is too large"));
    }
    let presented = hardware::presented(hardware_identity.as_ref())?;
    let (boot_id, from) = (boot_id.parse().ok(), source.parse().ok());
    let rival = Rival { request: csr, presented, boot_id, from };
    Ok(Told { node: field::node_id(&node_id)?, rival, passed_on })
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
        let taken = self.hearers()?.streams.reported(&peer, reported(request.into_inner())?, clock::now());
        Ok(Response::new(ReportResponse { taken }))
    }

    async fn certify(&self, request: Request<CertifyRequest>) -> Result<Response<CertifyResponse>, Status> {
        let peer = self.peer(&request, &request.get_ref().log_id)?;
        let shown = request.extensions().get::<Shown>().cloned();
        let shown = shown.ok_or_else(|| Status::unauthenticated("a journal's certificate is required"))?;
        let certificate = self.notary.certify(&peer, &shown.0, &request.get_ref().csr).await?;
        Ok(Response::new(CertifyResponse { certificate: certificate.as_bytes().to_vec() }))
    }

    async fn ask_certificate(
        &self,
        request: Request<AskCertificateRequest>,
    ) -> Result<Response<AskCertificateResponse>, Status> {
        self.peer(&request, &request.get_ref().log_id)?;
        let own = self.outlook.own(clock::now());
        Ok(Response::new(AskCertificateResponse {
            not_after: own.map(|own| moment::to_wire(own.not_after)),
            in_trouble: own.is_some_and(|own| own.in_trouble),
        }))
    }

    async fn suspect(&self, request: Request<SuspectRequest>) -> Result<Response<SuspectResponse>, Status> {
        self.peer(&request, &request.get_ref().log_id)?;
        let left = self.hearers()?.contests.hear(suspected(request.into_inner())?);
        let wait_ms = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Ok(Response::new(SuspectResponse { wait_ms }))
    }

    async fn count_sessions(
        &self,
        request: Request<CountSessionsRequest>,
    ) -> Result<Response<CountSessionsResponse>, Status> {
        self.peer(&request, &request.get_ref().log_id)?;
        let node = field::node_id(&request.get_ref().node_id)?;
        Ok(Response::new(CountSessionsResponse { count: self.hearers()?.sessions.known(&node) }))
    }

    async fn sound(&self, request: Request<SoundRequest>) -> Result<Response<SoundResponse>, Status> {
        self.peer(&request, &request.get_ref().log_id)?;
        let SoundRequest { node_id, passed_on, .. } = request.into_inner();
        let found = self.hearers()?.soundings.hear(&field::node_id(&node_id)?, passed_on).await;
        Ok(Response::new(super::sounding::to_wire(found)))
    }
}
