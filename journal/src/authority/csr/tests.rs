//! Requests of rcgen and openssl, good and bad, and random bytes.

use proptest::prelude::*;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PublicKeyData,
};

use super::*;
use crate::authority::openssl::Openssl;

fn request(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

fn p256() -> Vec<u8> {
    request(&KeyPair::generate().unwrap())
}

fn check(der: &[u8]) -> Result<KeyKind, CsrError> {
    Csr::parse(der).and_then(|csr| csr.verify().map(|verified| verified.kind()))
}

fn refused(found: RefusedKey) -> Result<KeyKind, CsrError> {
    Err(CsrError::KeyKind { found })
}

/// DER by hand: a tag and a content.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    match (high, low) {
        (0, 0..0x80) => [&[tag, low], &content[..]].concat(),
        (0, _) => [&[tag, 0x81, low], &content[..]].concat(),
        (_, _) => [&[tag, 0x82, high, low], &content[..]].concat(),
    }
}

/// The three elements of a request, and the four of its body.
fn taken_apart(request: &[u8]) -> ([Vec<u8>; 3], [Vec<u8>; 4]) {
    fn elements<const N: usize>(content: &[u8]) -> [Vec<u8>; N] {
        let mut parts = Parts::new("", content);
        std::array::from_fn(|_| parts.take(parts.rest[0], "").unwrap().raw.to_vec())
    }
    fn content(element: &[u8]) -> &[u8] {
        Any::from_der(element).unwrap().1.data
    }
    let whole: [Vec<u8>; 3] = elements(content(request));
    let body = elements(content(&whole[0]));
    (whole, body)
}

#[test]
fn rule_08_the_three_kinds_of_keys_are_accepted() {
    for (algorithm, kind) in [
        (&PKCS_ECDSA_P256_SHA256, KeyKind::P256),
        (&PKCS_ECDSA_P384_SHA384, KeyKind::P384),
        (&PKCS_ED25519, KeyKind::Ed25519),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let csr = Csr::parse(&request(&key)).unwrap();
        assert_eq!(csr.key(), KeyHash::of(&key.subject_public_key_info()));
        assert_eq!(csr.kind(), kind);
        let verified = csr.verify().unwrap();
        assert_eq!((verified.kind(), verified.key()), (kind, csr.key()));
    }
}

#[test]
fn rule_08_requests_of_openssl_are_accepted_whatever_hash_fits() {
    let [p256, p384] =
        ["P-256", "P-384"].map(|curve| format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"));
    for (genpkey, req, kind) in [
        (p256.as_str(), "", KeyKind::P256),
        (&p256, "-sha384", KeyKind::P256),
        (&p384, "-sha256", KeyKind::P384),
        (&p384, "-sha384", KeyKind::P384),
        ("-algorithm ED25519", "", KeyKind::Ed25519),
    ] {
        assert_eq!(check(&Openssl::csr(genpkey, req)), Ok(kind), "{genpkey} {req}");
    }
}

#[test]
fn rule_08_a_p384_request_with_sha256_is_accepted_and_labelled_p384() {
    let der = Openssl::csr("-algorithm EC -pkeyopt ec_paramgen_curve:secp384r1", "-sha256");
    let csr = Csr::parse(&der).unwrap();
    assert!(der.windows(ECDSA_WITH_SHA256.len()).any(|window| window == ECDSA_WITH_SHA256));
    assert_eq!(csr.kind(), KeyKind::P384);
    assert_eq!(csr.verify().unwrap().kind(), KeyKind::P384);
}

#[test]
fn rule_08_other_keys_are_refused_by_name() {
    for (genpkey, found) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", RefusedKey::Rsa),
        ("-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", RefusedKey::Rsa),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", RefusedKey::Secp256k1),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-521", RefusedKey::P521),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", RefusedKey::OtherCurve),
        ("-algorithm ED448", RefusedKey::Ed448),
    ] {
        assert_eq!(check(&Openssl::csr(genpkey, "")), refused(found), "{genpkey}");
    }
}

#[test]
fn rule_08_curves_with_explicit_parameters_are_refused() {
    for curve in ["P-256", "P-384", "P-521", "secp256k1"] {
        let genpkey =
            format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve} -pkeyopt ec_param_enc:explicit");
        assert_eq!(check(&Openssl::csr(&genpkey, "")), refused(RefusedKey::ExplicitCurve), "{curve}");
    }
}

