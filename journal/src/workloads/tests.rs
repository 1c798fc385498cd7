//! Certificates that say that they are a workload's.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::*;

const OWN: &str = "spiffe://example.org/pact/n1";

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn date(days: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::now_utc() + time::Duration::days(days)
}

fn authority_of(uri: &str, from: i64, until: i64) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.distinguished_name.push(rcgen::DnType::CommonName, uri);
    (params.not_before, params.not_after) = (date(from), date(until));
    let certificate = params.self_signed(&key).unwrap();
    Authority { certificate, issuer: Issuer::new(params, key) }
}

fn authority() -> Authority {
    authority_of("spiffe://example.org", -1, 10)
}

fn params(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    (params.not_before, params.not_after) = (date(-1), date(1));
    params
}

fn issue(authority: &Authority, params: CertificateParams) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &authority.issuer).unwrap().der().clone(), key)
}

fn bundle(authorities: &[&Authority]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    write(&file, authorities);
    file
}

fn write(file: &tempfile::NamedTempFile, authorities: &[&Authority]) {
    let text: String = authorities.iter().map(|authority| authority.certificate.pem()).collect();
    std::fs::write(file.path(), text).unwrap();
}

fn trusting(authorities: &[&Authority]) -> Workloads {
    let file = bundle(authorities);
    Workloads::read("example.org".parse().unwrap(), file.path(), "hpc", clock::now()).unwrap()
}

fn refused(workloads: &Workloads, leaf: &CertificateDer<'_>) -> CertificateError {
    workloads.recognize(leaf, &[], UnixTime::now()).unwrap_err()
}

#[test]
fn rule_11_an_identity_under_the_bundle_is_recognized_by_its_one_name_until_its_end() {
    let authority = authority();
    let (leaf, _) = issue(&authority, params(&[OWN]));
    let workloads = trusting(&[&authority]);
    assert!(workloads.named_by(&leaf));
    let workload = workloads.recognize(&leaf, &[], UnixTime::now()).unwrap();
    assert_eq!(workload.spiffe_id.as_str(), OWN);
    assert_eq!(workload.id, workload.spiffe_id.hash());
    let expected = u64::try_from(date(1).unix_timestamp()).unwrap();
    assert!(workload.not_after.as_secs().abs_diff(expected) < 5);
}

#[test]
fn rule_11_certificates_of_pact_and_of_others_say_nothing_of_the_trust_domain() {
    let workloads = trusting(&[&authority()]);
    let other = authority_of("spiffe://hpc", -1, 10);
    for uris in [
        &["spiffe://hpc/agent/n1"][..],
        &["spiffe://hpc/operator/root"],
        &["spiffe://example.org.evil/a"],
        &["spiffe://example.org"],
        &["https://example.org/a"],
        &[],
    ] {
        assert!(!workloads.named_by(&issue(&other, params(uris)).0), "{uris:?}");
    }
    assert!(!workloads.named_by(&CertificateDer::from(vec![1, 2, 3])));
}

#[test]
fn rule_11_an_identity_of_another_trust_domain_opens_nothing_though_the_bundle_signed_it() {
    let authority = authority();
    let workloads = trusting(&[&authority]);
    for uri in [
        "spiffe://hpc/agent/n1",
        "spiffe://other.org/a",
        "spiffe://hpc/operator/root",
        "spiffe://hpc/journal/j1",
    ] {
        let (leaf, _) = issue(&authority, params(&[uri]));
        assert!(!workloads.named_by(&leaf));
        assert_eq!(refused(&workloads, &leaf), CertificateError::ApplicationVerificationFailure);
    }
}

#[test]
fn rule_11_an_identity_with_two_names_or_a_name_that_is_none_opens_nothing() {
    let authority = authority();
    let workloads = trusting(&[&authority]);
    for uris in [
        &[OWN, "spiffe://example.org/pact/n2"][..],
        &[OWN, OWN],
        &[OWN, "https://example.org"],
        &["spiffe://hpc/agent/n1", OWN],
        &["spiffe://example.org/a/../b"],
        &["spiffe://example.org/a?b"],
        &["spiffe://example.org//"],
    ] {
        let (leaf, _) = issue(&authority, params(uris));
        assert!(workloads.named_by(&leaf), "{uris:?}");
        assert_eq!(refused(&workloads, &leaf), CertificateError::ApplicationVerificationFailure, "{uris:?}");
    }
}

