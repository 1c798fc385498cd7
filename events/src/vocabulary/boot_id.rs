//! Which boot of a machine is speaking: the kernel's `random/boot_id`, or whatever else the agent draws once a boot.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reading;

/// 1–64 letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootId(String);

/// A text that is no boot id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a boot id has 1 to 64 letters, digits and '-'")]
pub struct InvalidBootId;

impl FromStr for BootId {
    type Err = InvalidBootId;

    fn from_str(text: &str) -> Result<Self, InvalidBootId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidBootId) }
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for BootId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BootId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        reading::parsed(from)
    }
}
