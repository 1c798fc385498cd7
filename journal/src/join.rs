//! `pact-journal join`: a data directory for a journal that becomes a member of a quorum (design §7).
//!
//! The key is made first and kept beside the directory asked for (`DIR.joining`), so that whatever breaks, the next try
//! asks with the same key and gets the same place. The directory appears at the end, whole.
//!
//! Not here: learning the log; that is done by serving ([`crate::journal`]).
//!
//! **Invariant:** the token's secret is sent to nobody but a journal under the certificate that the token names, and is
//! written nowhere.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use events::member::Endpoints;
use events::vocabulary::{CertificateHash, Der, DomainId, JournalId, LogId};
use proto::channel::{ConnectError, JournalAddress};
use proto::convert::member;
use proto::join_token::JoinToken;
use proto::outcome::Failure;
use proto::pb::join_service_client::JoinServiceClient;
use proto::pb::{JoinRequest, JoinResponse};
use zeroize::Zeroizing;

use crate::cluster::pin;
use crate::config::Config;
use crate::data_dir::{DataDirError, Identity, write_new};
use crate::domain_ca::{MakeError, OwnRequest, certificates_pem};
use crate::log::{CreateError, Founding, Log};
use crate::release::READS;
use crate::server_credential;

/// The key, while the directory is not there yet.
const KEY: &str = "server.key";
/// The journal that is asked records a fact and signs a certificate.
const ANSWER: Duration = Duration::from_secs(20);

/// What `join` is asked for.
pub struct Plan {
    /// Where the journal's data shall lie; must not exist.
    pub data_dir: PathBuf,
    /// The cluster listener of a member that holds the domain CA key.
    pub join_addr: String,
    /// The token.
    pub token: JoinToken,
    /// This journal's name. None: the journal that lets it in chooses one.
    pub journal_id: Option<JournalId>,
    /// Its configuration.
    pub config: Config,
}

