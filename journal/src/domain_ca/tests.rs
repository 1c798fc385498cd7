//! The domain CA and what it signs, read back by x509-parser and judged by openssl.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::authority::openssl::Openssl;
use crate::authority::{Csr, KeyKind};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_500);

fn create(domain: &str) -> DomainCa {
    DomainCa::create(&domain.parse().unwrap(), NOW, crate::random::serial().unwrap()).unwrap()
}

fn serve(
    ca: &DomainCa,
    journal: &str,
    advertise: &[&str],
) -> Result<ServerCredential, ServerCertificateError> {
    let advertise: Vec<String> = advertise.iter().map(|&name| name.to_owned()).collect();
    ca.server_certificate(&journal.parse().unwrap(), &advertise, NOW, Serial::from_random([3; 16]))
}

#[test]
fn the_domain_ca_lives_ten_years_and_signs_ends_only() {
    let ca = create("example.org");
    let (_, certificate) = X509Certificate::from_der(ca.certificate().as_bytes()).unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=pact-domain-ca/example.org");
    assert_eq!(certificate.validity().not_before.timestamp(), 1_799_999_400);
    assert_eq!(certificate.validity().not_after.timestamp(), 1_800_000_000 + 87_660 * 3600);
    assert_eq!(certificate.basic_constraints().unwrap().unwrap().value.path_len_constraint, Some(0));
    assert!(certificate.is_ca());
    assert_eq!(certificate.extensions().len(), 3);
}

#[test]
fn the_domain_ca_is_read_back_and_signs_the_same() {
    let made = create("example.org");
    let read = DomainCa::from_pem(&made.certificate_pem(), &made.key_pem()).unwrap();
    assert_eq!((read.domain(), read.not_after()), (made.domain(), made.not_after()));
    assert_eq!(read.certificate(), made.certificate());
    let [one, other] = [&made, &read].map(|ca| serve(ca, "j1", &["localhost"]).unwrap().certificate);
    let identifiers = |der: &Der| {
        let (_, certificate) = X509Certificate::from_der(der.as_bytes()).unwrap();
        (certificate.issuer().as_raw().to_vec(), certificate.extensions()[0].value.to_vec())
    };
    assert_eq!(identifiers(&one), identifiers(&other));
}

#[test]
fn what_is_no_pair_of_a_domain_ca_is_not_read() {
    let [ca, other] = ["example.org", "example.org"].map(create);
    let (certificate, key) = (ca.certificate_pem(), ca.key_pem());
    let read = |certificate: &str, key: &str| DomainCa::from_pem(certificate, key).map(|_| ());
    assert_eq!(read(&certificate, &key), Ok(()));
    assert_eq!(read(&certificate, &other.key_pem()), Err(ReadError::WrongKey));
    assert_eq!(read(&other.certificate_pem(), &key), Err(ReadError::WrongKey));
    for (text, error) in [("", ReadError::Key), ("nonsense", ReadError::Key), (&certificate, ReadError::Key)]
    {
        assert_eq!(read(&certificate, text), Err(error), "{text}");
    }
    for text in ["", "nonsense", &key, &[&*certificate, &certificate].concat(), &certificate[..200]] {
        assert_eq!(read(text, &key), Err(ReadError::Certificate), "{text}");
    }
    let server = serve(&ca, "j1", &["localhost"]).unwrap();
    let end = certificates_pem([&server.certificate]);
    assert!(matches!(read(&end, &server.key_pem), Err(ReadError::NotADomainCa { .. })));
}

#[test]
fn a_changed_certificate_of_a_domain_ca_is_not_read() {
    let ca = create("example.org");
    let mut bytes = ca.certificate().as_bytes().to_vec();
    let name = bytes.windows(11).position(|window| window == b"example.org").unwrap();
    bytes[name] = b'E';
    let changed = certificates_pem([&Der::new(bytes)]);
    assert!(matches!(DomainCa::from_pem(&changed, &ca.key_pem()), Err(ReadError::NotADomainCa { .. })));
}

