//! A key that this process makes, and the request for its certificate: the first operator's, made by init on the
//! operator's behalf, and that of a journal that joins.
//!
//! The operator's request goes the way of every other: [`Csr`](crate::authority::Csr), a decision, the authority, a fact.
//! So there is one way only in which certificates come to be.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use zeroize::Zeroizing;

use super::MakeError;

/// A key and the request for it.
pub struct OwnRequest {
    /// The private key as PKCS #8 PEM, for a file of mode 0600. Wiped when dropped.
    pub key_pem: Zeroizing<String>,
    /// The DER request with its proof of possession.
    pub csr: Vec<u8>,
}

impl OwnRequest {
    /// Makes a P-256 key and a request that asks for nothing but a certificate.
    ///
    /// # Errors
    /// If there are no random numbers.
    pub fn generate() -> Result<Self, MakeError> {
        Self::of(&KeyPair::generate()?)
    }

    /// The request for a key that was made before.
    ///
    /// # Errors
    /// If the text is no private key.
    pub fn of_pem(key_pem: &str) -> Result<Self, MakeError> {
        Self::of(&KeyPair::from_pem(key_pem)?)
    }

    fn of(key: &KeyPair) -> Result<Self, MakeError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(key)?.der().to_vec();
        Ok(Self { key_pem: Zeroizing::new(key.serialize_pem()), csr })
    }
}
