//! `pact-journal recover-operator`: for the day when no operator's certificate is left (design §7). Possession of the domain
//! CA key is the root of trust, so it makes an administrator.
//!
//! A journal that serves is asked on its cluster listener, with a pass that the key signs ([`crate::domain_ca::RecoveryPass`]);
//! the fact goes the way of all others, through the quorum. A journal that is the only one may also stand still: then the
//! fact is appended here.
//!
//! The operator's key is made here and lies in the file, 0600, before anything is asked; only a request travels (R18).
//!
//! **Invariant:** a name that was ever used is refused: nobody takes an operator's place by it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use events::member::State;
use events::vocabulary::{Der, JournalId, OperatorId};
use proto::channel::{Connection, JournalAddress};
use proto::outcome::Failure;
use proto::pb::RecoverOperatorRequest;
use proto::pb::recovery_service_client::RecoveryServiceClient;
use proto::pem_file::Credential;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::RecoverOperator;
use crate::clock;
use crate::cluster::tls;
use crate::commands::chain;
use crate::credential_file::{CredentialFile, CredentialFileError};
use crate::data_dir::{self, DataDir, DataDirError, Identity};
use crate::domain_ca::{DomainCa, RecoveryPass};
use crate::log::Log;
use crate::one_certificate::{OneCertificate, OneCertificateError};
use crate::random;

/// To the same machine.
const CONNECT: Duration = Duration::from_secs(5);
/// A journal that finds no leader gives up after 8 s.
const ANSWER: Duration = Duration::from_secs(20);

/// What was made.
#[derive(Debug, Clone, Serialize)]
pub struct Recovered {
    /// The new administrator.
    pub operator_id: OperatorId,
    /// Certificate and key, 0600.
    pub operator: PathBuf,
    /// The fact.
    pub seq: u64,
}

/// For people.
pub fn table(recovered: &Recovered) -> String {
    let Recovered { operator_id, operator, seq } = recovered;
    format!("administrator {operator_id} for 30 days, by fact {seq}: {}", operator.display())
}

/// Makes an administrator.
///
/// # Errors
/// If the key is not the domain CA's, the name was used, or the journal cannot record it.
pub async fn recover_operator(options: &RecoverOperator) -> Result<Recovered, Failure> {
    let dir = &options.data_dir;
    let unusable = |error: DataDirError| Failure::named("DATA_DIR_INVALID", chain(&error));
    if !dir.join("lock").exists() {
        return Err(unusable(DataDirError::NotInitialised { path: dir.clone() }));
    }
    let identity = data_dir::identity(dir).map_err(unusable)?;
    let ca = domain_ca(options)?;
    let file = CredentialFile::begin(&options.out).map_err(|error| not_kept(&error))?;
    let (certificates, seq) = match DataDir::lock(dir) {
        Err(DataDirError::InUse { .. }) => ask(options, &identity, &ca, file.csr()).await?,
        Ok(locked) => append(&locked, options, &identity, &ca, file.csr()).await?,
        Err(error) => return Err(unusable(error)),
    };
    file.settle(&certificates).map_err(|error| {
        let told = chain(&error);
        Failure::other(format!("the operator was made, and {told}: run it again with another --name"))
    })?;
    Ok(Recovered { operator_id: options.name.clone(), operator: options.out.clone(), seq })
}

fn not_kept(error: &CredentialFileError) -> Failure {
    match error {
        CredentialFileError::Exists { .. } | CredentialFileError::Write { .. } => {
            Failure::Usage(chain(error))
        }
        CredentialFileError::Key(_) => Failure::other(chain(error)),
    }
}

fn domain_ca(options: &RecoverOperator) -> Result<DomainCa, Failure> {
    let bootstrap = options.data_dir.join("bootstrap");
    let read = |path: &Path| {
        fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            let hint = "name the key with --domain-ca-key";
            Failure::named("DOMAIN_CA_KEY_INVALID", format!("{}: {error}; {hint}", path.display()))
        })
    };
    let certificate = read(&bootstrap.join("domain-ca.pem"))?;
    let path = options.domain_ca_key.clone().unwrap_or_else(|| bootstrap.join("domain-ca.key"));
    DomainCa::from_pem(&certificate, &read(&path)?)
        .map_err(|error| Failure::named("DOMAIN_CA_KEY_INVALID", format!("{}: {error}", path.display())))
}

type Answer = (Vec<Der>, u64);

