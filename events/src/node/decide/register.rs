//! An operator permits a node to exist.

use crate::node::command::Register;
use crate::node::event::Event;
use crate::node::rejection::Rejection;
use crate::node::state::State;
use crate::vocabulary::{NodeId, names_fit_together};

use super::Decision;

pub(super) fn register(node: &NodeId, state: &State, register: Register) -> Result<Decision, Rejection> {
    let epoch = match state {
        State::Unknown => 1,
        State::Revoked { enrollment } => enrollment.epoch.saturating_add(1),
        State::Registered { .. } | State::Active { .. } | State::Inactive { .. } => {
            return Err(Rejection::AlreadyEnrolled);
        }
    };
    if !names_fit_together(node.as_str(), &register.domain) {
        return Err(Rejection::NameTooLong);
    }
    if let Some(owner) = register.macs.values().find(|owner| *owner != node) {
        return Err(Rejection::HardwareConflict { owner: owner.clone() });
    }
    Ok(Decision::Record(vec![Event::Registered {
        epoch,
        hardware: register.hardware,
        labels: register.labels,
    }]))
}
