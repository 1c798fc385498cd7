//! The domain CA and the authority of the fake journals, in one.

use std::{sync::Arc, time::Duration};

use events::vocabulary::{CertificateHash, Serial, Timestamp};
use proto::{convert::moment, pb::EnrollResponse, tls};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, SerialNumber,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use time::OffsetDateTime;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

use super::judge::Judge;
use crate::retry;

/// The life of a certificate, unless a test wants another.
const LIFETIME: Duration = Duration::from_secs(3 * 24 * 3600);

/// A domain CA and an authority in one, which signs whatever it is asked.
#[derive(Debug)]
pub(crate) struct FakeAuthority {
    pub(super) certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    lifetime: Duration,
    server_begins_in: Duration,
}

/// The public key of a request: a point on P-256.
struct Requested(Vec<u8>);

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl FakeAuthority {
    pub(crate) fn new() -> Self {
        Self::with_lifetime(LIFETIME)
    }

    pub(crate) fn with_lifetime(lifetime: Duration) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the fake authority");
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key), lifetime, server_begins_in: Duration::ZERO }
    }

    /// The certificates of its journals' servers begin later than this machine's clock believes.
    pub(crate) fn with_servers_that_begin_in(later: Duration) -> Self {
        Self { server_begins_in: later, ..Self::new() }
    }

    /// A good answer to a request, for the node `compute-042` of the domain `alps`.
    pub(crate) fn answer(&self, csr: &[u8]) -> EnrollResponse {
        let (_, request) = X509CertificationRequest::from_der(csr).unwrap();
        let point = request.certification_request_info.subject_pki.subject_public_key.data.to_vec();
        let serial = Serial::from_random(u128::from(retry::random()).to_le_bytes());
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        params.not_before = now - Duration::from_secs(300);
        params.not_after = now + self.lifetime;
        let certificate = params.signed_by(&Requested(point), &self.issuer).unwrap();
        let wire = |time: OffsetDateTime| {
            let seconds = u64::try_from(time.unix_timestamp()).unwrap();
            Some(moment::to_wire(Timestamp::from_millis(seconds * 1000)))
        };
        EnrollResponse {
            node_id: "compute-042".to_owned(),
            domain_id: "alps".to_owned(),
            certificate: certificate.der().to_vec(),
            ca_chain: vec![self.certificate.to_vec()],
            serial: serial.to_string(),
            not_before: wire(params.not_before),
            not_after: wire(params.not_after),
            renew_after: wire(now + self.lifetime * 2 / 3),
            journal_time: wire(now),
            ..Default::default()
        }
    }

    pub(super) fn server_config(&self, judge: Judge) -> (CertificateHash, ServerConfig) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        if !self.server_begins_in.is_zero() {
            params.not_before = OffsetDateTime::now_utc() + self.server_begins_in;
        }
        let chain = vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()];
        let shown = CertificateHash::of(&chain[0]);
        let mut config = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(tls::VERSIONS)
            .unwrap()
            .with_client_cert_verifier(Arc::new(judge))
            .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        config.alpn_protocols = vec![tls::ALPN_H2.to_vec()];
        (shown, config)
    }
}
