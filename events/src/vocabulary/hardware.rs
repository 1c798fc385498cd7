//! Hardware identity: what a machine presents to prove which one it is, and what an operator registers (R13).
//!
//! Two ways in: [`HardwareIdentity::presented`] reads what a machine's firmware says, where a placeholder counts as
//! absent; [`HardwareIdentity::registered`] reads what an operator orders, where a placeholder is refused.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{InvalidMac, Mac, reading};

/// A node has at most this many MAC addresses: with its other claims a fact stays within 32 streams (R2).
pub const MAX_MACS: usize = 16;

/// What is known of a machine: 0–16 MAC addresses, the BMC's or system's serial, the system's UUID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardwareIdentity {
    /// Addresses of its physical interfaces.
    pub macs: BTreeSet<Mac>,
    /// DMI `product_serial`, trimmed, case kept.
    pub bmc_serial: Option<BmcSerial>,
    /// DMI `product_uuid`, as the kernel prints it.
    pub uuid: Option<SystemUuid>,
}

/// Why a hardware identity is not accepted. Names the field, for the operator or agent who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHardware {
    /// A MAC address that no machine can have.
    #[error("{text:?}: {source}")]
    Mac {
        /// What was given, at most 40 characters of it.
        text: String,
        /// What is wrong with it.
        source: InvalidMac,
    },
    /// More than [`MAX_MACS`].
    #[error("at most {MAX_MACS} MAC addresses are allowed")]
    TooManyMacs,
    /// An operator registers at least one.
    #[error("at least one MAC address is needed")]
    NoMac,
    /// The serial is too long or has control characters.
    #[error("a BMC serial has at most 64 bytes and no control characters")]
    BmcSerial,
    /// The UUID is not one.
    #[error("a system UUID is written as 8-4-4-4-12 hex digits")]
    Uuid,
    /// A text that vendors leave in place of a value.
    #[error("the {field} is a placeholder of the vendor and identifies no machine")]
    Placeholder {
        /// The field that has it.
        field: &'static str,
    },
}

impl HardwareIdentity {
    /// Reads what a machine presents. Empty fields and placeholders count as absent; all-zero MACs too.
    pub fn presented(macs: &[String], bmc_serial: &str, uuid: &str) -> Result<Self, InvalidHardware> {
        let mut found = BTreeSet::new();
        if macs.len() > MAX_MACS {
            return Err(InvalidHardware::TooManyMacs);
        }
        for text in macs {
            match parse_mac(text) {
                Ok(mac) => {
                    found.insert(mac);
                }
                Err(InvalidHardware::Mac { source: InvalidMac::Zero, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let present = |text: &str| !text.trim().is_empty() && !is_placeholder(text);
        Ok(Self {
            macs: found,
            bmc_serial: present(bmc_serial).then(|| bmc_serial.parse()).transpose()?,
            uuid: present(uuid).then(|| uuid.parse()).transpose()?.filter(|uuid| !is_placeholder_uuid(uuid)),
        })
    }

    /// Reads what an operator registers: at least one MAC; placeholders are refused.
    pub fn registered(macs: &[String], bmc_serial: &str, uuid: &str) -> Result<Self, InvalidHardware> {
        if macs.len() > MAX_MACS {
            return Err(InvalidHardware::TooManyMacs);
        }
        let found = macs.iter().map(|text| parse_mac(text)).collect::<Result<BTreeSet<_>, _>>()?;
        if found.is_empty() {
            return Err(InvalidHardware::NoMac);
        }
        for (field, text) in [("BMC serial", bmc_serial), ("system UUID", uuid)] {
            if !text.trim().is_empty() && is_placeholder(text) {
                return Err(InvalidHardware::Placeholder { field });
            }
        }
        let uuid: Option<SystemUuid> = (!uuid.trim().is_empty()).then(|| uuid.parse()).transpose()?;
        if uuid.as_ref().is_some_and(is_placeholder_uuid) {
            return Err(InvalidHardware::Placeholder { field: "system UUID" });
        }
        let bmc_serial = (!bmc_serial.trim().is_empty()).then(|| bmc_serial.parse()).transpose()?;
        Ok(Self { macs: found, bmc_serial, uuid })
    }

    /// Whether a machine that presents `other` is the registered one (R13), as far as one node can tell: every
    /// registered field matches, at least one MAC does.
    pub fn is_matched_by(&self, other: &Self) -> bool {
        self.differing(other).next().is_none()
    }

    /// The fields by which a machine that presents `other` is not the registered one. For facts: no caller hears them.
    pub fn differing(&self, other: &Self) -> impl Iterator<Item = HardwareField> {
        let no_mac = self.macs.is_disjoint(&other.macs);
        let other_serial = self.bmc_serial.is_some() && self.bmc_serial != other.bmc_serial;
        let other_uuid = self.uuid.is_some() && self.uuid != other.uuid;
        [
            (no_mac, HardwareField::Macs),
            (other_serial, HardwareField::BmcSerial),
            (other_uuid, HardwareField::Uuid),
        ]
        .into_iter()
        .filter_map(|(differs, field)| differs.then_some(field))
    }
}

/// A part of a hardware identity that can hinder a match (R13). **Stored** (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HardwareField {
    /// No registered address was presented.
    Macs,
    /// The serial.
    BmcSerial,
    /// The UUID.
    Uuid,
    /// An address was presented that belongs to another node.
    ForeignMac,
}

impl fmt::Display for HardwareField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Macs => "no registered MAC address",
            Self::BmcSerial => "another BMC serial or none",
            Self::Uuid => "another system UUID or none",
            Self::ForeignMac => "a MAC address of another node",
        })
    }
}