#[test]
fn a_server_certificate_names_the_journal_and_its_addresses() {
    let ca = create("example.org");
    let served = serve(&ca, "j1", &["localhost", "127.0.0.1", "::1", "localhost", "host_1.lan"]).unwrap();
    let (_, certificate) = X509Certificate::from_der(served.certificate.as_bytes()).unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=pact-journal/j1@example.org");
    let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let expected = [
        "IPAddress(7f:00:00:01)",
        "IPAddress(00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01)",
        "DNSName(host_1.lan)",
        "DNSName(localhost)",
        "URI(spiffe://example.org/journal/j1)",
    ];
    assert_eq!(names, expected);
    let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
    assert!(!certificate.is_ca());
    assert_eq!(certificate.validity().not_before.timestamp(), 1_799_999_700);
    assert_eq!(certificate.validity().not_after.timestamp(), 1_802_592_000);
    assert_eq!(certificate.extensions().len(), 6);
}

#[test]
fn openssl_accepts_the_chain_strictly_for_both_purposes() {
    let openssl = Openssl::new();
    let ca = create(&"d".repeat(40));
    let served = serve(&ca, "j123", &["localhost", "127.0.0.1"]).unwrap();
    openssl.write("ca.pem", ca.certificate_pem());
    openssl.write("chain.pem", &served.chain_pem);
    openssl.write("key.pem", served.key_pem.as_bytes());
    let attime = NOW.as_secs();
    for purpose in ["sslserver -verify_hostname localhost", "sslserver -verify_ip 127.0.0.1", "sslclient"] {
        let judged =
            format!("verify -x509_strict -attime {attime} -purpose {purpose} -CAfile ca.pem chain.pem");
        assert!(openssl.must(&judged).contains("chain.pem: OK"), "{purpose}");
    }
    assert_eq!(openssl.must("x509 -in chain.pem -noout -pubkey"), openssl.must("pkey -in key.pem -pubout"));
    assert_eq!(served.chain_pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!served.chain_pem.contains('\r'));
}

#[test]
fn a_server_certificate_never_outlives_the_domain_ca() {
    let ca = create("example.org");
    let journal = "j1".parse().unwrap();
    let at =
        |now| ca.server_certificate(&journal, &["localhost".to_owned()], now, Serial::from_random([3; 16]));
    let last_day = ca.not_after().minus(Duration::from_secs(24 * 3600));
    assert_eq!(at(last_day).unwrap().not_after, ca.not_after());
    let late = at(ca.not_after()).map(|_| ());
    assert_eq!(late, Err(ServerCertificateError::Expired { not_after: ca.not_after() }));
}

#[test]
fn names_under_which_nobody_can_reach_a_journal_are_refused() {
    let ca = create("example.org");
    for name in
        ["", "*.lan", "host.", ".host", "a b", "-a", "a-", "1.2.3", "10.0.0.256", "ä", "a/b", "a\n", "h:1"]
    {
        let refused = ServerCertificateError::Host { name: name.to_owned() };
        assert_eq!(serve(&ca, "j1", &["localhost", name]).map(|_| ()), Err(refused));
    }
    assert_eq!(serve(&ca, "j1", &[]).map(|_| ()), Err(ServerCertificateError::NoHost));
    let long = "j".repeat(34);
    assert_eq!(serve(&ca, &long, &["a"]).map(|_| ()), Err(ServerCertificateError::NamesTooLong));
    assert!(serve(&ca, &long[1..], &["a"]).is_ok());
}

#[test]
fn the_operators_request_is_read_like_every_other_and_fits_its_key() {
    let request = OwnRequest::generate().unwrap();
    let csr = Csr::parse(&request.csr).unwrap();
    assert_eq!(csr.verify().unwrap().kind(), KeyKind::P256);
    let openssl = Openssl::new();
    openssl.write("key.pem", request.key_pem.as_bytes());
    openssl.write("csr.der", &request.csr);
    openssl.must("req -inform DER -in csr.der -verify -noout");
    let public = openssl.must("req -inform DER -in csr.der -noout -pubkey");
    assert_eq!(public, openssl.must("pkey -in key.pem -pubout"));
}

#[test]
fn rule_23_debug_shows_no_key() {
    assert_eq!(format!("{:?}", create("example.org")), "DomainCa(example.org, key ..)");
}
