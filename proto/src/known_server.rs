//! Checks a server's certificate, and remembers for a moment that it was sound: a client that enrolls connects twice
//! within a second, and the signature of the domain CA is a third of what a handshake costs it.
//!
//! [`crate::pem_file::Trust`] makes one; all connections of one trust share it.
//!
//! Only the chain, name and validity are remembered, for exactly the same bytes and name. That the server holds the key
//! is proved anew in every handshake.
//!
//! **Invariant:** what was not verified within [`REMEMBERED`] is verified.

use std::{sync::Arc, time::Duration};

use ring::digest::{Context, SHA256};
use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::sync::{Mutex, PoisonError};

/// For so long a verification holds. A certificate that expires meanwhile is found out this much too late: far less than
/// clocks may differ.
const REMEMBERED: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct KnownServer {
    verifier: Arc<WebPkiServerVerifier>,
    last: Mutex<Option<Known>>,
}

/// A verification that came out well.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// Of the chain as it was shown.
    shown: [u8; 32],
    name: ServerName<'static>,
    at: Duration,
}

impl KnownServer {
    pub(crate) fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Self { verifier, last: Mutex::new(None) }
    }

    fn remembers(&self, shown: &[u8; 32], name: &ServerName<'_>, now: UnixTime) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Duration::from_secs(now.as_secs());
        last.as_ref().is_some_and(|known| {
            // A clock that was set back makes it unknown again.
            let age = now.checked_sub(known.at);
            known.shown == *shown && known.name == *name && age.is_some_and(|age| age < REMEMBERED)
        })
    }
}

fn digest(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for der in [end_entity].into_iter().chain(intermediates) {
        context.update(&der.len().to_be_bytes());
        context.update(der);
    }
    let mut shown = [0; 32];
    shown.copy_from_slice(context.finish().as_ref());
    shown
}

impl ServerCertVerifier for KnownServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = digest(end_entity, intermediates);
        if self.remembers(&shown, server_name, now) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let known = Known { shown, name: server_name.to_owned(), at: Duration::from_secs(now.as_secs()) };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;
    use crate::tls;

    struct Domain {
        verifier: KnownServer,
        issuer: Issuer<'static, KeyPair>,
    }

    fn domain() -> Domain {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(vec![]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.self_signed(&key).unwrap().der().clone()).unwrap();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().unwrap();
        Domain { verifier: KnownServer::new(verifier), issuer: Issuer::new(ca, key) }
    }

    fn server(domain: &Domain) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["j1".to_owned()]).unwrap();
        params.signed_by(&KeyPair::generate().unwrap(), &domain.issuer).unwrap().der().clone()
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000 + secs))
    }

    fn verify(domain: &Domain, shown: &CertificateDer<'_>, name: &str, now: UnixTime) -> bool {
        let name = ServerName::try_from(name).unwrap();
        domain.verifier.verify_server_cert(shown, &[], &name, &[], now).is_ok()
    }

    fn remembered(domain: &Domain, shown: &CertificateDer<'_>, name: &str, now: UnixTime) -> bool {
        let name = ServerName::try_from(name).unwrap();
        domain.verifier.remembers(&digest(shown, &[]), &name, now)
    }

    #[test]
    fn a_server_is_remembered_for_ten_seconds_and_not_for_another_name() {
        let domain = domain();
        let server = server(&domain);
        assert!(!remembered(&domain, &server, "j1", at(0)));
        assert!(verify(&domain, &server, "j1", at(0)));
        assert!(remembered(&domain, &server, "j1", at(9)));
        assert!(!remembered(&domain, &server, "j1", at(10)));
        assert!(!remembered(
            &domain,
            &server,
            "j1",
            at(0)
                .as_secs()
                .checked_sub(1)
                .map(|secs| UnixTime::since_unix_epoch(Duration::from_secs(secs)))
                .unwrap()
        ));
        assert!(!remembered(&domain, &server, "j2", at(0)));
        assert!(!verify(&domain, &server, "j2", at(0)), "a certificate is good for its own name only");
    }

    #[test]
    fn what_was_refused_is_not_remembered_and_another_server_is_verified() {
        let (own, foreign) = (domain(), domain());
        let (server_of_own, stranger) = (server(&own), server(&foreign));
        assert!(verify(&own, &server_of_own, "j1", at(0)));
        for _ in 0..2 {
            assert!(!verify(&own, &stranger, "j1", at(0)));
        }
        let mut altered = server_of_own.to_vec();
        *altered.last_mut().unwrap() ^= 1;
        assert!(!verify(&own, &CertificateDer::from(altered), "j1", at(0)));
    }
}
