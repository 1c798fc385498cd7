//! An operator ends an enrollment, in peace or not. Final (R16).

use crate::node::event::{Event, RevocationCause};
use crate::node::rejection::Rejection;
use crate::node::state::{Enrollment, Held, State};
use crate::vocabulary::{RemarkHash, Timestamp};

use super::Decision;

pub(super) fn revoke(
    state: &State,
    cause: RevocationCause,
    reason: Option<RemarkHash>,
    sessions: u32,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    let record = |enrollment: &Enrollment, held: Vec<&Held>| {
        let alive = held.into_iter().filter(|held| !held.is_expired(now));
        Decision::Record(vec![Event::Revoked {
            cause,
            serials: alive.map(|held| held.certificate.serial).collect(),
            macs: enrollment.hardware.macs.iter().copied().collect(),
            reason,
        }])
    };
    match state {
        State::Unknown => Err(Rejection::NotFound),
        State::Revoked { .. } => Ok(Decision::Nothing),
        // Only what is planned can wait.
        State::Registered { .. } | State::Active { .. } | State::Inactive { .. }
            if sessions > 0 && matches!(cause, RevocationCause::Decommissioned) =>
        {
            Err(Rejection::ActiveSessions { count: sessions })
        }
        State::Registered { enrollment } => Ok(record(enrollment, vec![])),
        State::Active { enrollment, current, overlap } => {
            Ok(record(enrollment, [current].into_iter().chain(overlap).collect()))
        }
        State::Inactive { enrollment, current } => Ok(record(enrollment, current.iter().collect())),
    }
}
