//! The way in (design §7): a new journal shows the secret of a join token and a request for its server certificate, and
//! becomes a member that joins. The caretaker makes it a voter.
//!
//! The certificate is signed by the domain CA, so only the journal that keeps its key can let others in; the rest say so.
//! Asking again with the same key gets the same place until it votes, and a new certificate, which is recorded too: a lost answer costs
//! nothing, also when the token has expired meanwhile. Who says no name gets one: the one that it got by this key and token, or
//! else one that no journal ever had.
//!
//! **Invariant:** who shows no living secret learns nothing but that, and at most a few a second may try (R22).

use std::time::Duration;

use events::fact::Fact;
use events::level::Level;
use events::member::{self, Command, State, TokenState};
use events::stream::StreamName;
use events::views::Views;
use events::vocabulary::{CertificateHash, Der, DomainId, JournalId, LogId, Serial};
use proto::convert::{field, member as wire};
use proto::join_token::JoinSecret;
use proto::pb::join_service_server::JoinService;
use proto::pb::{JoinRequest, JoinResponse};
use proto::reason::Reason;
use proto::refusal::Refusal;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::authority::{Csr, VerifiedCsr};
use crate::clock;
use crate::log::{AppendError, Log};
use crate::own_append::own_append;
use crate::random;
use crate::server_credential::DomainCaFiles;

use super::hosts::hosts_of;
use super::notary::not_signed;

/// Callers at once: each holds its place for [`PAUSE`] if its secret is none.
const CALLERS: usize = 2;
/// Guessing is slowed to a few a second; 256 bits do the rest.
const PAUSE: Duration = Duration::from_secs(1);
/// What was recorded elsewhere, such as a token a moment ago, is seen here before anybody is refused (R22).
const SEEN: Duration = Duration::from_secs(3);
/// Names and addresses of one machine, at most.
const MOST_HOSTS: usize = 32;
/// A conflict is decided again this often (R7).
const ATTEMPTS: usize = 3;

/// See the module.
pub struct Door {
    log: Log,
    journal_id: JournalId,
    log_id: LogId,
    domain_ca: DomainCaFiles,
    callers: Semaphore,
}

/// What a journal asks for.
struct Asked {
    /// None: it takes the one that it gets.
    id: Option<JournalId>,
    secret: JoinSecret,
    csr: Csr,
    endpoints: member::Endpoints,
    /// Up to there it reads facts.
    reads: Level,
    /// Other names of it.
    hosts: Vec<String>,
}

fn asked(request: JoinRequest) -> Result<Asked, Status> {
    let malformed = |error: &dyn std::error::Error| Refusal::new(Reason::TokenMalformed, error.to_string());
    if request.hosts.len() > MOST_HOSTS {
        return Err(field::invalid("hosts", format!("at most {MOST_HOSTS}")).into());
    }
    let named = (!request.journal_id.is_empty()).then(|| field::parsed("journal_id", &request.journal_id));
    let csr =
        Csr::parse(&request.csr).map_err(|error| Refusal::new(Reason::CsrInvalid, error.to_string()))?;
    Ok(Asked {
        id: named.transpose()?,
        secret: request.secret.parse().map_err(|error| malformed(&error))?,
        endpoints: wire::endpoints(request.endpoints)?,
        reads: request.format_level.map_or(Level::FIRST, Level::new),
        hosts: request.hosts,
        csr,
    })
}

impl Asked {
    /// Its name: the one that it says, or the one that it got by this key and this token, or a new one. By the key alone it
    /// would be that of a machine of which it may be a copy: two journals would vote as one.
    fn name(&self, views: &Views) -> JournalId {
        let got = || {
            let TokenState::Created { consumed_by: Some(by), .. } =
                views.token_claim(self.secret.hash()).state
            else {
                return None;
            };
            (views.members.by_key(self.csr.key()) == Some(&by)).then_some(by)
        };
        self.id.clone().or_else(got).unwrap_or_else(|| views.members.next_name())
    }
}

