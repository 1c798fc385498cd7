//! The two files a client is given: the domain CA, whom to trust; and the credential, who it is.
//!
//! `cli`, `agent` and `loadtest` read them before they connect ([`crate::channel`]). A credential can also be made from
//! a chain and key that never were a file, as an agent's are (R18).
//!
//! Not here, on purpose: writing these files; `pact-journal init` and `pact operator create` do.
//!
//! **Invariant:** the private key shows in no error and no `Debug`, and belongs to the certificate beside it.

use std::{fmt, fs, io, path::Path, sync::Arc, time::Duration};

use events::vocabulary::{CertificateHash, Timestamp};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use crate::{evicted_servers::EvictedServers, known_server::KnownServer, tls, waking_clock::WakingClock};

/// Why a trust or credential file cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PemFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// As the user named it.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not PEM.
    #[error("{path} is damaged: {reason}; copy the file again")]
    Damaged {
        /// As the user named it.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// No certificate is in it.
    #[error("{path} holds no certificate; it must be a PEM file with {expected}")]
    NoCertificate {
        /// As the user named it.
        path: String,
        /// What belongs into the file.
        expected: &'static str,
    },
    /// No private key is in it.
    #[error("{path} holds no private key; it must be a PEM file with {CREDENTIAL}")]
    NoKey {
        /// As the user named it.
        path: String,
    },
    /// The key is of a kind that TLS here does not use, or is another certificate's.
    #[error("{path} cannot be used: {reason}")]
    Unfit {
        /// As the user named it.
        path: String,
        /// What is wrong, and nothing of the key.
        reason: &'static str,
    },
}

const TRUST: &str = "the domain CA certificate, as `bootstrap/domain-ca.pem` of `pact-journal init` is";
const CREDENTIAL: &str = "certificate chain and key, as `bootstrap/operator.pem` of `pact-journal init` is";

/// Whom a client trusts: journals whose certificate chains to one of these domain CA certificates, and nobody else; and of
/// those none that is known to be evicted.
#[derive(Clone)]
pub struct Trust {
    certificates: Arc<[CertificateDer<'static>]>,
    verifier: Arc<KnownServer>,
    evicted: Arc<[CertificateHash]>,
    image_built_at: Option<UnixTime>,
}

impl Trust {
    /// Reads a PEM file with one or more domain CA certificates (two while one replaces the other).
    ///
    /// # Errors
    /// If the file cannot be read or holds no usable certificate.
    pub fn read(path: &Path) -> Result<Self, PemFileError> {
        Self::from_pem(&path.display().to_string(), &read(path)?)
    }

    /// The same, of text in hand; `name` stands for the path in errors.
    ///
    /// # Errors
    /// If the text holds no usable certificate.
    pub fn from_pem(name: &str, text: &[u8]) -> Result<Self, PemFileError> {
        let certificates = certificates(name, text, TRUST)?;
        Self::of(certificates).map_err(|reason| PemFileError::Damaged { path: name.to_owned(), reason })
    }

    /// Trusts exactly these certificates (DER). An error says what is wrong with them.
    ///
    /// # Errors
    /// If there is none, or one is no X.509 certificate.
    pub fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let unreadable = |error| format!("a certificate in it is unreadable ({error})");
            roots.add(certificate.clone()).map_err(unreadable)?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider())
            .build()
            .map_err(|error| error.to_string())?;
        let verifier = Arc::new(KnownServer::new(verifier));
        Ok(Self {
            certificates: certificates.into(),
            verifier,
            evicted: Arc::default(),
            image_built_at: None,
        })
    }

    /// The domain CA certificates (DER), in the order of the file.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The same trust, but in no server that shows one of these certificates: those of evicted journals (design §7), in
    /// the place of those that were named before.
    #[must_use]
    pub fn without(&self, evicted: Vec<CertificateHash>) -> Self {
        Self { evicted: evicted.into(), ..self.clone() }
    }

    /// The same trust, of a machine whose clock may be wrong: if it says a time before its image was built, and the dates
    /// are all that is wrong with a server's certificate, that is checked at the image's time (R25).
    #[must_use]
    pub fn waking_after(&self, image_built_at: Timestamp) -> Self {
        let since = Duration::from_millis(image_built_at.as_millis());
        Self { image_built_at: Some(UnixTime::since_unix_epoch(since)), ..self.clone() }
    }

    /// The certificates of evicted journals.
    pub fn evicted(&self) -> &[CertificateHash] {
        &self.evicted
    }

    /// Checks chain, name and validity of a server's certificate, and that its journal was not evicted.
    pub(crate) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        let known = Arc::clone(&self.verifier);
        let others: Arc<dyn ServerCertVerifier> = match self.image_built_at {
            Some(image_built_at) => Arc::new(WakingClock { others: known, image_built_at }),
            None => known,
        };
        if self.evicted.is_empty() {
            return others;
        }
        Arc::new(EvictedServers { others, evicted: Arc::clone(&self.evicted) })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} certificates)", self.certificates.len())
    }
}

