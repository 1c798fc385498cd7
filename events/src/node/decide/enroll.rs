//! A machine asks for a certificate by its hardware identity (R12, R13, R14).
//!
//! The order of checks is what callers can rely on: hardware, state, request.

use crate::certificate::Subject;
use crate::node::command::Enroll;
use crate::node::event::{Cause, DeactivationCause, Event};
use crate::node::rejection::Rejection;
use crate::node::state::{Enrollment, Held, State};
use crate::vocabulary::NodeId;

use super::{Decision, Issue, ended, free_key, warm_reboot};

pub(super) fn enroll(node: &NodeId, state: &State, enroll: Enroll) -> Result<Decision, Rejection> {
    let Some(enrollment) = state.enrollment() else { return Err(Rejection::NotEnrolled) };
    let foreign = enroll.macs.values().any(|owner| owner != node);
    if foreign || !enrollment.hardware.is_matched_by(&enroll.presented) {
        return Err(Rejection::HardwareMismatch);
    }
    let key = enroll.key.as_ref().map(|claim| claim.key);
    if let Some(former) = key.and_then(|key| state.replaced_key(key, enroll.terms.now)) {
        let certificate = former.held.certificate.clone();
        return Ok(Decision::Return { events: warm_reboot::two_machines(state, former), certificate });
    }
    match state {
        State::Unknown => Err(Rejection::NotEnrolled),
        State::Revoked { .. } => Err(Rejection::Revoked),
        State::Registered { enrollment } => issue(node, enrollment, Cause::Enrolled, None, [], enroll),
        State::Inactive { enrollment, current } => {
            issue(node, enrollment, Cause::ReEnrolled, None, current, enroll)
        }
        State::Active { enrollment, current, overlap } => {
            active(node, enrollment, (current, overlap.as_ref()), enroll)
        }
    }
}

/// R14: once active, the same key gets an answer, and it is the certificate it has already; another one only if the machine
/// was rebooted.
fn active(
    node: &NodeId,
    enrollment: &Enrollment,
    (current, overlap): (&Held, Option<&Held>),
    enroll: Enroll,
) -> Result<Decision, Rejection> {
    if current.is_expired(enroll.terms.now) {
        let over = Event::Deactivated { cause: DeactivationCause::Expiry, supersedes: None };
        return issue(node, enrollment, Cause::ReEnrolled, Some(over), [current], enroll);
    }
    match &enroll.key {
        Some(claim) if claim.key == current.certificate.spki_sha256 => {
            Ok(Decision::Repeat(current.certificate.clone()))
        }
        Some(_) => {
            warm_reboot::admit(enrollment, (current, overlap), &enroll)?;
            issue(node, enrollment, Cause::WarmReboot, None, [current].into_iter().chain(overlap), enroll)
        }
        None => Err(Rejection::AlreadyActive { until: current.certificate.not_after }),
    }
}

fn issue<'a>(
    node: &NodeId,
    enrollment: &Enrollment,
    cause: Cause,
    before: Option<Event>,
    replaced: impl IntoIterator<Item = &'a Held>,
    enroll: Enroll,
) -> Result<Decision, Rejection> {
    let key = free_key(node, enrollment, enroll.key)?.key;
    Ok(Decision::Issue(Box::new(Issue {
        profile: enroll.terms.profile(Subject::Node(node.clone()), key),
        before,
        cause,
        epoch: enrollment.epoch,
        supersedes: replaced.into_iter().map(|old| ended(old.certificate.serial)).collect(),
        presented: Some(enroll.presented),
        boot_id: enroll.boot_id,
    })))
}
