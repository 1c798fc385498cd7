//! One machine in one of its boots: what it presents to every journal that it asks.
//!
//! [`crate::enroll`] and [`crate::subscription`] present it. `loadtest` makes up thousands.
//!
//! **Invariant:** the boot id differs after every boot, and stays the same within one (R14).

use std::fs;

use events::vocabulary::{BootId, HardwareIdentity};
use ring::rand::{SecureRandom, SystemRandom};

/// Where the kernel tells which boot this is.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// A machine, as it presents itself.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Which machine it is.
    pub hardware: HardwareIdentity,
    /// Which of its boots.
    pub boot_id: BootId,
}

impl Machine {
    /// The machine that this process runs on, in its present boot, with hardware that was read elsewhere.
    pub fn here(hardware: HardwareIdentity) -> Self {
        let told = fs::read_to_string(BOOT_ID_FILE).ok().and_then(|text| text.trim().parse().ok());
        Self { hardware, boot_id: told.unwrap_or_else(drawn_boot_id) }
    }

    /// A machine that has just booted: its boot id is drawn.
    pub fn just_booted(hardware: HardwareIdentity) -> Self {
        Self { hardware, boot_id: drawn_boot_id() }
    }
}

/// For a kernel that tells none: as long as the process lives, this is the boot.
fn drawn_boot_id() -> BootId {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the kernel has random numbers, or TLS would not work either");
    format!("{:032x}", u128::from_be_bytes(bytes)).parse().expect("32 hex digits are a boot id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_keeps_its_id_and_the_next_has_another() {
        let here = || Machine::here(HardwareIdentity::default()).boot_id;
        let booted = || Machine::just_booted(HardwareIdentity::default()).boot_id;
        assert_eq!(here(), here());
        assert_ne!(booted(), booted());
    }
}
