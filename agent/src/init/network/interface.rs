//! Which interface is the first: the physical one with the lowest number.
//!
//! [`super::keep`] waits for it. Where none is physical (in a network namespace), any Ethernet does.
//!
//! Not here, on purpose: what a machine presents to a journal, which is all of its cards ([`crate::probe`]).

use std::{fs, io, path::Path, time::Duration};

use tokio::time::Instant;

const CLASS: &str = "/sys/class/net";
/// `ARPHRD_ETHER` of linux/if_arp.h.
const ETHERNET: u32 = 1;

/// An interface of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    /// As the kernel counts.
    pub(super) index: u32,
    /// As the kernel calls it.
    pub(super) name: String,
    /// Its present MAC address: 6 bytes of an Ethernet.
    pub(super) mac: Vec<u8>,
    physical: bool,
    ethernet: bool,
}

/// Waits for the first physical interface; at last takes what is there.
pub(super) async fn first(within: Duration) -> Option<Interface> {
    let until = Instant::now() + within;
    loop {
        let found = choose(all(Path::new(CLASS)).unwrap_or_default());
        let over = Instant::now() >= until;
        match found {
            Some(interface) if interface.physical || over => return Some(interface),
            Some(_) | None if over => return None,
            Some(_) | None => super::look_again().await,
        }
    }
}

fn choose(mut interfaces: Vec<Interface>) -> Option<Interface> {
    interfaces.retain(|interface| interface.ethernet);
    interfaces.sort_by_key(|interface| (!interface.physical, interface.index));
    interfaces.into_iter().next()
}

fn all(class: &Path) -> io::Result<Vec<Interface>> {
    let entries = fs::read_dir(class)?.filter_map(Result::ok);
    Ok(entries.filter_map(|entry| read(&entry.path())).collect())
}

/// None for what is no interface, or has gone in the meantime.
fn read(folder: &Path) -> Option<Interface> {
    let text = |name: &str| Some(fs::read_to_string(folder.join(name)).ok()?.trim().to_owned());
    let octets = text("address")?;
    let mac = octets.split(':').map(|octet| u8::from_str_radix(octet, 16).ok()).collect::<Option<Vec<_>>>();
    Some(Interface {
        index: text("ifindex")?.parse().ok()?,
        name: folder.file_name()?.to_str()?.to_owned(),
        mac: mac?,
        physical: folder.join("device").exists(),
        ethernet: text("type")?.parse() == Ok(ETHERNET),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(class: &Path, name: &str, [index, kind, mac]: [&str; 3], physical: bool) {
        let folder = class.join(name);
        fs::create_dir(&folder).unwrap();
        for (file, text) in [("ifindex", index), ("type", kind), ("address", mac)] {
            fs::write(folder.join(file), format!("{text}\n")).unwrap();
        }
        if physical {
            fs::write(folder.join("device"), "").unwrap();
        }
    }

    #[test]
    fn the_physical_interface_with_the_lowest_number_is_the_first() {
        let class = tempfile::tempdir().unwrap();
        let class = class.path();
        fs::write(class.join("bonding_masters"), "").unwrap();
        interface(class, "lo", ["1", "772", "00:00:00:00:00:00"], false);
        interface(class, "veth0", ["2", "1", "02:00:00:00:00:01"], false);
        assert_eq!(choose(all(class).unwrap()).unwrap().name, "veth0");
        interface(class, "eth10", ["10", "1", "02:00:00:00:00:0a"], true);
        interface(class, "eth9", ["9", "1", "02:00:00:00:00:09"], true);
        interface(class, "ib0", ["3", "32", "80:00:02:08:fe:80"], true);
        let first = choose(all(class).unwrap()).unwrap();
        assert_eq!((first.name.as_str(), first.mac[5]), ("eth9", 9));
    }

    #[test]
    fn what_cannot_be_read_is_no_interface() {
        let class = tempfile::tempdir().unwrap();
        interface(class.path(), "odd", ["x", "1", "02:00:00:00:00:01"], true);
        interface(class.path(), "odder", ["7", "1", "no:mac"], true);
        assert_eq!(choose(all(class.path()).unwrap()), None);
    }
}
