//! Issued certificates, read back by x509-parser and judged by openssl.

use std::time::Duration;

use events::certificate::{Subject as Holder, Terms};
use events::vocabulary::Serial;
use rcgen::{CertificateParams, KeyPair};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::authority::openssl::Openssl;
use crate::authority::{Csr, EphemeralAuthority, Identity};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_500);

fn authority(domain: &str) -> EphemeralAuthority {
    let identity = Identity {
        domain: domain.parse().unwrap(),
        journal_id: "j1".parse().unwrap(),
        generation: 1,
        id: AuthorityId::new(NOW, 7),
    };
    let serial = crate::random::serial().unwrap();
    EphemeralAuthority::create(identity, serial, NOW, events::authority::DEFAULT_LIFETIME).unwrap()
}

fn csr(key: &KeyPair) -> Csr {
    Csr::parse(CertificateParams::default().serialize_request(key).unwrap().der()).unwrap()
}

fn profile(authority: &EphemeralAuthority, holder: Holder, key: KeyHash) -> Profile {
    let terms = Terms {
        now: NOW,
        serial: Serial::from_random([0xaa; 16]),
        jitter: 0,
        lifetime: Duration::from_secs(3 * 24 * 3600),
        authority: authority.id(),
        authority_not_after: authority.not_after(),
    };
    terms.profile(holder, key)
}

fn node() -> Holder {
    Holder::Node("compute-042".parse().unwrap())
}

fn issue(authority: &EphemeralAuthority, holder: Holder, csr: &Csr) -> Der {
    authority.sign(&profile(authority, holder, csr.key()), &csr.verify().unwrap()).unwrap()
}

/// Extensions as OID and criticality, in their order.
fn extensions(certificate: &X509Certificate<'_>) -> Vec<(String, bool)> {
    certificate.extensions().iter().map(|one| (one.oid.to_id_string(), one.critical)).collect()
}

#[test]
fn rule_08_a_certificate_says_exactly_what_its_profile_says() {
    let authority = authority("example.org");
    let key = KeyPair::generate().unwrap();
    let der = issue(&authority, node(), &csr(&key));
    let (rest, certificate) = X509Certificate::from_der(der.as_bytes()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(certificate.subject().to_string(), "CN=pact-service-agent/compute-042@example.org");
    let serial = Serial::from_random([0xaa; 16]);
    assert_eq!(certificate.raw_serial(), serial.as_bytes());
    assert_eq!(certificate.validity().not_before.timestamp(), 1_799_999_700);
    assert_eq!(certificate.validity().not_after.timestamp(), 1_800_259_200);
    assert_eq!(certificate.public_key().raw, key.subject_public_key_info());
    let announced = authority.announced();
    let (_, issuer) = X509Certificate::from_der(announced.der.as_bytes()).unwrap();
    assert_eq!(certificate.issuer(), issuer.subject());
    certificate.verify_signature(Some(issuer.public_key())).unwrap();
}

#[test]
fn rule_08_a_certificate_has_six_extensions_and_no_other() {
    let authority = authority("example.org");
    let der = issue(&authority, node(), &csr(&KeyPair::generate().unwrap()));
    let (_, certificate) = X509Certificate::from_der(der.as_bytes()).unwrap();
    let expected = [
        ("2.5.29.35", false), // Authority key identifier.
        ("2.5.29.17", false), // Subject alternative name.
        ("2.5.29.15", true),  // Key usage.
        ("2.5.29.37", false), // Extended key usage.
        ("2.5.29.14", false), // Subject key identifier.
        ("2.5.29.19", true),  // Basic constraints.
    ];
    assert_eq!(extensions(&certificate), expected.map(|(oid, critical)| (oid.to_owned(), critical)));
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(format!("{names:?}"), r#"[URI("spiffe://example.org/agent/compute-042")]"#);
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature());
    assert_eq!(usage.flags.count_ones(), 1);
    let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.client_auth && !purposes.any && !purposes.server_auth && !purposes.code_signing);
    assert!(!purposes.email_protection && !purposes.time_stamping && !purposes.ocsp_signing);
    assert!(purposes.other.is_empty());
    let constraints = certificate.basic_constraints().unwrap().unwrap().value;
    assert_eq!((constraints.ca, constraints.path_len_constraint), (false, None));
}

