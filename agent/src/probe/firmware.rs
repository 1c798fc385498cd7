//! What the firmware says of this machine: serial and UUID (SMBIOS type 1), or why nothing of it is presented.
//!
//! The probe asks. Kernels show the two as files; of those that do not, the firmware's tables are read
//! ([`super::smbios`]).
//!
//! Not here, on purpose: the serials of chassis and board, which stay behind when a board is replaced or say nothing
//! of the machine; and which texts are placeholders ([`HardwareIdentity::presented`] knows).
//!
//! **Invariant:** a value is in its canonical form (design §8), or it is not presented.

use std::fmt;

use events::vocabulary::{BmcSerial, HardwareIdentity, InvalidHardware, SystemUuid};

use super::{
    smbios::{self, System},
    sysfs::{Firmware, Reading},
};

/// How much of a placeholder is shown.
const SHOWN: usize = 40;

/// What a field of the firmware says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<T> {
    /// This.
    Value(T),
    /// The field is not there, or empty.
    Nothing,
    /// What the vendor left in it, at most 40 characters.
    Placeholder(String),
    /// It is there and cannot be used; why.
    Unusable(String),
}

impl<T> Told<T> {
    /// What is presented.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing | Self::Placeholder(_) | Self::Unusable(_) => None,
        }
    }

    /// Why a field that is there is not presented, unless it says nothing anyway.
    pub(super) fn unusable(&self) -> Option<String> {
        match self {
            Self::Unusable(why) => Some(why.clone()),
            Self::Value(_) | Self::Nothing | Self::Placeholder(_) => None,
        }
    }
}

impl<T: fmt::Display> fmt::Display for Told<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Nothing => f.write_str("none, the firmware tells none"),
            Self::Placeholder(text) => write!(f, "none, \"{text}\" is a placeholder"),
            Self::Unusable(why) => write!(f, "none, {why}"),
        }
    }
}

/// The system's serial.
pub(super) fn serial(of: &Firmware) -> Told<BmcSerial> {
    let reading = or_of_tables(&of.serial, of, |system| Some(system.serial.to_vec()));
    told(&reading, |text| Ok(HardwareIdentity::presented(&[], text, "")?.bmc_serial))
}

/// The system's UUID.
pub(super) fn uuid(of: &Firmware) -> Told<SystemUuid> {
    let reading = or_of_tables(&of.uuid, of, |system| system.uuid.map(String::into_bytes));
    told(&reading, |text| Ok(HardwareIdentity::presented(&[], "", text)?.uuid))
}

/// What the kernel shows as a file, or else what the tables hold.
fn or_of_tables(file: &Reading, of: &Firmware, field: impl Fn(System<'_>) -> Option<Vec<u8>>) -> Reading {
    let entry_point = of.entry_point.bytes().unwrap_or_default();
    match (file, &of.tables) {
        (Reading::Absent | Reading::Denied, Reading::Bytes(tables)) => {
            smbios::system(tables, entry_point).and_then(field).map_or_else(|| file.clone(), Reading::Bytes)
        }
        (Reading::Absent, Reading::Denied | Reading::Broken(_)) => of.tables.clone(),
        (Reading::Absent, Reading::Absent)
        | (Reading::Denied, Reading::Absent | Reading::Denied | Reading::Broken(_))
        | (Reading::Broken(_) | Reading::Bytes(_), _) => file.clone(),
    }
}

fn told<T>(reading: &Reading, parse: impl Fn(&str) -> Result<Option<T>, InvalidHardware>) -> Told<T> {
    let text = match reading {
        Reading::Absent => return Told::Nothing,
        Reading::Denied => return Told::Unusable("only root may read it".to_owned()),
        Reading::Broken(why) => return Told::Unusable(format!("it cannot be read: {why}")),
        Reading::Bytes(_) => reading.text(),
    };
    match text.map(|text| (text, parse(text))) {
        None => Told::Unusable("it is no text".to_owned()),
        Some(("", _)) => Told::Nothing,
        Some((_, Ok(Some(value)))) => Told::Value(value),
        Some((text, Ok(None))) => {
            Told::Placeholder(text.chars().take(SHOWN).flat_map(char::escape_debug).collect())
        }
        Some((_, Err(why))) => Told::Unusable(why.to_string()),
    }
}
