//! Folds facts into a node's state. Total: what has happened is never refused; a fact that fits no state (which only a
//! log that breaks an invariant holds) changes nothing.

use std::mem;

use crate::vocabulary::{Assurance, BootId, HardwareIdentity, Serial, SpiffeId, Timestamp};

use super::event::{Cause, DeactivationCause, DistrustCause, Event, Supersession};
use super::state::{Bound, Enrollment, Held, MAX_REPLACED, Replaced, State, WarmReboot};

/// Applies a recorded fact. `recorded_at` and `assurance` are the envelope's.
pub fn evolve(
    mut state: State,
    event: &Event,
    recorded_at: Timestamp,
    assurance: Option<Assurance>,
) -> State {
    evolve_in_place(&mut state, event, recorded_at, assurance);
    state
}

/// The same, where the state lies: it has hundreds of bytes, and most facts change a few of them.
pub(crate) fn evolve_in_place(
    state: &mut State,
    event: &Event,
    recorded_at: Timestamp,
    assurance: Option<Assurance>,
) {
    match event {
        Event::Registered { epoch, hardware, labels } => {
            let enrollment = Enrollment {
                epoch: *epoch,
                hardware: hardware.clone(),
                labels: labels.clone(),
                vcluster: None,
                contested: false,
                draining: false,
                boot_id: None,
                warm_reboot: None,
                bound: None,
            };
            *state = State::Registered { enrollment };
        }
        Event::CertificateIssued { cause, certificate, supersedes, presented, boot_id, .. } => {
            unbind(state, *cause);
            asked(state, *cause, recorded_at, presented.as_ref(), boot_id.as_ref());
            let new = Held { certificate: certificate.clone(), assurance, confirmed_at: None };
            issued(state, new, supersedes);
        }
        Event::EnrollmentConfirmed { serial } => confirmed(state, *serial, recorded_at),
        Event::Deactivated { cause, .. } => deactivated(state, *cause),
        Event::Reactivated { serial } => reactivated(state, *serial),
        Event::Revoked { .. } => revoked(state),
        Event::Assigned { vcluster } | Event::Moved { to: vcluster, .. } => {
            if let Some(enrollment) = state.enrollment_mut() {
                enrollment.vcluster = Some(vcluster.clone());
            }
        }
        Event::Unassigned { .. } => {
            if let Some(enrollment) = state.enrollment_mut() {
                enrollment.vcluster = None;
            }
        }
        Event::Drained {} => drained(state, true),
        Event::Undrained {} => drained(state, false),
        Event::Contested { .. } => contested(state, true),
        Event::Resolved {} => {
            contested(state, false);
            // The operator knows that the present machine is the node.
            if let Some(enrollment) = state.enrollment_mut() {
                enrollment.forget_replaced();
            }
        }
        Event::HardwareReplaced { hardware, .. } => replaced(state, hardware),
        Event::AttemptsRefused(_) => {}
        Event::CertificateRevoked { cause: DistrustCause::JournalEvicted, serials } => {
            distrusted(state, serials);
        }
        Event::CertificateRevoked { cause: DistrustCause::FormerKeyProved, serials } => {
            disproved(state, serials);
        }
        Event::IdentityBound { spiffe_id, over } => bound(state, spiffe_id, over.is_none()),
    }
}

/// Which boot of which machine asked for the certificate.
fn asked(
    state: &mut State,
    cause: Cause,
    recorded_at: Timestamp,
    presented: Option<&HardwareIdentity>,
    boot_id: Option<&BootId>,
) {
    match cause {
        Cause::Enrolled | Cause::ReEnrolled => asked_by(state, boot_id),
        Cause::Renewed => {}
        Cause::WarmReboot => rebooted(state, recorded_at, presented, boot_id),
    }
}

fn confirmed(state: &mut State, serial: Serial, recorded_at: Timestamp) {
    match state {
        State::Active { current, .. } => {
            if current.certificate.serial == serial {
                current.confirmed_at = current.confirmed_at.or(Some(recorded_at));
            }
        }
        State::Unknown | State::Registered { .. } | State::Inactive { .. } | State::Revoked { .. } => {}
    }
}

