//! A server's certificate before the eyes of a machine whose clock woke up wrong (R25): a battery was empty, and the year is
//! 1970.
//!
//! [`crate::pem_file::Trust::waking_after`] makes one. It knows a time that is past for sure: when the machine's image was
//! built. If the clock says an earlier one, and the dates of the certificate are all that is wrong with it, it is checked
//! anew at that time, or when it began if that is later.
//!
//! Not here, on purpose: setting the clock; whoever connects does it, with what the journal answers.
//!
//! **Invariant:** with a clock that is not behind the image, exactly what [`KnownServer`] accepts is accepted; and always
//! chain, name and signature are right.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::known_server::KnownServer;

/// See the module.
#[derive(Debug)]
pub(crate) struct WakingClock {
    pub(crate) others: Arc<KnownServer>,
    pub(crate) image_built_at: UnixTime,
}

impl WakingClock {
    /// When to check the certificate anew, if it may be.
    fn another_time(&self, error: &Error, now: UnixTime) -> Option<UnixTime> {
        let Error::InvalidCertificate(error) = error else { return None };
        if now >= self.image_built_at {
            return None;
        }
        if let CertificateError::NotValidYetContext { not_before, .. } = error {
            return Some((*not_before).max(self.image_built_at));
        }
        let expired = matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. });
        expired.then_some(self.image_built_at)
    }
}

impl ServerCertVerifier for WakingClock {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify =
            |at| self.others.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
        match verify(now) {
            Err(error) => match self.another_time(&error, now) {
                Some(at) => verify(at),
                None => Err(error),
            },
            Ok(verified) => Ok(verified),
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::client::WebPkiServerVerifier;

    use super::*;
    use crate::tls;

    /// 2026-01-01.
    const BUILT: u64 = 1_767_225_600;
    const DAY: u64 = 24 * 3600;

    struct Domain {
        clock: WakingClock,
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
        let others = Arc::new(KnownServer::new(verifier));
        Domain { clock: WakingClock { others, image_built_at: at(BUILT) }, issuer: Issuer::new(ca, key) }
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(secs))
    }

    /// A server's certificate from one day of 2025 or 2026 to another.
    fn server(domain: &Domain, from: (i32, u8), until: (i32, u8)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["j1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, 1);
        params.not_after = date_time_ymd(until.0, until.1, 1);
        params.signed_by(&KeyPair::generate().unwrap(), &domain.issuer).unwrap().der().clone()
    }

    fn accepted(domain: &Domain, shown: &CertificateDer<'_>, name: &str, secs: u64) -> bool {
        let name = ServerName::try_from(name).unwrap();
        domain.clock.verify_server_cert(shown, &[], &name, &[], at(secs)).is_ok()
    }

    #[test]
    fn rule_25_a_machine_that_woke_up_in_1970_accepts_a_server_of_after_its_image_was_built() {
        let domain = domain();
        let later = server(&domain, (2026, 3), (2026, 4));
        let around = server(&domain, (2025, 12), (2026, 2));
        for clock in [0, BUILT - 1] {
            assert!(
                accepted(&domain, &later, "j1", clock),
                "it began after the image was built: at its beginning"
            );
            assert!(accepted(&domain, &around, "j1", clock), "at the image's time");
        }
    }

    #[test]
    fn rule_25_with_a_clock_that_is_not_behind_the_image_dates_count() {
        let domain = domain();
        let later = server(&domain, (2026, 3), (2026, 4));
        assert!(!accepted(&domain, &later, "j1", BUILT));
        assert!(!accepted(&domain, &later, "j1", BUILT + 30 * DAY));
        assert!(accepted(&domain, &later, "j1", BUILT + 70 * DAY));
        assert!(!accepted(&domain, &later, "j1", BUILT + 120 * DAY), "it has expired");
    }

    #[test]
    fn rule_25_what_was_over_when_the_image_was_built_is_refused_whatever_the_clock_says() {
        let domain = domain();
        let over = server(&domain, (2025, 10), (2025, 12));
        for clock in [0, BUILT - 20 * DAY, BUILT, BUILT + DAY] {
            assert!(!accepted(&domain, &over, "j1", clock), "{clock}");
        }
    }

    #[test]
    fn rule_25_name_and_signature_count_also_while_the_clock_is_wrong() {
        let (domain, foreign) = (domain(), domain());
        let server_of_own = server(&domain, (2026, 3), (2026, 4));
        let stranger = server(&foreign, (2026, 3), (2026, 4));
        assert!(!accepted(&domain, &server_of_own, "j2", 0));
        assert!(!accepted(&domain, &stranger, "j1", 0));
        let mut altered = server_of_own.to_vec();
        *altered.last_mut().unwrap() ^= 1;
        assert!(!accepted(&domain, &CertificateDer::from(altered), "j1", 0));
    }
}
