//! An operator puts another machine in a node's place: same name, same epoch, other hardware.
//!
//! The former machine is not the node any more. Its certificates end, and the new one enrolls as after any absence; so a
//! node that was active is inactive. A network card more is another machine, too: what is registered is changed whole.

use crate::node::command::MacClaims;
use crate::node::event::Event;
use crate::node::rejection::Rejection;
use crate::node::state::{Enrollment, Held, State};
use crate::stream::MAX_STREAMS;
use crate::vocabulary::{HardwareIdentity, NodeId, Serial, Timestamp};

use super::Decision;

/// Old and new addresses together, each once: the fact lies in a stream of each, and in the node's (R2).
pub const MAX_MACS_CHANGED: usize = MAX_STREAMS - 1;

pub(super) fn replace_hardware(
    node: &NodeId,
    state: &State,
    hardware: HardwareIdentity,
    macs: &MacClaims,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    let alive = |held: Vec<&Held>| {
        let alive = held.into_iter().filter(|held| !held.is_expired(now));
        alive.map(|held| held.certificate.serial).collect()
    };
    match state {
        State::Unknown => Err(Rejection::NotFound),
        State::Revoked { .. } => Err(Rejection::Revoked),
        State::Registered { enrollment } => replaced(node, enrollment, hardware, macs, vec![]),
        State::Active { enrollment, current, overlap } => {
            let held = [current].into_iter().chain(overlap).collect();
            replaced(node, enrollment, hardware, macs, alive(held))
        }
        State::Inactive { enrollment, current } => {
            replaced(node, enrollment, hardware, macs, alive(current.iter().collect()))
        }
    }
}

fn replaced(
    node: &NodeId,
    enrollment: &Enrollment,
    hardware: HardwareIdentity,
    macs: &MacClaims,
    serials: Vec<Serial>,
) -> Result<Decision, Rejection> {
    let former = &enrollment.hardware;
    if *former == hardware {
        return Ok(Decision::Nothing);
    }
    if let Some(owner) = macs.values().find(|owner| *owner != node) {
        return Err(Rejection::HardwareConflict { owner: owner.clone() });
    }
    let addresses = former.macs.union(&hardware.macs).count();
    if addresses > MAX_MACS_CHANGED {
        return Err(Rejection::TooManyMacs { addresses });
    }
    let released = former.macs.difference(&hardware.macs).copied().collect();
    Ok(Decision::Record(vec![Event::HardwareReplaced { hardware, released, serials }]))
}
