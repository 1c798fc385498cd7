//! The joiner's first connection (design §7): the only anchor is the certificate whose SHA-256 the join token names. The
//! server sends it behind its own; whoever cannot show a journal's certificate under it hears nothing of the secret.
//!
//! **Invariant:** the secret is sent only behind a handshake that this verified: chain to the pinned certificate, time,
//! name, serverAuth, and a journal's URI.

use std::sync::Arc;
use std::time::Duration;

use events::vocabulary::CertificateHash;
use proto::channel::{ConnectError, Connection, JournalAddress};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::tls::has_uri;

/// A journal is near, or not there.
const CONNECT: Duration = Duration::from_secs(5);

/// The server is no journal of the domain that the token names.
#[derive(Debug, thiserror::Error)]
enum NotPinned {
    #[error("none of its certificates is the one that the join token names")]
    Absent,
    #[error("its certificate is not a journal's")]
    NoJournal,
}

/// Connects to the journal behind an address, if it is one of the pinned domain CA.
///
/// # Errors
/// If nobody answers there, or the server is not trusted.
pub async fn connect(address: &JournalAddress, pin: CertificateHash) -> Result<Connection, ConnectError> {
    Connection::open_with(address, config(pin), CONNECT).await
}

fn config(pin: CertificateHash) -> ClientConfig {
    let provider = proto::tls::provider();
    let verifier = Arc::new(Pinned { pin, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(proto::tls::VERSIONS)
        .expect("the provider has the cipher suites of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    config
}

#[derive(Debug)]
struct Pinned {
    pin: CertificateHash,
    provider: Arc<CryptoProvider>,
}

fn refused(error: NotPinned) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let root = intermediates.iter().find(|der| CertificateHash::of(der) == self.pin);
        let root = root.ok_or_else(|| refused(NotPinned::Absent))?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let verified = chain.verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        if is_journal(end_entity) { Ok(verified) } else { Err(refused(NotPinned::NoJournal)) }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `spiffe://DOMAIN/journal/ID`, of whatever domain: the pin says which.
fn is_journal(certificate: &[u8]) -> bool {
    has_uri(certificate, |uri| {
        let path = uri.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
        path.is_some_and(|(_, path)| path.starts_with("journal/"))
    })
}
