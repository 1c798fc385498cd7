//! Which public keys pact certifies: our own list, by the whole SubjectPublicKeyInfo and not by what a signature
//! claims (R8).
//!
//! A key of the list has exactly one encoding: fixed bytes, then the key. All else is refused, by its name where it
//! has one.

use std::fmt;

use x509_parser::asn1_rs::{Any, FromDer};

use super::CsrError;

/// The kinds of keys that pact certifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// NIST P-256 (secp256r1), named by its OID.
    P256,
    /// NIST P-384 (secp384r1), named by its OID.
    P384,
    /// Ed25519 (RFC 8410).
    Ed25519,
}

/// The kinds of keys that are refused by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKey {
    /// RSA, of any size.
    Rsa,
    /// The curve secp256k1.
    Secp256k1,
    /// NIST P-521.
    P521,
    /// A curve described by its parameters, even those of a good one (CVE-2020-0601).
    ExplicitCurve,
    /// Another named curve.
    OtherCurve,
    /// Ed448.
    Ed448,
    /// Any other algorithm.
    Other,
}

/// SubjectPublicKeyInfo before the point: ecPublicKey, prime256v1, bit string (RFC 5480).
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same with secp384r1.
const P384: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
/// id-Ed25519, no parameters, bit string (RFC 8410).
const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The content of the OIDs that get a name of their own in refusals.
const OID_EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const OID_SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const OID_ED448: &[u8] = &[0x2b, 0x65, 0x71];
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];

/// First bytes of DER elements that name a curve or describe it.
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// The y coordinates, little-endian and without the sign bit, of Ed25519 points of small order, and of their
/// non-canonical forms. Anybody can sign for such a key, so it would prove nothing.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    edge(1, 0, 0),
    edge(0xec, 0xff, 0x7f),
    edge(0xed, 0xff, 0x7f),
    edge(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn edge(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Reads a whole DER SubjectPublicKeyInfo: the kind of key, and the content of its bit string.
pub(super) fn read(spki: &[u8]) -> Result<(KeyKind, &[u8]), CsrError> {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        if let Some(key) = spki.strip_prefix(kind.prefix()) {
            return if kind.fits(key) { Ok((kind, key)) } else { Err(kind.malformed()) };
        }
    }
    Err(refusal(spki).unwrap_or(CsrError::Malformed { part: "its public key" }))
}

impl KeyKind {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::P256 => P256,
            Self::P384 => P384,
            Self::Ed25519 => ED25519,
        }
    }

    fn fits(self, key: &[u8]) -> bool {
        match self {
            Self::P256 => key.len() == 65 && key[0] == 4,
            Self::P384 => key.len() == 97 && key[0] == 4,
            Self::Ed25519 => key.len() == 32 && !is_of_small_order(key),
        }
    }

    /// The refusal of a key of this kind in any form but the one on the list.
    pub(super) const fn malformed(self) -> CsrError {
        let expected = match self {
            Self::P256 => "an uncompressed point of 65 bytes",
            Self::P384 => "an uncompressed point of 97 bytes",
            Self::Ed25519 => "32 bytes, and no point of small order",
        };
        CsrError::PublicKey { kind: self, expected }
    }
}

fn is_of_small_order(key: &[u8]) -> bool {
    let (last, rest) = (key[31] & 0x7f, &key[..31]);
    SMALL_ORDER.iter().any(|weak| weak[..31] == *rest && weak[31] == last)
}

/// Says what was found instead of a key of the list. None: it is no SubjectPublicKeyInfo at all.
fn refusal(spki: &[u8]) -> Option<CsrError> {
    let (_, spki) = Any::from_der(spki).ok()?;
    let (_, algorithm) = Any::from_der(spki.data).ok()?;
    let (parameters, oid) = Any::from_der(algorithm.data).ok()?;
    let found = match oid.data {
        OID_EC_PUBLIC_KEY => return Some(curve_refusal(parameters)),
        OID_ED25519 => return Some(KeyKind::Ed25519.malformed()),
        OID_RSA | OID_RSA_PSS => RefusedKey::Rsa,
        OID_ED448 => RefusedKey::Ed448,
        _ => RefusedKey::Other,
    };
    Some(CsrError::KeyKind { found })
}

fn curve_refusal(parameters: &[u8]) -> CsrError {
    let curve = Any::from_der(parameters).map(|(_, curve)| curve.data).unwrap_or_default();
    let found = match (parameters.first().copied(), curve) {
        (Some(OBJECT_IDENTIFIER), OID_P256) => return KeyKind::P256.malformed(),
        (Some(OBJECT_IDENTIFIER), OID_P384) => return KeyKind::P384.malformed(),
        (Some(OBJECT_IDENTIFIER), OID_P521) => RefusedKey::P521,
        (Some(OBJECT_IDENTIFIER), OID_SECP256K1) => RefusedKey::Secp256k1,
        (Some(SEQUENCE), _) => RefusedKey::ExplicitCurve,
        (_, _) => RefusedKey::OtherCurve,
    };
    CsrError::KeyKind { found }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Ed25519 => "Ed25519",
        })
    }
}

impl fmt::Display for RefusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rsa => "RSA",
            Self::Secp256k1 => "on the curve secp256k1",
            Self::P521 => "on the curve P-521",
            Self::ExplicitCurve => "on a curve with explicit parameters",
            Self::OtherCurve => "on an unknown curve",
            Self::Ed448 => "Ed448",
            Self::Other => "of an unknown algorithm",
        })
    }
}