/// Who a client is: a certificate chain and its private key. Cheap to clone.
#[derive(Clone)]
pub struct Credential(Arc<CertifiedKey>);

impl Credential {
    /// Reads one PEM file with certificate chain (the client's own first) and key, in any order of the two.
    ///
    /// # Errors
    /// If the file cannot be read, lacks one of them, or the key is not that of the certificate.
    pub fn read(path: &Path) -> Result<Self, PemFileError> {
        Self::from_pem(&path.display().to_string(), &read(path)?)
    }

    /// The same, of text in hand; `name` stands for the path in errors.
    ///
    /// # Errors
    /// If the text lacks chain or key, or the key is not that of the certificate.
    pub fn from_pem(name: &str, text: &[u8]) -> Result<Self, PemFileError> {
        let chain = certificates(name, text, CREDENTIAL)?;
        let path = name.to_owned();
        let key = match PrivateKeyDer::from_pem_slice(text) {
            Ok(key) => key,
            Err(pem::Error::NoItemsFound) => return Err(PemFileError::NoKey { path }),
            Err(error) => return Err(damaged(name, &error)),
        };
        Self::new(chain, key).map_err(|reason| PemFileError::Unfit { path, reason })
    }

    /// Takes a chain (DER, the client's own certificate first) and its key.
    ///
    /// # Errors
    /// Says what is wrong if the key is of an unknown kind or not that of the certificate.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, &'static str> {
        let key = tls::provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| "the private key is damaged or of an unknown kind")?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self(Arc::new(certified))),
            Err(_) => Err("the private key does not belong to the first certificate"),
        }
    }

    /// The client's own certificate (DER) and those that signed it.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }

    /// For the TLS configuration of a connection, of either side.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} certificates, NodeKey(..))", self.0.cert.len())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PemFileError> {
    fs::read(path).map_err(|source| PemFileError::Unreadable { path: path.display().to_string(), source })
}

fn certificates(
    name: &str,
    text: &[u8],
    expected: &'static str,
) -> Result<Vec<CertificateDer<'static>>, PemFileError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(name, &error))?;
    if certificates.is_empty() {
        return Err(PemFileError::NoCertificate { path: name.to_owned(), expected });
    }
    Ok(certificates)
}

/// The parser's own messages can quote a line of the file, so that a line of a key could get into an error (R23).
fn damaged(name: &str, error: &pem::Error) -> PemFileError {
    let reason = if matches!(error, pem::Error::MissingSectionEnd { .. }) {
        "a section has no END line"
    } else if matches!(error, pem::Error::Base64Decode(_)) {
        "a section is not base64"
    } else {
        "it is not PEM"
    };
    PemFileError::Damaged { path: name.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn chain_and_key_may_stand_in_any_order() {
        let (certificate, key) = self_signed();
        for text in [format!("{certificate}{key}"), format!("{key}{certificate}")] {
            let credential = Credential::from_pem("operator.pem", text.as_bytes()).unwrap();
            assert_eq!(credential.chain().len(), 1);
        }
    }

    #[test]
    fn a_credential_without_its_key_says_what_belongs_into_the_file() {
        let (certificate, _) = self_signed();
        let error = Credential::from_pem("operator.pem", certificate.as_bytes()).unwrap_err();
        assert!(matches!(error, PemFileError::NoKey { .. }), "{error}");
        assert!(error.to_string().contains("certificate chain and key"), "{error}");
    }

    #[test]
    fn the_key_of_another_certificate_is_refused() {
        let (certificate, _) = self_signed();
        let (_, other_key) = self_signed();
        let text = format!("{certificate}{other_key}");
        let error = Credential::from_pem("operator.pem", text.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "operator.pem cannot be used: the private key does not belong to the first certificate"
        );
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let (_, key) = self_signed();
        for text in ["", "hello", key.as_str()] {
            let error = Trust::from_pem("ca.pem", text.as_bytes()).unwrap_err();
            assert!(matches!(error, PemFileError::NoCertificate { .. }), "{error}");
        }
    }

    #[test]
    fn a_truncated_certificate_is_damaged() {
        let (certificate, _) = self_signed();
        let half = &certificate.as_bytes()[..certificate.len() / 2];
        let error = Trust::from_pem("ca.pem", half).unwrap_err();
        assert!(matches!(error, PemFileError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Trust::read(Path::new("/no/such/ca.pem")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /no/such/ca.pem: "), "{error}");
    }

    #[test]
    fn rule_23_neither_debug_nor_errors_show_the_key() {
        let (certificate, key) = self_signed();
        let secret = key.lines().nth(1).unwrap();
        let credential =
            Credential::from_pem("operator.pem", format!("{certificate}{key}").as_bytes()).unwrap();
        assert_eq!(format!("{credential:?}"), "Credential(1 certificates, NodeKey(..))");

        let broken_key = key.replace("-----END", "----END");
        let error = Credential::from_pem("operator.pem", format!("{certificate}{broken_key}").as_bytes());
        let told = format!("{:?}", error.unwrap_err());
        assert!(!told.contains(secret), "{told}");
    }
}
