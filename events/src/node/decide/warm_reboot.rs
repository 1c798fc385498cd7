//! A machine that was switched off and on without a goodbye, and is let in before the node is given up; and what follows when
//! the key that this replaced is proved afterwards (R14 c).
//!
//! The reboot is claimed, not proved: a copy of the hardware identity can claim it too, while the machine itself is frozen or
//! cut off. So what it replaced is remembered for as long as it would have lived, and comes back when its key does.
//!
//! **Invariant:** nobody is let in beside a machine that answers, nor while it is not known whether it does.

use crate::append::MAX_SKEW;
use crate::node::command::{Enroll, Former};
use crate::node::event::{DistrustCause, Event};
use crate::node::rejection::Rejection;
use crate::node::state::{BETWEEN_WARM_REBOOTS, Enrollment, Held, MAX_REPLACED, Replaced, State};
use crate::vocabulary::{Serial, Timestamp};

use super::Decision;

/// Whether a machine with another key may take an active node over.
///
/// # Errors
/// Why not; [`Rejection::PerhapsRebooted`] if it only depends on the machine that the node was until now.
pub(super) fn admit(
    enrollment: &Enrollment,
    (current, overlap): (&Held, Option<&Held>),
    enroll: &Enroll,
) -> Result<(), Rejection> {
    let Held { certificate, .. } = current;
    let (serial, until, now) = (certificate.serial, certificate.not_after, enroll.terms.now);
    let already_active = Err(Rejection::AlreadyActive { until });
    let key = enroll.key.as_ref().map(|claim| claim.key);
    let own = overlap.is_some_and(|held| Some(held.certificate.spki_sha256) == key);
    if own || enroll.former == Former::Untouchable || !is_another_boot(enrollment, enroll) {
        return already_active;
    }
    // Of two machines that are known to be there an operator chooses one, not a ping. And one that goes by a workload identity
    // has discarded the key that could show later that it was there all the time (R11).
    if enrollment.contested || enrollment.bound.is_some() {
        return already_active;
    }
    if let Some(last) = &enrollment.warm_reboot {
        let next = last.at.plus(BETWEEN_WARM_REBOOTS);
        if now < next {
            return Err(Rejection::AlreadyActive { until: next.min(until) });
        }
        // As they are when it is recorded, which may be a minute before by the log's time (R24).
        let earliest = now.minus(MAX_SKEW);
        let kept = last.replaced.iter().filter(|replaced| !replaced.held.is_expired(earliest)).count();
        if kept + 1 + overlap.iter().count() > MAX_REPLACED {
            return already_active;
        }
    }
    match enroll.former {
        Former::Silent { serial: asked } if asked == serial => Ok(()),
        // What was found was found of another machine.
        Former::Silent { .. } | Former::NotAsked => Err(Rejection::PerhapsRebooted { serial, until }),
        Former::Untouchable => already_active,
    }
}

/// Who does not say in which boot it is cannot be told from a second process on the same machine.
fn is_another_boot(enrollment: &Enrollment, enroll: &Enroll) -> bool {
    match (&enrollment.boot_id, &enroll.boot_id) {
        (Some(known), Some(asking)) => known != asking,
        (None, _) | (_, None) => false,
    }
}

/// A machine proved that it holds the key of a certificate.
pub(super) fn prove_former(state: &State, serial: Serial, now: Timestamp) -> Result<Decision, Rejection> {
    if matches!(state, State::Revoked { .. }) {
        return Err(Rejection::Revoked);
    }
    if state.usable_until(serial).is_some_and(|until| until > now) {
        return Ok(Decision::Nothing);
    }
    let former = state.replaced(serial, now).ok_or(Rejection::SerialSuperseded)?;
    Ok(Decision::Record(two_machines(state, former)))
}

/// The claimed certificate ends, the one that it replaced is the node's again, and the node is contested, if it is not yet.
pub(super) fn two_machines(state: &State, former: &Replaced) -> Vec<Event> {
    let serial = former.held.certificate.serial;
    let claimed = state.current().into_iter().chain(state.overlap());
    let serials = claimed.map(|held| held.certificate.serial).collect();
    let ended = Event::CertificateRevoked { cause: DistrustCause::FormerKeyProved, serials };
    let begins = contest(state, serial);
    [ended, Event::Reactivated { serial }].into_iter().chain(begins).collect()
}

/// None: it is contested already, and one fact tells of it.
fn contest(state: &State, serial: Serial) -> Option<Event> {
    let enrollment = state.enrollment().filter(|enrollment| !enrollment.contested)?;
    let claim = enrollment.warm_reboot.as_ref()?;
    Some(Event::Contested {
        serial,
        rival_spki_sha256: state.current()?.certificate.spki_sha256,
        presented: claim.presented.clone(),
        boot_id: claim.boot_id.clone(),
    })
}