#[test]
fn rule_08_a_compressed_point_is_refused() {
    for (curve, kind) in [("P-256", KeyKind::P256), ("P-384", KeyKind::P384)] {
        let openssl = Openssl::new();
        openssl.must(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out key.pem"));
        openssl.must("ec -in key.pem -conv_form compressed -out short.pem");
        assert_eq!(check(&openssl.csr_of("short.pem", "")), Err(kind.malformed()), "{curve}");
    }
}

#[test]
fn rule_08_an_ed25519_key_for_which_anybody_can_sign_is_refused() {
    for (index, weak) in SMALL_ORDER_KEYS.iter().enumerate() {
        let spki =
            [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], &weak[..]].concat();
        assert_eq!(key::read(&spki).map(|_| ()), Err(KeyKind::Ed25519.malformed()), "{index}");
    }
}

/// The neutral element in its canonical form, in its negative form, and the points of order 2 and 4.
const SMALL_ORDER_KEYS: [[u8; 32]; 4] = {
    let mut keys = [[0; 32]; 4];
    keys[0][0] = 1;
    keys[1][0] = 1;
    keys[1][31] = 0x80;
    keys[2] = [0xff; 32];
    keys[2][0] = 0xec;
    keys[2][31] = 0x7f;
    keys
};

#[test]
fn rule_08_what_a_request_asks_for_is_no_reason_for_refusal() {
    for asked in [
        "basicConstraints=critical,CA:TRUE,pathlen:3",
        "subjectAltName=DNS:evil.example,URI:spiffe://example.org/operator/root,IP:10.0.0.1",
        "extendedKeyUsage=serverAuth,codeSigning,anyExtendedKeyUsage",
        "keyUsage=critical,keyCertSign,cRLSign",
        "tlsfeature=status_request",
        "nameConstraints=critical,permitted;DNS:evil.example",
        "1.3.6.1.4.1.99999.1=critical,DER:0500",
    ] {
        let der = Openssl::csr("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", &format!("-addext {asked}"));
        assert_eq!(check(&der), Ok(KeyKind::P256), "{asked}");
    }
}

#[test]
fn rule_08_attributes_are_not_even_looked_at() {
    let key = KeyPair::generate().unwrap();
    let strange = der(0xa0, &[&[0x0c, 0x02, 0xff, 0xff]]);
    assert_eq!(check(&with_body(&key, |body| body[3] = strange)), Ok(KeyKind::P256));
}

/// A request of this key, its body changed before it is signed.
fn with_body(key: &KeyPair, change: impl FnOnce(&mut [Vec<u8>; 4])) -> Vec<u8> {
    let ([_, algorithm, _], mut body) = taken_apart(&request(key));
    change(&mut body);
    let body = der(0x30, &[&body[0], &body[1], &body[2], &body[3]]);
    let signature = rcgen::SigningKey::sign(key, &body).unwrap();
    der(0x30, &[&body, &algorithm, &der(0x03, &[&[0], &signature])])
}

#[test]
fn only_version_1_is_read() {
    let key = KeyPair::generate().unwrap();
    assert_eq!(check(&with_body(&key, |_| ())), Ok(KeyKind::P256));
    for version in [&[2, 1, 1][..], &[2, 1, 0xff], &[2, 2, 0, 0], &[2, 0]] {
        assert_eq!(check(&with_body(&key, |body| body[0] = version.to_vec())), Err(CsrError::Version));
    }
}

#[test]
fn a_flipped_signature_bit_is_refused() {
    let good = p256();
    for index in good.len() - 32..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        assert_eq!(check(&bad), Err(CsrError::ProofOfPossession), "{index}");
    }
}

#[test]
fn a_request_signed_by_another_key_is_refused() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let [own, other] = [0, 1].map(|_| KeyPair::generate_for(algorithm).unwrap());
        let stolen = own.subject_public_key_info();
        assert_eq!(check(&with_body(&other, |body| body[2] = stolen)), Err(CsrError::ProofOfPossession));
    }
}

#[test]
fn a_signature_algorithm_that_does_not_fit_the_key_is_refused() {
    let openssl_p256 = Openssl::csr("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha512");
    let expected = CsrError::SignatureAlgorithm { expected: "ECDSA and SHA-256 or SHA-384" };
    assert_eq!(check(&openssl_p256), Err(expected.clone()));
    let [curve, edwards] =
        [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519].map(|algorithm| KeyPair::generate_for(algorithm).unwrap());
    let (curve_key, edwards_key) = (curve.subject_public_key_info(), edwards.subject_public_key_info());
    assert_eq!(check(&with_body(&edwards, |body| body[2] = curve_key)), Err(expected));
    let expected = CsrError::SignatureAlgorithm { expected: "Ed25519" };
    assert_eq!(check(&with_body(&curve, |body| body[2] = edwards_key)), Err(expected));
}

#[test]
fn a_request_cut_at_any_length_is_refused() {
    let good = p256();
    for length in 0..good.len() {
        assert!(matches!(Csr::parse(&good[..length]), Err(CsrError::Malformed { .. })), "{length}");
    }
}

