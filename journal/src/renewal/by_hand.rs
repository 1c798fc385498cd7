//! `pact-journal renew-certificate`: another server certificate, signed with the domain CA's key that somebody brings.
//!
//! It works on the files alone, also beside a running journal, which takes the new one up by itself ([`super::Keeper`]);
//! the domain CA's key is only read.
//!
//! **Invariant:** what it writes a journal would serve: under the domain CA of the file that is there, for the names that
//! the configuration advertises.

use std::path::{Path, PathBuf};

use events::vocabulary::{Der, Timestamp};
use proto::pem_file::{Credential, PemFileError};
use zeroize::Zeroizing;

use crate::clock;
use crate::cluster::names_of;
use crate::data_dir::{self, DataDirError, Identity, replace};
use crate::domain_ca::{DomainCa, ReadError, ServerCertificateError, certificates_pem};
use crate::random::{self, RandomError};
use crate::server_credential::{self, Purpose, ServerCredentialError};

/// Why there is no new certificate. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The directory is no journal's.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The present certificate cannot be read, and with it whom to trust.
    #[error(transparent)]
    Present(#[from] PemFileError),
    /// No domain CA certificate stands behind the present one.
    #[error("{} holds no domain CA certificate behind the journal's own", server_credential::FILE)]
    NoDomainCa,
    /// The key is not where it was looked for.
    #[error(
        "the domain CA key is not at {}: name it with --domain-ca-key; `pact-journal init` left it in DIR/bootstrap/domain-ca.key \
         of the first journal", path.display()
    )]
    NoKey {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no key, or another domain's.
    #[error("the domain CA key cannot be used")]
    Key(#[from] ReadError),
    /// It could not be signed.
    #[error(transparent)]
    Sign(#[from] ServerCertificateError),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// What was signed would not be served.
    #[error(transparent)]
    Unfit(#[from] ServerCredentialError),
}

/// A certificate that was written.
pub struct Renewed {
    /// The file.
    pub file: PathBuf,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

/// Signs and writes another server certificate for the journal of a data directory. `advertise`: what its configuration
/// says; `key`: the file of the domain CA's key.
///
/// # Errors
/// If something cannot be read, signed or written.
pub fn renew(data_dir: &Path, advertise: &[String], key: Option<&Path>) -> Result<Renewed, RenewError> {
    let Identity { domain_id, journal_id, .. } = data_dir::identity(data_dir)?;
    let file = data_dir.join(server_credential::FILE);
    let present = Credential::read(&file)?;
    let domain_ca = present.chain().get(1).map(|der| Der::new(der.to_vec())).ok_or(RenewError::NoDomainCa)?;
    let path = key.map_or_else(|| data_dir.join("bootstrap/domain-ca.key"), Path::to_owned);
    let key_pem = std::fs::read_to_string(&path)
        .map(Zeroizing::new)
        .map_err(|source| RenewError::NoKey { path, source })?;
    let ca = DomainCa::from_pem(&certificates_pem([&domain_ca]), &key_pem)?;
    let own = present.chain().first().map(|der| names_of(der)).unwrap_or_default();
    let hosts: Vec<String> = advertise.iter().cloned().chain(own).collect();
    let now = clock::now();
    let made = ca.server_certificate(&journal_id, &hosts, now, random::serial()?)?;
    let pem = Zeroizing::new([made.chain_pem.as_str(), made.key_pem.as_str()].concat());
    let credential = Credential::from_pem(server_credential::FILE, pem.as_bytes())?;
    let purpose =
        Purpose { domain_ca: &domain_ca, domain_id: &domain_id, journal_id: &journal_id, advertise };
    server_credential::check(&credential, purpose, now)?;
    replace(&file, pem.as_bytes(), 0o600)?;
    Ok(Renewed { file, not_after: made.not_after })
}

/// The stable name of a failure.
pub fn reason(error: &RenewError) -> &'static str {
    match error {
        RenewError::NoKey { .. } => "DOMAIN_CA_KEY_ABSENT",
        RenewError::DataDir(_) => "DATA_DIR_INVALID",
        RenewError::Present(_) | RenewError::NoDomainCa => "SERVER_CERTIFICATE_INVALID",
        RenewError::Key(_) | RenewError::Sign(_) | RenewError::Random(_) | RenewError::Unfit(_) => {
            "RENEWAL_FAILED"
        }
    }
}
