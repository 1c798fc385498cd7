//! TLS among journals (design §7): who is at the other end is in the URI of a certificate that the domain CA signed, and
//! nowhere else.
//!
//! The listener asks for a certificate and lets those without one as far as the way in ([`super::door`]); the dialler
//! expects one journal, and no other.
//!
//! Not here: whether that journal is evicted ([`super::service`]), and what it may do.
//!
//! **Invariant:** a name comes from a verified certificate; no other text of the peer's is believed.

use std::net::IpAddr;
use std::sync::Arc;

use events::vocabulary::{DomainId, JournalId, Timestamp, spiffe_uri};
use proto::pem_file::Credential;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::domain_ca::{BACKDATED, RecoveryPass};

/// Why there is no TLS among journals.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The domain CA's certificate, or ours, cannot be used.
    #[error("the certificates among journals cannot be used")]
    Rustls(#[from] Error),
    /// The verifier cannot be made.
    #[error("the domain CA certificate cannot be used: {0}")]
    Verifier(String),
}

/// The certificate names no journal of this domain, or another one.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is not that of {expected}")]
struct OtherJournal {
    expected: String,
}

fn roots(domain_ca: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(domain_ca.to_vec()))?;
    Ok(Arc::new(roots))
}

/// The listener's side.
///
/// # Errors
/// If a certificate cannot be used.
pub fn server(credential: &Credential, domain_ca: &[u8]) -> Result<ServerConfig, TlsError> {
    let provider = proto::tls::provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(domain_ca)?, Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Verifier(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(proto::tls::VERSIONS)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(credential.certified_key())));
    config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    // A resumed session would not be asked for its certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The dialler's side: only this journal will do.
///
/// # Errors
/// If a certificate cannot be used.
pub fn client(
    credential: &Credential,
    domain_ca: &[u8],
    domain: &DomainId,
    peer: &JournalId,
) -> Result<ClientConfig, TlsError> {
    let provider = proto::tls::provider();
    let chain = WebPkiServerVerifier::builder_with_provider(roots(domain_ca)?, Arc::clone(&provider))
        .build()
        .map_err(|error| TlsError::Verifier(error.to_string()))?;
    let uri = spiffe_uri(domain, "journal", peer.as_str());
    Ok(dialler(credential, Arc::new(OneJournal { chain, uri }), provider)?)
}

/// The dialler's side on the journal's own machine: only this journal will do, under whatever name it is dialled.
///
/// # Errors
/// If a certificate cannot be used.
pub fn own_client(
    credential: &Credential,
    domain_ca: &[u8],
    domain: &DomainId,
    own: &JournalId,
) -> Result<ClientConfig, TlsError> {
    let provider = proto::tls::provider();
    let chain = WebPkiServerVerifier::builder_with_provider(roots(domain_ca)?, Arc::clone(&provider))
        .build()
        .map_err(|error| TlsError::Verifier(error.to_string()))?;
    let uri = spiffe_uri(domain, "journal", own.as_str());
    Ok(dialler(credential, Arc::new(AtHome(OneJournal { chain, uri })), provider)?)
}

fn dialler(
    credential: &Credential,
    verifier: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(proto::tls::VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(credential.certified_key())));
    config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The pass that a certificate is, if it is one of this domain. Ask only of a certificate that was verified.
pub fn pass_of(certificate: &[u8], domain: &DomainId) -> Option<RecoveryPass> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let [GeneralName::URI(uri)] = names.value.general_names.as_slice() else { return None };
    RecoveryPass::of_uri(uri, domain)
}

/// When the domain CA signed a journal's certificate.
pub fn signed_at(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let not_before = u64::try_from(certificate.validity().not_before.timestamp()).ok()?;
    Some(Timestamp::from_millis(not_before.saturating_mul(1000)).plus(BACKDATED))
}

/// The first name under which a certificate's holder is reached.
fn host_of(certificate: &[u8]) -> Option<ServerName<'static>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| {
        if let GeneralName::DNSName(host) = name {
            return ServerName::try_from((*host).to_owned()).ok();
        }
        let GeneralName::IPAddress(bytes) = name else { return None };
        let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
        let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?;
        Some(ServerName::from(address))
    })
}

/// [`OneJournal`] on its own machine: where it listens is known by its data directory, and its names may lead elsewhere.
#[derive(Debug)]
struct AtHome(OneJournal);

impl ServerCertVerifier for AtHome {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        dialled: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let own = host_of(end_entity);
        self.0.verify_server_cert(end_entity, intermediates, own.as_ref().unwrap_or(dialled), ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The journal that a certificate names, if it is of this domain. Ask only of a certificate that was verified.
pub fn journal_of(certificate: &[u8], domain: &DomainId) -> Option<JournalId> {
    let prefix = spiffe_uri(domain, "journal", "");
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut journals = names.value.general_names.iter().filter_map(|name| {
        let GeneralName::URI(uri) = name else { return None };
        uri.strip_prefix(prefix.as_str())?.parse().ok()
    });
    journals.next().filter(|_| journals.next().is_none())
}

/// A server's certificate must chain to the domain CA, be valid for the name that was dialled, and be this journal's.
#[derive(Debug)]
struct OneJournal {
    chain: Arc<WebPkiServerVerifier>,
    uri: String,
}

impl ServerCertVerifier for OneJournal {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        if has_uri(end_entity, |uri| uri == self.uri) {
            return Ok(verified);
        }
        let other = Arc::new(OtherJournal { expected: self.uri.clone() });
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(other))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Whether a URI among a certificate's names is one that is looked for.
pub(super) fn has_uri(certificate: &[u8], looked_for: impl Fn(&str) -> bool) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    names.value.general_names.iter().any(|name| matches!(name, GeneralName::URI(uri) if looked_for(uri)))
}
