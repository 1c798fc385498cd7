//! Fixed-size byte strings: SHA-256 values and random ids, written as lower-case hex.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reading;

/// A text that is not the expected number of lower- or upper-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hex digits")]
pub struct InvalidHex {
    /// How many digits were expected.
    pub digits: usize,
}

macro_rules! bytes {
    ($(#[$doc:meta])* $type:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type([u8; $length]);

        impl $type {
            /// Takes bytes as they are.
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 2 * $length];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl FromStr for $type {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let mut bytes = [0; $length];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidHex { digits: 2 * $length })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    reading::parsed(from)
                } else {
                    reading::bytes(from).map(Self)
                }
            }
        }
    };
}

macro_rules! digest {
    ($(#[$doc:meta])* $type:ident) => {
        bytes!($(#[$doc])* $type, 32);

        impl $type {
            /// SHA-256 (FIPS 180-4) of the bytes.
            pub fn of(bytes: &[u8]) -> Self {
                Self(sha256(&[bytes]))
            }
        }
    };
}

/// SHA-256 over the parts, one after another.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let digest = match parts {
        [whole] => ring::digest::digest(&ring::digest::SHA256, whole),
        parts => {
            let mut context = ring::digest::Context::new(&ring::digest::SHA256);
            parts.iter().for_each(|part| context.update(part));
            context.finish()
        }
    };
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

digest!(
    /// A SHA-256 value of anything: a link of the chain, a leaf, a file.
    Digest
);
digest!(
    /// SHA-256 of a DER SubjectPublicKeyInfo: whose key it is, whatever certificate carries it.
    KeyHash
);
digest!(
    /// SHA-256 of a whole DER certificate: how the acceptor finds the issuance fact (R10).
    CertificateHash
);
digest!(
    /// SHA-256(salt ‖ text) of a personal remark (R4).
    RemarkHash
);
digest!(
    /// SHA-256 of a whole overlay: where it lies in the log's store, and what a node checks (design §8).
    OverlayHash
);
digest!(
    /// SHA-256 of a token's or join token's secret (R23): the secret itself is never stored.
    SecretHash
);
digest!(
    /// SHA-256 of a workload's SPIFFE ID: the name of its claim stream, which is as short as any (R2).
    SpiffeHash
);
bytes!(
    /// Random identity of one append; stored in its facts, so that a repetition is recognised (R7).
    AppendId,
    16
);
bytes!(
    /// Random identity of one log; in DomainCreated, exports and every cluster hello (R6).
    LogId,
    16
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_in_lower_case_hex() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(abc.parse(), Ok(Digest::of(b"abc")));
        assert_eq!("ba78".parse::<Digest>(), Err(InvalidHex { digits: 64 }));
    }
}
