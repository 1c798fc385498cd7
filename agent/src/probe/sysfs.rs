//! Reads what the probe judges: the files of sysfs, each up to a bound. The only place of the probe that reads.
//!
//! Not here, on purpose: any judgement. What cannot be read is kept as what it is.
//!
//! **Invariant:** nothing is written, and no file is read further than its bound.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{ProbeError, interface::Traces};

/// A file of sysfs is at most a page.
const FILE_BYTES: u64 = 4096;
/// Tables of large servers have some 30 KB.
const TABLE_BYTES: u64 = 1024 * 1024;
/// Hosts of containers have thousands of interfaces; what has more is no machine that enrolls.
const MAX_INTERFACES: usize = 65_536;

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Reading {
    /// There is no such file.
    #[default]
    Absent,
    /// This process may not read it.
    Denied,
    /// It cannot be read for another reason.
    Broken(String),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Reading {
    fn of(path: &Path, limit: u64) -> Self {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)) {
            Ok(_) if bytes.len() as u64 > limit => Self::Broken(format!("it has more than {limit} bytes")),
            Ok(_) => Self::Bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Absent,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Denied,
            Err(error) => Self::Broken(error.to_string()),
        }
    }

    /// Whether there is such a file.
    pub(super) fn is_there(&self) -> bool {
        *self != Self::Absent
    }

    /// The bytes, if they could be read.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Absent | Self::Denied | Self::Broken(_) => None,
        }
    }

    /// The text without the white space around it, if it could be read and is UTF-8.
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes()?).ok().map(str::trim)
    }

    /// A number in decimal digits.
    pub(super) fn number(&self) -> Option<u32> {
        self.text()?.parse().ok()
    }
}

/// The files about the firmware.
#[derive(Debug, Clone, Default)]
pub(super) struct Firmware {
    /// `product_serial`.
    pub(super) serial: Reading,
    /// `product_uuid`.
    pub(super) uuid: Reading,
    /// The firmware's own tables, for kernels that show the fields not singly.
    pub(super) tables: Reading,
    /// What says of which version the tables are.
    pub(super) entry_point: Reading,
}

/// All that is judged.
#[derive(Debug, Clone, Default)]
pub(super) struct Sighting {
    /// In the kernel's order.
    pub(super) interfaces: Vec<Traces>,
    pub(super) firmware: Firmware,
}

/// Where interfaces are listed.
pub(super) fn interfaces(root: &Path) -> PathBuf {
    root.join("class/net")
}

impl Sighting {
    /// Reads a sysfs.
    ///
    /// # Errors
    /// If it lists no interfaces, or far too many.
    pub(super) fn of(root: &Path) -> Result<Self, ProbeError> {
        let folder = interfaces(root);
        let unlisted = |source| ProbeError::NoSysfs { path: folder.clone(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(unlisted)? {
            let entry = entry.map_err(unlisted)?;
            // Bonding puts a plain file beside the interfaces.
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            if found.len() == MAX_INTERFACES {
                return Err(ProbeError::TooManyInterfaces { path: folder, limit: MAX_INTERFACES });
            }
            found.push(traces(&entry.path()));
        }
        Ok(Self { interfaces: found, firmware: firmware(root) })
    }
}

fn traces(folder: &Path) -> Traces {
    let read = |file: &str| Reading::of(&folder.join(file), FILE_BYTES);
    let has = |file: &str| folder.join(file).symlink_metadata().is_ok();
    let last = |path: &Path| path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
    Traces {
        name: last(folder),
        device: has("device"),
        bus: folder.join("device/subsystem").read_link().map(|bus| last(&bus)).unwrap_or_default(),
        virtual_function: has("device/physfn"),
        bridge: has("bridge"),
        bond: has("bonding"),
        tunnel: has("tun_flags"),
        kind: read("type"),
        uevent: read("uevent"),
        assigned: read("addr_assign_type"),
        address: read("address"),
        own_address: read("bonding_slave/perm_hwaddr"),
    }
}

fn firmware(root: &Path) -> Firmware {
    let read = |file: &str, limit| Reading::of(&root.join(file), limit);
    Firmware {
        serial: read("class/dmi/id/product_serial", FILE_BYTES),
        uuid: read("class/dmi/id/product_uuid", FILE_BYTES),
        tables: read("firmware/dmi/tables/DMI", TABLE_BYTES),
        entry_point: read("firmware/dmi/tables/smbios_entry_point", FILE_BYTES),
    }
}
