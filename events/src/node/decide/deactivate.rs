//! A node is believed gone: it said goodbye, was silent, its certificate expired, or an operator says so (R19).

use crate::node::event::{DeactivationCause, Event};
use crate::node::state::{Held, State};
use crate::vocabulary::{Serial, Timestamp};

use super::Decision;
use crate::node::Rejection;

/// The stream of the current certificate says goodbye; that of the former one too while the new one was never used,
/// for the node then stops between the two. Later a word on it means nothing.
pub(super) fn goodbye(state: &State, serial: Serial) -> Decision {
    match state {
        State::Active { current, .. } if current.certificate.serial == serial => {
            gone(DeactivationCause::Goodbye, None)
        }
        State::Active { current, overlap: Some(former), .. }
            if former.certificate.serial == serial && current.confirmed_at.is_none() =>
        {
            gone(DeactivationCause::Goodbye, None)
        }
        State::Unknown
        | State::Registered { .. }
        | State::Active { .. }
        | State::Inactive { .. }
        | State::Revoked { .. } => Decision::Nothing,
    }
}

pub(super) fn deactivate(
    state: &State,
    cause: DeactivationCause,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    Ok(match (state, cause) {
        // A person is told; what time orders has nobody to tell.
        (State::Unknown, DeactivationCause::Operator) => return Err(Rejection::NotFound),
        (State::Active { current, .. }, DeactivationCause::Expiry) if !current.is_expired(now) => {
            Decision::Nothing
        }
        (
            State::Active { .. },
            DeactivationCause::Silence | DeactivationCause::Goodbye | DeactivationCause::Expiry,
        ) => gone(cause, None),
        (State::Active { current, .. }, DeactivationCause::Operator) => gone(cause, Some(current)),
        // It is gone already, and could come back by itself: that is what the operator takes from it.
        (State::Inactive { current: Some(current), .. }, DeactivationCause::Operator)
            if !current.is_expired(now) =>
        {
            gone(cause, Some(current))
        }
        (State::Unknown | State::Registered { .. } | State::Inactive { .. } | State::Revoked { .. }, _) => {
            Decision::Nothing
        }
    })
}

fn gone(cause: DeactivationCause, ended: Option<&Held>) -> Decision {
    let supersedes = ended.map(|held| held.certificate.serial);
    Decision::Record(vec![Event::Deactivated { cause, supersedes }])
}