#[test]
fn rule_08_an_operators_certificate_names_the_operator() {
    let authority = authority("example.org");
    let holder = Holder::Operator("alice".parse().unwrap());
    let der = issue(&authority, holder, &csr(&KeyPair::generate().unwrap()));
    let (_, certificate) = X509Certificate::from_der(der.as_bytes()).unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=pact-operator/alice@example.org");
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(format!("{names:?}"), r#"[URI("spiffe://example.org/operator/alice")]"#);
}

#[test]
fn rule_08_nothing_that_a_request_asks_for_is_copied() {
    let asked = "-addext basicConstraints=critical,CA:TRUE -addext subjectAltName=DNS:evil.example \
        -addext extendedKeyUsage=serverAuth,codeSigning -addext keyUsage=keyCertSign \
        -addext tlsfeature=status_request -addext nameConstraints=critical,permitted;DNS:evil.example";
    let authority = authority("example.org");
    for curve in ["P-256", "P-384"] {
        let genpkey = format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}");
        let greedy = issue(&authority, node(), &Csr::parse(&Openssl::csr(&genpkey, asked)).unwrap());
        let modest = issue(&authority, node(), &csr(&KeyPair::generate().unwrap()));
        let (_, greedy) = X509Certificate::from_der(greedy.as_bytes()).unwrap();
        let (_, modest) = X509Certificate::from_der(modest.as_bytes()).unwrap();
        assert_eq!(greedy.subject(), modest.subject());
        assert_eq!(extensions(&greedy), extensions(&modest));
        for (one, other) in greedy.extensions().iter().zip(modest.extensions()) {
            let follows_the_key = one.oid.to_id_string() == "2.5.29.14";
            assert!(follows_the_key || one.value == other.value, "{}", one.oid);
        }
    }
}

#[test]
fn rule_08_openssl_accepts_certificates_strictly() {
    let openssl = Openssl::new();
    // As long as names can be, with a key of each kind.
    let authority = authority(&"d".repeat(40));
    openssl.write("authority.pem", crate::domain_ca::certificates_pem([&authority.announced().der]));
    for genpkey in [
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-algorithm ED25519",
    ] {
        openssl.must(&format!("genpkey {genpkey} -out key.pem"));
        let csr = Csr::parse(&openssl.csr_of("key.pem", "")).unwrap();
        let der = issue(&authority, Holder::Node("node".parse().unwrap()), &csr);
        openssl.write("cert.pem", crate::domain_ca::certificates_pem([&der]));
        let attime = NOW.as_secs();
        let judged =
            format!("verify -x509_strict -purpose sslclient -attime {attime} -CAfile authority.pem cert.pem");
        assert!(openssl.must(&judged).contains("cert.pem: OK"), "{genpkey}");
        let public = openssl.must("x509 -in cert.pem -noout -pubkey");
        assert_eq!(public, openssl.must("pkey -in key.pem -pubout"), "{genpkey}");
    }
}

#[test]
fn rule_09_an_authority_signs_only_what_was_decided_for_it_and_for_this_key() {
    let authority = authority("example.org");
    let [own, other] = [0, 1].map(|_| csr(&KeyPair::generate().unwrap()));
    let decided = profile(&authority, node(), own.key());
    let stranger = AuthorityId::new(NOW, 8);
    let elsewhere = Profile { authority: stranger, ..decided.clone() };
    let verified = own.verify().unwrap();
    let unknown = IssueError::UnknownAuthority { authority: stranger };
    assert_eq!(authority.sign(&elsewhere, &verified), Err(unknown));
    let wrong = IssueError::WrongKey { decided: own.key(), requested: other.key() };
    assert_eq!(authority.sign(&decided, &other.verify().unwrap()), Err(wrong));
}

#[test]
fn rule_08_no_certificate_outlives_its_authority_or_is_valid_at_no_moment() {
    let authority = authority("example.org");
    let csr = csr(&KeyPair::generate().unwrap());
    let verified = csr.verify().unwrap();
    let decided = profile(&authority, node(), csr.key());
    let second = Duration::from_secs(1);
    let sign = |not_after| authority.sign(&Profile { not_after, ..decided.clone() }, &verified);
    assert!(sign(authority.not_after()).is_ok());
    for not_after in
        [authority.not_after().plus(second), decided.not_before, decided.not_before.minus(second)]
    {
        assert!(matches!(sign(not_after), Err(IssueError::Validity { .. })), "{not_after}");
    }
}
