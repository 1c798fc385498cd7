//! Serial numbers of X.509 certificates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::reading;

/// The serial number of a certificate: 16 random bytes, the first of them in 0x40–0x7f, so that every serial is a
/// positive DER integer of one length and 32 hex digits everywhere (R8; RFC 5280, 4.1.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 16]);

/// A text or bytes that are no serial number of pact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a serial number of 32 hex digits whose first byte is between 40 and 7f")]
pub struct InvalidSerial;

impl Serial {
    /// Makes a serial number of 16 random bytes; two bits of the first are fixed.
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = 0x40 | (bytes[0] & 0x3f);
        Self(bytes)
    }

    /// The bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The number that these bytes are, if it is one of ours.
    pub(crate) fn checked(bytes: [u8; 16]) -> Result<Self, InvalidSerial> {
        if (0x40..=0x7f).contains(&bytes[0]) { Ok(Self(bytes)) } else { Err(InvalidSerial) }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = InvalidSerial;

    fn from_str(text: &str) -> Result<Self, InvalidSerial> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidSerial)?;
        Self::checked(bytes)
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            reading::parsed(from)
        } else {
            Self::checked(reading::bytes(from)?).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_08_a_serial_has_32_hex_digits_and_begins_with_4_to_7() {
        for byte in 0..=255 {
            let text = Serial::from_random([byte; 16]).to_string();
            assert_eq!(text.len(), 32);
            assert!(matches!(text.as_bytes()[0], b'4'..=b'7'), "{text}");
            assert_eq!(text.parse(), Ok(Serial::from_random([byte; 16])));
        }
        assert_eq!("80".repeat(16).parse::<Serial>(), Err(InvalidSerial));
    }
}
