//! Certificate requests, as anybody may send them: `journal::authority::Csr`.
//!
//! What is accepted has one encoding: a byte more or less is refused, the hash of its key is that of the canonical
//! SubjectPublicKeyInfo, which stands in the request as it is. A proof of possession holds for these bytes only.

#![no_main]

use events::vocabulary::KeyHash;
use libfuzzer_sys::fuzz_target;

#[path = "../../journal/src/authority/csr/mod.rs"]
mod csr;

use csr::{Csr, CsrError, KeyKind, MAX_CSR_BYTES};

/// A SubjectPublicKeyInfo before its key (RFC 5480, RFC 8410).
fn spki(kind: KeyKind, key: &[u8]) -> Vec<u8> {
    let before: &[u8] = match kind {
        KeyKind::P256 => b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
        KeyKind::P384 => b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00",
        KeyKind::Ed25519 => b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
    };
    [before, key].concat()
}

fuzz_target!(|der: &[u8]| {
    let csr = match Csr::parse(der) {
        Ok(csr) => csr,
        Err(error) => {
            assert_eq!(matches!(error, CsrError::TooLarge { .. }), der.len() > MAX_CSR_BYTES);
            assert!(error.to_string().len() < 200, "a refusal is a sentence");
            return;
        }
    };
    assert!(der.len() <= MAX_CSR_BYTES);
    assert!(Csr::parse(&der[..der.len() - 1]).is_err(), "a byte less");
    assert!(Csr::parse(&[der, &[0]].concat()).is_err(), "a byte more");

    let Ok(verified) = csr.verify() else { return };
    assert_eq!((verified.key(), verified.kind()), (csr.key(), csr.kind()));
    let spki = spki(verified.kind(), verified.public_key());
    assert_eq!(KeyHash::of(&spki), csr.key());
    let at =
        der.windows(spki.len()).position(|window| window == spki).expect("the key stands in the request");
    // Another key than the one that signed proves nothing.
    let mut other = der.to_vec();
    other[at + spki.len() - 1] ^= 1;
    assert!(Csr::parse(&other).map_or(true, |other| other.verify().is_err()), "signed by another key");
});
