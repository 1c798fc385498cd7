//! Signs the next server certificate of a member that asks (design §7), if this journal holds the domain CA's key.
//!
//! Not here: the first one of a journal that joins ([`super::door`]), and when a member asks (`crate::renewal`).
//!
//! **Invariant:** it signs for the name in the caller's own verified certificate only, and for hosts that this certificate
//! has or that the caller announced. Neither key travels.

use events::vocabulary::{Der, JournalId};
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::Status;

use super::hosts::{hosts_of, names_of};
use crate::authority::Csr;
use crate::clock;
use crate::log::Log;
use crate::random;
use crate::server_credential::{DomainCaError, DomainCaFiles};

/// See the module.
pub struct Notary {
    /// Who is a member, and where.
    pub log: Log,
    /// The domain CA.
    pub domain_ca: DomainCaFiles,
}

impl Notary {
    /// Signs for a member that shows this certificate.
    pub fn certify(&self, member: &JournalId, shown: &[u8], csr: &[u8]) -> Result<Der, Status> {
        let invalid = |error: &dyn std::error::Error| Refusal::new(Reason::CsrInvalid, error.to_string());
        let csr = Csr::parse(csr).map_err(|error| invalid(&error))?;
        let verified = csr.verify().map_err(|error| invalid(&error))?;
        let (announced, trusted) = {
            let views = self.log.views();
            let row = views.members.get(member).and_then(|row| row.state.member());
            // Also one that still has its seat in Raft: it gets no more certificates.
            let row = row.ok_or_else(|| Refusal::new(Reason::JournalEvicted, "this journal was evicted"))?;
            let announced = row.endpoints.as_ref().map(hosts_of).unwrap_or_default();
            (announced, views.domain.created().map(|created| created.domain_ca.clone()))
        };
        let ca = self.domain_ca.read().map_err(|error| not_signed(&error))?;
        if Some(ca.certificate()) != trusted.as_ref() {
            return Err(Status::internal("the domain CA beside this journal is not that of its domain"));
        }
        let hosts: Vec<String> = names_of(shown).into_iter().chain(announced).collect();
        let serial = random::serial().map_err(|_| Status::internal("no random numbers"))?;
        let signed = ca.certify(member, &hosts, &verified, clock::now(), serial);
        let signed = signed.map_err(|error| Refusal::new(Reason::EndpointInvalid, error.to_string()))?;
        tracing::info!(journal = %member, "a server certificate was signed for another journal");
        Ok(signed)
    }
}

/// Why the domain CA here signs nothing. What to do about its key is said; what is wrong with a file stands in the log.
pub(super) fn not_signed(error: &DomainCaError) -> Status {
    match error {
        DomainCaError::Absent { .. } => Refusal::new(Reason::DomainCaKeyAbsent, error.to_string()).into(),
        DomainCaError::Unreadable(_) | DomainCaError::Damaged(_) => {
            tracing::error!(error = crate::commands::chain(error), "the domain CA cannot be used");
            Status::internal("the domain CA cannot be used here; the journal's log says why")
        }
    }
}
