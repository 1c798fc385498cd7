//! Signs the next server certificate of a member that asks (design §7), if this journal holds the domain CA's key.
//!
//! Not here: the first one of a journal that joins ([`super::door`]), and when a member asks (`crate::renewal`).
//!
//! **Invariant:** it signs for the name in the caller's own verified certificate only, and for hosts that this certificate
//! has or that the caller announced. It signs only when that certificate is due, and answers only once the new one's hash is a
//! fact: agents are told whom not to trust any more when its holder is evicted. Neither key travels.

use events::append::MAX_SKEW;
use events::member::{self, Command, State};
use events::stream::{StreamName, StreamVersion};
use events::vocabulary::{CertificateHash, Der, JournalId, Timestamp};
use proto::convert::member as wire;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::Status;

use super::hosts::{hosts_of, names_of};
use crate::authority::Csr;
use crate::clock;
use crate::log::{AppendError, Log};
use crate::own_append::own_append;
use crate::random;
use crate::renewal::Validity;
use crate::server_credential::{DomainCaError, DomainCaFiles};

/// A conflict is decided again this often (R7).
const ATTEMPTS: usize = 3;

/// See the module.
pub struct Notary {
    /// Who is a member, and where.
    pub log: Log,
    /// This journal.
    pub journal_id: JournalId,
    /// The domain CA.
    pub domain_ca: DomainCaFiles,
}

impl Notary {
    /// Signs for a member that shows this certificate.
    pub async fn certify(&self, member: &JournalId, shown: &[u8], csr: &[u8]) -> Result<Der, Status> {
        let invalid = |error: &dyn std::error::Error| Refusal::new(Reason::CsrInvalid, error.to_string());
        let csr = Csr::parse(csr).map_err(|error| invalid(&error))?;
        let verified = csr.verify().map_err(|error| invalid(&error))?;
        let now = clock::now();
        let (announced, trusted) = {
            let views = self.log.views();
            let row = of_a_member(views.members.get(member).map(|row| &row.state))?;
            let is_last = row.certificate == Some(CertificateHash::of(shown));
            let validity = Validity::of(shown).ok_or_else(|| untimely("it cannot be read"))?;
            is_timely(validity, is_last, now).map_err(untimely)?;
            let announced = hosts_of(row.endpoints.as_ref().ok_or_else(unannounced)?);
            (announced, views.domain.created().map(|created| created.domain_ca.clone()))
        };
        let ca = self.domain_ca.read().map_err(|error| not_signed(&error))?;
        if Some(ca.certificate()) != trusted.as_ref() {
            return Err(Status::internal("the domain CA beside this journal is not that of its domain"));
        }
        let hosts: Vec<String> = names_of(shown).into_iter().chain(announced).collect();
        let serial = random::serial().map_err(|_| Status::internal("no random numbers"))?;
        let signed = ca.certify(member, &hosts, &verified, now, serial);
        let signed = signed.map_err(|error| Refusal::new(Reason::EndpointInvalid, error.to_string()))?;
        self.record(member, CertificateHash::of(signed.as_bytes())).await?;
        tracing::info!(journal = %member, "a server certificate was signed for another journal");
        Ok(signed)
    }

    /// The fact that this certificate is the member's, as it would announce it itself.
    async fn record(&self, member: &JournalId, certificate: CertificateHash) -> Result<(), Status> {
        for _ in 0..ATTEMPTS {
            let (event, version, domain_version) = {
                let views = self.log.views();
                let row = views.members.get(member).ok_or_else(unknown)?;
                let endpoints = of_a_member(Some(&row.state))?.endpoints.clone();
                let endpoints = endpoints.ok_or_else(unannounced)?;
                let command = Command::Announce { endpoints, certificate };
                let event = member::decide(member, &row.state, command);
                (event.map_err(|error| wire::refusal(&error))?, row.version, views.domain_version)
            };
            let Some(event) = event else { return Ok(()) };
            let facts = event.into_facts(member);
            let append = own_append(&self.log, &self.journal_id, facts, &[StreamName::Domain], clock::now());
            let append = append.map_err(|error| Status::internal(error.to_string()))?;
            // What was decided is of these versions, or stale: it may have been evicted meanwhile.
            let looked_at =
                [(StreamName::Journal(member.clone()), version), (StreamName::Domain, domain_version)];
            if !looked_at
                .into_iter()
                .all(|(name, version)| append.expects.contains(&StreamVersion { name, version }))
            {
                continue;
            }
            match self.log.append(append).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Conflict { .. }) => {}
                Err(AppendError::NoLeader) => {
                    return Err(Refusal::new(Reason::NoLeader, "no journal leads at the moment").into());
                }
                Err(error) => return Err(Status::internal(error.to_string())),
            }
        }
        Err(Refusal::new(Reason::Overloaded, "others changed the same at that moment; ask again").into())
    }
}

/// Whether a certificate may be replaced by another one. Each that is signed is remembered for the case of an eviction, and
/// only the last ones are: so nobody gets one without need. `is_last`: it is the one that is known of the member. If not, its
/// connection is older than its last renewal, and the certificate shown may be over although the member's is not.
fn is_timely(shown: Validity, is_last: bool, now: Timestamp) -> Result<(), &'static str> {
    // Its holder goes by its own clock (R24).
    if !shown.is_due(now.plus(MAX_SKEW)) {
        return Err("it is not due for renewal yet");
    }
    if is_last && shown.not_after <= now {
        return Err("it has expired");
    }
    Ok(())
}

fn untimely(why: &str) -> Status {
    Status::failed_precondition(format!("the certificate that this journal shows is not renewed: {why}"))
}

/// The member that asks. Who was evicted and still has a seat gets no more certificates; that the end has come is not said
/// here, for the others may need its vote to take the seat away.
fn of_a_member(state: Option<&State>) -> Result<&member::Member, Status> {
    match state {
        None | Some(State::Unknown) => Err(unknown()),
        Some(State::Evicted { .. }) => {
            Err(Status::permission_denied("the journal was evicted, and gets no more certificates"))
        }
        Some(State::Member(member)) => Ok(member),
    }
}

/// This journal may be behind: no word about the one that asks.
fn unknown() -> Status {
    Status::unavailable("the journal that asks is not known here yet")
}

fn unannounced() -> Status {
    Status::failed_precondition("this journal has not announced where it listens")
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_certificate_is_replaced_in_the_last_third_of_its_life_by_the_clock_of_its_holder() {
        let shown = Validity { not_before: BEGIN, not_after: BEGIN.plus(30 * DAY) };
        let second = Duration::from_secs(1);
        for (after, of_the_last, of_an_older) in [
            (DAY, false, false),
            (20 * DAY - MAX_SKEW, false, false),
            (20 * DAY - MAX_SKEW + second, true, true),
            (30 * DAY - second, true, true),
            (30 * DAY, false, true),
        ] {
            let now = BEGIN.plus(after);
            assert_eq!(is_timely(shown, true, now).is_ok(), of_the_last, "{after:?}");
            assert_eq!(is_timely(shown, false, now).is_ok(), of_an_older, "{after:?}");
        }
    }
}
