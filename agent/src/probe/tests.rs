//! Machines as they are sold, machines as they break, and bytes that no machine has.

mod foreign;
mod machine;
mod tree;

use std::{fs, os::unix::fs::symlink};

use proto::outcome::Exit;

use self::{
    machine::Machine,
    tree::{Tree, write},
};
use super::{
    firmware::Told,
    interface::Traces,
    sysfs::{Firmware, Reading},
    *,
};

fn reason(probed: &Probed, name: &str) -> String {
    let interface = probed.interfaces.iter().find(|interface| interface.name == name).unwrap();
    interface.verdict.clone().unwrap_err().to_string()
}

fn card(tree: &Tree, name: &str, mac: &str) {
    let folder = tree.interface(name, Some("pci"));
    write(&folder.join("type"), b"1\n");
    write(&folder.join("address"), format!("{mac}\n").as_bytes());
}

#[test]
fn each_machine_that_is_sold_presents_what_is_its_own_and_nothing_else() {
    let machines = machine::all();
    assert!(machines.len() >= 10, "only {} machines", machines.len());
    for Machine { name, tree, macs, serial, uuid, left_out } in machines {
        let probed = probe(tree.path()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let hardware = &probed.hardware;
        assert_eq!(hardware.macs.iter().map(ToString::to_string).collect::<Vec<_>>(), macs, "{name}");
        assert_eq!(hardware.bmc_serial.as_ref().map(ToString::to_string), serial, "{name}");
        assert_eq!(hardware.uuid.as_ref().map(ToString::to_string), uuid, "{name}");
        let told = probed.interfaces.iter().filter_map(|interface| {
            interface.verdict.as_ref().err().map(|left_out| (interface.name.clone(), left_out.to_string()))
        });
        assert_eq!(told.collect::<BTreeMap<_, _>>(), left_out, "{name}");
    }
}

#[test]
fn more_cards_than_an_identity_may_hold_present_the_first_by_address_and_a_warning() {
    let tree = Tree::new();
    for number in 0..20 {
        // The last by name is the first by address.
        card(&tree, &format!("eth{number:02}"), &format!("00:16:3e:00:00:{:02x}", 20 - number));
    }
    let probed = probe(tree.path()).unwrap();
    let presented: Vec<String> = probed.hardware.macs.iter().map(ToString::to_string).collect();
    let first: Vec<String> = (1..=16).map(|number| format!("00:16:3e:00:00:{number:02x}")).collect();
    assert_eq!(presented, first);
    assert_eq!(probed.warnings(), [Warning::TooManyMacs { found: 20 }]);
    assert_eq!(reason(&probed, "eth00"), "more addresses than a hardware identity may hold");
}

#[test]
fn a_machine_without_a_card_is_told_what_was_looked_at() {
    let tree = Tree::new();
    write(&tree.interface("lo", None).join("type"), b"772\n");
    write(&tree.interface("eth0", None).join("type"), b"1\n");
    tree.file("class/dmi/id/product_serial", "SN1\n");

    let error = probe(tree.path()).unwrap_err();

    let folder = tree.path().join("class/net").display().to_string();
    assert_eq!(
        error.to_string(),
        format!(
            "{folder} shows no network card that identifies this machine (eth0: virtual, no card; lo: the loopback interface); load the drivers of its cards first, or name a hardware file with --hardware"
        )
    );
    let failure = Failure::from(error);
    assert_eq!((failure.reason_text(), failure.exit()), ("HARDWARE_NOT_FOUND", Exit::Failed));
}

#[test]
fn of_thousands_of_interfaces_an_error_names_a_few() {
    let tree = Tree::new();
    assert!(probe(tree.path()).unwrap_err().to_string().contains("(it has no interface at all)"));
    for number in 0..1000 {
        write(&tree.interface(&format!("veth{number:04}"), None).join("type"), b"1\n");
    }
    let error = probe(tree.path()).unwrap_err().to_string();
    assert!(error.contains("veth0011: virtual, no card; and 988 more)"), "{error}");
}

#[test]
fn without_sysfs_the_folder_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = probe(empty.path()).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot read {}/class/net: No such file", empty.path().display())),
        "{error}"
    );
    assert!(error.ends_with("mount sysfs, or name a hardware file with --hardware"), "{error}");
}