/// What an order to join comes to, by what is known at the moment.
enum Decided {
    /// These facts, and the version of the domain's stream that was looked at.
    By { facts: Vec<Fact>, domain_version: u64 },
    /// It is so already.
    Already,
    /// The name that was chosen for it is another's by now.
    Taken,
}

impl Door {
    /// A door of this journal.
    pub fn new(log: Log, journal_id: JournalId, log_id: LogId, domain_ca: DomainCaFiles) -> Self {
        Self { log, journal_id, log_id, domain_ca, callers: Semaphore::new(CALLERS) }
    }

    async fn let_in(&self, asked: &Asked) -> Result<JoinResponse, Status> {
        let verified = asked.csr.verify();
        let verified = verified.map_err(|error| Refusal::new(Reason::CsrInvalid, error.to_string()))?;
        for _ in 0..ATTEMPTS {
            let id = asked.name(&self.log.views());
            // Nothing is signed for whom the facts refuse anyway; what is signed is decided once more, with its hash.
            self.decide(asked, &id, CertificateHash::of(b""))?;
            let (domain_id, domain_ca, certificate) = self.certify(asked, &id, &verified)?;
            if self.record(asked, &id, CertificateHash::of(certificate.as_bytes())).await? {
                let chain = vec![certificate.as_bytes().to_vec(), domain_ca.as_bytes().to_vec()];
                return Ok(self.answer(id, domain_id, chain));
            }
        }
        Err(contended())
    }

    fn certify(
        &self,
        asked: &Asked,
        id: &JournalId,
        verified: &VerifiedCsr<'_>,
    ) -> Result<(DomainId, Der, Der), Status> {
        let ca = self.domain_ca.read().map_err(|error| not_signed(&error))?;
        let (domain_id, domain_ca) = {
            let views = self.log.views();
            let created =
                views.domain.created().ok_or_else(|| Status::unavailable("the log has no domain yet"))?;
            (created.domain_id.clone(), created.domain_ca.clone())
        };
        if *ca.certificate() != domain_ca {
            return Err(Status::internal("the domain CA beside this journal is not that of its domain"));
        }
        let now = clock::now();
        let serial: Serial = random::serial().map_err(|_| Status::internal("no random numbers"))?;
        let hosts: Vec<String> = hosts_of(&asked.endpoints).into_iter().chain(asked.hosts.clone()).collect();
        let certificate = ca.certify(id, &hosts, verified, now, serial);
        let certificate =
            certificate.map_err(|error| Refusal::new(Reason::EndpointInvalid, error.to_string()))?;
        Ok((domain_id, domain_ca, certificate))
    }

    /// What letting it in by this name and with this certificate comes to.
    fn decide(&self, asked: &Asked, id: &JournalId, certificate: CertificateHash) -> Result<Decided, Status> {
        let views = self.log.views();
        reads_enough(views.level, asked.reads)?;
        if asked.name(&views) != *id {
            return Ok(Decided::Taken);
        }
        let state = views.members.get(id).map_or(State::Unknown, |row| row.state.clone());
        let command = Command::Join {
            endpoints: asked.endpoints.clone(),
            certificate,
            key: asked.csr.key(),
            token: views.token_claim(asked.secret.hash()),
            raft_id: views.members.next_raft_id(),
            now: clock::now(),
        };
        let event = member::decide(id, &state, command).map_err(|error| wire::refusal(&error))?;
        Ok(match event {
            Some(event) => Decided::By { facts: event.into_facts(id), domain_version: views.domain_version },
            None => Decided::Already,
        })
    }

