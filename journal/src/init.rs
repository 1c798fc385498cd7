//! `pact-journal init`: a domain from nothing (design §7).
//!
//! Everything is made in a directory beside the one asked for and moved there at the end, so that there is a whole
//! domain or none. The domain CA's key, the operator's key and the join token leave only as the 0600 files that the
//! result names.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use events::certificate::Terms;
use events::fact::Fact;
use events::node::KeyClaim;
use events::operator::Decision;
use events::stream::StreamName;
use events::vocabulary::{
    CertificateHash, Der, DomainId, InvalidName, JournalId, LogId, OperatorId, Role, Timestamp,
};
use events::{domain, operator};
use proto::join_token::{JoinSecret, JoinToken};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::authority::{Csr, CsrError, EphemeralAuthority, IssueError};
use crate::clock;
use crate::config::Config;
use crate::data_dir::{DataDirError, Identity, write_new};
use crate::domain_ca::{
    DomainCa, MakeError, OwnRequest, ServerCertificateError, ServerCredential, certificates_pem,
};
use crate::log::{AppendError, CreateError, Founding, Log};
use crate::own_append::{OwnAppendError, own_append};
use crate::random::{self, RandomError};
use crate::release::READS;
use crate::server_credential;
use crate::succession::{Succession, SuccessionError};

