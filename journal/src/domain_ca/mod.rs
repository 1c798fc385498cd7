//! The domain CA (design §7): what everybody trusts servers by. Self-signed, 10 years, signs journals' server
//! certificates, and passes for whoever must make an operator by it, which are good for minutes and for nothing else.
//!
//! `pact-journal init` makes one and writes its bytes to files; whoever renews a server certificate reads them back.
//! init also makes the operator's request here ([`OwnRequest`]); its certificate is a fact like any other.
//!
//! Not here, on purpose: files and their modes (init), and certificates of nodes and operators
//! ([`crate::authority`]). The key never enters the log and never travels (R18).

mod own_request;
mod pem_text;
mod read;
mod recovery_pass;
mod server_certificate;

use std::fmt;
use std::time::Duration;

use events::vocabulary::{Der, DomainId, Serial, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair};
use zeroize::Zeroizing;

use crate::authority::template::{self, Validity};

pub use own_request::OwnRequest;
pub use pem_text::certificates_pem;
pub use read::ReadError;
pub use recovery_pass::RecoveryPass;
pub use server_certificate::{BACKDATED, ServerCertificateError, ServerCredential};

/// How long the domain CA's certificate is valid: ten years of 365.25 days.
pub const LIFETIME: Duration = Duration::from_secs(87_660 * 3600);

/// Its certificate is valid from this long before it was made on, as an authority's.
const CA_BACKDATED: Duration = Duration::from_secs(600);

/// Its common name before the domain's: `pact-domain-ca/{domain}`, at most 55 of 64 characters.
const COMMON_NAME: &str = "pact-domain-ca/";

/// The domain CA with its key.
pub struct DomainCa {
    domain: DomainId,
    not_after: Timestamp,
    certificate: Der,
    issuer: Issuer<'static, KeyPair>,
}

/// A key or certificate could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no key or certificate could be made")]
pub struct MakeError(#[from] rcgen::Error);

impl DomainCa {
    /// Makes a P-256 key and its self-signed certificate.
    pub fn create(domain: &DomainId, now: Timestamp, serial: Serial) -> Result<Self, MakeError> {
        let validity = Validity {
            not_before: now.minus(CA_BACKDATED).whole_second(),
            not_after: now.plus(LIFETIME).whole_second(),
        };
        let key = KeyPair::generate()?;
        let params = params(domain, serial, validity)?;
        let certificate = Der::new(params.self_signed(&key)?.der().to_vec());
        let issuer = Issuer::new(params, key);
        Ok(Self { domain: domain.clone(), not_after: validity.not_after, certificate, issuer })
    }

    /// Reads back what [`certificate_pem`](Self::certificate_pem) and [`key_pem`](Self::key_pem) gave.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, ReadError> {
        read::read(certificate_pem, key_pem)
    }

    /// The domain that it serves.
    pub fn domain(&self) -> &DomainId {
        &self.domain
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Its certificate. Its SHA-256 is the pin of a join token and part of the log's first link (R6).
    pub fn certificate(&self) -> &Der {
        &self.certificate
    }

    /// Its certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        certificates_pem([&self.certificate])
    }

    /// Its private key as PKCS #8 PEM. Wiped when dropped; rcgen keeps a copy for as long as this lives.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }
}

impl fmt::Debug for DomainCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainCa({}, key ..)", self.domain)
    }
}

fn params(domain: &DomainId, serial: Serial, validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, format!("{COMMON_NAME}{domain}"));
    template::authority(subject, serial, validity)
}

#[cfg(test)]
mod tests;
