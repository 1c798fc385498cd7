//! A machine as a text tells it: the sysfs that it has, and what is expected of its probe. One in each file of
//! `machines/`, shaped like those that are sold.
//!
//! A line is `serial "TEXT"`, `uuid "TEXT"`, `net NAME BUS|- TYPE ADDRESS|- ASSIGNED [more]` or `expect …`. More is
//! `bonding`, `bridge`, `tun`, `physfn`, `own=ADDRESS`, `devtype=NAME`; what a line means, its file shows.

use std::{collections::BTreeMap, fs};

use super::tree::{Tree, write};

/// Where the machines are, from the folder of the package.
const MACHINES: &str = "src/probe/tests/machines";

/// A machine and what is expected of it.
pub struct Machine {
    pub name: String,
    pub tree: Tree,
    pub macs: Vec<String>,
    pub serial: Option<String>,
    pub uuid: Option<String>,
    /// Interfaces that are left out, with the reason. Loopback is expected everywhere.
    pub left_out: BTreeMap<String, String>,
}

/// All machines that there are.
pub fn all() -> Vec<Machine> {
    let files = fs::read_dir(MACHINES).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            Machine::of(name, &fs::read_to_string(&path).unwrap())
        })
        .collect()
}

impl Machine {
    /// Makes the machine that a text tells.
    pub fn of(name: &str, text: &str) -> Self {
        let left_out = [("lo".to_owned(), "the loopback interface".to_owned())].into();
        let (name, tree) = (name.to_owned(), Tree::new());
        let mut machine = Self { name, tree, macs: Vec::new(), serial: None, uuid: None, left_out };
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            machine.line(line);
        }
        machine
    }

    fn line(&mut self, line: &str) {
        let (kind, rest) = line.split_once(' ').unwrap();
        let words: Vec<&str> = rest.split_whitespace().collect();
        let told = |word: &str| (word != "none").then(|| word.to_owned());
        match (kind, &words[..]) {
            ("serial" | "uuid", _) => {
                let value = rest.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
                self.tree.file(&format!("class/dmi/id/product_{kind}"), format!("{value}\n"));
            }
            ("net", [name, bus, kind, address, assigned, more @ ..]) => {
                let bus = (*bus != "-").then_some(*bus);
                let folder = self.tree.interface(name, bus);
                let mut lines = vec![format!("INTERFACE={name}")];
                for (file, value) in [("type", kind), ("address", address), ("addr_assign_type", assigned)] {
                    if *value != "-" {
                        write(&folder.join(file), format!("{value}\n").as_bytes());
                    }
                }
                for word in more {
                    match word.split_once('=') {
                        Some(("own", address)) => write(
                            &folder.join("bonding_slave/perm_hwaddr"),
                            format!("{address}\n").as_bytes(),
                        ),
                        Some(("devtype", name)) => lines.insert(0, format!("DEVTYPE={name}")),
                        None if *word == "tun" => write(&folder.join("tun_flags"), b"0x1002\n"),
                        None if *word == "physfn" => fs::create_dir(folder.join("device/physfn")).unwrap(),
                        None if ["bridge", "bonding"].contains(word) => {
                            fs::create_dir(folder.join(word)).unwrap();
                        }
                        _ => panic!("{}: {word}?", self.name),
                    }
                }
                write(&folder.join("uevent"), (lines.join("\n") + "\n").as_bytes());
            }
            ("expect", ["macs", macs @ ..]) => self.macs = macs.iter().map(ToString::to_string).collect(),
            ("expect", ["serial", serial]) => self.serial = told(serial),
            ("expect", ["uuid", uuid]) => self.uuid = told(uuid),
            ("expect", ["out", name, reason @ ..]) => {
                self.left_out.insert((*name).to_owned(), reason.join(" "));
            }
            _ => panic!("{}: {line}?", self.name),
        }
    }
}
