//! EnrollmentService: Enroll and RenewCert (design §3), BindIdentity (R11).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use events::node::{Former, Rejection};
use events::vocabulary::{DomainId, NodeId, Serial};
use proto::convert::{field, hardware, moment};
use proto::pb;
use proto::pb::enrollment_service_server::EnrollmentService;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::actors::{Answer, AskError, IssuedCertificate, Nodes, Order, Request as Ask};
use crate::admission::Admission;
use crate::agent_endpoints::{AgentEndpoints, Told};
use crate::attempts::Attempts;
use crate::authority::{Csr, CsrError};
use crate::clock;
use crate::gate::{self, Stranger};
use crate::log::{KNOWN, Log};
use crate::presence::contests::{Contests, Rival};
use crate::presence::soundings::{Sounding, Soundings};
use crate::workloads::{self, Workloads};

use super::access::{Access, Call, Caller, no_certificate};
use super::confirmation::Confirmation;
use super::connection::Peer;
use super::connections::Shown;
use super::deadline::patience;
use super::refusal::{BUSY, status};

/// The version of the agents' protocol that this release speaks (R26).
const PROTOCOL: u32 = 1;
/// Whether a machine is still there is not known while a journal has not reported yet: asked again after this.
const NOT_KNOWN: Duration = Duration::from_secs(3);
/// So many older ones are taken too: images of nodes are older than journals.
const OLDER_PROTOCOLS: u32 = 2;

/// See the module.
pub struct EnrollmentEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views, for the gate.
    pub log: Log,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// Who may go on to them.
    pub admission: Arc<Admission>,
    /// What is noted of those who are refused.
    pub attempts: Attempts,
    /// Who is told of machines that may be a second one.
    pub contests: Contests,
    /// Who finds out whether machines are still there. None: no other boot of theirs is let in before they are given up.
    pub warm_reboot: Option<Soundings>,
    /// Notes a node's first authenticated call.
    pub confirmation: Confirmation,
    /// The domain.
    pub domain_id: DomainId,
    /// The agents' listeners of all journals.
    pub endpoints: Arc<AgentEndpoints>,
    /// Whose workload identities may be bound to nodes; none: nobody's (R11).
    pub workloads: Option<Arc<Workloads>>,
}

