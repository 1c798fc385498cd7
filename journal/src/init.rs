//! `pact-journal init`: a domain from nothing (design §7).
//!
//! There is a whole domain or none ([`crate::new_directory`]). The domain CA's key, the operator's key and the join token
//! leave only as the 0600 files that the result names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use events::domain;
use events::fact::Fact;
use events::stream::StreamName;
use events::vocabulary::{CertificateHash, DomainId, InvalidName, JournalId, LogId, OperatorId, Timestamp};
use proto::join_token::{JoinSecret, JoinToken};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock;
use crate::config::Config;
use crate::data_dir::{DataDirError, Identity, write_new};
use crate::domain_ca::{DomainCa, MakeError, OwnRequest, ServerCertificateError, certificates_pem};
use crate::log::{AppendError, CreateError, Founding, Log};
use crate::new_directory::{Beside, NewDirectory, NewDirectoryError};
use crate::one_certificate::{OneCertificate, OneCertificateError};
use crate::own_append::{OwnAppendError, own_append};
use crate::random::{self, RandomError};
use crate::release::READS;
use crate::server_credential;

/// The name of the operator that `init` makes.
const FIRST_OPERATOR: &str = "admin";
/// How long the first join token lives.
const JOIN_TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What `init` is asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the journal's data shall lie; must not exist.
    pub data_dir: PathBuf,
    /// The domain's name.
    pub domain_id: DomainId,
    /// The first journal's name.
    pub journal_id: JournalId,
    /// Its configuration.
    pub config: Config,
}

/// What `init` made: the contract's `init -o json`.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// The domain's name.
    pub domain_id: DomainId,
    /// The journal's name.
    pub journal_id: JournalId,
    /// Its data.
    pub data_dir: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// The certificate by which everybody trusts servers: for agents' images and operators.
    pub domain_ca: PathBuf,
    /// Its key, 0600: keep it offline.
    pub domain_ca_key: PathBuf,
    /// The first operator's certificate and key, 0600.
    pub operator: PathBuf,
    /// The token with which a second journal may join, 0600.
    pub join_token: PathBuf,
    /// The journal's own certificate and key, 0600.
    pub server: PathBuf,
    /// Where agents connect.
    pub agent_endpoint: String,
    /// Where operators connect.
    pub operator_endpoint: String,
}