    /// Whether it is recorded; if not, another took the name that was chosen.
    async fn record(
        &self,
        asked: &Asked,
        id: &JournalId,
        certificate: CertificateHash,
    ) -> Result<bool, Status> {
        for _ in 0..ATTEMPTS {
            let reads =
                [StreamName::Domain, StreamName::Join(asked.secret.hash()), StreamName::Journal(id.clone())];
            let (facts, domain_version) = match self.decide(asked, id, certificate)? {
                Decided::By { facts, domain_version } => (facts, domain_version),
                Decided::Already => return Ok(true),
                Decided::Taken => return Ok(false),
            };
            let append = own_append(&self.log, &self.journal_id, facts, &reads, clock::now());
            let append = append.map_err(|error| Status::internal(error.to_string()))?;
            // Each join writes the domain's stream: what was read of names, numbers and tokens is of that version, or stale.
            let current = append.expects.iter().find(|at| at.name == StreamName::Domain);
            if current.is_none_or(|at| at.version != domain_version) {
                continue;
            }
            match self.log.append(append).await {
                Ok(_) => return Ok(true),
                Err(AppendError::Conflict { .. }) => {}
                Err(AppendError::NoLeader) => {
                    return Err(Refusal::new(Reason::NoLeader, "no journal leads at the moment").into());
                }
                Err(error) => return Err(Status::internal(error.to_string())),
            }
        }
        Err(contended())
    }

    fn answer(&self, id: JournalId, domain_id: DomainId, certificate_chain: Vec<Vec<u8>>) -> JoinResponse {
        let views = self.log.views();
        let raft_id = views.members.get(&id).and_then(|row| row.state.raft_id()).unwrap_or_default();
        let members = views.members.members().map(|(id, member)| proto::pb::Peer {
            journal_id: id.to_string(),
            raft_id: member.raft_id,
            endpoints: member.endpoints.as_ref().map(wire::endpoints_to_wire),
            votes: member.votes(),
        });
        JoinResponse {
            raft_id,
            log_id: self.log_id.as_bytes().to_vec(),
            domain_id: domain_id.to_string(),
            certificate_chain,
            members: members.collect(),
            journal_id: id.to_string(),
        }
    }
}

fn contended() -> Status {
    Refusal::new(Reason::Overloaded, "others joined at the same moment; ask again").into()
}

/// A journal that could not read the log would stop at the first fact that it does not know (R26). What is written after
/// the decision cannot be above: joining and raising the level both write the domain's stream.
fn reads_enough(level: Level, reads: Level) -> Result<(), Refusal> {
    if level <= reads {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::UpgradeNeeded,
        format!(
            "the log is at format level {level}, and this pact-journal reads up to level {reads}: upgrade it"
        ),
    ))
}

#[tonic::async_trait]
impl JoinService for Door {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let _place =
            self.callers.acquire().await.map_err(|_| Status::unavailable("the journal is stopping"))?;
        let asked = asked(request.into_inner())?;
        self.log.read_index(SEEN).await.ok();
        // The secret first: whoever has none learns nothing of what else would be refused (design §6).
        let known = self.log.views().join_tokens.get(&asked.secret.hash()).is_some();
        if !known {
            tokio::time::sleep(PAUSE).await;
            return Err(wire::refusal(&member::Rejection::TokenUnknown).into());
        }
        let answered = self.let_in(&asked).await;
        match &answered {
            Ok(answer) => {
                tracing::info!(journal = answer.journal_id, raft_id = answer.raft_id, "a journal joins");
            }
            Err(status) => {
                let journal = asked.id.as_ref().map(tracing::field::display);
                tracing::warn!(journal, reason = status.message(), "a journal was not let in");
            }
        }
        answered.map(Response::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_26_a_journal_that_cannot_read_the_log_is_told_to_upgrade() {
        let third = Level::new(3);
        assert!(reads_enough(Level::FIRST, Level::SECOND).is_ok());
        assert!(reads_enough(Level::SECOND, Level::SECOND).is_ok());
        let refused = reads_enough(third, Level::SECOND).unwrap_err();
        assert_eq!(refused.reason, Reason::UpgradeNeeded);
        assert!(refused.message.contains("level 3") && refused.message.contains("upgrade"), "{refused}");
    }
}
