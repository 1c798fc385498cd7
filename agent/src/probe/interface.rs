//! Which network interface is a card of this machine, and which address is its own.
//!
//! The probe asks for each interface that [`super::sysfs`] saw. What Linux offers beside cards is left out by what it
//! is, so that the answer does not depend on names: bridges, bonds, VLANs, tunnels, ends of containers. A virtual
//! machine's card is a card.
//!
//! Not here, on purpose: reading, and what two interfaces have in common.
//!
//! **Invariant:** an address that the kernel drew, or that many machines share, identifies nobody and is left out.

use std::fmt;

use events::vocabulary::{InvalidMac, Mac};

use super::sysfs::Reading;

/// Hardware types of `linux/if_arp.h`.
const ETHERNET: u32 = 1;
const INFINIBAND: u32 = 32;
const LOOPBACK: u32 = 772;
/// `NET_ADDR_RANDOM` of `linux/netdevice.h`: the driver found no address and drew one, for this boot.
const DRAWN: u32 = 1;
/// The second bit of an address's first byte: assigned by software, not by the vendor.
const LOCALLY_ADMINISTERED: u8 = 2;

/// What an interface without a card is, by the kernel's `DEVTYPE`.
const KINDS: &[(&str, &str)] = &[
    ("bridge", "a bridge"),
    ("vlan", "a VLAN"),
    ("bond", "a bond"),
    ("team", "a team"),
    ("macvlan", "a macvlan"),
    ("ipvlan", "an ipvlan"),
    ("vxlan", "a VXLAN"),
    ("geneve", "a tunnel"),
    ("gre", "a tunnel"),
    ("wireguard", "a WireGuard tunnel"),
];

/// What sysfs shows of one interface.
#[derive(Debug, Clone, Default)]
pub(super) struct Traces {
    /// As the kernel calls it.
    pub(super) name: String,
    /// A device of a bus stands behind it.
    pub(super) device: bool,
    /// That device's bus: `pci`, `virtio`, `usb`.
    pub(super) bus: String,
    /// That device is a share of a card, which has an interface of its own (SR-IOV).
    pub(super) virtual_function: bool,
    /// It has a bridge's folder.
    pub(super) bridge: bool,
    /// It has a bond's folder.
    pub(super) bond: bool,
    /// It has the flags of a tunnel into a process.
    pub(super) tunnel: bool,
    /// `type`, a number.
    pub(super) kind: Reading,
    /// `uevent`, lines of `NAME=value`.
    pub(super) uevent: Reading,
    /// `addr_assign_type`, a number.
    pub(super) assigned: Reading,
    /// `address`.
    pub(super) address: Reading,
    /// `bonding_slave/perm_hwaddr`: its own address, while it wears the bond's.
    pub(super) own_address: Reading,
}

/// Why an interface's address is not presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOut {
    /// The loopback interface.
    Loopback,
    /// An InfiniBand interface: its address changes with the fabric, and is no MAC.
    InfiniBand,
    /// It speaks something else than Ethernet.
    OtherType(u32),
    /// It is made by software.
    Virtual(&'static str),
    /// A share of a card that has an interface of its own.
    VirtualFunction,
    /// The kernel drew the address in this boot.
    Drawn,
    /// A USB device with an address that no vendor assigned, as BMCs have, alike on many machines.
    MadeUp,
    /// An address that no machine can have.
    NotAnAddress(InvalidMac),
    /// A file about it cannot be read, or holds something else.
    Unreadable(&'static str),
    /// Another interface presents this address.
    SameAddress {
        /// Its name.
        holder: String,
    },
    /// There are more addresses than a hardware identity may hold.
    BeyondLimit,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("the loopback interface"),
            Self::InfiniBand => f.write_str("InfiniBand, which has no MAC address"),
            Self::OtherType(number) => write!(f, "not Ethernet (hardware type {number})"),
            Self::Virtual(kind) => write!(f, "{kind}, no card"),
            Self::VirtualFunction => f.write_str("a virtual function of a card"),
            Self::Drawn => f.write_str("its address was drawn at random in this boot"),
            Self::MadeUp => f.write_str("a USB device with a made-up address, as BMCs have"),
            Self::NotAnAddress(why) => write!(f, "{why}"),
            Self::Unreadable(file) => write!(f, "its file {file} cannot be read"),
            Self::SameAddress { holder } => write!(f, "the same address as {holder}"),
            Self::BeyondLimit => f.write_str("more addresses than a hardware identity may hold"),
        }
    }
}

impl Traces {
    /// The address that identifies this machine, or why there is none.
    pub(super) fn verdict(&self) -> Result<Mac, LeftOut> {
        let kind = self.kind.number();
        if kind == Some(LOOPBACK) {
            return Err(LeftOut::Loopback);
        }
        if let Some(made) = self.made_by_software() {
            return Err(LeftOut::Virtual(made));
        }
        match kind.ok_or(LeftOut::Unreadable("type"))? {
            ETHERNET if self.virtual_function => Err(LeftOut::VirtualFunction),
            ETHERNET => self.of_a_card(),
            INFINIBAND => Err(LeftOut::InfiniBand),
            other => Err(LeftOut::OtherType(other)),
        }
    }

    /// What it is, if no card stands behind it.
    fn made_by_software(&self) -> Option<&'static str> {
        let told = self.uevent.text().unwrap_or_default();
        let kind = told.lines().find_map(|line| line.strip_prefix("DEVTYPE=")).unwrap_or_default();
        let known = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, told)| *told);
        match (self.bridge, self.bond, self.tunnel) {
            (true, _, _) => Some("a bridge"),
            (_, true, _) => Some("a bond"),
            (_, _, true) => Some("a tunnel"),
            (false, false, false) => known.or((!self.device).then_some("virtual")),
        }
    }

    fn of_a_card(&self) -> Result<Mac, LeftOut> {
        let in_bond = self.own_address.is_there();
        let (reading, file) = if in_bond {
            (&self.own_address, "bonding_slave/perm_hwaddr")
        } else {
            (&self.address, "address")
        };
        let text = reading.text().ok_or(LeftOut::Unreadable(file))?;
        let mac: Mac = text.parse().map_err(LeftOut::NotAnAddress)?;
        let [first, ..] = mac.as_bytes();
        if !in_bond && self.assigned.number() == Some(DRAWN) {
            Err(LeftOut::Drawn)
        } else if self.bus == "usb" && first & LOCALLY_ADMINISTERED != 0 {
            Err(LeftOut::MadeUp)
        } else {
            Ok(mac)
        }
    }
}