/// Of a journal that serves.
async fn ask(
    options: &RecoverOperator,
    identity: &Identity,
    ca: &DomainCa,
    csr: &[u8],
) -> Result<Answer, Failure> {
    let broken = |error: &dyn std::error::Error| Failure::other(chain(error));
    let address = cluster_address(&options.data_dir)?;
    let pass = RecoveryPass { log_id: identity.log_id, operator: options.name.clone() };
    let serial = random::serial().map_err(|error| broken(&error))?;
    let pass = ca.recovery_pass(&pass, clock::now(), serial).map_err(|error| broken(&error))?;
    let pass = Credential::from_pem("the pass", pass.as_bytes()).map_err(|error| broken(&error))?;
    let domain_ca = ca.certificate().as_bytes();
    let config = tls::own_client(&pass, domain_ca, &identity.domain_id, &identity.journal_id);
    let config = config.map_err(|error| broken(&error))?;
    let connection = Connection::open_with(&address, config, CONNECT).await.map_err(Failure::from)?;
    let request = RecoverOperatorRequest { operator_id: options.name.to_string(), csr: csr.to_vec() };
    let mut client = RecoveryServiceClient::new(connection.channel());
    let answer = tokio::time::timeout(ANSWER, client.recover_operator(request)).await;
    let late = |_| Failure::Deadline(format!("no answer within {} s", ANSWER.as_secs()));
    let answer = answer.map_err(late)?.map_err(|status| connection.failure(&status))?.into_inner();
    let chain = std::iter::once(answer.certificate).chain(answer.ca_chain).map(Der::new);
    Ok((chain.collect(), answer.seq))
}

/// Where the journal that holds the directory listens for others, as this machine reaches it.
fn cluster_address(dir: &Path) -> Result<JournalAddress, Failure> {
    let not_ready = || {
        Failure::Unreachable(
            "the journal is starting, or waits for a majority of the journals: run this again when it is ready"
                .to_owned(),
        )
    };
    let text = fs::read(dir.join("endpoints.json")).map_err(|_| not_ready())?;
    let endpoints: data_dir::Endpoints = serde_json::from_slice(&text).map_err(|_| not_ready())?;
    let listens = endpoints.cluster.ok_or_else(not_ready)?;
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => listens.ip(),
    };
    let address = format!("https://{}", SocketAddr::new(ip, listens.port()));
    address.parse().map_err(|_| not_ready())
}

/// To the log of a journal that stands still and is the only one.
async fn append(
    locked: &DataDir,
    options: &RecoverOperator,
    identity: &Identity,
    ca: &DomainCa,
    csr: &[u8],
) -> Result<Answer, Failure> {
    let unusable = |error: &dyn std::error::Error| Failure::named("LOG_UNUSABLE", chain(error));
    let inspected = Log::inspect(locked.path(), &identity.journal_id).map_err(|error| unusable(&error))?;
    {
        let views = inspected.views();
        let own = views.domain.created().is_some_and(|created| created.domain_ca == *ca.certificate());
        if !own {
            let message = "the domain CA beside the log is not that of its domain";
            return Err(Failure::named("DOMAIN_CA_KEY_INVALID", message));
        }
        alone(views, &identity.journal_id)?;
    }
    let log = inspected.open().await.map_err(|error| unusable(&error))?;
    let (domain_id, journal_id) = (&identity.domain_id, &identity.journal_id);
    let certificate =
        OneCertificate { log: &log, domain_id, journal_id, operator: &options.name, after: None };
    let issued = certificate.issue(csr).await;
    let seq = log.views().seq;
    log.stop().await;
    issued.map(|chain| (chain.to_vec(), seq)).map_err(|error| refused(&error))
}

/// Where others are, only they together can record anything.
fn alone(views: &events::views::Views, journal: &JournalId) -> Result<(), Failure> {
    let standing = views.members.get(journal).map(|row| &row.state);
    let others = views.members.members().any(|(id, _)| id != journal);
    match standing {
        Some(State::Member(member)) if member.votes() && !others => Ok(()),
        Some(State::Evicted { .. }) => {
            Err(Failure::named("JOURNAL_EVICTED", "this journal was evicted: ask another one"))
        }
        Some(State::Member(_) | State::Unknown) | None => Err(Failure::Unreachable(
            "the journal stands still and is one of several, of which a majority must record it: start it, then run \
             this again"
                .to_owned(),
        )),
    }
}

fn refused(error: &OneCertificateError) -> Failure {
    use events::operator::Rejection;
    let reason = match error {
        OneCertificateError::Operator(Rejection::AlreadyExists) => "OPERATOR_ALREADY_EXISTS",
        OneCertificateError::Operator(Rejection::NameTooLong) => "FIELD_INVALID",
        OneCertificateError::Operator(_)
        | OneCertificateError::Authority(_)
        | OneCertificateError::Csr(_)
        | OneCertificateError::Sign(_)
        | OneCertificateError::Random(_)
        | OneCertificateError::Prepare(_)
        | OneCertificateError::Append(_) => "FAILED",
    };
    Failure::named(reason, chain(error))
}