/// Neither of the machines of a contested node is the node any more, and nothing runs on it.
fn revoked(state: &mut State) {
    *state = match mem::take(state) {
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. }
        | State::Revoked { enrollment } => State::Revoked {
            enrollment: Enrollment { contested: false, draining: false, warm_reboot: None, ..enrollment },
        },
        State::Unknown => State::Unknown,
    }
}

fn reactivated(state: &mut State, serial: Serial) {
    *state = match mem::take(state) {
        State::Inactive { enrollment, current: None } => returned(enrollment, serial),
        State::Inactive { enrollment, current: Some(current) } if current.certificate.serial == serial => {
            State::Active { enrollment, current, overlap: None }
        }
        same @ (State::Unknown
        | State::Registered { .. }
        | State::Active { .. }
        | State::Inactive { .. }
        | State::Revoked { .. }) => same,
    };
}

/// An operator's deactivation ends the certificate too.
fn deactivated(state: &mut State, cause: DeactivationCause) {
    let ended = matches!(cause, DeactivationCause::Operator);
    *state = match mem::take(state) {
        State::Active { enrollment, current, .. } => without(enrollment, (!ended).then_some(current)),
        State::Inactive { enrollment, current } => without(enrollment, current.filter(|_| !ended)),
        same @ (State::Unknown | State::Registered { .. } | State::Revoked { .. }) => same,
    }
}

/// Who has no certificate any more does not get one back that it had before.
fn without(mut enrollment: Enrollment, current: Option<Held>) -> State {
    if current.is_none() {
        enrollment.forget_replaced();
    }
    State::Inactive { enrollment, current }
}

/// Without its current certificate a node is gone, and whatever it had beside it opens nothing more.
fn distrusted(state: &mut State, ended: &[Serial]) {
    let stands = |held: &Held| !ended.contains(&held.certificate.serial);
    if let Some(warm_reboot) = state.enrollment_mut().and_then(|enrollment| enrollment.warm_reboot.as_mut()) {
        warm_reboot.replaced.retain(|replaced| stands(&replaced.held));
    }
    *state = match mem::take(state) {
        State::Active { enrollment, current, overlap } if stands(&current) => {
            State::Active { enrollment, current, overlap: overlap.filter(stands) }
        }
        State::Active { enrollment, .. } => without(enrollment, None),
        State::Inactive { enrollment, current } => without(enrollment, current.filter(stands)),
        same @ (State::Unknown | State::Registered { .. } | State::Revoked { .. }) => same,
    }
}

/// What a warm reboot had claimed is over, also the identity that it had bound. What it replaced is kept for the fact that comes
/// next.
fn disproved(state: &mut State, ended: &[Serial]) {
    if let Some(enrollment) = state.enrollment_mut() {
        enrollment.bound = enrollment.bound.take().filter(|bound| bound.by_operator);
    }
    *state = match mem::take(state) {
        State::Active { enrollment, current, .. }
        | State::Inactive { enrollment, current: Some(current) }
            if ended.contains(&current.certificate.serial) =>
        {
            State::Inactive { enrollment, current: None }
        }
        same @ (State::Unknown
        | State::Registered { .. }
        | State::Active { .. }
        | State::Inactive { .. }
        | State::Revoked { .. }) => same,
    }
}

/// The certificate that a warm reboot had replaced is the node's again.
fn returned(mut enrollment: Enrollment, serial: Serial) -> State {
    let replaced = enrollment.warm_reboot.as_mut().and_then(|warm_reboot| {
        let at = warm_reboot.replaced.iter().position(|old| old.held.certificate.serial == serial)?;
        Some(warm_reboot.replaced.swap_remove(at))
    });
    let Some(Replaced { held, boot_id }) = replaced else {
        return State::Inactive { enrollment, current: None };
    };
    enrollment.forget_replaced();
    enrollment.boot_id = boot_id;
    State::Active { enrollment, current: held, overlap: None }
}

fn asked_by(state: &mut State, boot_id: Option<&BootId>) {
    if let Some(enrollment) = state.enrollment_mut() {
        enrollment.boot_id = boot_id.cloned();
    }
}

