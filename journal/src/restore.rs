//! `pact-journal restore`: a domain goes on whose journals are lost for the most part (R27, design §7).
//!
//! A new data directory of one new journal: all facts of the log that is left, checked; DomainRestored, behind which no
//! certificate of before opens anything; and a new certificate for the one operator who is kept. The directory appears
//! whole or not at all ([`crate::new_directory`]), and nothing of the log that is left is changed.
//!
//! What DomainRestored says is decided in `events::domain`; how a log is gone on with, `crate::log` knows.
//!
//! Not here, on purpose: whether a majority is truly lost. Nobody can know that but people.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use events::append::MAX_SKEW;
use events::domain::{self, Created, Restore, RestoreRejection, Restored};
use events::fact::Fact;
use events::operator;
use events::stream::StreamName;
use events::views::Views;
use events::vocabulary::{DomainId, JournalId, LogId, OperatorId, Timestamp};
use rustix::fs::FlockOperation;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock;
use crate::config::Config;
use crate::data_dir::{DataDirError, Identity, write_new};
use crate::domain_ca::{
    DomainCa, MakeError, OwnRequest, ReadError, ServerCertificateError, certificates_pem,
};
use crate::log::{AppendError, CreateError, Log, Restoration, RestoringError};
use crate::new_directory::{Beside, NewDirectory, NewDirectoryError};
use crate::one_certificate::{OneCertificate, OneCertificateError};
use crate::own_append::{OwnAppendError, own_append};
use crate::random::{self, RandomError};
use crate::release::READS;
use crate::server_credential;

/// What `restore` is asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the new journal's data shall lie; must not exist.
    pub data_dir: PathBuf,
    /// The log that is left.
    pub from: PathBuf,
    /// Overlays that the facts of an exported file name.
    pub overlays: Vec<PathBuf>,
    /// The domain CA's key; none: it lies beside the log that is left, and is kept beside the new one.
    pub domain_ca_key: Option<PathBuf>,
    /// Who founds, and who commands.
    pub restore: Restore,
    /// The new journal's configuration.
    pub config: Config,
}

/// What `restore` made.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    /// The domain's name.
    pub domain_id: DomainId,
    /// The new journal's name.
    pub journal_id: JournalId,
    /// Its number in Raft.
    pub raft_id: u64,
    /// The last fact of before.
    pub restored_seq: u64,
    /// Its data.
    pub data_dir: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// The certificate by which everybody trusts servers: the same as ever.
    pub domain_ca: PathBuf,
    /// The operator who goes on.
    pub operator_id: OperatorId,
    /// Their new certificate and key, 0600.
    pub operator: PathBuf,
    /// The journal's own certificate and key, 0600.
    pub server: PathBuf,
    /// Where agents connect.
    pub agent_endpoint: String,
    /// Where operators connect.
    pub operator_endpoint: String,
}