#[test]
fn bytes_left_over_are_refused_wherever_they_are() {
    let key = KeyPair::generate().unwrap();
    let good = request(&key);
    let left_over = |part, bytes| Err(CsrError::TrailingBytes { part, bytes });
    assert_eq!(check(&[&good[..], &[0]].concat()), left_over("end", 1));
    assert_eq!(check(&[&good[..], &good].concat()), left_over("end", good.len()));
    let ([body, algorithm, signature], _) = taken_apart(&good);
    let inside = der(0x30, &[&body, &algorithm, &signature, &[5, 0]]);
    assert_eq!(check(&inside), left_over("signature", 2));
    let in_body = with_body(&key, |body| body[3].extend([5, 0]));
    assert_eq!(check(&in_body), left_over("attributes", 2));
}

#[test]
fn another_encoding_of_a_good_key_is_refused() {
    let key = KeyPair::generate().unwrap();
    let spki = key.subject_public_key_info();
    let padded = der(0x30, &[&spki[2..], &[5, 0]]);
    assert_eq!(check(&with_body(&key, |body| body[2] = padded)), Err(KeyKind::P256.malformed()));
    let mut hybrid = spki;
    hybrid[26] = 6;
    assert_eq!(check(&with_body(&key, |body| body[2] = hybrid)), Err(KeyKind::P256.malformed()));
}

#[test]
fn a_length_that_is_longer_than_need_be_is_refused() {
    let key = KeyPair::generate().unwrap();
    let good = request(&key);
    assert_eq!(good[1], 0x81, "a request has 128 to 255 bytes");
    let long = [&[0x30, 0x82, 0], &good[2..]].concat();
    assert_eq!(check(&long), Err(CsrError::Malformed { part: "not one DER sequence" }));
    let spki = key.subject_public_key_info();
    let long = [&[0x30, 0x81], &spki[1..]].concat();
    let bad = with_body(&key, |body| body[2] = long);
    assert_eq!(check(&bad), Err(CsrError::Malformed { part: "no public key" }));
}

#[test]
fn a_point_that_is_not_on_the_curve_is_refused() {
    let key = KeyPair::generate().unwrap();
    let mut spki = key.subject_public_key_info();
    spki[90] ^= 1;
    assert_eq!(check(&with_body(&key, |body| body[2] = spki)), Err(CsrError::ProofOfPossession));
}

#[test]
fn nothing_and_garbage_are_refused() {
    for garbage in [&b""[..], b"\0", b"0", b"hello", &[0x30, 0x80], &[0x30, 0], &[0xff; 300], &[0x30; 40]] {
        assert!(matches!(Csr::parse(garbage), Err(CsrError::Malformed { .. })), "{garbage:?}");
    }
    let pem = b"-----BEGIN CERTIFICATE REQUEST-----\n";
    assert!(matches!(Csr::parse(pem), Err(CsrError::Malformed { .. })));
}

#[test]
fn a_request_over_8_kb_is_refused_unread() {
    let too_large = |bytes| Err(CsrError::TooLarge { bytes, limit: 8192 });
    assert_eq!(check(&vec![0x30; 64 * 1024]), too_large(64 * 1024));
    let key = KeyPair::generate().unwrap();
    let with_attribute = |bytes: usize| with_body(&key, |body| body[3] = der(0xa0, &[&vec![0; bytes]]));
    let frame = with_attribute(8000).len() - 8000;
    // The signature's length varies by some bytes.
    assert_eq!(check(&with_attribute(8192 - frame - 8)), Ok(KeyKind::P256));
    assert!(matches!(check(&with_attribute(8192 - frame + 8)), Err(CsrError::TooLarge { .. })));
}

#[test]
fn rule_23_no_error_shows_bytes_of_the_request() {
    let key = KeyPair::generate().unwrap();
    let text = format!("{:?} {:?}", Csr::parse(&request(&key)).unwrap(), Csr::parse(b"secret"));
    assert!(!text.contains("secret"), "{text}");
    let point = hex::encode(key.public_key_raw());
    assert!(!text.contains(&point[2..10]), "{text}");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(check(&bytes).is_err());
    }

    #[test]
    fn a_changed_request_never_verifies_with_another_key(index in 0..1_000_usize, change in 1..=255_u8) {
        let good = p256();
        let key = Csr::parse(&good).unwrap().key();
        let mut changed = good;
        let index = index % changed.len();
        changed[index] ^= change;
        if let Ok(csr) = Csr::parse(&changed) {
            prop_assert!(csr.verify().is_err() || csr.key() == key, "byte {}", index);
        }
    }
}
