//! What identifies this machine, read from the kernel's own files: network cards, serial, UUID (R13).
//!
//! `pact-agent run` presents it unless `--hardware` names a file; `pact-agent hardware` shows it. `sysfs` reads, the
//! rest judges what was read: `interface` which addresses belong to cards of this machine, `firmware` what its serial
//! and UUID are, `smbios` where they lie in the firmware's own tables, `table` how all of it is told to people.
//!
//! Not here, on purpose: whether the hardware is registered (the journal knows), vendors' placeholders (the vocabulary
//! knows them), and addresses that only a socket tells.
//!
//! **Invariant:** what was found can be presented: a journal never calls it malformed. The same files give the same
//! identity, in whatever order the kernel lists them, and however it numbers the cards.

mod firmware;
mod interface;
mod smbios;
mod sysfs;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::{Path, PathBuf},
};

use events::vocabulary::{BmcSerial, HardwareIdentity, MAX_MACS, Mac, SystemUuid};
use proto::outcome::Failure;

pub use self::{firmware::Told, interface::LeftOut};
use self::{interface::Traces, sysfs::Sighting};

/// Where the kernel shows devices.
const SYSFS: &str = "/sys";
/// Of how many interfaces an error tells why they were left out: hosts of containers have thousands.
const TOLD_IN_ERRORS: usize = 12;

/// What the probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// What is presented: at least one MAC address, at most [`MAX_MACS`], the first in the order of their bytes.
    pub hardware: HardwareIdentity,
    /// Every interface of this network namespace, by name.
    pub interfaces: Vec<Interface>,
    /// DMI `product_serial`.
    pub serial: Told<BmcSerial>,
    /// DMI `product_uuid`.
    pub uuid: Told<SystemUuid>,
}

/// An interface that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, with control characters escaped.
    pub name: String,
    /// The address that is presented, or why none is.
    pub verdict: Result<Mac, LeftOut>,
}

/// Why a machine cannot be probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The list of interfaces cannot be read.
    #[error("cannot read {path}: {source}; mount sysfs, or name a hardware file with --hardware")]
    NoSysfs {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There are more interfaces than are looked at.
    #[error("{path} shows more than {limit} network interfaces; name a hardware file with --hardware")]
    TooManyInterfaces {
        /// The folder.
        path: PathBuf,
        /// How many would be looked at.
        limit: usize,
    },
    /// No interface is a network card of this machine.
    #[error(
        "{path} shows no network card that identifies this machine ({seen}); load the drivers of its cards first, or name a hardware file with --hardware"
    )]
    NoCard {
        /// The folder.
        path: PathBuf,
        /// What was looked at, and why each was left out.
        seen: String,
    },
}

impl From<ProbeError> for Failure {
    fn from(error: ProbeError) -> Self {
        Self::named("HARDWARE_NOT_FOUND", error.to_string())
    }
}

/// What is presented, but not as it should be. An operator may want to know before a journal refuses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The machine has more cards than a hardware identity may hold.
    TooManyMacs {
        /// How many addresses it has.
        found: usize,
    },
    /// A field is there, and cannot be used.
    Field {
        /// As in the JSON of a hardware identity.
        name: &'static str,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyMacs { found } => write!(
                f,
                "{found} MAC addresses were found and the first {MAX_MACS} are presented: register one of those"
            ),
            Self::Field { name, why } => {
                write!(f, "{name} is not presented: {why}; a node that is registered with one is not let in")
            }
        }
    }
}

/// Probes the machine that this process runs on. What is odd about it is logged.
///
/// # Errors
/// If sysfs is not there, or shows no network card of this machine.
pub fn this_machine() -> Result<Probed, ProbeError> {
    let probed = probe(Path::new(SYSFS))?;
    for warning in probed.warnings() {
        tracing::warn!(%warning, "this machine's hardware is presented in part");
    }
    Ok(probed)
}

/// Probes the machine whose sysfs lies at `root`.
///
/// # Errors
/// As [`this_machine`].
pub fn probe(root: &Path) -> Result<Probed, ProbeError> {
    let sighting = Sighting::of(root)?;
    let probed = judge(&sighting);
    if probed.hardware.macs.is_empty() {
        return Err(ProbeError::NoCard { path: sysfs::interfaces(root), seen: probed.left_out_in_short() });
    }
    Ok(probed)
}

/// What was read, judged. Pure.
fn judge(sighting: &Sighting) -> Probed {
    let mut interfaces: Vec<Interface> = sighting.interfaces.iter().map(Interface::of).collect();
    interfaces.sort_by(|one, other| one.name.cmp(&other.name));
    let mut first: BTreeMap<Mac, String> = BTreeMap::new();
    for Interface { name, verdict } in &mut interfaces {
        let Ok(mac) = verdict.clone() else { continue };
        match first.get(&mac) {
            Some(holder) => *verdict = Err(LeftOut::SameAddress { holder: holder.clone() }),
            None => drop(first.insert(mac, name.clone())),
        }
    }
    let macs: BTreeSet<Mac> = first.into_keys().take(MAX_MACS).collect();
    for Interface { verdict, .. } in &mut interfaces {
        if verdict.as_ref().is_ok_and(|mac| !macs.contains(mac)) {
            *verdict = Err(LeftOut::BeyondLimit);
        }
    }
    let (serial, uuid) = (firmware::serial(&sighting.firmware), firmware::uuid(&sighting.firmware));
    let hardware =
        HardwareIdentity { macs, bmc_serial: serial.value().cloned(), uuid: uuid.value().copied() };
    Probed { hardware, interfaces, serial, uuid }
}

impl Interface {
    fn of(traces: &Traces) -> Self {
        Self { name: traces.name.escape_debug().to_string(), verdict: traces.verdict() }
    }
}

impl Probed {
    /// What an operator may want to know before a journal refuses it.
    pub fn warnings(&self) -> Vec<Warning> {
        let beyond = |interface: &&Interface| interface.verdict == Err(LeftOut::BeyondLimit);
        let beyond = self.interfaces.iter().filter(beyond).count();
        let too_many =
            (beyond > 0).then(|| Warning::TooManyMacs { found: self.hardware.macs.len() + beyond });
        let field = |name, why: Option<String>| why.map(|why| Warning::Field { name, why });
        let fields = [field("bmc_serial", self.serial.unusable()), field("uuid", self.uuid.unusable())];
        too_many.into_iter().chain(fields.into_iter().flatten()).collect()
    }

    fn left_out_in_short(&self) -> String {
        if self.interfaces.is_empty() {
            return "it has no interface at all".to_owned();
        }
        let reason = |interface: &Interface| match &interface.verdict {
            Ok(mac) => format!("{}: {mac}", interface.name),
            Err(left_out) => format!("{}: {left_out}", interface.name),
        };
        let mut told: Vec<String> = self.interfaces.iter().take(TOLD_IN_ERRORS).map(reason).collect();
        if let Some(more @ 1..) = self.interfaces.len().checked_sub(TOLD_IN_ERRORS) {
            told.push(format!("and {more} more"));
        }
        told.join("; ")
    }
}

#[cfg(test)]
mod tests;