#[tonic::async_trait]
impl EnrollmentService for EnrollmentEdge {
    async fn enroll(
        &self,
        request: Request<pb::EnrollRequest>,
    ) -> Result<Response<pb::EnrollResponse>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let _call = peer.as_ref().and_then(Peer::call);
        let admitted = self.access.admit(&request, Call::Enroll)?;
        let patience = patience(request.metadata());
        let wire = request.into_inner();
        check_protocol(&wire)?;
        let presented = hardware::presented(wire.hardware_identity.as_ref())?;
        let boot_id =
            (!wire.boot_id.is_empty()).then(|| field::parsed("boot_id", &wire.boot_id)).transpose()?;
        let look_up = || gate::pass(&self.log.views().registry, &presented);
        let passed = crate::metrics::timed(crate::metrics::Stage::Gate, look_up);
        let node = match passed {
            Ok(node) => node,
            Err(stranger) => self.look_again(peer.as_ref(), stranger, look_up).await?,
        };
        let csr = Arc::new(Csr::parse(&wire.csr));
        let _enrolling = self.admission.enrolling(&node, csr.as_ref().as_ref().ok().map(Csr::key))?;
        let place = self.admission.place(patience)?;
        let former = if self.warm_reboot.is_some() { Former::NotAsked } else { Former::Untouchable };
        let order = Order::Enroll { presented, csr: Arc::clone(&csr), boot_id, former };
        let ask = Ask { order, principal: admitted.principal(), source: admitted.source };
        let again = (!self.log.is_alone() || self.warm_reboot.is_some()).then(|| ask.clone());
        let mut answer = self.nodes.ask(&node, ask).await;
        let from = peer.as_ref().map(|peer| peer.address.ip());
        let asked = Asked { wire: &wire, csr: &csr, from };
        if let Some(ask) = &again
            && let Some(serial) = perhaps_rebooted(&answer)
        {
            answer = self.sound(&node, serial, ask, answer, &asked).await;
        }
        if let Some(ask) = again
            && may_be_outdated(&answer)
        {
            // Said only of what a leader confirms: it would end the agent for good.
            let confirmed = self.log.read_index(KNOWN).await;
            confirmed.map_err(|_| {
                Refusal::new(Reason::NoLeader, "no journal leads at the moment").retry_after(BUSY)
            })?;
            answer = self.nodes.ask(&node, ask).await;
        }
        place.served();
        if let Err(error) = &mut answer {
            self.note(&node, error, &admitted.caller, &asked).await;
        }
        self.respond(answer.map_err(status)?)
    }

    async fn renew_cert(
        &self,
        request: Request<pb::RenewCertRequest>,
    ) -> Result<Response<pb::EnrollResponse>, Status> {
        let admitted = self.access.admit(&request, Call::OwnNode)?;
        let (node, presented) = admitted.node()?;
        let patience = patience(request.metadata());
        let wire = request.into_inner();
        let named = field::serial("current_serial", &wire.current_serial)?;
        // A workload identity stands for the current certificate, whichever that is. Its answer may have been lost: then the
        // node still names the one before, and its key tells that it asks again (R15).
        let named = if admitted.is_workload() { presented } else { named };
        let place = self.admission.place(patience)?;
        self.confirmation.note(&node, presented, &admitted).await?;
        let order = Order::Renew { presented, named, csr: Arc::new(Csr::parse(&wire.csr)) };
        let ask = Ask { order, principal: admitted.principal(), source: admitted.source };
        let answer = self.nodes.ask(&node, ask).await;
        place.served();
        self.respond(answer.map_err(status)?)
    }

    async fn bind_identity(
        &self,
        request: Request<pb::BindIdentityRequest>,
    ) -> Result<Response<pb::BindIdentityResponse>, Status> {
        let admitted = self.access.admit(&request, Call::OwnCertificate)?;
        let (node, over) = admitted.node()?;
        let shown = request.extensions().get::<Peer>().map(|peer| peer.shown);
        let Some(Shown::Certificate(certificate)) = shown else { return Err(no_certificate().into()) };
        let wire = request.into_inner();
        let workloads = self
            .workloads
            .as_ref()
            .ok_or_else(|| Refusal::new(Reason::WorkloadNotTrusted, workloads::not_configured()))?;
        let proof = (wire.proof.as_slice(), wire.signature_scheme);
        let spiffe_id = workloads.prove(&wire.svid_chain, proof, &certificate)?.spiffe_id;
        self.confirmation.note(&node, over, &admitted).await?;
        let order = Order::Bind { spiffe_id: spiffe_id.clone(), over: Some(over) };
        let ask = Ask { order, principal: admitted.principal(), source: admitted.source };
        match self.nodes.ask(&node, ask).await.map_err(status)? {
            Answer::Settled { seq } => {
                Ok(Response::new(pb::BindIdentityResponse { spiffe_id: spiffe_id.to_string(), seq }))
            }
            Answer::Issued(_) => Err(Status::internal("a binding ended with a certificate")),
        }
    }
}

impl EnrollmentEdge {
    /// A refusal that rests on absence is given only once all that was recorded elsewhere is known here (R22): who was
    /// registered a moment ago is not refused. It draws on the strangers' budget first.
    async fn look_again(
        &self,
        peer: Option<&Peer>,
        stranger: Stranger,
        look_up: impl Fn() -> Result<NodeId, Stranger>,
    ) -> Result<NodeId, Refusal> {
        if self.log.is_alone() {
            return Err(self.stranger(peer, stranger));
        }
        let refusal = self.stranger(peer, stranger);
        let budget = refusal.reason != Reason::RateLimited;
        if !budget || self.log.read_index(KNOWN).await.is_err() {
            return Err(refusal);
        }
        look_up().map_err(|_| refusal)
    }