#[test]
fn what_is_no_interface_is_not_looked_at_and_a_dangling_one_is_left_out() {
    let tree = Tree::new();
    card(&tree, "eth0", "00:16:3e:00:00:01");
    tree.file("class/net/bonding_masters", "bond0\n");
    symlink("../../devices/gone", tree.path().join("class/net/eth1")).unwrap();
    let probed = probe(tree.path()).unwrap();
    assert_eq!(probed.interfaces.len(), 2);
    assert_eq!(reason(&probed, "eth1"), "virtual, no card");
}

#[test]
fn files_that_are_folders_or_far_too_large_are_left_out() {
    let tree = Tree::new();
    card(&tree, "eth0", "00:16:3e:00:00:01");
    let folder = tree.interface("eth1", Some("pci"));
    write(&folder.join("type"), b"1\n");
    write(&folder.join("address"), &b"00:16:3e:00:00:02 ".repeat(1000));
    fs::create_dir_all(tree.path().join("class/dmi/id/product_serial")).unwrap();
    tree.file("class/dmi/id/product_uuid", [b' '; 5000]);

    let probed = probe(tree.path()).unwrap();

    assert_eq!(reason(&probed, "eth1"), "its file address cannot be read");
    let why: Vec<String> = probed.warnings().iter().map(ToString::to_string).collect();
    assert!(why[0].starts_with("bmc_serial is not presented: it cannot be read: Is a directory"), "{why:?}");
    assert!(
        why[1].starts_with("uuid is not presented: it cannot be read: it has more than 4096 bytes"),
        "{why:?}"
    );
}

#[test]
fn a_name_cannot_write_on_a_terminal() {
    let traces = Traces { name: "\u{1b}[2Jeth0".to_owned(), ..Traces::default() };
    assert_eq!(Interface::of(&traces).name, "\\u{1b}[2Jeth0");
}

#[test]
fn fields_that_only_root_may_read_are_told() {
    let denied = Firmware { serial: Reading::Denied, uuid: Reading::Denied, ..Firmware::default() };
    assert_eq!(firmware::serial(&denied), Told::Unusable("only root may read it".to_owned()));
    let tables_too = Firmware { tables: Reading::Denied, ..Firmware::default() };
    assert_eq!(firmware::uuid(&tables_too), Told::Unusable("only root may read it".to_owned()));
}

#[test]
fn what_the_kernel_does_not_show_is_read_from_the_tables() {
    let mut table = b"\x01\x1b\x00\x01\x00\x00\x00\x01".to_vec();
    table.extend(
        *b"\x44\x45\x4c\x4c\x42\x00\x10\x30\x80\x50\xb4\xc0\x4f\x4d\x31\x32\x06\x00\x00 SN-0042 \0\0",
    );
    let of_tables = Firmware {
        tables: Reading::Bytes(table),
        entry_point: Reading::Bytes(b"_SM3_\0\x18\x03\x02\0".to_vec()),
        ..Firmware::default()
    };
    assert_eq!(firmware::serial(&of_tables).to_string(), "SN-0042");
    assert_eq!(firmware::uuid(&of_tables).to_string(), "4c4c4544-0042-3010-8050-b4c04f4d3132");
    // A table that says nothing does not hide that a file may not be read.
    let hidden =
        Firmware { serial: Reading::Denied, tables: Reading::Bytes(Vec::new()), ..Firmware::default() };
    assert_eq!(firmware::serial(&hidden), Told::Unusable("only root may read it".to_owned()));
    // What the kernel shows counts first.
    let both = Firmware { serial: Reading::Bytes(b"SN-0001\n".to_vec()), ..of_tables };
    assert_eq!(firmware::serial(&both).to_string(), "SN-0001");
}

#[test]
fn the_table_names_every_interface_and_a_command_that_a_shell_takes() {
    let tree = Tree::new();
    card(&tree, "eth0", "00:16:3e:00:00:01");
    write(&tree.interface("lo", None).join("type"), b"772\n");
    tree.file("class/dmi/id/product_serial", "it's; rm -rf /\n");
    tree.file("class/dmi/id/product_uuid", "Not Specified\n");
    assert_eq!(
        probe(tree.path()).unwrap().to_string(),
        r#"macs        00:16:3e:00:00:01
bmc_serial  it's; rm -rf /
uuid        none, "Not Specified" is a placeholder

interfaces
  eth0  00:16:3e:00:00:01
  lo    left out: the loopback interface

to register this machine
  pact node enroll NODE_ID --mac 00:16:3e:00:00:01 --bmc-serial 'it'\''s; rm -rf /'"#
    );
}
