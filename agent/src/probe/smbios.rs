//! The firmware's own tables (SMBIOS, DMTF DSP0134), as far as they say which system this is: structure type 1.
//!
//! [`super::firmware`] asks when the kernel does not show the fields as files. Bytes of a firmware are foreign bytes:
//! every length is checked, and damage ends the reading.
//!
//! Not here, on purpose: all other structures.
//!
//! **Invariant:** each step goes on by at least the four bytes of a header, so that reading ends.

/// The header of a structure: type, length, handle.
const HEADER: usize = 4;
const SYSTEM: u8 = 1;
const END: u8 = 127;
/// Where a structure of type 1 names its serial's string.
const SERIAL_AT: usize = 7;
const UUID_AT: usize = 8;
/// From this version on, the first three groups of a UUID are little-endian; before, the kernel reads them as written.
const LITTLE_ENDIAN_SINCE: (u8, u8) = (2, 6);

/// What the tables say of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct System<'t> {
    /// Empty without one.
    pub(super) serial: &'t [u8],
    /// As the kernel prints it. None if it is not set, or its byte order is not known.
    pub(super) uuid: Option<String>,
}

/// Finds the system in the tables; the entry point says of which version they are.
pub(super) fn system<'t>(tables: &'t [u8], entry_point: &[u8]) -> Option<System<'t>> {
    let mut rest = tables;
    loop {
        let (kind, length) = (*rest.first()?, usize::from(*rest.get(1)?));
        if kind == END || length < HEADER {
            return None;
        }
        let (formatted, strings) = rest.split_at_checked(length)?;
        if kind == SYSTEM {
            let serial = formatted.get(SERIAL_AT).map_or(&[][..], |number| string(strings, *number));
            let uuid = formatted.get(UUID_AT..UUID_AT + 16).and_then(|bytes| bytes.try_into().ok());
            return Some(System { serial, uuid: uuid.and_then(|uuid| printed(uuid, version(entry_point)?)) });
        }
        let end = strings.windows(2).position(|two| two == [0, 0])?;
        rest = strings.get(end + 2..)?;
    }
}

/// The string of this number; they count from 1, each ends with a zero, the last with two.
fn string(strings: &[u8], number: u8) -> &[u8] {
    let mut all = strings.split(|byte| *byte == 0).take_while(|string| !string.is_empty());
    usize::from(number).checked_sub(1).and_then(|index| all.nth(index)).unwrap_or_default()
}

/// Major and minor version of an entry point of either form.
fn version(entry_point: &[u8]) -> Option<(u8, u8)> {
    let at = match entry_point {
        [b'_', b'S', b'M', b'3', b'_', ..] => 7,
        [b'_', b'S', b'M', b'_', ..] => 6,
        _ => return None,
    };
    Some((*entry_point.get(at)?, *entry_point.get(at + 1)?))
}

/// As the kernel prints it; all zero and all one mean that it is not set.
fn printed(mut uuid: [u8; 16], version: (u8, u8)) -> Option<String> {
    if uuid == [0; 16] || uuid == [0xff; 16] {
        return None;
    }
    if version >= LITTLE_ENDIAN_SINCE {
        uuid[..4].reverse();
        uuid[4..6].reverse();
        uuid[6..8].reverse();
    }
    let digits = format!("{:032x}", u128::from_be_bytes(uuid));
    let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Some(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERSION_3: &[u8] = b"_SM3_\0\x18\x03\x02\0";
    const VERSION_2_4: &[u8] = b"_SM_\0\x1f\x02\x04";
    const UUID: [u8; 16] = *b"\x44\x45\x4c\x4c\x42\x00\x10\x30\x80\x50\xb4\xc0\x4f\x4d\x31\x32";

    /// A BIOS, then a system with the strings `Testco`, `Node`, `SN-0042`.
    fn tables() -> Vec<u8> {
        let bios = b"\x00\x06\x00\x00\x01\x00Testbios\0\0";
        let empty = b"\x20\x04\x05\x00\0\0";
        let system = [b"\x01\x1b\x00\x01\x01\x02\x00\x03".as_slice(), &UUID, b"\x06\x00\x00"].concat();
        [bios.as_slice(), empty, &system, b"Testco\0Node\0SN-0042\0\0", b"\x7f\x04\xff\xff\0\0"].concat()
    }

    #[test]
    fn the_system_is_found_behind_other_structures() {
        let tables = tables();
        let found = system(&tables, VERSION_3).unwrap();
        assert_eq!(found.serial, b"SN-0042");
        assert_eq!(found.uuid.as_deref(), Some("4c4c4544-0042-3010-8050-b4c04f4d3132"));
    }

    #[test]
    fn tables_before_2_6_write_the_uuid_as_it_is_read() {
        let uuid = |entry_point| system(&tables(), entry_point).unwrap().uuid;
        assert_eq!(uuid(VERSION_2_4).as_deref(), Some("44454c4c-4200-1030-8050-b4c04f4d3132"));
        assert_eq!(uuid(b""), None, "its byte order is not known");
    }

    #[test]
    fn a_uuid_that_is_not_set_is_none() {
        assert_eq!([printed([0; 16], (3, 0)), printed([0xff; 16], (3, 0))], [None, None]);
    }

    #[test]
    fn damaged_tables_say_nothing_or_what_is_whole() {
        let tables = tables();
        let whole = system(&tables, VERSION_3);
        let uuid_ends = tables.len() - b"\x06\x00\x00Testco\0Node\0SN-0042\0\0\x7f\x04\xff\xff\0\0".len();
        for end in 0..tables.len() {
            let found = system(&tables[..end], VERSION_3);
            // The structure's own length says that three bytes follow the UUID.
            assert!(
                found.is_none()
                    || (end >= uuid_ends + 3 && found.unwrap().uuid == whole.clone().unwrap().uuid)
            );
        }
        for (damaged, why) in [
            (b"\x01\x03\x00\x00\0\0".as_slice(), "shorter than its header"),
            (b"\x00\x04\x00\x00no end", "strings without an end"),
            (b"\x7f\x04\x00\x00\0\0\x01\x1b", "what follows the end"),
        ] {
            assert_eq!(system(damaged, VERSION_3), None, "{why}");
        }
    }

    #[test]
    fn a_string_that_is_not_there_is_empty() {
        let strings = b"one\0two\0\0three\0";
        let [none, first, second, beyond] = [0, 1, 2, 3].map(|number| string(strings, number));
        assert_eq!((none, first, second, beyond), (&b""[..], &b"one"[..], &b"two"[..], &b""[..]));
    }

    proptest! {
        #[test]
        fn no_tables_make_reading_panic(tables: Vec<u8>, entry_point: Vec<u8>) {
            system(&tables, &entry_point);
        }

        #[test]
        fn no_change_of_sound_tables_makes_reading_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut tables = tables();
            for (at, byte) in changes {
                let at = at.index(tables.len());
                tables[at] = byte;
            }
            if let Some(found) = system(&tables, VERSION_3) {
                prop_assert!(found.serial.len() <= tables.len());
            }
        }
    }
}
