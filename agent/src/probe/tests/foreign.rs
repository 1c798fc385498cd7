//! Whatever bytes the files hold, and however many there are: no panic, and nothing that a journal would call malformed.

use proptest::{collection::vec, option, prelude::*};

use super::{
    super::{
        ProbeError, Probed,
        interface::Traces,
        judge, probe,
        sysfs::{Firmware, Reading, Sighting},
    },
    tree::{Tree, write},
};
use crate::hardware;

/// More interfaces than a hardware identity has places.
const INTERFACES: usize = 40;

/// Bytes that are often almost right.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..80),
        "[0-9a-fA-F:.\\-\n ]{0,40}".prop_map(String::into_bytes),
        "([0-9a-f]{2}:){5}[0-9a-f]{2}\n".prop_map(String::into_bytes),
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n".prop_map(String::into_bytes),
        "\\PC{0,80}".prop_map(String::into_bytes),
        prop::sample::select(vec!["1\n", "0\n", "3\n", "32\n", "772\n", "DEVTYPE=vlan\n", "None\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

fn any_reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        6 => any_bytes().prop_map(Reading::Bytes),
        1 => Just(Reading::Absent),
        1 => Just(Reading::Denied),
        1 => "\\PC{0,20}".prop_map(Reading::Broken),
    ]
}

/// A card more often than not, or few would be left to count.
fn any_traces() -> impl Strategy<Value = Traces> {
    let shape = (any::<bool>(), prop::sample::select(vec!["pci", "usb", "virtio"]), any::<[bool; 2]>());
    let ethernet = prop_oneof![4 => Just(Reading::Bytes(b"1\n".to_vec())), 1 => any_reading()];
    let address = prop_oneof![
        4 => any::<[u8; 4]>().prop_map(|[a, b, c, d]| {
            Reading::Bytes(format!("00:16:{a:02x}:{b:02x}:{c:02x}:{d:02x}\n").into_bytes())
        }),
        1 => any_reading(),
    ];
    let own = prop_oneof![6 => Just(Reading::Absent), 1 => any_reading()];
    (shape, ".{1,15}", ethernet, any_reading(), any_reading(), address, own).prop_map(
        |((device, bus, [bridge, tunnel]), name, kind, uevent, assigned, address, own_address)| Traces {
            name,
            device: device || !tunnel,
            bus: bus.to_owned(),
            bridge: bridge && tunnel,
            tunnel: tunnel && !bridge,
            kind,
            uevent,
            assigned,
            address,
            own_address,
            ..Traces::default()
        },
    )
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let firmware = (any_reading(), any_reading(), any_reading(), any_reading())
        .prop_map(|(serial, uuid, tables, entry_point)| Firmware { serial, uuid, tables, entry_point });
    (vec(any_traces(), 0..3 * INTERFACES), firmware)
        .prop_map(|(interfaces, firmware)| Sighting { interfaces, firmware })
}

/// What is presented reads back as it is from the JSON that is shown, within every limit.
fn assert_presentable(probed: &Probed) {
    let shown = serde_json::to_vec(&probed.hardware).unwrap();
    assert_eq!(hardware::parse("shown", &shown).unwrap(), probed.hardware);
    let wire = proto::pb::HardwareIdentity::from(&probed.hardware);
    assert_eq!(proto::convert::hardware::registered(Some(&wire)).unwrap(), probed.hardware);
    let counted = probed.interfaces.iter().filter(|interface| interface.verdict.is_ok()).count();
    assert_eq!(counted, probed.hardware.macs.len());
    assert!((1..=16).contains(&counted));
    assert!(!probed.to_string().chars().any(|letter| letter.is_control() && letter != '\n'));
}

proptest! {
    #[test]
    fn whatever_was_read_what_is_presented_is_never_malformed(sighting in any_sighting()) {
        let probed = judge(&sighting);
        if !probed.hardware.macs.is_empty() {
            assert_presentable(&probed);
        }
        prop_assert_eq!(probed.interfaces.len(), sighting.interfaces.len());
    }

    #[test]
    fn the_order_and_the_names_of_interfaces_do_not_matter(
        (sighting, shuffled) in any_sighting().prop_flat_map(|sighting| {
            (Just(sighting.clone()), Just(sighting.interfaces).prop_shuffle())
        }),
    ) {
        let renamed = shuffled.into_iter().enumerate().map(|(number, traces)| Traces { name: format!("eth{number}"), ..traces });
        let other = Sighting { interfaces: renamed.collect(), firmware: sighting.firmware.clone() };
        prop_assert_eq!(judge(&sighting).hardware, judge(&other).hardware);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_in_every_file_are_borne(
        cards in vec((any::<bool>(), vec(option::of(any_bytes()), 5)), 0..INTERFACES),
        firmware in vec(option::of(any_bytes()), 4),
    ) {
        let tree = Tree::new();
        for (number, (device, files)) in cards.iter().enumerate() {
            let folder = tree.interface(&format!("eth{number}"), device.then_some("pci"));
            let names = ["type", "address", "addr_assign_type", "uevent", "bonding_slave/perm_hwaddr"];
            for (name, bytes) in names.iter().zip(files) {
                bytes.iter().for_each(|bytes| write(&folder.join(name), bytes));
            }
        }
        let names = [
            "class/dmi/id/product_serial",
            "class/dmi/id/product_uuid",
            "firmware/dmi/tables/DMI",
            "firmware/dmi/tables/smbios_entry_point",
        ];
        for (name, bytes) in names.iter().zip(&firmware) {
            bytes.iter().for_each(|bytes| tree.file(name, bytes));
        }
        match probe(tree.path()) {
            Ok(probed) => assert_presentable(&probed),
            Err(error) => {
                prop_assert!(matches!(error, ProbeError::NoCard { .. }), "{}", error);
                prop_assert!(error.to_string().len() < 4096);
            }
        }
    }
}
