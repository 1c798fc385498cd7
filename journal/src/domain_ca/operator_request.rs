//! The first operator's key and request, made by init on the operator's behalf.
//!
//! The request goes the way of every other: [`Csr`](crate::authority::Csr), a decision, the authority, a fact. So
//! there is one way only in which certificates come to be.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use zeroize::Zeroizing;

use super::MakeError;

/// An operator's key and the request for it.
pub struct OperatorRequest {
    /// The private key as PKCS #8 PEM, for the operator's own file. Wiped when dropped.
    pub key_pem: Zeroizing<String>,
    /// The DER request with its proof of possession.
    pub csr: Vec<u8>,
}

/// Makes a P-256 key and a request that asks for nothing but a certificate.
pub fn operator_request() -> Result<OperatorRequest, MakeError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr = params.serialize_request(&key)?.der().to_vec();
    Ok(OperatorRequest { key_pem: Zeroizing::new(key.serialize_pem()), csr })
}