/// Why the domain is not restored. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There can be no such directory, or it cannot be written.
    #[error(transparent)]
    Directory(#[from] NewDirectoryError),
    /// Somebody serves the log.
    #[error("{} is in use: stop that journal first. If most of the journals are there, nothing is to be restored", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The log that is left cannot be gone on with.
    #[error(transparent)]
    Log(#[from] RestoringError),
    /// The names do not fit.
    #[error(transparent)]
    Rejected(#[from] RestoreRejection),
    /// An overlay cannot be read.
    #[error("the overlay {} cannot be read", path.display())]
    Overlay {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The domain CA's key cannot be read.
    #[error("the domain CA's key cannot be read from {}: name it with --domain-ca-key", path.display())]
    KeyFile {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not this domain's.
    #[error("{} is not the key of this log's domain CA", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// The clock is behind the log.
    #[error("this machine's clock says {now}, but the log's last fact is of {last_fact}: set the clock")]
    Clock {
        /// The clock.
        now: Timestamp,
        /// The last fact.
        last_fact: Timestamp,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// No server certificate.
    #[error(transparent)]
    Server(#[from] ServerCertificateError),
    /// No operator's key.
    #[error("no key could be made")]
    Make(#[from] MakeError),
    /// The log could not be made.
    #[error("the log could not be made")]
    Create(#[from] CreateError),
    /// A fact could not be prepared.
    #[error("a fact could not be made")]
    Prepare(#[from] OwnAppendError),
    /// A fact could not be recorded.
    #[error("a fact could not be recorded")]
    Append(#[from] AppendError),
    /// The operator has no certificate.
    #[error(transparent)]
    Operator(#[from] OneCertificateError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Restores the domain.
///
/// # Errors
/// Whatever is not right; nothing is left behind then.
pub async fn restore(plan: Plan) -> Result<Made, RestoreError> {
    let directory = NewDirectory::begin(&plan.data_dir, "restore")?;
    let _in_peace = in_peace(&plan.from)?;
    let restoration = take_over(&plan, directory.draft())?;
    let created = restoration.views().domain.created().cloned().ok_or(RestoreRejection::NoDomain)?;
    let now = clock::now();
    check_clock(now, restoration.views().recorded_at)?;
    let ca = domain_ca(&plan, &created)?;
    let events = domain::restore(restoration.views(), &restoration.head(), READS, &plan.restore)?;
    let restored = said(&events).ok_or(RestoreRejection::NoDomain)?;
    let server = ca.server_certificate(&restored.founder, &plan.config.advertise, now, random::serial()?)?;
    directory.write(&Beside {
        identity: &identity(&created, &restored),
        config: &plan.config,
        server: &server,
        domain_ca: &ca,
        keeps_key: plan.domain_ca_key.is_none(),
    })?;
    record(&directory, restoration, &created, &restored, events).await?;
    let made = describe(&plan, &directory, &created, restored);
    directory.settle()?;
    Ok(made)
}

/// From a data directory, or from an exported file with its overlays.
fn take_over(plan: &Plan, into: &Path) -> Result<Restoration, RestoreError> {
    if !plan.from.is_file() {
        return Ok(Log::take_over(&plan.from, into)?);
    }
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|source| RestoreError::Overlay { path: path.clone(), source })
    };
    let overlays = plan.overlays.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Log::take_over_export(&plan.from, overlays, into)?)
}

/// Keeps anybody from serving the log while it is read. A copy may lack the lock.
fn in_peace(from: &Path) -> Result<Option<File>, RestoreError> {
    let Ok(lock) = File::open(from.join("lock")) else { return Ok(None) };
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(_) => Err(RestoreError::InUse { path: from.to_owned() }),
    }
}

/// Behind the last fact nothing can be recorded (R24).
fn check_clock(now: Timestamp, last_fact: Timestamp) -> Result<(), RestoreError> {
    if now.plus(MAX_SKEW) < last_fact { Err(RestoreError::Clock { now, last_fact }) } else { Ok(()) }
}

/// The domain CA: its certificate as the log has it, its key from a file, which must be a pair.
fn domain_ca(plan: &Plan, created: &Created) -> Result<DomainCa, RestoreError> {
    let beside = plan.from.join("bootstrap/domain-ca.key");
    let path = plan.domain_ca_key.clone().unwrap_or(beside);
    let key = fs::read_to_string(&path).map(Zeroizing::new);
    let key = key.map_err(|source| RestoreError::KeyFile { path: path.clone(), source })?;
    let certificate = certificates_pem([&created.domain_ca]);
    DomainCa::from_pem(&certificate, &key).map_err(|source| RestoreError::Key { path, source })
}

fn said(events: &[domain::Event]) -> Option<Restored> {
    events.iter().find_map(|event| match event {
        domain::Event::Restored(restored) => Some(restored.clone()),
        domain::Event::Created(_)
        | domain::Event::JoinTokenCreated { .. }
        | domain::Event::JoinTokenConsumed { .. }
        | domain::Event::RemarkErased { .. }
        | domain::Event::DefaultSet { .. }
        | domain::Event::LevelRaised { .. } => None,
    })
}

fn identity(created: &Created, restored: &Restored) -> Identity {
    let (domain_id, log_id): (_, LogId) = (created.domain_id.clone(), created.log_id);
    Identity { domain_id, journal_id: restored.founder.clone(), log_id }
}

/// The facts: that the domain is restored, an authority for one certificate, the operator's.
async fn record(
    directory: &NewDirectory,
    restoration: Restoration,
    created: &Created,
    restored: &Restored,
    events: Vec<domain::Event>,
) -> Result<(), RestoreError> {
    let log = restoration.found(restored.founder.clone(), restored.raft_id).await?;
    let recorded = async {
        let facts = events.into_iter().map(Fact::Domain).collect();
        let append = own_append(&log, &restored.founder, facts, &[StreamName::Domain], clock::now())?;
        log.append(append).await?;
        let pem = operator_pem(&log, created, restored).await?;
        write_new(&directory.draft().join("bootstrap/operator.pem"), pem.as_bytes(), 0o600)?;
        Ok(())
    };
    let recorded = recorded.await;
    log.stop().await;
    recorded
}

async fn operator_pem(
    log: &Log,
    created: &Created,
    restored: &Restored,
) -> Result<Zeroizing<String>, RestoreError> {
    let operator = &restored.operator;
    let after = last_serial(&log.views(), operator);
    let (domain_id, journal_id) = (&created.domain_id, &restored.founder);
    let request = OwnRequest::generate()?;
    let certificate = OneCertificate { log, domain_id, journal_id, operator, after };
    let chain = certificate.issue(&request.csr).await?;
    Ok(Zeroizing::new([certificates_pem(&chain).as_str(), request.key_pem.as_str()].concat()))
}

/// The certificate behind which the one who is kept gets the next.
fn last_serial(views: &Views, operator: &OperatorId) -> Option<events::vocabulary::Serial> {
    match &views.operators.get(operator)?.state {
        operator::State::Kept { last, .. } => Some(*last),
        operator::State::Unknown | operator::State::Active { .. } | operator::State::Revoked { .. } => None,
    }
}

fn describe(plan: &Plan, directory: &NewDirectory, created: &Created, restored: Restored) -> Made {
    let dir = directory.path();
    let bootstrap = dir.join("bootstrap");
    Made {
        domain_id: created.domain_id.clone(),
        journal_id: restored.founder,
        raft_id: restored.raft_id,
        restored_seq: restored.restored_seq,
        data_dir: dir.to_owned(),
        config: dir.join("journal.toml"),
        domain_ca: bootstrap.join("domain-ca.pem"),
        operator_id: restored.operator,
        operator: bootstrap.join("operator.pem"),
        server: dir.join(server_credential::FILE),
        agent_endpoint: plan.config.endpoint(plan.config.agent_listen),
        operator_endpoint: plan.config.endpoint(plan.config.operator_listen),
    }
}

/// For people.
pub fn table(made: &Made) -> String {
    let dir = made.data_dir.display();
    format!(
        "domain {} goes on behind fact {} with journal {} alone, in {dir}\n\n  \
         configuration    {}\n  \
         operator {:<8}{}   their former certificate opens nothing any more\n  \
         server           {}\n\n\
         next: pact-journal serve --data-dir {dir}",
        made.domain_id,
        made.restored_seq,
        made.journal_id,
        made.config.display(),
        made.operator_id.as_str(),
        made.operator.display(),
        made.server.display(),
    )
}
