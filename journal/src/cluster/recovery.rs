//! RecoveryService: whoever holds the domain CA key makes an administrator when no operator's certificate is left (§7).
//!
//! The pass is checked by the handshake ([`super::tls`]): signed by the domain CA, valid now, its key in the caller's hands.
//! Here it must be for this log and this name. The fact goes the way of all, so a majority must be there.
//!
//! **Invariant:** a pass opens this one call, for the one name in it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use events::vocabulary::{JournalId, LogId, OperatorId, Principal, Role};
use proto::convert::field;
use proto::pb::recovery_service_server::RecoveryService;
use proto::pb::{RecoverOperatorRequest, RecoverOperatorResponse};
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::{Request, Response, Status};

use crate::authority::Csr;
use crate::domain_ca::RecoveryPass;
use crate::grpc::operator_status;
use crate::one_certificate::LIFETIME;
use crate::operators::{Asker, Operators, Wanted};
use crate::source_remark;

/// What strangers with a pass may call.
pub const WAY_BACK: &str = "/pact.v1.RecoveryService/";

/// Who showed a pass, and from where.
#[derive(Debug, Clone)]
pub struct Rescuer {
    /// What the pass says.
    pub pass: RecoveryPass,
    /// The address of the caller.
    pub from: IpAddr,
}

/// See the module.
pub struct Recovery {
    /// Gives certificates, once this journal serves operators.
    pub operators: Arc<OnceLock<Operators>>,
    /// A pass must be for this log.
    pub log_id: LogId,
    /// This journal, which is answerable.
    pub journal_id: JournalId,
}

#[tonic::async_trait]
impl RecoveryService for Recovery {
    async fn recover_operator(
        &self,
        request: Request<RecoverOperatorRequest>,
    ) -> Result<Response<RecoverOperatorResponse>, Status> {
        let rescuer = request.extensions().get::<Rescuer>().cloned();
        let Rescuer { pass, from } =
            rescuer.ok_or_else(|| Status::unauthenticated("a pass by the domain CA key is required"))?;
        let wire = request.into_inner();
        let id: OperatorId = field::parsed("operator_id", &wire.operator_id)?;
        if pass.log_id != self.log_id {
            return Err(Status::failed_precondition("the pass is for another log"));
        }
        if pass.operator != id {
            return Err(Status::permission_denied("the pass is for another operator"));
        }
        let operators =
            self.operators.get().ok_or_else(|| Status::unavailable("the journal is starting; ask again"))?;
        let csr =
            Csr::parse(&wire.csr).map_err(|error| Refusal::new(Reason::CsrInvalid, error.to_string()))?;
        let wanted = Wanted { csr, lifetime: LIFETIME };
        let principal = Principal::Journal(self.journal_id.clone());
        let asker = Asker { principal, source: source_remark::of(from) };
        let given =
            operators.create(&id, Role::PlatformAdmin, &wanted, &asker).await.map_err(operator_status)?;
        tracing::warn!(operator = %id, %from, seq = given.seq, "an administrator was made by the domain CA key");
        Ok(Response::new(RecoverOperatorResponse {
            certificate: given.der.as_bytes().to_vec(),
            ca_chain: vec![given.authority.as_bytes().to_vec()],
            seq: given.seq,
        }))
    }
}