fn parse_mac(text: &str) -> Result<Mac, InvalidHardware> {
    text.parse().map_err(|source| InvalidHardware::Mac { text: text.chars().take(40).collect(), source })
}

/// What vendors leave in DMI fields that nobody filled in. Compared without case.
const PLACEHOLDERS: &[&str] = &[
    "to be filled by o.e.m.",
    "to be filled by o.e.m",
    "to be filled by oem",
    "to be filled",
    "o.e.m.",
    "oem",
    "default string",
    "default",
    "string",
    "system serial number",
    "chassis serial number",
    "base board serial number",
    "product serial number",
    "serial number",
    "serial",
    "not specified",
    "not applicable",
    "not available",
    "not provided",
    "not present",
    "not settable",
    "not set",
    "not defined",
    "no serial number",
    "unspecified",
    "undefined",
    "none",
    "null",
    "nil",
    "n/a",
    "na",
    "tbd",
    "unknown",
    "invalid",
    "empty",
    "1234567",
    "12345678",
    "123456789",
    "1234567890",
    "01234567",
    "012345678",
    "0123456789",
    "01234567890123456789",
    "01234567890123456789ab",
    "0123456789abcdef",
    "1234567890abcdef",
];

fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let filler = |byte: u8| matches!(byte, b'0' | b'-' | b'.' | b' ' | b'x' | b'f' | b'*');
    PLACEHOLDERS.contains(&text.as_str()) || (!text.is_empty() && text.bytes().all(filler))
}

/// UUIDs that a firmware vendor ships on every board, in either byte order; the last is that of boards whose service
/// tag is blank.
fn is_placeholder_uuid(uuid: &SystemUuid) -> bool {
    const SHIPPED: [u128; 6] = [
        0x0300_0200_0400_0500_0006_0007_0008_0009,
        0x0002_0003_0004_0005_0006_0007_0008_0009,
        0x1234_5678_1234_5678_90ab_cdde_efaa_bbcc,
        0x7856_3412_3412_7856_90ab_cdde_efaa_bbcc,
        0xfefe_fefe_fefe_fefe_fefe_fefe_fefe_fefe,
        0x4c4c_4544_0000_2010_8020_80c0_4f20_2020,
    ];
    let number = u128::from_be_bytes(uuid.0);
    number == 0 || number == u128::MAX || SHIPPED.contains(&number)
}

/// A BMC's or system's serial number: 1–64 bytes without control characters, trimmed, case kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BmcSerial(String);

impl BmcSerial {
    /// The serial as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BmcSerial {
    type Err = InvalidHardware;

    fn from_str(text: &str) -> Result<Self, InvalidHardware> {
        let text = text.trim();
        let valid = (1..=64).contains(&text.len()) && !text.chars().any(char::is_control);
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidHardware::BmcSerial) }
    }
}

impl fmt::Display for BmcSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BmcSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BmcSerial({})", self.0)
    }
}

impl Serialize for BmcSerial {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BmcSerial {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        reading::parsed(from)
    }
}

/// A system's UUID (SMBIOS type 1), in the byte order in which the kernel prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemUuid([u8; 16]);

impl SystemUuid {
    /// A UUID as it is stored.
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, in that order.
    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for SystemUuid {
    type Err = InvalidHardware;

    fn from_str(text: &str) -> Result<Self, InvalidHardware> {
        let parts: Vec<&str> = text.trim().split('-').collect();
        if parts.iter().map(|part| part.len()).ne([8, 4, 4, 4, 12]) {
            return Err(InvalidHardware::Uuid);
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(parts.concat(), &mut bytes).map_err(|_| InvalidHardware::Uuid)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for SystemUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = hex::encode(self.0);
        write!(f, "{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
    }
}

impl fmt::Debug for SystemUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemUuid({self})")
    }
}

impl Serialize for SystemUuid {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
    }
}

impl<'de> Deserialize<'de> for SystemUuid {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            reading::parsed(from)
        } else {
            reading::bytes(from).map(Self::from_bytes)
        }
    }
}

/// How sure the journal was of a node's identity when it issued a certificate (R13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Assurance {
    /// The caller claimed a hardware identity that matched.
    #[serde(rename = "claimed")]
    Claimed,
    /// The caller presented a live single-use token.
    #[serde(rename = "token")]
    Token,
}