/// The name of the operator that `init` makes.
const FIRST_OPERATOR: &str = "admin";
/// How long that operator's certificate lives.
const OPERATOR_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
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
    /// Something is there already; it was not touched.
    #[error("{} exists already; nothing was changed", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// No directory of this name can be made.
    #[error("{} is no name for a data directory", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A name does not fit.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// A directory could not be made, moved or listed.
    #[error("could not make {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The configuration could not be written down.
    #[error("the configuration could not be written")]
    Config(#[from] toml::ser::Error),
    /// The identity could not be written down.
    #[error("the journal's identity could not be written")]
    Identity(#[from] serde_json::Error),
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
    /// No authority to sign the operator's certificate.
    #[error("no authority")]
    Authority(#[from] SuccessionError),
    /// The domain's facts were refused.
    #[error(transparent)]
    Domain(#[from] domain::Rejection),
    /// The operator was refused.
    #[error(transparent)]
    Operator(#[from] operator::Rejection),
    /// The operator's request was not acceptable.
    #[error("the operator's request")]
    Csr(#[from] CsrError),
    /// The operator's certificate could not be signed.
    #[error("the operator's certificate could not be signed")]
    Sign(#[from] IssueError),
}

/// Makes the domain.
pub async fn init(plan: Plan) -> Result<Made, InitError> {
    let plan = Plan { data_dir: named(&plan.data_dir)?, ..plan };
    let path = &plan.data_dir;
    if fs::symlink_metadata(path).is_ok() {
        return Err(InitError::Exists { path: path.clone() });
    }
    let draft = draft_of(path)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .map_err(|source| InitError::Directory { path: parent.to_owned(), source })?;
    }
    make_private_dir(&draft)?;
    let made = match make(&plan, &draft).await {
        Ok(()) => settle(&draft, path),
        Err(error) => Err(error),
    };
    if let Err(error) = made {
        // What cannot be removed either is named by the error that comes first.
        fs::remove_dir_all(&draft).ok();
        return Err(error);
    }
    Ok(describe(&plan))
}

/// The directory asked for, absolute and with a name of its own: what is printed must hold elsewhere too.
fn named(path: &Path) -> Result<PathBuf, InitError> {
    let unusable = || InitError::Path { path: path.to_owned() };
    let absolute = std::path::absolute(path).map_err(|_| unusable())?;
    let plain = absolute.file_name().is_some() && absolute.to_str().is_some();
    if plain { Ok(absolute) } else { Err(unusable()) }
}

/// Makes it last, then moves it: after that it is there, whatever happens to the machine.
fn settle(draft: &Path, path: &Path) -> Result<(), InitError> {
    let sync = |dir: &Path| fs::File::open(dir).and_then(|dir| dir.sync_all());
    let settle = || {
        sync(&draft.join("bootstrap"))?;
        sync(draft)?;
        fs::rename(draft, path)?;
        path.parent().map_or(Ok(()), sync)
    };
    settle().map_err(|source| InitError::Directory { path: path.to_owned(), source })
}

/// Beside the directory asked for, so that moving it is one step.
fn draft_of(path: &Path) -> Result<PathBuf, RandomError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".init-{}", hex::encode(random::bytes::<6>()?)));
    Ok(path.with_file_name(name))
}

async fn make(plan: &Plan, dir: &Path) -> Result<(), InitError> {
    let now = clock::now();
    let ca = DomainCa::create(&plan.domain_id, now, random::serial()?)?;
    let server = ca.server_certificate(&plan.journal_id, &plan.config.advertise, now, random::serial()?)?;
    make_private_dir(&dir.join("bootstrap"))?;
    let log_id = LogId::new(random::bytes()?);
    write_files(plan, dir, &ca, &server, log_id)?;
    let founding = Founding { log_id, domain_ca_sha256: CertificateHash::of(ca.certificate().as_bytes()) };
    let log = Log::create(dir, plan.journal_id.clone(), founding).await?;
    let recorded = record(plan, dir, &log, &ca, log_id).await;
    log.stop().await;
    recorded
}

fn make_private_dir(path: &Path) -> Result<(), InitError> {
    let made = fs::DirBuilder::new().mode(0o700).create(path);
    made.map_err(|source| InitError::Directory { path: path.to_owned(), source })
}

fn write_files(
    plan: &Plan,
    dir: &Path,
    ca: &DomainCa,
    server: &ServerCredential,
    log_id: LogId,
) -> Result<(), InitError> {
    let (domain_id, journal_id) = (plan.domain_id.clone(), plan.journal_id.clone());
    let identity = serde_json::to_vec_pretty(&Identity { domain_id, journal_id, log_id })?;
    let bootstrap = dir.join("bootstrap");
    write_new(&dir.join("lock"), b"", 0o600)?;
    write_new(&dir.join("identity.json"), &identity, 0o644)?;
    write_new(&dir.join("journal.toml"), toml::to_string_pretty(&plan.config)?.as_bytes(), 0o644)?;
    let credential = Zeroizing::new([server.chain_pem.as_str(), server.key_pem.as_str()].concat());
    write_new(&dir.join(server_credential::FILE), credential.as_bytes(), 0o600)?;
    write_new(&bootstrap.join("domain-ca.pem"), ca.certificate_pem().as_bytes(), 0o644)?;
    write_new(&bootstrap.join("domain-ca.key"), ca.key_pem().as_bytes(), 0o600)?;
    Ok(())
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
    let succession = Succession {
        log: log.clone(),
        domain_id: plan.domain_id.clone(),
        journal_id: plan.journal_id.clone(),
        lifetime: events::authority::DEFAULT_LIFETIME,
    };
    let authority = succession.announce().await?;
    let operator_pem = make_operator(plan, log, &authority).await?;
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

/// The operator's certificate goes the way of every certificate: request, decision, signature, fact.
async fn make_operator(
    plan: &Plan,
    log: &Log,
    authority: &EphemeralAuthority,
) -> Result<Zeroizing<String>, InitError> {
    let request = OwnRequest::generate()?;
    let csr = Csr::parse(&request.csr)?;
    let operator_id: OperatorId = FIRST_OPERATOR.parse()?;
    let command = operator::Command::Create {
        domain: plan.domain_id.clone(),
        role: Role::PlatformAdmin,
        key: KeyClaim { key: csr.key(), holder: None },
        name: None,
        terms: terms(authority)?,
    };
    let Decision::Issue(issue) = operator::decide(&operator_id, &operator::State::Unknown, command)? else {
        return Err(operator::Rejection::AlreadyExists.into());
    };
    let der = authority.sign(&issue.profile, &csr.verify()?)?;
    append(plan, log, Fact::Operator(operator_id, issue.complete(der.clone()))).await?;
    let chain: [&Der; 2] = [&der, &authority.announced().der];
    Ok(Zeroizing::new([certificates_pem(chain).as_str(), request.key_pem.as_str()].concat()))
}

fn terms(authority: &EphemeralAuthority) -> Result<Terms, RandomError> {
    Ok(Terms {
        now: clock::now(),
        serial: random::serial()?,
        jitter: random::jitter()?,
        lifetime: OPERATOR_LIFETIME,
        authority: authority.id(),
        authority_not_after: authority.not_after(),
    })
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
