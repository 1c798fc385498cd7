//! Hardware identities: what a machine presents, and what an operator registers (R13).

use events::vocabulary::{HardwareIdentity, InvalidHardware};

use crate::{pb, reason::Reason, refusal::Refusal};

/// Reads what a machine presents: empty fields and vendors' placeholders count as absent.
///
/// # Errors
/// `HARDWARE_INVALID` if a field is there and unreadable.
pub fn presented(wire: Option<&pb::HardwareIdentity>) -> Result<HardwareIdentity, Refusal> {
    read(wire, HardwareIdentity::presented)
}

/// Reads what an operator registers: at least one MAC address, and no placeholders.
///
/// # Errors
/// `HARDWARE_INVALID`, naming the field.
pub fn registered(wire: Option<&pb::HardwareIdentity>) -> Result<HardwareIdentity, Refusal> {
    read(wire, HardwareIdentity::registered)
}

type Parse = fn(&[String], &str, &str) -> Result<HardwareIdentity, InvalidHardware>;

fn read(wire: Option<&pb::HardwareIdentity>, parse: Parse) -> Result<HardwareIdentity, Refusal> {
    let absent = pb::HardwareIdentity::default();
    let wire = wire.unwrap_or(&absent);
    parse(&wire.mac_addresses, &wire.bmc_serial, &wire.system_uuid)
        .map_err(|error| Refusal::new(Reason::HardwareInvalid, error.to_string()))
}

impl From<&HardwareIdentity> for pb::HardwareIdentity {
    fn from(hardware: &HardwareIdentity) -> Self {
        Self {
            mac_addresses: hardware.macs.iter().map(ToString::to_string).collect(),
            bmc_serial: hardware.bmc_serial.as_ref().map(ToString::to_string).unwrap_or_default(),
            system_uuid: hardware.uuid.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(macs: &[&str], bmc_serial: &str, system_uuid: &str) -> pb::HardwareIdentity {
        pb::HardwareIdentity {
            mac_addresses: macs.iter().map(|mac| (*mac).to_owned()).collect(),
            bmc_serial: bmc_serial.to_owned(),
            system_uuid: system_uuid.to_owned(),
        }
    }

    #[test]
    fn an_identity_reads_back_in_its_canonical_form() {
        let uuid = "4c4c4544-0042-3510-8054-b7c04f4d3032";
        let given = wire(&["AA-BB-CC-DD-EE-02", "aa:bb:cc:dd:ee:01"], " SN1 ", uuid);
        let hardware = registered(Some(&given)).unwrap();
        let canonical = wire(&["aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02"], "SN1", uuid);
        assert_eq!(pb::HardwareIdentity::from(&hardware), canonical);
        assert_eq!(presented(Some(&canonical)), Ok(hardware));
    }

    #[test]
    fn nothing_may_be_presented_but_not_registered() {
        assert_eq!(presented(None), Ok(HardwareIdentity::default()));
        assert_eq!(registered(None).unwrap_err().reason, Reason::HardwareInvalid);
    }

    #[test]
    fn a_multicast_mac_is_refused_either_way() {
        let multicast = wire(&["01:00:5e:00:00:01"], "", "");
        for refused in [presented(Some(&multicast)), registered(Some(&multicast))] {
            assert_eq!(refused.unwrap_err().reason, Reason::HardwareInvalid);
        }
    }
}
