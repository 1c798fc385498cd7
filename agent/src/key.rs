//! The key of a node and the certificate request for it (design §3, step 1).
//!
//! [`crate::run`] makes one a boot and one a renewal; [`crate::enroll`] sends the request, [`crate::answer`] joins the
//! key with its certificate.
//!
//! Not here, on purpose: writing the key anywhere (R18); a successor of the first process of a machine gets it through
//! memory ([`crate::session`]). What is zeroized when dropped: the encoded key that this type
//! owns. What is not, because it is not ours: ring's and rustls's copies inside an open connection's configuration, and
//! the encoding that ring makes on its stack while it generates the key.
//!
//! **Invariant:** the request is the same however often it is asked for, and shows the same key.

use std::fmt;

use proto::pem_file::Credential;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize, Zeroizing};

/// Why a key could not be made.
#[derive(Debug, thiserror::Error)]
#[error("a key could not be made: {0}")]
pub struct KeyError(#[from] rcgen::Error);

/// A P-256 key pair in RAM, with the certificate request for it.
#[derive(Clone)]
pub struct NodeKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
    csr: Vec<u8>,
}

impl NodeKey {
    /// Makes a key and signs the request for it.
    ///
    /// # Errors
    /// If there are no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        Self::of(KeyPair::generate()?)
    }

    /// The key that this process had before it became another program ([`crate::session`]).
    ///
    /// # Errors
    /// If it is no key.
    pub(crate) fn of_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from(pkcs8);
        Self::of(KeyPair::try_from(&der)?)
    }

    fn of(mut pair: KeyPair) -> Result<Self, KeyError> {
        let mut params = CertificateParams::default();
        // The journal takes nothing but the key from a request (R8), so that nothing else stands in it.
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&pair).map(|csr| csr.der().to_vec());
        let pkcs8 = Zeroizing::new(pair.serialized_der().to_vec());
        let public = pair.subject_public_key_info();
        pair.zeroize();
        Ok(Self { pkcs8, public, csr: request? })
    }

    /// The key itself, for the program that this process becomes.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The request, DER PKCS#10.
    pub fn csr(&self) -> &[u8] {
        &self.csr
    }

    /// The public key, DER SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// Joins the key with the certificate (DER) that was issued for it and those that signed it.
    ///
    /// # Errors
    /// Says what is wrong if the first certificate is not of this key.
    pub fn credential(&self, chain: Vec<CertificateDer<'static>>) -> Result<Credential, &'static str> {
        let key = PrivatePkcs8KeyDer::from(self.pkcs8.to_vec());
        Credential::new(chain, PrivateKeyDer::Pkcs8(key))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

    use super::*;

    #[test]
    fn the_request_proves_possession_of_the_key_and_asks_for_nothing_else() {
        let key = NodeKey::generate().unwrap();
        let (rest, request) = X509CertificationRequest::from_der(key.csr()).unwrap();
        assert!(rest.is_empty());
        request.verify_signature().unwrap();
        let asked = &request.certification_request_info;
        assert_eq!(asked.subject_pki.raw, key.public_key());
        assert_eq!(asked.subject.iter().count(), 0);
        assert!(asked.attributes().is_empty());
    }

    #[test]
    fn rule_23_debug_shows_nothing_of_the_key() {
        assert_eq!(format!("{:?}", NodeKey::generate().unwrap()), "NodeKey(..)");
    }

    #[test]
    fn every_key_is_another() {
        assert_ne!(NodeKey::generate().unwrap().public_key(), NodeKey::generate().unwrap().public_key());
    }
}
