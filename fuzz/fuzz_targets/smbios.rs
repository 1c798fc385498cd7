//! The firmware's tables, as a machine's vendor left them: `agent::probe`'s reader of SMBIOS.
//!
//! The first bytes are the entry point, the rest the tables. A serial is a piece of the tables without a zero, a UUID
//! is one and is set; a sound structure in front changes nothing.

#![no_main]

use events::vocabulary::SystemUuid;
use libfuzzer_sys::fuzz_target;

#[path = "../../agent/src/probe/smbios.rs"]
mod smbios;

/// Bytes of the shortest entry point of which the version can be read.
const ENTRY_POINT: usize = 11;

fuzz_target!(|bytes: &[u8]| {
    let (entry_point, tables) = bytes.split_at(bytes.len().min(ENTRY_POINT));
    let found = smbios::system(tables, entry_point);
    let behind = [b"\x00\x05\x00\x00\x01Testbios\0\0".as_slice(), tables].concat();
    assert_eq!(smbios::system(&behind, entry_point), found);

    let Some(found) = found else { return };
    assert!(
        found.serial.is_empty() || tables.windows(found.serial.len()).any(|window| window == found.serial)
    );
    assert!(!found.serial.contains(&0));
    if let Some(printed) = found.uuid {
        let uuid: SystemUuid = printed.parse().expect("it is printed as the kernel does");
        assert_eq!(uuid.to_string(), printed);
        assert!(printed.contains(|digit| digit != '0' && digit != '-'));
        assert!(printed.contains(|digit| digit != 'f' && digit != '-'));
    }
});
