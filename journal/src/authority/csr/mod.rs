//! Certificate requests (PKCS #10, RFC 2986), read once. Of a request only the public key and the proof of possession
//! count (R8): subject, extensions and other attributes are not even looked at, so they are neither copied nor a
//! reason for refusal.
//!
//! The gate and the edge call [`Csr::parse`]: no asymmetric cryptography. The pool's workers call [`Csr::verify`].
//!
//! Of x509-parser only the DER layer is used. Its reader of whole requests skips what is left over inside a sequence
//! and refuses odd attributes; here it must be the reverse.
//!
//! **Invariant:** the key's hash is that of the canonical SubjectPublicKeyInfo, which the certificate will carry too:
//! any other encoding of it is refused.

mod key;

use std::fmt;

use events::vocabulary::KeyHash;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::asn1_rs::{Any, FromDer};

pub use key::{KeyKind, RefusedKey};

/// A request is at most this large; anything bigger is refused unread. A usual one has 200 to 500 bytes, one with
/// every extension that tools write less than 2 KB.
pub const MAX_CSR_BYTES: usize = 8 * 1024;

/// A request whose form is right; its proof of possession is not checked yet.
#[derive(Clone)]
pub struct Csr {
    kind: KeyKind,
    key: KeyHash,
    public_key: Box<[u8]>,
    proof: &'static dyn VerificationAlgorithm,
    signed: Box<[u8]>,
    signature: Box<[u8]>,
}

/// A request whose sender has proved that it holds the private key.
pub struct VerifiedCsr<'a>(&'a Csr);

/// Why a request is refused (`CSR_INVALID`). Never says what stood in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not even read.
    #[error("the certificate request has {bytes} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Bytes given.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// No DER, or not the parts of a request.
    #[error("the certificate request is malformed: {part}")]
    Malformed {
        /// What could not be read.
        part: &'static str,
    },
    /// Something follows where nothing may follow.
    #[error("the certificate request has {bytes} bytes left over after its {part}")]
    TrailingBytes {
        /// After which part.
        part: &'static str,
        /// How many.
        bytes: usize,
    },
    /// Only version 1, written as 0, exists (RFC 2986, 4.1).
    #[error("the certificate request has an unknown version")]
    Version,
    /// A kind of key that pact does not certify.
    #[error("the key is {found}; use P-256, P-384 or Ed25519")]
    KeyKind {
        /// Which.
        found: RefusedKey,
    },
    /// The right kind of key in a wrong form.
    #[error("the {kind} key must be {expected}")]
    PublicKey {
        /// Which kind.
        kind: KeyKind,
        /// How it has to look.
        expected: &'static str,
    },
    /// Signed with an algorithm that does not fit the key, or an unknown one.
    #[error("the certificate request must be signed with {expected}")]
    SignatureAlgorithm {
        /// What fits the key.
        expected: &'static str,
    },
    /// The sender does not hold the private key, or the request was changed on its way.
    #[error("the proof of possession is wrong: the request is not signed by its own key")]
    ProofOfPossession,
}

impl Csr {
    /// Reads a DER request without any asymmetric cryptography.
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR_BYTES {
            return Err(CsrError::TooLarge { bytes: der.len(), limit: MAX_CSR_BYTES });
        }
        let mut whole = Parts::new("end", der);
        let mut request = Parts::new("signature", whole.take(SEQUENCE, "not one DER sequence")?.content);
        whole.end()?;
        let signed = request.take(SEQUENCE, "no request body")?;
        let algorithm = request.take(SEQUENCE, "no signature algorithm")?;
        let signature = request.take(BIT_STRING, "no signature")?;
        request.end()?;
        let spki = subject_public_key_info(signed.content)?;
        let (kind, public_key) = key::read(spki)?;
        let signature =
            signature.content.strip_prefix(&[0]).ok_or(CsrError::Malformed { part: "its signature" })?;
        Ok(Self {
            kind,
            key: KeyHash::of(spki),
            public_key: public_key.into(),
            proof: proof(kind, algorithm.raw)?,
            signed: signed.raw.into(),
            signature: signature.into(),
        })
    }

    /// The hash of its public key: SHA-256 of the DER SubjectPublicKeyInfo.
    pub fn key(&self) -> KeyHash {
        self.key
    }

    /// The kind of its key. The signature's hash says nothing about it: openssl signs with SHA-256 by a P-384 key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Checks the proof of possession: the request is signed by the key in it. Asymmetric cryptography, 40–200 µs.
    pub fn verify(&self) -> Result<VerifiedCsr<'_>, CsrError> {
        UnparsedPublicKey::new(self.proof, &self.public_key)
            .verify(&self.signed, &self.signature)
            .map_err(|_| CsrError::ProofOfPossession)?;
        Ok(VerifiedCsr(self))
    }
}

