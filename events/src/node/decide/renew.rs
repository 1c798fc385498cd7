//! A node asks for its next certificate, or uses one for the first time (R15, R20).

use crate::certificate::Subject;
use crate::node::command::{KeyClaim, Renew};
use crate::node::event::{Cause, Event, Supersession};
use crate::node::rejection::Rejection;
use crate::node::state::{Enrollment, Held, OVERLAP, State};
use crate::vocabulary::{NodeId, Serial, Timestamp};

use super::{Decision, Issue, ended, free_key};

pub(super) fn renew(node: &NodeId, state: &State, renew: Renew) -> Result<Decision, Rejection> {
    if renew.presented != renew.named {
        return Err(Rejection::SerialSuperseded);
    }
    // Its proof is one of two machines (R14 c), and is none in the hands of the one that replaced it.
    let replaced = |claim: &KeyClaim| state.replaced_key(claim.key, renew.terms.now).is_some();
    if state.usable_until(renew.presented).is_some() && renew.key.as_ref().is_some_and(replaced) {
        return Err(Rejection::KeyReused);
    }
    let lives = state.usable_until(renew.presented).is_some_and(|until| until > renew.terms.now);
    match state {
        State::Unknown => Err(Rejection::NotEnrolled),
        State::Revoked { .. } => Err(Rejection::Revoked),
        State::Registered { .. } | State::Inactive { current: None, .. } => Err(Rejection::SerialSuperseded),
        State::Active { .. } | State::Inactive { .. } if !lives => Err(Rejection::SerialSuperseded),
        State::Active { enrollment, current, overlap } => {
            next(node, enrollment, current, overlap.as_ref(), renew)
        }
        State::Inactive { enrollment, current: Some(current) } => {
            next(node, enrollment, current, None, renew)
        }
    }
}

/// Over the current certificate: a new one, or the same if the key is the same. Over its predecessor, while that lives:
/// only the answer that was lost.
fn next(
    node: &NodeId,
    enrollment: &Enrollment,
    current: &Held,
    overlap: Option<&Held>,
    renew: Renew,
) -> Result<Decision, Rejection> {
    let asks_again = renew.key.as_ref().is_some_and(|claim| claim.key == current.certificate.spki_sha256);
    if asks_again {
        return Ok(Decision::Repeat(current.certificate.clone()));
    }
    if renew.presented != current.certificate.serial {
        return Err(Rejection::SerialSuperseded);
    }
    let key = free_key(node, enrollment, renew.key)?.key;
    let lives_on = Supersession {
        serial: current.certificate.serial,
        overlap_secs: u32::try_from(OVERLAP.as_secs()).unwrap_or(u32::MAX),
    };
    Ok(Decision::Issue(Box::new(Issue {
        profile: renew.terms.profile(Subject::Node(node.clone()), key),
        before: None,
        cause: Cause::Renewed,
        epoch: enrollment.epoch,
        supersedes: [lives_on].into_iter().chain(overlap.map(|old| ended(old.certificate.serial))).collect(),
        presented: None,
        boot_id: None,
    })))
}

pub(super) fn confirm(state: &State, serial: Serial, now: Timestamp) -> Result<Decision, Rejection> {
    let confirmed = Event::EnrollmentConfirmed { serial };
    match state {
        State::Unknown => Err(Rejection::NotEnrolled),
        State::Revoked { .. } => Err(Rejection::Revoked),
        State::Active { current, .. } if current.certificate.serial == serial => {
            Ok(match current.confirmed_at {
                None => Decision::Record(vec![confirmed]),
                Some(_) => Decision::Nothing,
            })
        }
        State::Active { overlap: Some(old), .. }
            if old.certificate.serial == serial
                && state.usable_until(serial).is_some_and(|until| until > now) =>
        {
            Ok(Decision::Nothing)
        }
        State::Inactive { current: Some(current), .. }
            if current.certificate.serial == serial && !current.is_expired(now) =>
        {
            let back = Event::Reactivated { serial };
            Ok(Decision::Record(match current.confirmed_at {
                None => vec![back, confirmed],
                Some(_) => vec![back],
            }))
        }
        State::Registered { .. } | State::Active { .. } | State::Inactive { .. } => {
            Err(Rejection::SerialSuperseded)
        }
    }
}
