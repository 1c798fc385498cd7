//! Reads the domain CA back from its two PEM texts, and believes neither: they must be a pair that
//! [`DomainCa::create`] could have made.

use events::vocabulary::{Der, DomainId, Serial, Timestamp};
use rcgen::{Issuer, KeyPair, PublicKeyData};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::pem_text::CERTIFICATE;
use super::{COMMON_NAME, DomainCa, params};
use crate::authority::template::Validity;

/// Why the texts are no domain CA. An operator must look at the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not exactly one PEM certificate.
    #[error("the domain CA's certificate is not one PEM certificate")]
    Certificate,
    /// Not one that pact made for a domain.
    #[error("the certificate is not that of a domain CA: {found}")]
    NotADomainCa {
        /// What is wrong with it.
        found: &'static str,
    },
    /// Not a P-256 key in PKCS #8.
    #[error("the domain CA's key is not one PKCS #8 PEM private key")]
    Key,
    /// A good key, but of another certificate.
    #[error("the domain CA's key does not belong to its certificate")]
    WrongKey,
}

pub(super) fn read(certificate_pem: &str, key_pem: &str) -> Result<DomainCa, ReadError> {
    let blocks = pem::parse_many(certificate_pem).map_err(|_| ReadError::Certificate)?;
    let [block] = blocks.as_slice() else { return Err(ReadError::Certificate) };
    if block.tag() != CERTIFICATE {
        return Err(ReadError::Certificate);
    }
    let (rest, certificate) =
        X509Certificate::from_der(block.contents()).map_err(|_| ReadError::Certificate)?;
    if !rest.is_empty() {
        return Err(ReadError::Certificate);
    }
    let domain = domain(&certificate)?;
    let not_after = moment(certificate.validity().not_after.timestamp());
    let key = KeyPair::from_pem(key_pem).map_err(|_| ReadError::Key)?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return Err(ReadError::WrongKey);
    }
    // Of these parameters the issuer keeps name and key identifier only, and both follow from domain and key.
    let validity = Validity { not_before: Timestamp::default(), not_after };
    let params = params(&domain, Serial::from_random([0; 16]), validity)
        .map_err(|_| ReadError::NotADomainCa { found: "its end cannot be written" })?;
    Ok(DomainCa {
        domain,
        not_after,
        certificate: Der::new(block.contents().to_vec()),
        issuer: Issuer::new(params, key),
    })
}

/// The domain in the common name, if the rest is right too.
fn domain(certificate: &X509Certificate<'_>) -> Result<DomainId, ReadError> {
    let wrong = |found| ReadError::NotADomainCa { found };
    if !certificate.is_ca() {
        return Err(wrong("it may not sign certificates"));
    }
    certificate.verify_signature(None).map_err(|_| wrong("it is not signed by its own key"))?;
    let mut names = certificate.subject().iter_attributes().map(|name| name.as_str().unwrap_or_default());
    let (Some(name), None) = (names.next(), names.next()) else { return Err(wrong("its name")) };
    let domain = name.strip_prefix(COMMON_NAME).ok_or(wrong("its name"))?;
    domain.parse().map_err(|_| wrong("its domain"))
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}