#[test]
fn rule_11_what_is_over_is_not_yet_is_of_another_authority_or_serves_no_clients_opens_nothing() {
    let (authority, other) = (authority(), authority());
    let workloads = trusting(&[&authority]);
    let changed = |change: fn(&mut CertificateParams)| {
        let mut params = params(&[OWN]);
        change(&mut params);
        issue(&authority, params).0
    };
    let over = changed(|params| params.not_after = date(0) - time::Duration::seconds(5));
    assert!(matches!(
        refused(&workloads, &over),
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
    ));
    let early = changed(|params| params.not_before = date(1) - time::Duration::hours(1));
    assert!(matches!(
        refused(&workloads, &early),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
    ));
    assert_eq!(refused(&workloads, &issue(&other, params(&[OWN])).0), CertificateError::UnknownIssuer);
    for leaf in [
        changed(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        changed(|params| params.key_usages = vec![]),
        changed(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
        changed(|params| params.key_usages.push(KeyUsagePurpose::KeyCertSign)),
        changed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
    ] {
        refused(&workloads, &leaf);
    }
}

#[test]
fn rule_11_the_authority_itself_is_no_workload() {
    for uri in ["spiffe://example.org", "spiffe://example.org/ca"] {
        let authority = authority_of(uri, -1, 10);
        let workloads = trusting(&[&authority]);
        assert_eq!(
            refused(&workloads, authority.certificate.der()),
            CertificateError::ApplicationVerificationFailure
        );
    }
}

#[test]
fn rule_11_a_bundle_is_followed_and_what_leaves_it_or_ends_opens_nothing_more() {
    let (one, two) = (authority(), authority());
    let file = bundle(&[&one]);
    let workloads =
        Workloads::read("example.org".parse().unwrap(), file.path(), "hpc", clock::now()).unwrap();
    let leaves = [issue(&one, params(&[OWN])).0, issue(&two, params(&[OWN])).0];
    let opens = |at: usize| workloads.recognize(&leaves[at], &[], UnixTime::now()).is_ok();
    let turn = |now| workloads.turn(read_bundle(file.path()).unwrap(), now);
    assert!(opens(0) && !opens(1));
    assert!(!turn(clock::now()), "nothing changed");
    write(&file, &[&one, &two]);
    assert!(!turn(clock::now()), "nobody must go for what comes");
    assert!(opens(0) && opens(1));
    assert_eq!(workloads.edition(), 1);
    write(&file, &[&two]);
    assert!(turn(clock::now()), "who came by it must go");
    assert!(!opens(0) && opens(1));
    let later = clock::now().plus(Duration::from_secs(11 * 24 * 3600));
    assert!(turn(later), "an authority whose time is over vouches for nobody");
    assert!(!opens(1));
}

#[test]
fn a_file_that_is_no_bundle_is_refused_and_so_is_the_domains_own_name() {
    let authority = authority();
    let (leaf, _) = issue(&authority, params(&[OWN]));
    let leaf = pem::encode(&pem::Pem::new("CERTIFICATE", leaf.to_vec()));
    let damaged = authority.certificate.pem().replace("-----END", "----END");
    for text in ["", "hello", &leaf, &damaged, &authority.certificate.pem().repeat(65)] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let read = Workloads::read("example.org".parse().unwrap(), file.path(), "hpc", clock::now());
        assert!(matches!(read.err(), Some(BundleError::Unfit { .. })), "{text}");
    }
    let file = bundle(&[&authority]);
    let own = Workloads::read("hpc".parse().unwrap(), file.path(), "hpc", clock::now()).err().unwrap();
    assert!(own.to_string().contains("this domain's own name"), "{own}");
    let absent = Path::new("/no/such/bundle.pem");
    let read = Workloads::read("example.org".parse().unwrap(), absent, "hpc", clock::now());
    assert!(matches!(read.err(), Some(BundleError::Read { .. })));
}

#[test]
fn rule_11_only_the_holder_of_an_identitys_key_binds_it_and_only_for_its_own_connection() {
    let authority = authority();
    let workloads = trusting(&[&authority]);
    let (leaf, key) = issue(&authority, params(&[OWN]));
    let over = CertificateHash::of(b"the certificate of this connection");
    let sign = |key: &KeyPair, over: &CertificateHash| {
        let random = ring::rand::SystemRandom::new();
        let kind = &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = ring::signature::EcdsaKeyPair::from_pkcs8(kind, &key.serialize_der(), &random).unwrap();
        pair.sign(&random, &proto::binding::signed_bytes(over)).unwrap().as_ref().to_vec()
    };
    let prove = |chain: &[Vec<u8>], proof: &[u8], scheme| {
        workloads.prove(chain, (proof, scheme), &over).map_err(|refusal| refusal.reason)
    };
    let chain = [leaf.to_vec()];
    let proof = sign(&key, &over);
    assert_eq!(prove(&chain, &proof, 0x0403).unwrap().spiffe_id.as_str(), OWN);
    let (_, other) = issue(&authority, params(&[OWN]));
    let elsewhere = CertificateHash::of(b"another one");
    for (proof, scheme) in [
        (sign(&other, &over), 0x0403),
        (sign(&key, &elsewhere), 0x0403),
        (proof.clone(), 0x0503),
        (proof.clone(), 0x0804),
        (proof.clone(), u32::MAX),
        (vec![], 0x0403),
    ] {
        assert_eq!(prove(&chain, &proof, scheme), Err(Reason::FieldInvalid));
    }
    assert_eq!(prove(&[], &proof, 0x0403), Err(Reason::FieldInvalid));
    assert_eq!(prove(&vec![leaf.to_vec(); 9], &proof, 0x0403), Err(Reason::FieldInvalid));
    let strange = [issue(&self::authority(), params(&[OWN])).0.to_vec()];
    assert_eq!(prove(&strange, &proof, 0x0403), Err(Reason::WorkloadNotTrusted));
}

#[test]
fn rule_11_operators_bind_only_what_the_journal_would_believe() {
    let workloads = trusting(&[&authority()]);
    let told = |workloads: Option<&Workloads>, id: &str| {
        check_trusted(workloads, &id.parse().unwrap()).map_err(|refusal| refusal.reason)
    };
    assert_eq!(told(Some(&workloads), OWN), Ok(()));
    assert_eq!(told(Some(&workloads), "spiffe://hpc/agent/n1"), Err(Reason::WorkloadNotTrusted));
    assert_eq!(told(None, OWN), Err(Reason::WorkloadNotTrusted));
}
