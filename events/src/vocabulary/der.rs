//! DER bytes (X.690) of certificates, carried whole in facts so that an auditor needs nothing else.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// The DER of one certificate. Not parsed here: `replay` and the acceptor check it where it matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Der(Vec<u8>);

impl Der {
    /// Takes the bytes as they are.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({} bytes)", self.0.len())
    }
}

impl Serialize for Der {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.serialize_str(&hex::encode(&self.0))
        } else {
            to.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Der {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Der;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("DER bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Der, E> {
                Ok(Der(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Der, E> {
                Ok(Der(bytes))
            }
        }
        if from.is_human_readable() {
            let text = String::deserialize(from)?;
            hex::decode(text).map(Der).map_err(de::Error::custom)
        } else {
            // Borrowed, then copied: asked for its own copy, bincode would clear the memory first.
            from.deserialize_bytes(Bytes)
        }
    }
}
