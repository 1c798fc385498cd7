//! Checks client certificates in the handshake (R10): the peer holds the key, and an issuance fact records this very
//! certificate. No chain is looked at: what no fact records is refused, whoever signed it.
//!
//! Refusals become TLS alerts that clients can tell apart: certificate_revoked, certificate_expired,
//! certificate_unknown. A stale journal believes no certificate (R17): handshake_failure, which says nothing about the
//! certificate, so that the client asks another journal.
//!
//! A workload identity of others is another thing: its chain is checked ([`crate::workloads`]), and the node that it is bound
//! to looked up (R11).
//!
//! Not here: the second look-up, after the connection is registered ([`super::acceptor`]), and roles
//! ([`super::access`]).

use std::fmt;
use std::io;
use std::sync::Arc;

use events::views::Standing;
use events::vocabulary::CertificateHash;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::clock;
use crate::log::Log;
use crate::metrics::Handshake;
use crate::workloads::{Workload, Workloads};

/// See the module.
pub struct Verifier {
    log: Log,
    provider: Arc<CryptoProvider>,
    workloads: Option<Arc<Workloads>>,
}

impl Verifier {
    /// Looks certificates up in the log's views. `workloads`: whose workload identities may prove nodes here (R11).
    pub fn new(log: Log, provider: Arc<CryptoProvider>, workloads: Option<Arc<Workloads>>) -> Self {
        Self { log, provider, workloads }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// Whether an announced authority signed it. That alone opens nothing.
    fn is_announced(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let mut roots = RootCertStore::empty();
        {
            let views = self.log.views();
            for announced in views.authorities.announced() {
                roots.add(CertificateDer::from(announced.der.as_bytes().to_vec())).ok();
            }
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
        verifier.is_ok_and(|verifier| verifier.verify_client_cert(certificate, &[], now).is_ok())
    }
}

impl Verifier {
    /// What a recognized workload may go on to. One that is bound to no node, or is by a fact that is under way, is let in to
    /// hear so from the calls that it makes ([`super::access`]).
    fn bound(&self, workload: &Workload) -> Result<ClientCertVerified, Error> {
        let standing = self.log.views().workload_standing(&workload.id, clock::now());
        match standing {
            Standing::Valid { .. } | Standing::Unknown => Ok(ClientCertVerified::assertion()),
            Standing::Revoked | Standing::Replaced { .. } => {
                Err(Error::InvalidCertificate(CertificateError::Revoked))
            }
            Standing::Expired => Err(Error::InvalidCertificate(CertificateError::Expired)),
        }
    }
}

/// No fact records the certificate.
#[derive(Debug, thiserror::Error)]
#[error("no issuance fact records the certificate")]
struct NotRecorded;

/// The journal was not proven up to date for too long.
#[derive(Debug, thiserror::Error)]
#[error("this journal has not heard of its quorum for too long")]
struct Stale;

/// How a handshake that failed with this error is counted.
pub fn counted(error: &io::Error) -> Handshake {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    if matches!(error, Some(Error::Other(_))) {
        return Handshake::Stale;
    }
    let Some(Error::InvalidCertificate(refusal)) = error else { return Handshake::Failed };
    if *refusal == CertificateError::Revoked {
        Handshake::Revoked
    } else if *refusal == CertificateError::Expired {
        Handshake::Expired
    } else if matches!(refusal, CertificateError::Other(_)) {
        Handshake::Unknown
    } else {
        Handshake::Failed
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    /// Each call says itself whether it needs one ([`super::access`]): a refusal there explains itself, an alert not.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if !self.log.is_fresh() {
            return Err(Error::Other(OtherError(Arc::new(Stale))));
        }
        let refused = |error| Err(Error::InvalidCertificate(error));
        if let Some(workloads) = self.workloads.as_ref().filter(|workloads| workloads.named_by(end_entity)) {
            return match workloads.recognize(end_entity, intermediates, now) {
                Ok(workload) => self.bound(&workload),
                Err(error) => refused(error),
            };
        }
        // The views are let go before anything looks into them again: between two looks of one thread a fold may wait for
        // the first to end, and the second waits behind the fold.
        let standing = self.log.views().standing(&CertificateHash::of(end_entity), clock::now());
        match standing {
            // One that a warm reboot replaced opens nothing, but whoever proves its key shows that there are two machines (R14
            // c): the acceptor has that recorded, and lets nobody in before.
            Standing::Valid { .. } | Standing::Replaced { .. } => Ok(ClientCertVerified::assertion()),
            Standing::Revoked => refused(CertificateError::Revoked),
            Standing::Expired => refused(CertificateError::Expired),
            // Its fact may be under way: the acceptor waits for it, and lets nobody in without it (R10).
            Standing::Unknown if !self.log.is_alone() && self.is_announced(end_entity, now) => {
                Ok(ClientCertVerified::assertion())
            }
            Standing::Unknown => refused(CertificateError::Other(OtherError(Arc::new(NotRecorded)))),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
