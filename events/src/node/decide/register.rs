//! An operator permits a node to exist.

use crate::node::command::Register;
use crate::node::event::Event;
use crate::node::rejection::Rejection;
use crate::node::state::{Enrollment, State};
use crate::vocabulary::{NodeId, names_fit_together};

use super::Decision;

pub(super) fn register(node: &NodeId, state: &State, register: Register) -> Result<Decision, Rejection> {
    let epoch = match state {
        State::Unknown => 1,
        State::Revoked { enrollment } => enrollment.epoch.saturating_add(1),
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. } => {
            return Err(Rejection::AlreadyEnrolled { equally: says_the_same(enrollment, &register) });
        }
    };
    if !names_fit_together(node.as_str(), &register.domain) {
        return Err(Rejection::NameTooLong);
    }
    if let Some(owner) = register.macs.values().find(|owner| *owner != node) {
        return Err(Rejection::HardwareConflict { owner: owner.clone() });
    }
    let registered = Event::Registered { epoch, hardware: register.hardware, labels: register.labels };
    let Some(group) = register.vcluster else { return Ok(Decision::Record(vec![registered])) };
    if !group.exists {
        return Err(Rejection::VClusterNotFound { vcluster: group.id });
    }
    Ok(Decision::Record(vec![registered, Event::Assigned { vcluster: group.id }]))
}

fn says_the_same(enrollment: &Enrollment, register: &Register) -> bool {
    // A row of a batch has no labels: it says nothing about those that stand.
    let labels = register.labels.iter().next().is_none() || enrollment.labels == register.labels;
    labels
        && enrollment.hardware == register.hardware
        && enrollment.vcluster.as_ref() == register.vcluster.as_ref().map(|group| &group.id)
}