    /// What somebody without a full match is told: why, as long as there is budget for that (R22).
    fn stranger(&self, peer: Option<&Peer>, stranger: Stranger) -> Refusal {
        let from = peer.map(|peer| peer.address.ip());
        let drawn = from.map_or(Ok(()), |from| self.admission.stranger(from));
        let rejection = stranger.rejection();
        match stranger {
            Stranger::Unknown => {}
            Stranger::Resembling { node, differing } => self.attempts.mismatch(&node, differing, from),
        }
        drawn.err().unwrap_or_else(|| proto::convert::rejection::refusal(&rejection, clock::now()))
    }

    /// Another boot asks to be a node that is active: it is let in if the former one answers nobody (R14 c). Else it is told
    /// when to come back to hear more, or, if the former one answers, what everybody is told.
    async fn sound(
        &self,
        node: &NodeId,
        serial: Serial,
        ask: &Ask,
        answer: Result<Answer, AskError>,
        asked: &Asked<'_>,
    ) -> Result<Answer, AskError> {
        let Some(soundings) = &self.warm_reboot else { return answer };
        // First, so that the answer to the ping shows two machines.
        self.contests.suspect(node, || asked.rival()).await;
        let wait = match soundings.ask(node).await {
            Sounding::Silent => {
                let mut ask = ask.clone();
                if let Order::Enroll { former, .. } = &mut ask.order {
                    *former = Former::Silent { serial };
                }
                let answer = self.nodes.ask(node, ask).await;
                if perhaps_rebooted(&answer).is_none() {
                    return answer;
                }
                // The node has another certificate by now: what was found was found of another machine.
                NOT_KNOWN
            }
            Sounding::Answers => {
                return match answer {
                    Err(AskError::Rejected { rejection: Rejection::PerhapsRebooted { until, .. }, at }) => {
                        Err(AskError::Rejected { rejection: Rejection::AlreadyActive { until }, at })
                    }
                    told => told,
                };
            }
            Sounding::Open(wait) => wait,
            Sounding::Unknown => NOT_KNOWN,
        };
        let at = clock::now();
        let rejection = Rejection::PerhapsRebooted { serial, until: at.plus(wait) };
        Err(AskError::Rejected { rejection, at })
    }

    /// What is noted of a machine that was refused (R5), and whether it may be a second one (R14): then it is told to come
    /// back when the node is given up, if that is known to come before the end of its certificate.
    async fn note(&self, node: &NodeId, error: &mut AskError, caller: &Caller, asked: &Asked<'_>) {
        let AskError::Rejected { rejection, .. } = &*error else {
            return self.attempts.refused(node, error, vec![], asked.from);
        };
        let differing = match (rejection, hardware::presented(asked.wire.hardware_identity.as_ref())) {
            (Rejection::HardwareMismatch, Ok(presented)) => {
                self.log.views().registry.differing(node, &presented)
            }
            (_, Ok(_) | Err(_)) => vec![],
        };
        self.attempts.refused(node, error, differing, asked.from);
        // Who proved the node's own key, by its connection, is no second machine.
        let own = matches!(caller, Caller::Node(id, _) | Caller::Workload(id, _) if id == node);
        if let AskError::Rejected { rejection: Rejection::AlreadyActive { until }, at } = error
            && !own
            && let Some(left) = self.contests.suspect(node, || asked.rival()).await
        {
            *until = at.plus(left).min(*until);
        }
    }

    fn respond(&self, answer: Answer) -> Result<Response<pb::EnrollResponse>, Status> {
        match answer {
            Answer::Issued(issued) => Ok(Response::new(self.to_wire(*issued))),
            Answer::Settled { .. } => Err(Status::internal("an enrollment ended without a certificate")),
        }
    }

