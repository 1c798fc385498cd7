//! Operators: those who command the domain. Gives them certificates and takes them away.
//!
//! The edge calls it. `events::operator` decides; a certificate goes the way of every certificate: request, decision,
//! signature, fact (R10, R12).
//!
//! Not here: who may do so (`grpc::access`).
//!
//! **Invariant:** a certificate leaves only when its fact is committed (R3).

use std::time::Duration;

use events::append::Append;
use events::certificate::Terms;
use events::fact::Fact;
use events::operator::{Command, Decision, Event, Rejection, State, decide};
use events::stream::{StreamName, StreamVersion};
use events::views::Views;
use events::vocabulary::{
    AuthorityId, Der, DomainId, JournalId, OperatorId, Principal, Remark, Role, Serial, Timestamp,
};

use crate::authority::{Csr, IssueError, Pool};
use crate::clock;
use crate::data_dir::Identity;
use crate::log::{AppendError, KNOWN, Log, ReadError};
use crate::random::{self, RandomError};

/// A conflict is decided again this often (R7).
const ATTEMPTS: usize = 3;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Operators {
    /// The log and its views.
    pub log: Log,
    /// The authority's workers.
    pub pool: Pool,
    /// The domain.
    pub domain_id: DomainId,
    /// This journal.
    pub journal_id: JournalId,
}

impl Operators {
    /// Those of a journal, by its log and its authority's workers.
    pub fn of(log: &Log, pool: &Pool, identity: &Identity) -> Self {
        let Identity { domain_id, journal_id, .. } = identity;
        Self {
            log: log.clone(),
            pool: pool.clone(),
            domain_id: domain_id.clone(),
            journal_id: journal_id.clone(),
        }
    }
}

/// Who asks, and from where.
pub struct Asker {
    /// Who is answerable.
    pub principal: Principal,
    /// From where it was asked.
    pub source: Option<Remark>,
}

/// A certificate to be given.
pub struct Wanted {
    /// The request, which proves the key.
    pub csr: Csr,
    /// How long the certificate shall live.
    pub lifetime: Duration,
}

/// A certificate that was given.
pub struct Given {
    /// The certificate.
    pub der: Der,
    /// The certificate of the authority that signed it.
    pub authority: Der,
    /// The fact of it.
    pub seq: u64,
}