/// Why there is no data directory. The key is kept for the next try.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Something is there already; it was not touched.
    #[error("{} exists already; serve it with `pact-journal serve`, or choose another --data-dir", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The others must be able to find it.
    #[error("give --cluster-listen a port: the other journals must find this one where it says it is")]
    AnyPort,
    /// No address.
    #[error("{text} is not HOST:PORT")]
    Address {
        /// What was given.
        text: String,
    },
    /// A directory could not be made, moved or removed.
    #[error("could not make {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written or read.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// No key.
    #[error("no key could be made, or the one kept for this try is damaged")]
    Key(#[from] MakeError),
    /// Nobody answers, or whoever does is not trusted. The secret was not sent.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// The journal said no, or the connection was lost.
    #[error("{0}")]
    Asked(Failure),
    /// The answer makes no sense.
    #[error("the journal's answer cannot be used: {what}")]
    Answer {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The configuration could not be written down.
    #[error("the configuration could not be written")]
    Config(#[from] toml::ser::Error),
    /// The identity could not be written down.
    #[error("the journal's identity could not be written")]
    Identity(#[from] serde_json::Error),
    /// The log could not be made.
    #[error("the log could not be made")]
    Log(#[from] CreateError),
}

/// What the journal answered, checked.
struct Place {
    journal_id: JournalId,
    raft_id: u64,
    log_id: LogId,
    domain_id: DomainId,
    certificate: Der,
    domain_ca: Der,
}

/// Joins: afterwards the data directory is there, to be served. Answers the journal's name.
///
/// # Errors
/// Whatever breaks; the next try goes on with the same key.
pub async fn join(plan: &Plan) -> Result<JournalId, JoinError> {
    if fs::symlink_metadata(&plan.data_dir).is_ok() {
        return Err(JoinError::Exists { path: plan.data_dir.clone() });
    }
    if plan.config.cluster_listen.port() == 0 {
        return Err(JoinError::AnyPort);
    }
    // Absolute: the parent of a name alone is nothing that can be synced.
    let data_dir = std::path::absolute(&plan.data_dir)
        .map_err(|source| JoinError::Directory { path: plan.data_dir.clone(), source })?;
    let draft = draft_of(&data_dir);
    let request = kept_key(&draft)?;
    let place = ask(plan, &request).await?;
    write(plan, &draft, &request, &place)?;
    settle(&draft, &data_dir)?;
    Ok(place.journal_id)
}

/// Beside the directory asked for, under a name that the next try finds.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".joining");
    path.with_file_name(name)
}

/// The key of an earlier try, or a new one that the next try will find.
fn kept_key(draft: &Path) -> Result<OwnRequest, JoinError> {
    let path = draft.join(KEY);
    if let Ok(pem) = fs::read_to_string(&path).map(Zeroizing::new) {
        tracing::info!(key = %path.display(), "going on with the key of an earlier try");
        return Ok(OwnRequest::of_pem(&pem)?);
    }
    let failed = |source| JoinError::Directory { path: draft.to_owned(), source };
    if let Some(parent) = draft.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::remove_dir_all(draft).or_else(absent_is_fine).map_err(failed)?;
    fs::DirBuilder::new().mode(0o700).create(draft).map_err(failed)?;
    let request = OwnRequest::generate()?;
    write_new(&path, request.key_pem.as_bytes(), 0o600)?;
    Ok(request)
}

fn absent_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

async fn ask(plan: &Plan, request: &OwnRequest) -> Result<Place, JoinError> {
    let address: JournalAddress = format!("https://{}", plan.join_addr)
        .parse()
        .map_err(|_| JoinError::Address { text: plan.join_addr.clone() })?;
    let connection = pin::connect(&address, plan.token.domain_ca).await;
    let connection = connection.map_err(|error| JoinError::Connect(Box::new(error)))?;
    let endpoints = endpoints(&plan.config);
    let secret = plan.token.secret.to_text();
    let question = JoinRequest {
        secret: secret.as_str().to_owned(),
        journal_id: plan.journal_id.as_ref().map(JournalId::to_string).unwrap_or_default(),
        csr: request.csr.clone(),
        endpoints: Some(member::endpoints_to_wire(&endpoints)),
        format_level: Some(READS.number()),
        hosts: plan.config.advertise.clone(),
    };
    let mut client = JoinServiceClient::new(connection.channel());
    let answer = tokio::time::timeout(ANSWER, client.join(question)).await;
    let late = || JoinError::Asked(Failure::Unreachable(format!("no answer within {} s", ANSWER.as_secs())));
    let answer = answer.map_err(|_| late())?;
    let answer = answer.map_err(|status| JoinError::Asked(connection.failure(&status)))?;
    placed(answer.into_inner(), plan)
}

/// Where others reach this journal, as its configuration says. A port that the system chooses is announced later.
fn endpoints(config: &Config) -> Endpoints {
    let plain = |url: String| url.trim_start_matches("https://").to_owned();
    Endpoints {
        cluster: plain(config.endpoint(config.cluster_listen)),
        agent: config.endpoint(config.agent_listen),
        operator: config.endpoint(config.operator_listen),
    }
}

fn placed(answer: JoinResponse, plan: &Plan) -> Result<Place, JoinError> {
    let wrong = |what| JoinError::Answer { what };
    let JoinResponse { raft_id, log_id, domain_id, certificate_chain, members: _, journal_id } = answer;
    let [certificate, domain_ca] =
        <[Vec<u8>; 2]>::try_from(certificate_chain).map_err(|_| wrong("the chain"))?;
    if CertificateHash::of(&domain_ca) != plan.token.domain_ca {
        return Err(wrong("the domain CA certificate is not the one that the token names"));
    }
    if raft_id <= events::member::FOUNDER_RAFT_ID {
        return Err(wrong("the number in Raft"));
    }
    let journal_id = named(plan.journal_id.as_ref(), &journal_id).ok_or_else(|| wrong("the name"))?;
    Ok(Place {
        journal_id,
        raft_id,
        log_id: LogId::new(log_id.try_into().map_err(|_| wrong("the identity of the log"))?),
        domain_id: domain_id.parse().map_err(|_| wrong("the domain"))?,
        certificate: Der::new(certificate),
        domain_ca: Der::new(domain_ca),
    })
}

/// The name by which the other journal knows this one. One of an earlier release does not repeat what it was told.
fn named(asked: Option<&JournalId>, told: &str) -> Option<JournalId> {
    match asked {
        Some(own) => (told.is_empty() || told == own.as_str()).then(|| own.clone()),
        None => told.parse().ok(),
    }
}

/// Everything but the key anew: what an earlier try left may be half written.
fn write(plan: &Plan, draft: &Path, request: &OwnRequest, place: &Place) -> Result<(), JoinError> {
    let failed = |source| JoinError::Directory { path: draft.to_owned(), source };
    for entry in fs::read_dir(draft).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name == KEY) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(failed)?;
    }
    fs::DirBuilder::new().mode(0o700).create(draft.join("bootstrap")).map_err(failed)?;
    let (domain_id, journal_id, log_id) = (place.domain_id.clone(), place.journal_id.clone(), place.log_id);
    let identity = serde_json::to_vec_pretty(&Identity { domain_id, journal_id, log_id })?;
    write_new(&draft.join("lock"), b"", 0o600)?;
    write_new(&draft.join("identity.json"), &identity, 0o644)?;
    write_new(&draft.join("journal.toml"), toml::to_string_pretty(&plan.config)?.as_bytes(), 0o644)?;
    let chain = certificates_pem([&place.certificate, &place.domain_ca]);
    let credential = Zeroizing::new([chain.as_str(), request.key_pem.as_str()].concat());
    write_new(&draft.join(server_credential::FILE), credential.as_bytes(), 0o600)?;
    let domain_ca = certificates_pem([&place.domain_ca]);
    write_new(&draft.join("bootstrap/domain-ca.pem"), domain_ca.as_bytes(), 0o644)?;
    let domain_ca_sha256 = CertificateHash::of(place.domain_ca.as_bytes());
    let founding = Founding { log_id: place.log_id, domain_ca_sha256 };
    Ok(Log::create_member(draft, place.journal_id.clone(), founding, place.raft_id)?)
}

/// The key goes into `server.pem`; then the directory moves to its place in one step.
fn settle(draft: &Path, path: &Path) -> Result<(), JoinError> {
    let sync = |dir: &Path| fs::File::open(dir).and_then(|dir| dir.sync_all());
    let settle = || {
        fs::remove_file(draft.join(KEY))?;
        sync(draft)?;
        fs::rename(draft, path)?;
        path.parent().map_or(Ok(()), sync)
    };
    settle().map_err(|source| JoinError::Directory { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_one_that_was_asked_for_or_the_one_that_was_given() {
        let own: JournalId = "j2".parse().unwrap();
        for (asked, told, name) in [
            (Some(&own), "j2", Some("j2")),
            (Some(&own), "", Some("j2")),
            (Some(&own), "j3", None),
            (None, "j3", Some("j3")),
            (None, "", None),
            (None, "no name", None),
        ] {
            let named = named(asked, told);
            assert_eq!(named.as_ref().map(JournalId::as_str), name, "{asked:?} {told}");
        }
    }
}
