//! An operator's certificate by an authority that signs nothing else: for the first operator (`init`), the one who is kept
//! (`restore`), and one for the day when nobody has a certificate (`recover-operator` of a journal that stands still).
//!
//! It goes the way of every certificate: request, decision, signature, fact. The authority is announced first (R9) and gone
//! with this process; its certificate is good for as long as any.
//!
//! Not here: keys, which whoever asks makes and keeps (R18).
//!
//! **Invariant:** what is answered is recorded.

use std::time::Duration;

use events::certificate::Terms;
use events::fact::Fact;
use events::node::KeyClaim;
use events::operator::{self, Command, Decision, State};
use events::stream::StreamName;
use events::vocabulary::{Der, DomainId, JournalId, OperatorId, Role, Serial};

use crate::authority::{Csr, CsrError, EphemeralAuthority, IssueError};
use crate::clock;
use crate::log::{AppendError, Log};
use crate::own_append::{OwnAppendError, own_append};
use crate::random::{self, RandomError};
use crate::succession::{Succession, SuccessionError};

/// How long the certificate lives.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum OneCertificateError {
    /// No authority to sign it.
    #[error("no authority")]
    Authority(#[from] SuccessionError),
    /// The operator was refused.
    #[error(transparent)]
    Operator(#[from] operator::Rejection),
    /// The request was not acceptable.
    #[error("the operator's request")]
    Csr(#[from] CsrError),
    /// It could not be signed.
    #[error("the operator's certificate could not be signed")]
    Sign(#[from] IssueError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The fact could not be prepared.
    #[error("a fact could not be made")]
    Prepare(#[from] OwnAppendError),
    /// The fact could not be recorded.
    #[error("a fact could not be recorded")]
    Append(#[from] AppendError),
}

/// For whom, and where it is recorded.
pub struct OneCertificate<'a> {
    /// The log, to which nobody else appends.
    pub log: &'a Log,
    /// The domain.
    pub domain_id: &'a DomainId,
    /// The journal that decides.
    pub journal_id: &'a JournalId,
    /// The operator.
    pub operator: &'a OperatorId,
    /// None: a new administrator. Otherwise the certificate that this one comes after.
    pub after: Option<Serial>,
}

impl OneCertificate<'_> {
    /// Answers the certificate for a request, and that of its authority.
    ///
    /// # Errors
    /// If it is refused or cannot be recorded.
    pub async fn issue(&self, csr: &[u8]) -> Result<[Der; 2], OneCertificateError> {
        let csr = Csr::parse(csr)?;
        let verified = csr.verify()?;
        // Refused before an authority is announced for it.
        let state = self.state();
        if self.after.is_none() && !matches!(state, State::Unknown) {
            return Err(operator::Rejection::AlreadyExists.into());
        }
        let succession = Succession {
            log: self.log.clone(),
            domain_id: self.domain_id.clone(),
            journal_id: self.journal_id.clone(),
            lifetime: events::authority::DEFAULT_LIFETIME,
        };
        let authority = succession.announce().await?;
        let decision = operator::decide(self.operator, &state, self.command(&csr, &authority)?)?;
        let Decision::Issue(issue) = decision else {
            return Err(operator::Rejection::AlreadyExists.into());
        };
        let der = authority.sign(&issue.profile, &verified)?;
        let fact = Fact::Operator(self.operator.clone(), issue.complete(der.clone()));
        let append = own_append(self.log, self.journal_id, vec![fact], &[StreamName::Domain], clock::now())?;
        self.log.append(append).await?;
        Ok([der, authority.announced().der])
    }

    fn state(&self) -> State {
        let views = self.log.views();
        views.operators.get(self.operator).map_or(State::Unknown, |known| known.state.clone())
    }

    fn command(&self, csr: &Csr, authority: &EphemeralAuthority) -> Result<Command, RandomError> {
        let terms = Terms {
            now: clock::now(),
            serial: random::serial()?,
            jitter: random::jitter()?,
            lifetime: LIFETIME,
            authority: authority.id(),
            authority_not_after: authority.not_after(),
        };
        let key: KeyClaim = self.log.views().key_claim(csr.key());
        Ok(match self.after {
            Some(presented) => Command::Renew { presented, key, terms },
            None => {
                let (domain, role) = (self.domain_id.clone(), Role::PlatformAdmin);
                Command::Create { domain, role, key, name: None, terms }
            }
        })
    }
}
