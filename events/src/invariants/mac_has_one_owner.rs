//! An address belongs to one node at a time; a revocation releases all of its node's, replaced hardware those that it
//! does not have, and nothing else any; and no certificate goes to a machine that presents an address of another node
//! (R2, R13).

use crate::fact::{Fact, Record};
use crate::node::Event;
use crate::vocabulary::{Mac, NodeId};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "mac_has_one_owner";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Node(id, event) = &record.fact else { return Ok(()) };
    match event {
        Event::Registered { hardware, .. } => hardware.macs.iter().try_for_each(|mac| free(past, id, mac)),
        Event::CertificateIssued { presented, .. } => {
            presented.iter().flat_map(|hardware| &hardware.macs).try_for_each(|mac| free(past, id, mac))
        }
        Event::Revoked { macs, .. } => {
            let held = past.node().enrollment().map(|enrollment| &enrollment.hardware.macs);
            ensure(held.is_none_or(|held| macs.iter().eq(held)), || {
                "it does not release exactly the node's addresses".to_owned()
            })
        }
        Event::HardwareReplaced { hardware, released, .. } => {
            hardware.macs.iter().try_for_each(|mac| free(past, id, mac))?;
            let held = past.node().enrollment().map(|enrollment| &enrollment.hardware.macs);
            ensure(held.is_none_or(|held| released.iter().eq(held.difference(&hardware.macs))), || {
                "it does not release exactly the former addresses that the new hardware lacks".to_owned()
            })
        }
        Event::EnrollmentConfirmed { .. }
        | Event::Deactivated { .. }
        | Event::Reactivated { .. }
        | Event::Assigned { .. }
        | Event::Contested { .. }
        | Event::Resolved {}
        | Event::AttemptsRefused(_)
        | Event::CertificateRevoked { .. }
        | Event::Unassigned { .. }
        | Event::Moved { .. }
        | Event::Drained {}
        | Event::Undrained {}
        | Event::IdentityBound { .. } => Ok(()),
    }
}

fn free(past: &Before<'_>, id: &NodeId, mac: &Mac) -> Result<(), String> {
    let owner = past.views.registry.mac_owner(mac).filter(|owner| *owner != id);
    owner.map_or(Ok(()), |owner| Err(format!("the address {mac} belongs to {owner}")))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Log, enrolled, registered, replaced, revoked};

    #[test]
    fn rule_02_an_address_registered_twice_is_found() {
        let mut log = Log::enrolled();
        assert_eq!(log.broken_by_node("n4", registered(1, &[4, 2])), [super::NAME]);
        log.of("n1", revoked(&[1], &[1, 2]));
        assert_eq!(log.broken_by_node("n4", registered(1, &[4, 2])), [""; 0]);
    }

    #[test]
    fn rule_02_a_revocation_that_keeps_or_takes_an_address_is_found() {
        let log = Log::enrolled();
        for macs in [&[][..], &[1], &[1, 2, 3], &[2, 1], &[3]] {
            assert_eq!(log.broken_by_node("n1", revoked(&[1], macs)), [super::NAME], "{macs:?}");
        }
        assert!(log.broken_by_node("n1", revoked(&[1], &[1, 1, 2])).contains(&super::NAME));
    }

    #[test]
    fn rule_13_an_enrollment_with_an_address_of_another_node_is_found() {
        let log = Log::enrolled();
        assert_eq!(log.broken_by_node("n2", enrolled(7, 0, &[3, 1])), [super::NAME]);
        assert_eq!(log.broken_by_node("n2", enrolled(7, 0, &[3, 9])), [""; 0]);
    }

    #[test]
    fn rule_02_replaced_hardware_that_takes_keeps_or_gives_away_an_address_is_found() {
        let log = Log::enrolled();
        assert_eq!(log.broken_by_node("n1", replaced(&[2, 9], &[1], &[1])), [""; 0]);
        for planted in [
            replaced(&[2, 9], &[], &[1]),
            replaced(&[2, 9], &[3], &[1]),
            replaced(&[9], &[2, 1], &[1]),
            replaced(&[3], &[1, 2], &[1]),
        ] {
            assert_eq!(log.broken_by_node("n1", planted.clone()), [super::NAME], "{planted:?}");
        }
    }
}