impl fmt::Display for Assurance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claimed => "claimed",
            Self::Token => "token",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn presented(macs: &[&str], serial: &str, uuid: &str) -> Result<HardwareIdentity, InvalidHardware> {
        let macs: Vec<String> = macs.iter().map(|mac| (*mac).to_owned()).collect();
        HardwareIdentity::presented(&macs, serial, uuid)
    }

    fn registered(macs: &[&str], serial: &str, uuid: &str) -> Result<HardwareIdentity, InvalidHardware> {
        let macs: Vec<String> = macs.iter().map(|mac| (*mac).to_owned()).collect();
        HardwareIdentity::registered(&macs, serial, uuid)
    }

    const MAC: &str = "aa:bb:cc:dd:ee:01";

    #[test]
    fn a_presented_placeholder_counts_as_absent() {
        for text in ["To be filled by O.E.M.", "Default string", "0000000000", "  ", "N/A", "None"] {
            assert_eq!(presented(&[MAC], text, "").unwrap().bmc_serial, None, "{text}");
        }
        let zero = "00000000-0000-0000-0000-000000000000";
        assert_eq!(presented(&[MAC, "00:00:00:00:00:00"], "", zero), presented(&[MAC], "", ""));
        assert_eq!(presented(&[MAC], "", "03000200-0400-0500-0006-000700080009").unwrap().uuid, None);
    }

    #[test]
    fn what_vendors_leave_in_place_of_a_value_is_known_in_any_case_and_a_short_serial_is_not_taken_for_it() {
        for text in [
            "DEFAULT STRING",
            "Not Specified ",
            "System Serial Number",
            "FFFFFFFF",
            "0123456789",
            "xxxxxxx",
            "...",
        ] {
            assert_eq!(presented(&[MAC], text, "").unwrap().bmc_serial, None, "{text}");
        }
        for text in ["SN1", "7XK2Q93", "0123456781", "None of yours", "F00D"] {
            assert_eq!(presented(&[MAC], text, "").unwrap().bmc_serial.unwrap().as_str(), text);
        }
        for text in [
            "00020003-0004-0005-0006-000700080009",
            "12345678-1234-5678-90AB-CDDEEFAABBCC",
            "4c4c4544-0000-2010-8020-80c04f202020",
            "fefefefe-fefe-fefe-fefe-fefefefefefe",
        ] {
            assert_eq!(presented(&[MAC], "", text).unwrap().uuid, None, "{text}");
        }
    }

    #[test]
    fn a_registered_placeholder_is_refused() {
        let refused = |field| Err(InvalidHardware::Placeholder { field });
        assert_eq!(registered(&[MAC], "To be filled by O.E.M.", ""), refused("BMC serial"));
        assert_eq!(registered(&[MAC], "", "ffffffff-ffff-ffff-ffff-ffffffffffff"), refused("system UUID"));
        assert_eq!(registered(&[], "SN1", ""), Err(InvalidHardware::NoMac));
    }

    #[test]
    fn rule_13_every_registered_field_and_one_mac_must_match() {
        let node = registered(&[MAC, "aa:bb:cc:dd:ee:02"], "SN1", "").unwrap();
        let matches = |macs: &[&str], serial: &str| node.is_matched_by(&presented(macs, serial, "").unwrap());
        assert!(matches(&[MAC], "SN1"));
        assert!(matches(&[MAC, "aa:bb:cc:dd:ee:09"], " SN1 "));
        assert!(!matches(&[MAC], "sn1") && !matches(&[MAC], "") && !matches(&[], "SN1"));
        assert!(!matches(&["aa:bb:cc:dd:ee:09"], "SN1"));
    }

    #[test]
    fn rule_13_every_field_that_hinders_a_match_is_named() {
        use HardwareField::{BmcSerial, Macs, Uuid};
        let uuid = "4c4c4544-0042-3010-8050-b4c04f4d3132";
        let node = registered(&[MAC], "SN1", uuid).unwrap();
        let differing = |macs: &[&str], serial: &str, uuid: &str| -> Vec<HardwareField> {
            node.differing(&presented(macs, serial, uuid).unwrap()).collect()
        };
        assert_eq!(differing(&[MAC], "SN1", uuid), []);
        assert_eq!(differing(&["aa:bb:cc:dd:ee:09"], "SN1", uuid), [Macs]);
        assert_eq!(differing(&[MAC], "SN2", ""), [BmcSerial, Uuid]);
        assert_eq!(differing(&[], "", uuid), [Macs, BmcSerial]);
    }

    #[test]
    fn rule_13_a_presented_field_that_is_not_registered_does_not_hinder() {
        let node = registered(&[MAC], "", "").unwrap();
        let uuid = "4c4c4544-0042-3010-8050-b4c04f4d3132";
        assert!(node.is_matched_by(&presented(&[MAC], "SN1", uuid).unwrap()));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_hardware_panic(macs in prop::collection::vec(".{0,30}", 0..20), a in ".{0,80}", b in ".{0,80}") {
            let _ = HardwareIdentity::presented(&macs, &a, &b);
            let _ = HardwareIdentity::registered(&macs, &a, &b);
        }
    }
}
