//! The journal's server certificate and key, as `init` left them in `DIR/server.pem` (design §7).
//!
//! Checked before anything starts: a journal that agents would not trust must say so, not serve.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use events::vocabulary::{CertificateHash, Der, DomainId, JournalId, Timestamp};
use proto::pem_file::{Credential, PemFileError};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use zeroize::Zeroizing;

use crate::cluster::tls::journal_of;
use crate::domain_ca::DomainCa;

/// The file in the data directory.
pub const FILE: &str = "server.pem";

/// Where the domain CA's certificate and key lie, on the machine that keeps them (design §7).
#[derive(Debug, Clone)]
pub struct DomainCaFiles {
    /// The data directory's `bootstrap`.
    pub folder: PathBuf,
}

/// Why the domain CA cannot sign here.
#[derive(Debug, thiserror::Error)]
pub enum DomainCaError {
    /// Its key lies elsewhere, or offline.
    #[error(
        "this journal does not hold the domain CA key: join at the one that does, or copy domain-ca.key to {} for as \
         long as it takes", folder.display()
    )]
    Absent {
        /// Where it would lie.
        folder: PathBuf,
    },
    /// A file cannot be read.
    #[error("the domain CA cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The files are no domain CA.
    #[error(transparent)]
    Damaged(#[from] crate::domain_ca::ReadError),
}

impl DomainCaFiles {
    /// Those of a data directory.
    pub fn of(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("bootstrap") }
    }

    /// Reads certificate and key. The key is in memory for as long as the answer lives.
    ///
    /// # Errors
    /// If the key is not here, or the files are no domain CA.
    pub fn read(&self) -> Result<DomainCa, DomainCaError> {
        let read = |name: &str| match std::fs::read_to_string(self.folder.join(name)) {
            Ok(text) => Ok(Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(DomainCaError::Absent { folder: self.folder.clone() })
            }
            Err(error) => Err(DomainCaError::Unreadable(error)),
        };
        Ok(DomainCa::from_pem(&read("domain-ca.pem")?, &read("domain-ca.key")?)?)
    }
}

/// The domain CA's certificate as it lies behind the server's own in a file, if its hash is this one: a journal that
/// has no facts yet knows no other.
///
/// # Errors
/// If there is no such certificate in it.
pub fn domain_ca_beside(dir: &Path, sha256: &CertificateHash) -> Result<Der, ServerCredentialError> {
    let credential = Credential::read(&dir.join(FILE))?;
    let pinned = credential.chain().iter().find(|der| CertificateHash::of(der) == *sha256);
    pinned.map(|der| Der::new(der.to_vec())).ok_or(ServerCredentialError::OtherDomain)
}

/// Why the server certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerCredentialError {
    /// The file cannot be read, or holds something else.
    #[error("{0}")]
    File(#[from] PemFileError),
    /// Another CA signed it than this log's domain has.
    #[error("{FILE} is not signed by the domain CA of this log: it belongs to another domain")]
    OtherDomain,
    /// It is not this journal's.
    #[error(
        "{FILE} is not the certificate of {journal}: another journal's does not serve for it; put its own back, or renew it \
         with the domain CA key: pact-journal renew-certificate --data-dir DIR --domain-ca-key FILE"
    )]
    OtherJournal {
        /// This journal.
        journal: JournalId,
    },
    /// It is over.
    #[error(
        "{FILE} has expired; renew it where the domain CA key is at hand: pact-journal renew-certificate --data-dir DIR \
         --domain-ca-key FILE"
    )]
    Expired,
    /// A name in the configuration is not in it.
    #[error(
        "{FILE} is not valid for {name}, which the configuration advertises; take the name out, or renew the certificate with \
         the domain CA key: pact-journal renew-certificate --data-dir DIR --domain-ca-key FILE"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// A name in the configuration is none.
    #[error("{name} is neither a host name nor an address")]
    InvalidName {
        /// The name.
        name: String,
        /// Why.
        source: InvalidDnsNameError,
    },
    /// Anything else that a client would find wrong.
    #[error("{FILE} would not be trusted by clients")]
    Untrusted(#[source] Error),
    /// The domain CA certificate in the log cannot be used.
    #[error("the domain CA certificate in the log cannot be used: {0}")]
    DomainCa(String),
}