/// Remembers what a warm reboot replaces, before it does: not a certificate whose overlap is over, which opened nothing any more.
fn rebooted(
    state: &mut State,
    at: Timestamp,
    presented: Option<&HardwareIdentity>,
    boot_id: Option<&BootId>,
) {
    let living_overlap = state.living_overlap(at).cloned();
    let State::Active { enrollment, current, .. } = state else { return };
    let former = enrollment.boot_id.take();
    let before = enrollment.warm_reboot.take().map(|last| last.replaced).unwrap_or_default();
    let living = before.into_iter().filter(|replaced| !replaced.held.is_expired(at));
    let now_replaced = living_overlap.iter().chain([&*current]);
    let now_replaced = now_replaced.map(|held| Replaced { held: held.clone(), boot_id: former.clone() });
    let mut replaced: Vec<_> = living.chain(now_replaced).collect();
    // Whoever is let in has made sure that there is room; else the newest count most.
    replaced.drain(..replaced.len().saturating_sub(MAX_REPLACED));
    enrollment.boot_id = boot_id.cloned();
    enrollment.warm_reboot = Some(Box::new(WarmReboot {
        at,
        presented: presented.cloned().unwrap_or_default(),
        boot_id: boot_id.cloned(),
        replaced,
    }));
}

/// The domain was restored (R27): no certificate of before opens anything, and whoever was let in must ask again.
pub fn restored(state: State) -> State {
    match state {
        State::Unknown | State::Registered { .. } | State::Revoked { .. } => state,
        State::Active { enrollment, .. } | State::Inactive { enrollment, .. } => without(enrollment, None),
    }
}

/// On what was revoked nothing runs.
fn drained(state: &mut State, draining: bool) {
    match state {
        State::Unknown | State::Revoked { .. } => {}
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. } => enrollment.draining = draining,
    }
}

/// What was revoked is contested by nobody.
fn contested(state: &mut State, contested: bool) {
    match state {
        State::Unknown | State::Revoked { .. } => {}
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. } => enrollment.contested = contested,
    }
}

/// The new machine has no certificate, and the former one none any more.
fn replaced(state: &mut State, hardware: &HardwareIdentity) {
    // What proved the former machine does not prove the new one.
    let with = |enrollment| Enrollment { hardware: hardware.clone(), bound: None, ..enrollment };
    *state = match mem::take(state) {
        same @ (State::Unknown | State::Revoked { .. }) => same,
        State::Registered { enrollment } => State::Registered { enrollment: with(enrollment) },
        State::Active { enrollment, .. } | State::Inactive { enrollment, .. } => {
            without(with(enrollment), None)
        }
    }
}

/// Whoever enrolls anew ends what the machine before it held (R15): also the identity that it had bound.
fn unbind(state: &mut State, cause: Cause) {
    if cause != Cause::Renewed
        && let Some(enrollment) = state.enrollment_mut()
    {
        enrollment.bound = enrollment.bound.take().filter(|bound| bound.by_operator);
    }
}

/// What was revoked is proved by nothing.
fn bound(state: &mut State, spiffe_id: &SpiffeId, by_operator: bool) {
    match state {
        State::Unknown | State::Revoked { .. } => {}
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. } => {
            enrollment.bound = Some(Box::new(Bound { spiffe_id: spiffe_id.clone(), by_operator }));
        }
    }
}

/// The former current certificate lives on only if the fact leaves it an overlap.
fn issued(state: &mut State, new: Held, supersedes: &[Supersession]) {
    let overlaps = |old: &Held| {
        supersedes.iter().any(|over| over.serial == old.certificate.serial && over.overlap_secs > 0)
    };
    if let State::Active { current, overlap, .. } = state {
        *overlap = Some(mem::replace(current, new)).filter(overlaps);
        return;
    }
    *state = match mem::take(state) {
        same @ (State::Unknown | State::Active { .. } | State::Revoked { .. }) => same,
        State::Registered { enrollment } => State::Active { enrollment, current: new, overlap: None },
        State::Inactive { enrollment, current } => {
            State::Active { enrollment, current: new, overlap: current.filter(overlaps) }
        }
    }
}
