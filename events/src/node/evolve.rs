//! Folds facts into a node's state. Total: what has happened is never refused; a fact that fits no state (which only a
//! log that breaks an invariant holds) changes nothing.

use crate::vocabulary::{Assurance, HardwareIdentity, Serial, Timestamp};

use super::event::{DeactivationCause, Event, Supersession};
use super::state::{Enrollment, Held, State};

/// Applies a recorded fact. `recorded_at` and `assurance` are the envelope's.
pub fn evolve(state: State, event: &Event, recorded_at: Timestamp, assurance: Option<Assurance>) -> State {
    match event {
        Event::Registered { epoch, hardware, labels } => State::Registered {
            enrollment: Enrollment {
                epoch: *epoch,
                hardware: hardware.clone(),
                labels: labels.clone(),
                vcluster: None,
                contested: false,
            },
        },
        Event::CertificateIssued { certificate, supersedes, .. } => {
            let new = Held { certificate: certificate.clone(), assurance, confirmed_at: None };
            issued(state, new, supersedes)
        }
        Event::EnrollmentConfirmed { serial } => match state {
            State::Active { enrollment, mut current, overlap } => {
                if current.certificate.serial == *serial {
                    current.confirmed_at = current.confirmed_at.or(Some(recorded_at));
                }
                State::Active { enrollment, current, overlap }
            }
            State::Unknown | State::Registered { .. } | State::Inactive { .. } | State::Revoked { .. } => {
                state
            }
        },
        Event::Deactivated { cause, .. } => match state {
            State::Active { enrollment, current, .. } => {
                let ended = matches!(cause, DeactivationCause::Operator);
                State::Inactive { enrollment, current: (!ended).then_some(current) }
            }
            State::Inactive { enrollment, current } => {
                let ended = matches!(cause, DeactivationCause::Operator);
                State::Inactive { enrollment, current: current.filter(|_| !ended) }
            }
            State::Unknown | State::Registered { .. } | State::Revoked { .. } => state,
        },
        Event::Reactivated { serial } => match state {
            State::Inactive { enrollment, current: Some(current) }
                if current.certificate.serial == *serial =>
            {
                State::Active { enrollment, current, overlap: None }
            }
            State::Unknown
            | State::Registered { .. }
            | State::Active { .. }
            | State::Inactive { .. }
            | State::Revoked { .. } => state,
        },
        Event::Revoked { .. } => match state {
            State::Registered { enrollment }
            | State::Active { enrollment, .. }
            | State::Inactive { enrollment, .. }
            | State::Revoked { enrollment } => {
                // Neither of the machines is the node any more.
                State::Revoked { enrollment: Enrollment { contested: false, ..enrollment } }
            }
            State::Unknown => State::Unknown,
        },
        Event::Assigned { vcluster } => {
            let mut state = state;
            if let Some(enrollment) = state.enrollment_mut() {
                enrollment.vcluster = Some(vcluster.clone());
            }
            state
        }
        Event::Contested { .. } => contested(state, true),
        Event::Resolved {} => contested(state, false),
        Event::HardwareReplaced { hardware, .. } => replaced(state, hardware),
        Event::AttemptsRefused(_) => state,
        Event::CertificateRevoked { serials, .. } => distrusted(state, serials),
    }
}

/// Without its current certificate a node is gone, and whatever it had beside it opens nothing more.
fn distrusted(state: State, ended: &[Serial]) -> State {
    let stands = |held: &Held| !ended.contains(&held.certificate.serial);
    match state {
        State::Active { enrollment, current, overlap } if stands(&current) => {
            State::Active { enrollment, current, overlap: overlap.filter(stands) }
        }
        State::Active { enrollment, .. } => State::Inactive { enrollment, current: None },
        State::Inactive { enrollment, current } => {
            State::Inactive { enrollment, current: current.filter(stands) }
        }
        State::Unknown | State::Registered { .. } | State::Revoked { .. } => state,
    }
}

/// The domain was restored (R27): no certificate of before opens anything, and whoever was let in must ask again.
pub fn restored(state: State) -> State {
    match state {
        State::Unknown | State::Registered { .. } | State::Revoked { .. } => state,
        State::Active { enrollment, .. } | State::Inactive { enrollment, .. } => {
            State::Inactive { enrollment, current: None }
        }
    }
}

/// What was revoked is contested by nobody.
fn contested(mut state: State, contested: bool) -> State {
    match &mut state {
        State::Unknown | State::Revoked { .. } => {}
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. } => enrollment.contested = contested,
    }
    state
}

/// The new machine has no certificate, and the former one none any more.
fn replaced(state: State, hardware: &HardwareIdentity) -> State {
    let with = |enrollment| Enrollment { hardware: hardware.clone(), ..enrollment };
    match state {
        State::Unknown | State::Revoked { .. } => state,
        State::Registered { enrollment } => State::Registered { enrollment: with(enrollment) },
        State::Active { enrollment, .. } | State::Inactive { enrollment, .. } => {
            State::Inactive { enrollment: with(enrollment), current: None }
        }
    }
}

/// The former current certificate lives on only if the fact leaves it an overlap.
fn issued(state: State, new: Held, supersedes: &[Supersession]) -> State {
    let overlaps = |old: &Held| {
        supersedes.iter().any(|over| over.serial == old.certificate.serial && over.overlap_secs > 0)
    };
    match state {
        State::Unknown | State::Revoked { .. } => state,
        State::Registered { enrollment } => State::Active { enrollment, current: new, overlap: None },
        State::Active { enrollment, current, .. } => {
            State::Active { enrollment, current: new, overlap: Some(current).filter(overlaps) }
        }
        State::Inactive { enrollment, current } => {
            State::Active { enrollment, current: new, overlap: current.filter(overlaps) }
        }
    }
}
