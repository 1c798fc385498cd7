//! Ethernet addresses (IEEE 802), the first part of a node's hardware identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A unicast address of 6 bytes; written in lower-case hex with colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

/// Why a text is no address that a node can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMac {
    /// Not 12 hex digits with one kind of separator at regular places.
    #[error("a MAC address has 12 hex digits, as in aa:bb:cc:dd:ee:01")]
    Format,
    /// The group bit is set: broadcast and multicast addresses belong to no machine.
    #[error("a multicast or broadcast MAC address belongs to no machine")]
    Multicast,
    /// All bytes are zero: a placeholder.
    #[error("the MAC address is all zero")]
    Zero,
}

impl Mac {
    /// Checks six bytes.
    pub const fn new(bytes: [u8; 6]) -> Result<Self, InvalidMac> {
        if matches!(bytes, [0, 0, 0, 0, 0, 0]) {
            Err(InvalidMac::Zero)
        } else if bytes[0] & 1 == 1 {
            Err(InvalidMac::Multicast)
        } else {
            Ok(Self(bytes))
        }
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

/// Removes `:`, `-` (every two digits) or `.` (every four); nothing else is a separator.
fn digits(text: &str) -> Option<String> {
    let groups = |separator: char, length: usize| {
        let parts: Vec<&str> = text.split(separator).collect();
        (parts.len() * length == 12 && parts.iter().all(|part| part.len() == length)).then(|| parts.concat())
    };
    groups(':', 2).or_else(|| groups('-', 2)).or_else(|| groups('.', 4)).or_else(|| groups('\0', 12))
}

impl FromStr for Mac {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let mut bytes = [0; 6];
        let digits = digits(text.trim()).ok_or(InvalidMac::Format)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| InvalidMac::Format)?;
        Self::new(bytes)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            String::deserialize(from)?.parse().map_err(de::Error::custom)
        } else {
            Self::new(<[u8; 6]>::deserialize(from)?).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_common_separator_is_read_and_colons_are_written() {
        for text in [
            "aa:bb:cc:dd:ee:01",
            "AA-BB-CC-DD-EE-01",
            "aabb.ccdd.ee01",
            "aabbccddee01",
            " aa:bb:cc:dd:ee:01\n",
        ] {
            assert_eq!(text.parse::<Mac>().map(|mac| mac.to_string()), Ok("aa:bb:cc:dd:ee:01".to_owned()));
        }
    }

    #[test]
    fn what_belongs_to_no_machine_is_refused() {
        assert_eq!("00:00:00:00:00:00".parse::<Mac>(), Err(InvalidMac::Zero));
        assert_eq!("ff:ff:ff:ff:ff:ff".parse::<Mac>(), Err(InvalidMac::Multicast));
        assert_eq!("01:00:5e:00:00:01".parse::<Mac>(), Err(InvalidMac::Multicast));
        for text in [
            "",
            "aa:bb:cc:dd:ee",
            "aa:bb:cc:dd:ee:0g",
            "aa:bb:cc:dd:ee:1",
            "aa:bb-cc:dd:ee:01",
            "a:abb:cc:dd:ee:01",
        ] {
            assert_eq!(text.parse::<Mac>(), Err(InvalidMac::Format), "{text:?}");
        }
    }
}
