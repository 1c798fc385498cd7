//! Personal remarks: the one thing that can be erased (R4).
//!
//! A fact holds only [`RemarkHash`]; salt and text lie in the stored value's unchained tail ([`crate::codec`]). The
//! salt keeps a short text (a name, an address) from being guessed from its hash after it was erased.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::digest::sha256;
use super::{RemarkHash, reading};

/// A text about a person, with the salt of its hash.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Remark {
    salt: [u8; 16],
    text: String,
}

/// A text that is no remark: longer than 1,024 bytes, or with control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a remark has at most {} bytes and no control characters", Remark::MAX_BYTES)]
pub struct InvalidRemark;

impl Remark {
    /// The longest text.
    pub const MAX_BYTES: usize = 1024;

    /// A remark with 16 random bytes of salt.
    pub fn new(salt: [u8; 16], text: &str) -> Result<Self, InvalidRemark> {
        check(text)?;
        Ok(Self { salt, text: text.to_owned() })
    }

    /// What was said.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256(salt ‖ text): what the fact holds.
    pub fn hash(&self) -> RemarkHash {
        hash(&self.salt, &self.text)
    }
}

fn check(text: &str) -> Result<(), InvalidRemark> {
    // Most texts are addresses: printable ASCII.
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if text.len() <= Remark::MAX_BYTES && (plain || !text.chars().any(char::is_control)) {
        Ok(())
    } else {
        Err(InvalidRemark)
    }
}

fn hash(salt: &[u8; 16], text: &str) -> RemarkHash {
    // Most texts are addresses. In one piece: the hash takes it at once, without a buffer of its own.
    let mut whole = [0; 64];
    let digest = match whole.get_mut(..salt.len() + text.len()) {
        Some(whole) => {
            let (first, rest) = whole.split_at_mut(salt.len());
            first.copy_from_slice(salt);
            rest.copy_from_slice(text.as_bytes());
            sha256(&[whole])
        }
        None => sha256(&[salt, text.as_bytes()]),
    };
    RemarkHash::new(digest)
}

/// A [`Remark`] where it lies in the stored bytes: for whoever asks only whether it belongs there.
pub(crate) struct StoredRemark<'a> {
    salt: [u8; 16],
    text: &'a str,
}

impl<'a> StoredRemark<'a> {
    /// A remark as it is stored.
    pub(crate) fn new(salt: [u8; 16], text: &'a str) -> Result<Self, InvalidRemark> {
        check(text)?;
        Ok(Self { salt, text })
    }

    /// The same as [`Remark::hash`].
    pub(crate) fn hash(&self) -> RemarkHash {
        hash(&self.salt, self.text)
    }
}

impl fmt::Debug for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remark({})", self.hash())
    }
}

impl<'de> Deserialize<'de> for Remark {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (Salt(salt), text) = <(Salt, String)>::deserialize(from)?;
        Self::new(salt, &text).map_err(de::Error::custom)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for StoredRemark<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (Salt(salt), text) = <(Salt, &'a str)>::deserialize(from)?;
        Self::new(salt, text).map_err(de::Error::custom)
    }
}

/// Only stored bytes are read back, never JSON.
struct Salt([u8; 16]);

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        reading::bytes(from).map(Self)
    }
}
