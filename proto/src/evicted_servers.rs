//! Servers whose journals were evicted from the quorum (design §7): the domain CA signed their certificates, and they are
//! refused all the same.
//!
//! [`crate::pem_file::Trust::without`] makes one; who was evicted, journals say.
//!
//! **Invariant:** all that the verifier of the others refuses is refused here too.

use std::sync::Arc;

use events::vocabulary::CertificateHash;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct EvictedServers {
    pub(crate) others: Arc<dyn ServerCertVerifier>,
    pub(crate) evicted: Arc<[CertificateHash]>,
}

impl ServerCertVerifier for EvictedServers {
    /// Nothing else here answers `Revoked`: there are no lists of revoked servers. The server is told so by an alert.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.evicted.contains(&CertificateHash::of(end_entity)) {
            return Err(Error::InvalidCertificate(CertificateError::Revoked));
        }
        self.others.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.others.supported_verify_schemes()
    }
}