impl VerifiedCsr<'_> {
    /// The hash of the proven key.
    pub fn key(&self) -> KeyHash {
        self.0.key
    }

    /// The kind of the proven key.
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// The content of the key's bit string: an uncompressed point (SEC 1, 2.3.3), or 32 bytes (RFC 8410, 4).
    pub(super) fn public_key(&self) -> &[u8] {
        &self.0.public_key
    }
}

impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({} {})", self.kind, self.key)
    }
}

impl fmt::Debug for VerifiedCsr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedCsr({} {})", self.0.kind, self.0.key)
    }
}

/// CertificationRequestInfo: version, subject, key, attributes; nothing else (RFC 2986, 4.1).
fn subject_public_key_info(content: &[u8]) -> Result<&[u8], CsrError> {
    let mut body = Parts::new("attributes", content);
    if body.take(INTEGER, "no version")?.content != [0] {
        return Err(CsrError::Version);
    }
    body.take(SEQUENCE, "no subject")?;
    let spki = body.take(SEQUENCE, "no public key")?;
    body.take(ATTRIBUTES, "no attributes")?;
    body.end()?;
    Ok(spki.raw)
}

/// The AlgorithmIdentifiers that may sign, whole: parameters are absent (RFC 5758, 3.2; RFC 8410, 3).
const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ECDSA_WITH_SHA384: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
const ED25519_ALGORITHM: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];

/// How the proof is checked: the key's kind leads, the signature's algorithm must fit it. ring has no ECDSA with
/// SHA-512.
fn proof(kind: KeyKind, algorithm: &[u8]) -> Result<&'static dyn VerificationAlgorithm, CsrError> {
    let hash = match algorithm {
        ECDSA_WITH_SHA256 => Some(Hash::Sha256),
        ECDSA_WITH_SHA384 => Some(Hash::Sha384),
        _ => None,
    };
    match (kind, hash) {
        (KeyKind::P256, Some(Hash::Sha256)) => Ok(&ECDSA_P256_SHA256_ASN1),
        (KeyKind::P256, Some(Hash::Sha384)) => Ok(&ECDSA_P256_SHA384_ASN1),
        (KeyKind::P384, Some(Hash::Sha256)) => Ok(&ECDSA_P384_SHA256_ASN1),
        (KeyKind::P384, Some(Hash::Sha384)) => Ok(&ECDSA_P384_SHA384_ASN1),
        (KeyKind::Ed25519, _) if algorithm == ED25519_ALGORITHM => Ok(&ED25519),
        (KeyKind::P256 | KeyKind::P384, None) => {
            Err(CsrError::SignatureAlgorithm { expected: "ECDSA and SHA-256 or SHA-384" })
        }
        (KeyKind::Ed25519, _) => Err(CsrError::SignatureAlgorithm { expected: "Ed25519" }),
    }
}

enum Hash {
    Sha256,
    Sha384,
}

/// First bytes of DER elements: class, constructed bit and tag (X.690, 8.1.2).
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const ATTRIBUTES: u8 = 0xa0;

/// One DER element: all of it, and what is in it.
struct Element<'a> {
    raw: &'a [u8],
    content: &'a [u8],
}

/// The elements of a sequence, taken one after another, none forgotten.
struct Parts<'a> {
    rest: &'a [u8],
    /// The last part, for the error when something follows it.
    last: &'static str,
}

impl<'a> Parts<'a> {
    fn new(last: &'static str, content: &'a [u8]) -> Self {
        Self { rest: content, last }
    }

    fn take(&mut self, first_byte: u8, part: &'static str) -> Result<Element<'a>, CsrError> {
        let input = self.rest;
        if input.first() != Some(&first_byte) {
            return Err(CsrError::Malformed { part });
        }
        let (rest, any) = Any::from_der(input).map_err(|_| CsrError::Malformed { part })?;
        let raw = &input[..input.len() - rest.len()];
        // asn1-rs takes lengths that are written longer than need be (X.690, 10.1).
        if raw.len() != header_length(any.data.len()) + any.data.len() {
            return Err(CsrError::Malformed { part });
        }
        self.rest = rest;
        Ok(Element { raw, content: any.data })
    }

    fn end(self) -> Result<(), CsrError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(CsrError::TrailingBytes { part: self.last, bytes }),
        }
    }
}

/// Bytes of tag and length before a content of this length, at most [`MAX_CSR_BYTES`].
const fn header_length(content: usize) -> usize {
    match content {
        0..0x80 => 2,
        0x80..0x100 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests;