/// Why an order about an operator was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A refusal of `events`.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The request is not acceptable, or could not be signed.
    #[error("the certificate could not be signed")]
    Sign(#[from] IssueError),
    /// The asker was revoked meanwhile.
    #[error("the operator who asks was revoked meanwhile")]
    AskerGone,
    /// Others changed the same three times (R7).
    #[error("others changed the same meanwhile, three times")]
    Contended,
    /// The fact could not be recorded.
    #[error("the fact could not be recorded")]
    Append(#[from] AppendError),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No authority is at work.
    #[error("no authority is at work")]
    NoAuthority,
}

/// What is decided again after a conflict.
enum Ask<'a> {
    Create { role: Role, wanted: &'a Wanted },
    Renew { presented: Serial, wanted: &'a Wanted },
    Revoke { reason: Option<&'a Remark> },
}

impl Operators {
    /// Gives a new operator a role and a certificate.
    pub async fn create(
        &self,
        id: &OperatorId,
        role: Role,
        wanted: &Wanted,
        asker: &Asker,
    ) -> Result<Given, OperatorError> {
        self.give(id, &Ask::Create { role, wanted }, wanted, asker).await
    }

    /// Gives an operator the next certificate over the present one, which ends.
    pub async fn renew(
        &self,
        id: &OperatorId,
        presented: Serial,
        wanted: &Wanted,
        asker: &Asker,
    ) -> Result<Given, OperatorError> {
        self.give(id, &Ask::Renew { presented, wanted }, wanted, asker).await
    }

    /// Ends an operator; answers the last fact that the answer rests on.
    pub async fn revoke(
        &self,
        id: &OperatorId,
        reason: Option<&Remark>,
        asker: &Asker,
    ) -> Result<u64, OperatorError> {
        for _ in 0..ATTEMPTS {
            let (decision, expects) = self.decided(id, &Ask::Revoke { reason }, asker).await?;
            let event = match decision {
                Decision::Nothing | Decision::Issue(_) => return Ok(self.log.views().seq),
                Decision::Record(event) => *event,
            };
            match self.append(id, event, expects, reason, asker).await {
                Err(OperatorError::Append(AppendError::Conflict { .. })) => {}
                settled => return settled,
            }
        }
        Err(OperatorError::Contended)
    }

    async fn give(
        &self,
        id: &OperatorId,
        ask: &Ask<'_>,
        wanted: &Wanted,
        asker: &Asker,
    ) -> Result<Given, OperatorError> {
        for _ in 0..ATTEMPTS {
            let (decision, expects) = self.decided(id, ask, asker).await?;
            let Decision::Issue(issue) = decision else { return Err(OperatorError::Contended) };
            let authority = self.announced(issue.profile.authority)?;
            let der = self.pool.sign(issue.profile.clone(), wanted.csr.clone()).await?;
            match self.append(id, issue.complete(der.clone()), expects, None, asker).await {
                Ok(seq) => return Ok(Given { der, authority, seq }),
                Err(OperatorError::Append(AppendError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Err(OperatorError::Contended)
    }

    /// Decides, as soon as the views show all that is stored about a key.
    async fn decided(
        &self,
        id: &OperatorId,
        ask: &Ask<'_>,
        asker: &Asker,
    ) -> Result<(Decision, Vec<StreamVersion>), OperatorError> {
        let mut confirmed = self.log.is_alone();
        loop {
            match self.decide(id, ask, asker) {
                Ok(Some(decided)) => return Ok(decided),
                Ok(None) => tokio::task::yield_now().await,
                // What is not known here may have been recorded elsewhere (R22).
                Err(OperatorError::Rejected(_)) if !confirmed && self.log.read_index(KNOWN).await.is_ok() => {
                    confirmed = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Decides on the views of one moment, with the versions of all that was looked at (R1). None: the views are about to
    /// change; ask again.
    fn decide(
        &self,
        id: &OperatorId,
        ask: &Ask<'_>,
        asker: &Asker,
    ) -> Result<Option<(Decision, Vec<StreamVersion>)>, OperatorError> {
        let terms = |wanted: &Wanted| self.terms(wanted.lifetime);
        let views = self.log.views();
        let mut reads = vec![StreamName::Operator(id.clone()), StreamName::Domain];
        if let Principal::Operator(asker) = &asker.principal {
            let known = views.operators.get(asker).and_then(|operator| operator.state.role());
            known.ok_or(OperatorError::AskerGone)?;
            reads.push(StreamName::Operator(asker.clone()));
        }
        let command = match ask {
            Ask::Create { role, wanted } => {
                reads.push(StreamName::Key(wanted.csr.key()));
                Command::Create {
                    domain: self.domain_id.clone(),
                    role: role.clone(),
                    key: views.key_claim(wanted.csr.key()),
                    name: None,
                    terms: terms(wanted)?,
                }
            }
            Ask::Renew { presented, wanted } => {
                reads.push(StreamName::Key(wanted.csr.key()));
                let key = views.key_claim(wanted.csr.key());
                Command::Renew { presented: *presented, key, terms: terms(wanted)? }
            }
            Ask::Revoke { reason } => {
                let others: Vec<OperatorId> = other_admins(&views, id, clock::now());
                let another_admin = !others.is_empty();
                reads.extend(others.into_iter().map(StreamName::Operator));
                Command::Revoke { reason: reason.map(Remark::hash), another_admin }
            }
        };
        let state = views.operators.get(id).map_or(State::Unknown, |operator| operator.state.clone());
        let decision = decide(id, &state, command)?;
        if let Decision::Issue(issue) = &decision {
            reads.push(StreamName::Authority(issue.profile.authority));
        }
        reads.sort();
        reads.dedup();
        let mut expects = Vec::with_capacity(reads.len());
        for name in reads {
            // The views forget who had a key; how often it was claimed stands in the log. Both must be of one moment, or a
            // claim that is stored and not folded yet would look like a key that was released.
            let version = if matches!(name, StreamName::Key(_)) {
                self.log.version_seen(&name, &views)?
            } else {
                views.version(&name)
            };
            let Some(version) = version else { return Ok(None) };
            expects.push(StreamVersion { name, version });
        }
        Ok(Some((decision, expects)))
    }

    async fn append(
        &self,
        id: &OperatorId,
        event: Event,
        expects: Vec<StreamVersion>,
        reason: Option<&Remark>,
        asker: &Asker,
    ) -> Result<u64, OperatorError> {
        let append = Append {
            append_id: random::append_id()?,
            decided_at: clock::now(),
            principal: asker.principal.clone(),
            proposed_by: self.journal_id.clone(),
            source: asker.source.as_ref().map(Remark::hash),
            assurance: None,
            expects,
            facts: vec![Fact::Operator(id.clone(), event)],
            remarks: asker.source.iter().chain(reason).cloned().collect(),
        };
        Ok(self.log.append(append).await?.last_seq)
    }

    fn terms(&self, lifetime: Duration) -> Result<Terms, OperatorError> {
        let (authority, authority_not_after) = self.pool.current().ok_or(OperatorError::NoAuthority)?;
        let (serial, jitter) = (random::serial()?, random::jitter()?);
        Ok(Terms { now: clock::now(), serial, jitter, lifetime, authority, authority_not_after })
    }

    fn announced(&self, id: AuthorityId) -> Result<Der, OperatorError> {
        let views = self.log.views();
        let announced = views.authorities.get(&id).and_then(|authority| authority.state.announced());
        announced.map(|announced| announced.der.clone()).ok_or(OperatorError::NoAuthority)
    }
}

/// Who else could command the domain now.
fn other_admins(views: &Views, id: &OperatorId, now: Timestamp) -> Vec<OperatorId> {
    let could = |state: &State| match state {
        State::Active { role: Role::PlatformAdmin, current, .. } => current.not_after > now,
        State::Active { role: Role::Ops(_) | Role::Viewer(_), .. }
        | State::Unknown
        | State::Kept { .. }
        | State::Revoked { .. } => false,
    };
    let others = views.operators.iter().filter(|(other, operator)| *other != id && could(&operator.state));
    others.map(|(other, _)| other.clone()).take(MOST_ADMINS).collect()
}

/// Of how many other administrators a revocation depends at most: one append names a bounded number of streams.
const MOST_ADMINS: usize = 8;
