//! A machine asks for a certificate by its hardware identity (R12, R13, R14).
//!
//! The order of checks is what callers can rely on: hardware, state, request.

use crate::certificate::Subject;
use crate::node::command::Enroll;
use crate::node::event::{Cause, DeactivationCause, Event};
use crate::node::rejection::Rejection;
use crate::node::state::{Enrollment, Held, State};
use crate::vocabulary::NodeId;

use super::{Decision, Issue, ended, free_key};

pub(super) fn enroll(node: &NodeId, state: &State, enroll: Enroll) -> Result<Decision, Rejection> {
    let Some(enrollment) = state.enrollment() else { return Err(Rejection::NotEnrolled) };
    let foreign = enroll.macs.values().any(|owner| owner != node);
    if foreign || !enrollment.hardware.is_matched_by(&enroll.presented) {
        return Err(Rejection::HardwareMismatch);
    }
    match state {
        State::Unknown => Err(Rejection::NotEnrolled),
        State::Revoked { .. } => Err(Rejection::Revoked),
        State::Registered { enrollment } => issue(node, enrollment, Cause::Enrolled, None, None, enroll),
        State::Inactive { enrollment, current } => {
            issue(node, enrollment, Cause::ReEnrolled, None, current.as_ref(), enroll)
        }
        State::Active { enrollment, current, .. } => active(node, enrollment, current, enroll),
    }
}

/// R14: once active, only the same key gets an answer, and it is the certificate it has already.
fn active(
    node: &NodeId,
    enrollment: &Enrollment,
    current: &Held,
    enroll: Enroll,
) -> Result<Decision, Rejection> {
    if current.is_expired(enroll.terms.now) {
        let over = Event::Deactivated { cause: DeactivationCause::Expiry, supersedes: None };
        return issue(node, enrollment, Cause::ReEnrolled, Some(over), Some(current), enroll);
    }
    match &enroll.key {
        Some(claim) if claim.key == current.certificate.spki_sha256 => {
            Ok(Decision::Repeat(current.certificate.clone()))
        }
        Some(_) | None => Err(Rejection::AlreadyActive { until: current.certificate.not_after }),
    }
}

fn issue(
    node: &NodeId,
    enrollment: &Enrollment,
    cause: Cause,
    before: Option<Event>,
    replaced: Option<&Held>,
    enroll: Enroll,
) -> Result<Decision, Rejection> {
    let key = free_key(node, enrollment, enroll.key)?.key;
    Ok(Decision::Issue(Box::new(Issue {
        profile: enroll.terms.profile(Subject::Node(node.clone()), key),
        before,
        cause,
        epoch: enrollment.epoch,
        supersedes: replaced.map(|old| ended(old.certificate.serial)).into_iter().collect(),
        presented: Some(enroll.presented),
        boot_id: enroll.boot_id,
    })))
}
