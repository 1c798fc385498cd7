//! OperatorService: those who command the domain (contract: `pact operator …`).

use std::time::Duration;

use events::operator::{Rejection, State};
use events::vocabulary::{OperatorId, Principal, Verb};
use proto::convert::{field, operator};
use proto::pb;
use proto::pb::operator_service_server::OperatorService;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::authority::{Csr, IssueError};
use crate::log::Log;
use crate::operators::{Asker, OperatorError, Operators, Wanted};

use super::access::{Access, Admitted, Call};
use super::connection::Peer;
use super::current;
use super::deadline::patience;
use super::node::remark;
use super::refusal::{append_failed, broken};

/// The life of an operator's certificate: at least a minute, at most about a year.
const LIFETIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(366 * 24 * 3600);
/// If none is asked for: 30 days.
const USUAL_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module.
pub struct OperatorEdge {
    /// Who may call.
    pub access: Access,
    /// The log's views.
    pub log: Log,
    /// Gives and takes certificates.
    pub operators: Operators,
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl OperatorService for OperatorEdge {
    async fn create_operator(
        &self,
        request: Request<pb::CreateOperatorRequest>,
    ) -> Answered<pb::CreateOperatorResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let wire = request.into_inner();
        let id: OperatorId = field::parsed("operator_id", &wire.operator_id)?;
        let role = field::parsed("role", &wire.role)?;
        let wanted = wanted(&wire.csr, wire.lifetime_secs)?;
        let given = self.operators.create(&id, role, &wanted, &asker(&admitted)).await.map_err(status)?;
        Ok(Response::new(pb::CreateOperatorResponse {
            operator: self.show(&id),
            certificate: given.der.as_bytes().to_vec(),
            ca_chain: vec![given.authority.as_bytes().to_vec()],
            seq: given.seq,
        }))
    }

    async fn renew_operator(
        &self,
        request: Request<pb::RenewOperatorRequest>,
    ) -> Answered<pb::RenewOperatorResponse> {
        let admitted = self.access.admit(&request, Call::OwnOperator)?;
        let _parting = request.extensions().get::<Peer>().map(Peer::part);
        let wire = request.into_inner();
        let (id, presented) = admitted.operator()?;
        let wanted = wanted(&wire.csr, wire.lifetime_secs)?;
        let given = self.operators.renew(&id, presented, &wanted, &asker(&admitted)).await.map_err(status)?;
        Ok(Response::new(pb::RenewOperatorResponse {
            operator: self.show(&id),
            certificate: given.der.as_bytes().to_vec(),
            ca_chain: vec![given.authority.as_bytes().to_vec()],
            seq: given.seq,
        }))
    }

    async fn list_operators(
        &self,
        request: Request<pb::ListOperatorsRequest>,
    ) -> Answered<pb::ListOperatorsResponse> {
        self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let patience = patience(request.metadata());
        current::reach(&self.log, request.into_inner().min_seq, patience).await?;
        let views = self.log.views();
        let operators =
            views.operators.iter().map(|(id, known)| operator::to_wire(id, &known.state)).collect();
        Ok(Response::new(pb::ListOperatorsResponse { operators, seq: views.seq }))
    }

    async fn revoke_operator(
        &self,
        request: Request<pb::RevokeOperatorRequest>,
    ) -> Answered<pb::RevokeOperatorResponse> {
        let admitted = self.access.admit(&request, Call::Operate(Verb::Administer))?;
        let peer = request.extensions().get::<Peer>().cloned();
        let wire = request.into_inner();
        let id: OperatorId = field::parsed("operator_id", &wire.operator_id)?;
        let own = admitted.principal() == Principal::Operator(id.clone());
        let _parting = peer.filter(|_| own).map(|peer| peer.part());
        let reason = remark("reason", &wire.reason)?;
        let seq = self.operators.revoke(&id, reason.as_ref(), &asker(&admitted)).await.map_err(status)?;
        Ok(Response::new(pb::RevokeOperatorResponse { operator: self.show(&id), seq }))
    }
}

impl OperatorEdge {
    fn show(&self, id: &OperatorId) -> Option<pb::Operator> {
        let views = self.log.views();
        let state = views.operators.get(id).map_or(State::Unknown, |known| known.state.clone());
        Some(operator::to_wire(id, &state))
    }
}

fn asker(admitted: &Admitted) -> Asker {
    Asker { principal: admitted.principal(), source: admitted.source.clone() }
}

fn wanted(csr: &[u8], lifetime_secs: Option<u64>) -> Result<Wanted, Refusal> {
    let csr = Csr::parse(csr).map_err(|error| Refusal::new(Reason::CsrInvalid, error.to_string()))?;
    let lifetime = lifetime_secs.map_or(USUAL_LIFETIME, Duration::from_secs);
    if !LIFETIMES.contains(&lifetime) {
        return Err(field::invalid("lifetime_secs", "from 1 minute to 366 days"));
    }
    Ok(Wanted { csr, lifetime })
}

/// How a refusal about an operator is told, on whichever listener.
pub fn status(error: OperatorError) -> Status {
    let told = error.to_string();
    match error {
        OperatorError::Rejected(rejection) => Refusal::new(reason(&rejection), told).into(),
        OperatorError::Sign(IssueError::Csr(error)) => {
            Refusal::new(Reason::CsrInvalid, error.to_string()).into()
        }
        OperatorError::AskerGone => Refusal::new(Reason::CertificateRequired, told).into(),
        OperatorError::Contended => Refusal::new(Reason::Overloaded, told).into(),
        OperatorError::Append(error) => append_failed(error),
        OperatorError::Sign(_)
        | OperatorError::Read(_)
        | OperatorError::Random(_)
        | OperatorError::NoAuthority => broken(&error),
    }
}

fn reason(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::AlreadyExists => Reason::OperatorAlreadyExists,
        // Its own certificate ended: it is known, and may do nothing.
        Rejection::Revoked => Reason::CertificateRequired,
        Rejection::NotFound => Reason::OperatorNotFound,
        Rejection::LastAdmin => Reason::LastAdmin,
        Rejection::KeyReused => Reason::KeyReused,
        Rejection::SerialSuperseded => Reason::SerialSuperseded,
        Rejection::NameTooLong => Reason::FieldInvalid,
    }
}