/// What a credential must be for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// Whom all trust.
    pub domain_ca: &'a Der,
    /// The domain.
    pub domain_id: &'a DomainId,
    /// The journal that serves with it.
    pub journal_id: &'a JournalId,
    /// Names that it must have.
    pub advertise: &'a [String],
}

/// Reads `DIR/server.pem` and checks it as clients and the other journals will.
pub fn read(dir: &Path, purpose: Purpose<'_>, now: Timestamp) -> Result<Credential, ServerCredentialError> {
    let credential = Credential::read(&dir.join(FILE))?;
    check(&credential, purpose, now)?;
    Ok(credential)
}

/// Checks a credential as clients and the other journals will.
///
/// # Errors
/// What they would find wrong.
pub fn check(
    credential: &Credential,
    purpose: Purpose<'_>,
    now: Timestamp,
) -> Result<(), ServerCredentialError> {
    let Purpose { domain_ca, domain_id, journal_id, advertise } = purpose;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(domain_ca.as_bytes().to_vec()))
        .map_err(|error| ServerCredentialError::DomainCa(error.to_string()))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), proto::tls::provider())
        .build()
        .map_err(|error| ServerCredentialError::DomainCa(error.to_string()))?;
    let checked = advertise.iter().try_for_each(|name| check_name(credential, verifier.as_ref(), name, now));
    let named = credential.chain().first().and_then(|own| journal_of(own, domain_id));
    match checked {
        // Another journal's usually has other names too: whose it is says more.
        Ok(()) | Err(ServerCredentialError::Name { .. }) if named.as_ref() != Some(journal_id) => {
            Err(ServerCredentialError::OtherJournal { journal: journal_id.clone() })
        }
        checked => checked,
    }
}

fn check_name(
    credential: &Credential,
    verifier: &WebPkiServerVerifier,
    name: &str,
    now: Timestamp,
) -> Result<(), ServerCredentialError> {
    let server = ServerName::try_from(name)
        .map_err(|source| ServerCredentialError::InvalidName { name: name.to_owned(), source })?;
    let Some((own, others)) = credential.chain().split_first() else {
        return Err(ServerCredentialError::OtherDomain);
    };
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now.as_millis()));
    match verifier.verify_server_cert(own, others, &server, &[], now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            Err(ServerCredentialError::OtherDomain)
        }
        Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Err(ServerCredentialError::Expired),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Err(ServerCredentialError::Name { name: name.to_owned() }),
        Err(error) => Err(ServerCredentialError::Untrusted(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// What is found wrong with a certificate of j2 for the host h, if this journal serves for this host with it.
    fn found_wrong(domain: &str, journal: &str, host: &str) -> Option<ServerCredentialError> {
        let ca = DomainCa::create(&"example.org".parse().unwrap(), NOW, crate::random::serial().unwrap());
        let (ca, hosts) = (ca.unwrap(), ["h".to_owned()]);
        let made =
            ca.server_certificate(&"j2".parse().unwrap(), &hosts, NOW, crate::random::serial().unwrap());
        let made = made.unwrap();
        let pem = [made.chain_pem.as_str(), made.key_pem.as_str()].concat();
        let credential = Credential::from_pem(FILE, pem.as_bytes()).unwrap();
        let (domain_id, journal_id) = (domain.parse().unwrap(), journal.parse().unwrap());
        let purpose = Purpose {
            domain_ca: ca.certificate(),
            domain_id: &domain_id,
            journal_id: &journal_id,
            advertise: &[host.to_owned()],
        };
        check(&credential, purpose, NOW).err()
    }

    #[test]
    fn another_journals_certificate_is_refused_whatever_hosts_it_is_for() {
        assert!(found_wrong("example.org", "j2", "h").is_none());
        let other = |found| matches!(found, Some(ServerCredentialError::OtherJournal { .. }));
        for (domain, journal, host) in
            [("example.org", "j1", "h"), ("example.org", "j1", "other"), ("example.com", "j2", "h")]
        {
            assert!(other(found_wrong(domain, journal, host)), "{domain} {journal} {host}");
        }
        let name = found_wrong("example.org", "j2", "other");
        assert!(matches!(name, Some(ServerCredentialError::Name { .. })), "{name:?}");
    }
}