/// Why there is no domain. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There can be no such directory, or it cannot be written.
    #[error(transparent)]
    Directory(#[from] NewDirectoryError),
    /// A name does not fit.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// No domain CA or operator's key.
    #[error("no key could be made")]
    Make(#[from] MakeError),
    /// No server certificate.
    #[error(transparent)]
    Server(#[from] ServerCertificateError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The log could not be made.
    #[error("the log could not be made")]
    Log(#[from] CreateError),
    /// A fact could not be prepared.
    #[error("a fact could not be made")]
    Prepare(#[from] OwnAppendError),
    /// A fact could not be recorded.
    #[error("a fact could not be recorded")]
    Append(#[from] AppendError),
    /// The domain's facts were refused.
    #[error(transparent)]
    Domain(#[from] domain::Rejection),
    /// The operator has no certificate.
    #[error(transparent)]
    Operator(#[from] OneCertificateError),
}

/// Makes the domain.
pub async fn init(plan: Plan) -> Result<Made, InitError> {
    let directory = NewDirectory::begin(&plan.data_dir, "init")?;
    let plan = Plan { data_dir: directory.path().to_owned(), ..plan };
    make(&plan, &directory).await?;
    directory.settle()?;
    Ok(describe(&plan))
}

async fn make(plan: &Plan, directory: &NewDirectory) -> Result<(), InitError> {
    let now = clock::now();
    let ca = DomainCa::create(&plan.domain_id, now, random::serial()?)?;
    let server = ca.server_certificate(&plan.journal_id, &plan.config.advertise, now, random::serial()?)?;
    let log_id = LogId::new(random::bytes()?);
    let (domain_id, journal_id) = (plan.domain_id.clone(), plan.journal_id.clone());
    let identity = Identity { domain_id, journal_id, log_id };
    directory.write(&Beside {
        identity: &identity,
        config: &plan.config,
        server: &server,
        domain_ca: &ca,
        keeps_key: true,
    })?;
    let founding = Founding { log_id, domain_ca_sha256: CertificateHash::of(ca.certificate().as_bytes()) };
    let log = Log::create(directory.draft(), plan.journal_id.clone(), founding).await?;
    let recorded = record(plan, directory.draft(), &log, &ca, log_id).await;
    log.stop().await;
    recorded
}

/// The first facts: the domain, an authority for one certificate, the operator, a join token, the newest format level.
async fn record(plan: &Plan, dir: &Path, log: &Log, ca: &DomainCa, log_id: LogId) -> Result<(), InitError> {
    let created = domain::Created {
        domain_id: plan.domain_id.clone(),
        log_id,
        domain_ca: ca.certificate().clone(),
        founder: plan.journal_id.clone(),
    };
    let event = domain::decide(&domain::State::Unknown, domain::Command::Create(created))?;
    append(plan, log, Fact::Domain(event)).await?;
    let operator_pem = make_operator(plan, log).await?;
    write_new(&dir.join("bootstrap/operator.pem"), operator_pem.as_bytes(), 0o600)?;
    let join_token = make_join_token(plan, log, ca).await?;
    let line = Zeroizing::new([join_token.as_bytes(), b"\n"].concat());
    write_new(&dir.join("bootstrap/join-token"), &line, 0o600)?;
    raise_level(plan, log).await
}

/// There is nobody yet who could not read it (R26).
async fn raise_level(plan: &Plan, log: &Log) -> Result<(), InitError> {
    let raised = {
        let views = log.views();
        domain::raise_level(&views.domain, views.level, READS)?
    };
    match raised {
        Some(event) => append(plan, log, Fact::Domain(event)).await,
        None => Ok(()),
    }
}

async fn append(plan: &Plan, log: &Log, fact: Fact) -> Result<(), InitError> {
    let append = own_append(log, &plan.journal_id, vec![fact], &[StreamName::Domain], clock::now())?;
    log.append(append).await?;
    Ok(())
}

/// The first operator's certificate and key.
async fn make_operator(plan: &Plan, log: &Log) -> Result<Zeroizing<String>, InitError> {
    let operator: OperatorId = FIRST_OPERATOR.parse()?;
    let (domain_id, journal_id) = (&plan.domain_id, &plan.journal_id);
    let certificate = OneCertificate { log, domain_id, journal_id, operator: &operator, after: None };
    let request = OwnRequest::generate()?;
    let chain = certificate.issue(&request.csr).await?;
    Ok(Zeroizing::new([certificates_pem(&chain).as_str(), request.key_pem.as_str()].concat()))
}

/// Allows a second journal to join; the token is told nowhere else.
async fn make_join_token(plan: &Plan, log: &Log, ca: &DomainCa) -> Result<Zeroizing<String>, InitError> {
    let domain_ca = CertificateHash::of(ca.certificate().as_bytes());
    let token = JoinToken { secret: JoinSecret::new(random::bytes()?), domain_ca };
    let now: Timestamp = clock::now();
    let command = domain::Command::CreateJoinToken {
        token_id: random::join_token_id(now)?,
        secret_sha256: token.secret.hash(),
        expires_at: now.plus(JOIN_TOKEN_LIFETIME),
        now,
    };
    let event = domain::decide(&log.views().domain, command)?;
    append(plan, log, Fact::Domain(event)).await?;
    Ok(token.to_text())
}

fn describe(plan: &Plan) -> Made {
    let dir = &plan.data_dir;
    let bootstrap = dir.join("bootstrap");
    Made {
        domain_id: plan.domain_id.clone(),
        journal_id: plan.journal_id.clone(),
        data_dir: dir.clone(),
        config: dir.join("journal.toml"),
        domain_ca: bootstrap.join("domain-ca.pem"),
        domain_ca_key: bootstrap.join("domain-ca.key"),
        operator: bootstrap.join("operator.pem"),
        join_token: bootstrap.join("join-token"),
        server: dir.join(server_credential::FILE),
        agent_endpoint: plan.config.endpoint(plan.config.agent_listen),
        operator_endpoint: plan.config.endpoint(plan.config.operator_listen),
    }
}