    fn to_wire(&self, issued: IssuedCertificate) -> pb::EnrollResponse {
        let certificate = &issued.certificate;
        let Told { endpoints, evicted, edition: _ } = self.endpoints.told();
        pb::EnrollResponse {
            node_id: issued.node_id.to_string(),
            domain_id: self.domain_id.to_string(),
            certificate: issued.der.as_bytes().to_vec(),
            ca_chain: vec![issued.authority.as_bytes().to_vec()],
            vcluster_id: issued.vcluster.map(|vcluster| vcluster.to_string()),
            serial: certificate.serial.to_string(),
            not_before: Some(moment::to_wire(certificate.not_before)),
            not_after: Some(moment::to_wire(certificate.not_after)),
            renew_after: Some(moment::to_wire(certificate.renew_after)),
            journal_time: Some(moment::to_wire(clock::now())),
            endpoints,
            evicted_journals: evicted,
        }
    }
}

/// A request that was refused.
struct Asked<'a> {
    wire: &'a pb::EnrollRequest,
    csr: &'a Result<Csr, CsrError>,
    from: Option<IpAddr>,
}

impl Asked<'_> {
    /// Who sent it, read once more: the order took the first reading with it. None: it cannot be read.
    fn rival(&self) -> Option<Rival> {
        let presented = hardware::presented(self.wire.hardware_identity.as_ref()).ok()?;
        self.csr.as_ref().ok()?;
        let (request, boot_id) = (self.wire.csr.clone(), self.wire.boot_id.parse().ok());
        Some(Rival { request, presented, boot_id, from: self.from })
    }
}

/// The present certificate of a node whose machine may have been rebooted.
fn perhaps_rebooted(answer: &Result<Answer, AskError>) -> Option<Serial> {
    match answer {
        Err(AskError::Rejected { rejection: Rejection::PerhapsRebooted { serial, .. }, .. }) => Some(*serial),
        Ok(_) | Err(_) => None,
    }
}

/// Whether a refusal rests on a revocation that may be over: a new epoch may have begun elsewhere (R22).
fn may_be_outdated(answer: &Result<Answer, AskError>) -> bool {
    matches!(answer, Err(AskError::Rejected { rejection: Rejection::Revoked, .. }))
}

/// Whether a journal that speaks one version understands another: its own and the two before (R26).
fn understood(asked: u32, own: u32) -> Result<(), String> {
    let oldest = own.saturating_sub(OLDER_PROTOCOLS);
    if asked > own {
        Err(format!("protocol: {asked} is newer than {own}; upgrade the journals first"))
    } else if asked < oldest {
        Err(format!("protocol: {asked} is older than {oldest}; upgrade the agent in the node's image"))
    } else {
        Ok(())
    }
}

/// Refuses what this release cannot honour: better than to ignore a field that the caller relies on.
fn check_protocol(wire: &pb::EnrollRequest) -> Result<(), Refusal> {
    understood(wire.protocol, PROTOCOL).map_err(|message| Refusal::new(Reason::FieldInvalid, message))?;
    let unsupported = [
        ("token", &wire.token),
        ("node_id", &wire.node_id),
        ("wireguard_public_key", &wire.wireguard_public_key),
        ("underlay_endpoint", &wire.underlay_endpoint),
    ];
    match unsupported.iter().find(|(_, value)| !value.is_empty()) {
        Some((name, _)) => Err(Refusal::new(
            Reason::FieldInvalid,
            format!("{name}: this release enrolls by hardware identity only"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_26_the_own_protocol_and_the_two_before_are_understood() {
        for asked in [3, 4, 5] {
            assert_eq!(understood(asked, 5), Ok(()), "{asked}");
        }
        for (asked, told) in [(2, "upgrade the agent"), (6, "upgrade the journals"), (u32::MAX, "upgrade")] {
            let refused = understood(asked, 5).unwrap_err();
            assert!(refused.starts_with("protocol: ") && refused.contains(told), "{refused}");
        }
        // A request that names none is of the first agents.
        assert_eq!(understood(0, PROTOCOL), Ok(()));
        assert!(understood(PROTOCOL + 1, PROTOCOL).is_err());
    }
}
