//! A fact about a node fits the state that it meets: the table of design §5, and R13's match of the hardware.
//!
//! Not here: what a revoked node may not have ([`super::revoked_is_final`]).

use crate::append::MAX_SKEW;
use crate::fact::{Fact, Record};
use crate::node::{
    BETWEEN_WARM_REBOOTS, Cause, DeactivationCause, DistrustCause, Event, Held, MAX_REPLACED, RefusalReason,
    RefusedAttempts, State,
};
use crate::vocabulary::{
    BootId, HardwareIdentity, KeyHash, MAX_MACS, Serial, SpiffeId, Timestamp, VClusterId,
};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "node_fact_fits_its_state";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Node(_, event) = &record.fact else { return Ok(()) };
    let state = past.node();
    match event {
        Event::Registered { epoch, hardware, .. } => registered(state, *epoch, hardware),
        Event::CertificateIssued { cause, epoch, presented, boot_id, .. } => {
            issued(state, *cause, *epoch, presented.as_ref())?;
            match cause {
                Cause::WarmReboot => {
                    rebooted(state, boot_id.as_ref(), record.decided_at.max(record.recorded_at))
                }
                Cause::Enrolled | Cause::ReEnrolled | Cause::Renewed => Ok(()),
            }
        }
        Event::EnrollmentConfirmed { serial } => confirmed(state, *serial),
        Event::Deactivated { cause, supersedes } => {
            deactivated(state, *cause, *supersedes, record.decided_at.max(record.recorded_at))
        }
        Event::Reactivated { serial } => {
            let same_append = past.last_append().is_some_and(|last| last.append_id == record.append_id);
            reactivated(state, *serial, record.decided_at.min(record.recorded_at), same_append)
        }
        Event::Revoked { .. } => {
            ensure(!matches!(state, State::Unknown), || "it was never registered".to_owned())
        }
        Event::Assigned { vcluster } => {
            ensure(!matches!(state, State::Unknown), || "it was never registered".to_owned())?;
            grouped(past, None, Some(vcluster))
        }
        Event::Unassigned { vcluster } => grouped(past, Some(vcluster), None),
        Event::Moved { from, to } => {
            ensure(from != to, || "it does not leave the vCluster that it is in".to_owned())?;
            grouped(past, Some(from), Some(to))
        }
        Event::Drained {} => drained(state, false),
        Event::Undrained {} => drained(state, true),
        Event::Contested { serial, rival_spki_sha256, presented, .. } => {
            contested(state, *serial, *rival_spki_sha256, presented)
        }
        Event::Resolved {} => {
            let revoked = matches!(state, State::Revoked { .. });
            ensure(revoked || state.is_contested(), || "it is not contested".to_owned())
        }
        Event::HardwareReplaced { hardware, .. } => replaced(state, hardware),
        Event::AttemptsRefused(attempts) => refused(state, attempts),
        Event::CertificateRevoked { cause, serials } => distrusted(past, *cause, serials),
        Event::IdentityBound { spiffe_id, over } => {
            bound(state, spiffe_id, *over, record.decided_at.min(record.recorded_at))
        }
    }
}

/// It leaves the vCluster that it is in, and the one that it comes into exists.
fn grouped(past: &Before<'_>, from: Option<&VClusterId>, to: Option<&VClusterId>) -> Result<(), String> {
    let state = past.node();
    if matches!(state, State::Revoked { .. }) {
        return Ok(());
    }
    ensure(state.vcluster() == from, || "it is in another vCluster".to_owned())?;
    let exists = to.is_none_or(|id| past.views.vclusters.get(id).is_some());
    ensure(exists, || "there is no such vCluster".to_owned())
}

fn drained(state: &State, before: bool) -> Result<(), String> {
    ensure(!matches!(state, State::Unknown), || "it was never registered".to_owned())?;
    let revoked = matches!(state, State::Revoked { .. });
    ensure(revoked || state.is_draining() == before, || "it does so already".to_owned())
}

/// It ends what is the node's, leaves nothing beside a current certificate that ends, and somebody is to blame for it.
fn distrusted(past: &Before<'_>, cause: DistrustCause, ended: &[Serial]) -> Result<(), String> {
    let state = past.node();
    if matches!(state, State::Revoked { .. }) {
        return Ok(());
    }
    ensure(!ended.is_empty(), || "it ends no certificate".to_owned())?;
    match cause {
        DistrustCause::JournalEvicted => {}
        DistrustCause::FormerKeyProved => return disproved(state, ended),
    }
    let replaced = state.all_replaced(Timestamp::default()).map(|replaced| &replaced.held);
    let replaced: Vec<&Held> = replaced.collect();
    let held = || state.current().into_iter().chain(state.overlap()).chain(replaced.iter().copied());
    let foreign = ended.iter().find(|serial| held().all(|own| own.certificate.serial != **serial));
    foreign.map_or(Ok(()), |serial| Err(format!("the certificate {serial} is none of the node's")))?;
    let journal = |own: &Held| {
        let authority = past.views.authorities.get(&own.certificate.authority)?.state.announced()?;
        Some(authority.journal_id.clone())
    };
    let blamed = held().filter(|own| ended.contains(&own.certificate.serial)).filter_map(journal);
    let evicted = blamed.into_iter().any(|journal| past.views.members.is_evicted(&journal));
    ensure(evicted, || "no evicted journal signed any of the certificates".to_owned())
}

/// It ends what a warm reboot brought, whole; something that this replaced comes back by the next fact.
fn disproved(state: &State, ended: &[Serial]) -> Result<(), String> {
    let replaced = state.all_replaced(Timestamp::default()).count();
    ensure(replaced > 0, || "no warm reboot replaced anything that may come back".to_owned())?;
    let claimed: Vec<Serial> =
        state.current().into_iter().chain(state.overlap()).map(|held| held.certificate.serial).collect();
    ensure(claimed == ended, || "it does not end what the node has, and nothing else".to_owned())
}

/// Another boot of its machine, of a node that is not contested, and not too soon after the last one.
fn rebooted(state: &State, boot_id: Option<&BootId>, now: Timestamp) -> Result<(), String> {
    if matches!(state, State::Revoked { .. }) {
        return Ok(());
    }
    let Some(enrollment) = state.enrollment() else { return Ok(()) };
    let other = enrollment.boot_id.is_some() && boot_id.is_some() && enrollment.boot_id.as_ref() != boot_id;
    ensure(other, || "it is not known to be another boot".to_owned())?;
    ensure(!enrollment.contested, || "two machines claim to be the node".to_owned())?;
    // It was decided by a clock that may be ahead of the log's (R24).
    let last = enrollment.warm_reboot.as_ref().map(|last| last.at);
    ensure(last.is_none_or(|last| last.plus(BETWEEN_WARM_REBOOTS) <= now.plus(MAX_SKEW)), || {
        "the last warm reboot was less than 5 minutes before".to_owned()
    })?;
    let kept = state.all_replaced(now).count() + 1 + state.overlap().iter().count();
    ensure(kept <= MAX_REPLACED, || format!("it would replace {kept} certificates that may come back"))
}

fn contested(
    state: &State,
    serial: Serial,
    rival: KeyHash,
    presented: &HardwareIdentity,
) -> Result<(), String> {
    let enrollment = match state {
        State::Active { enrollment, .. } => enrollment,
        State::Revoked { .. } => return Ok(()),
        State::Unknown | State::Registered { .. } | State::Inactive { .. } => {
            return Err("it is not active".to_owned());
        }
    };
    ensure(!enrollment.contested, || "it is contested already".to_owned())?;
    let held = || state.current().into_iter().chain(state.overlap()).map(|held| &held.certificate);
    ensure(held().any(|own| own.serial == serial), || format!("{serial} is none of its certificates"))?;
    ensure(held().all(|own| own.spki_sha256 != rival), || "nobody contests it with its own key".to_owned())?;
    ensure(enrollment.hardware.is_matched_by(presented), || {
        "what was presented does not match what is registered".to_owned()
    })
}

/// Somebody who may say so says something new.
fn bound(state: &State, spiffe_id: &SpiffeId, over: Option<Serial>, now: Timestamp) -> Result<(), String> {
    let enrollment = match state {
        State::Unknown => return Err("it was never registered".to_owned()),
        State::Revoked { .. } => return Ok(()),
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. } => enrollment,
    };
    let lives = |serial: Serial| state.usable_until(serial).is_some_and(|until| until > now);
    ensure(over.is_none_or(lives), || "it was bound over no living certificate of the node".to_owned())?;
    let same = enrollment
        .bound
        .as_ref()
        .is_some_and(|bound| bound.spiffe_id == *spiffe_id && (bound.by_operator || over.is_some()));
    ensure(!same, || "it is bound already".to_owned())
}

fn replaced(state: &State, hardware: &HardwareIdentity) -> Result<(), String> {
    let enrollment = state.enrollment();
    ensure(enrollment.is_some(), || "it was never registered".to_owned())?;
    let macs = hardware.macs.len();
    ensure((1..=MAX_MACS).contains(&macs), || format!("it has {macs} MAC addresses"))?;
    let same = enrollment.is_some_and(|enrollment| enrollment.hardware == *hardware);
    ensure(!same, || "it has this hardware already".to_owned())
}

/// It may come late, when the state that refused is over: what it says of itself must hold.
fn refused(state: &State, attempts: &RefusedAttempts) -> Result<(), String> {
    ensure(!matches!(state, State::Unknown), || "it was never registered".to_owned())?;
    let RefusedAttempts { reason, first, last, count, differing } = attempts;
    ensure(*count > 0 && first <= last, || format!("{count} attempts from {first} to {last}"))?;
    let mismatch = matches!(reason, RefusalReason::HardwareMismatch);
    ensure(mismatch || differing.is_empty(), || "only a mismatch names fields".to_owned())
}

fn registered(state: &State, epoch: u32, hardware: &HardwareIdentity) -> Result<(), String> {
    let next = match state {
        State::Unknown => Some(1),
        State::Revoked { enrollment } => enrollment.epoch.checked_add(1),
        State::Registered { .. } | State::Active { .. } | State::Inactive { .. } => None,
    };
    ensure(next.is_some(), || "it is registered already".to_owned())?;
    ensure(next == Some(epoch), || format!("its epoch is {epoch}, not the next"))?;
    let macs = hardware.macs.len();
    ensure((1..=MAX_MACS).contains(&macs), || format!("it has {macs} MAC addresses"))
}

fn issued(
    state: &State,
    cause: Cause,
    epoch: u32,
    presented: Option<&HardwareIdentity>,
) -> Result<(), String> {
    let fits = match (state, cause) {
        (State::Registered { .. }, Cause::Enrolled)
        | (State::Inactive { .. }, Cause::ReEnrolled)
        | (State::Active { .. } | State::Inactive { current: Some(_), .. }, Cause::Renewed)
        | (State::Active { .. }, Cause::WarmReboot)
        | (State::Revoked { .. }, _) => true,
        (State::Unknown | State::Registered { .. } | State::Active { .. } | State::Inactive { .. }, _) => {
            false
        }
    };
    ensure(fits, || format!("a certificate on the occasion {cause:?} does not fit"))?;
    let Some(enrollment) = state.enrollment() else { return Ok(()) };
    ensure(enrollment.epoch == epoch, || {
        format!("the certificate is of epoch {epoch}, the enrollment of {}", enrollment.epoch)
    })?;
    let matched = match cause {
        Cause::Enrolled | Cause::ReEnrolled | Cause::WarmReboot => {
            presented.is_some_and(|presented| enrollment.hardware.is_matched_by(presented))
        }
        Cause::Renewed => presented.is_none(),
    };
    ensure(matched, || "what was presented does not match what is registered".to_owned())
}

fn confirmed(state: &State, serial: Serial) -> Result<(), String> {
    let fits = match state {
        State::Active { current, .. } => {
            current.certificate.serial == serial && current.confirmed_at.is_none()
        }
        State::Unknown | State::Registered { .. } | State::Inactive { .. } => false,
        State::Revoked { .. } => true,
    };
    ensure(fits, || format!("{serial} is no unconfirmed current certificate"))
}

fn deactivated(
    state: &State,
    cause: DeactivationCause,
    ended: Option<Serial>,
    now: Timestamp,
) -> Result<(), String> {
    let operator = matches!(cause, DeactivationCause::Operator);
    let current = match state {
        State::Active { current, .. } => current,
        // One that is gone and could come back by itself.
        State::Inactive { current: Some(current), .. } if operator => current,
        State::Revoked { .. } => return Ok(()),
        State::Unknown | State::Registered { .. } | State::Inactive { .. } => {
            return Err("it is not active".to_owned());
        }
    };
    let shall_end = match cause {
        DeactivationCause::Operator => Some(current.certificate.serial),
        DeactivationCause::Silence | DeactivationCause::Goodbye | DeactivationCause::Expiry => None,
    };
    ensure(ended == shall_end, || "only an operator's deactivation ends the certificate".to_owned())?;
    let expiry = matches!(cause, DeactivationCause::Expiry);
    ensure(!expiry || current.is_expired(now), || "its certificate has not expired".to_owned())
}

/// It comes back with its own certificate; or with one that a warm reboot replaced, in the append that ended the claimed one.
fn reactivated(state: &State, serial: Serial, now: Timestamp, same_append: bool) -> Result<(), String> {
    let lives = |held: &Held| held.certificate.serial == serial && !held.is_expired(now);
    let fits = match state {
        State::Inactive { enrollment, current: None } => {
            let kept =
                enrollment.warm_reboot.as_ref().map(|last| last.replaced.as_slice()).unwrap_or_default();
            same_append && kept.iter().any(|replaced| lives(&replaced.held))
        }
        State::Inactive { current: Some(current), .. } => lives(current),
        State::Unknown | State::Registered { .. } | State::Active { .. } => false,
        State::Revoked { .. } => true,
    };
    ensure(fits, || format!("{serial} is no living certificate of an inactive node"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{
        DAY, Log, assigned, bound, bound_by, certificate, confirmed, contested, deactivated, disproved,
        distrusted, enrolled, evicted, goodbye, hardware, in_boot, issued, joined, level_raised, moved, node,
        overlay_set, put_away, re_enrolled, reactivated, rebooted, refused, registered, renewed, replaced,
        revoked, serial, supersedes, unassigned, with_serial,
    };
    use crate::vocabulary::Principal;

    const UNKNOWN: &str = "n9";
    const REGISTERED: &str = "n2";
    const ACTIVE: &str = "n1";
    const INACTIVE: &str = "n3";
    const PUT_AWAY: &str = "n4";

    fn log() -> Log {
        let mut log = Log::enrolled();
        log.of("n3", registered(1, &[5])).of("n3", enrolled(3, 0, &[5])).of("n3", goodbye());
        log.of("n4", registered(1, &[6])).of("n4", enrolled(4, 0, &[6])).of("n4", put_away(4));
        log.append(vec![level_raised(2)]);
        log
    }

    fn found(name: &str, event: &Event) {
        assert!(log().broken_by_node(name, event.clone()).contains(&NAME), "{name}: {event:?}");
    }

    fn fits(name: &str, event: &Event) {
        assert_eq!(log().broken_by_node(name, event.clone()), [""; 0], "{name}: {event:?}");
    }

    #[test]
    fn rule_16_a_registration_in_any_other_epoch_is_found() {
        fits(UNKNOWN, &registered(1, &[9]));
        for epoch in [0, 2] {
            found(UNKNOWN, &registered(epoch, &[9]));
        }
        for name in [REGISTERED, ACTIVE, INACTIVE, PUT_AWAY] {
            found(name, &registered(1, &[9]));
            found(name, &registered(2, &[9]));
        }
        let mut log = log();
        log.of("n1", revoked(&[1], &[1, 2]));
        assert_eq!(log.broken_by_node("n1", registered(2, &[1])), [""; 0]);
        assert_eq!(log.broken_by_node("n1", registered(1, &[1])), [NAME]);
        assert_eq!(log.broken_by_node("n1", registered(3, &[1])), [NAME]);
    }

    #[test]
    fn rule_13_a_registration_without_an_address_or_with_too_many_is_found() {
        found(UNKNOWN, &registered(1, &[]));
        fits(UNKNOWN, &registered(1, &(10..26).collect::<Vec<u8>>()));
        found(UNKNOWN, &registered(1, &(10..27).collect::<Vec<u8>>()));
    }

    #[test]
    fn a_certificate_on_the_wrong_occasion_is_found() {
        found(UNKNOWN, &enrolled(7, 0, &[9]));
        fits(REGISTERED, &enrolled(7, 0, &[3]));
        found(REGISTERED, &re_enrolled(7, 0, &[], &[3]));
        found(REGISTERED, &renewed(7, 0, &[]));
        let over = [supersedes(1, 0)];
        fits(ACTIVE, &renewed(7, 0, &over));
        found(ACTIVE, &re_enrolled(7, 0, &over, &[1]));
        found(ACTIVE, &issued(Cause::Enrolled, 1, certificate(7, 0), &over, Some(hardware(&[1]))));
        fits(INACTIVE, &re_enrolled(7, 0, &[supersedes(3, 0)], &[5]));
        fits(INACTIVE, &renewed(7, 0, &[supersedes(3, 300)]));
        found(INACTIVE, &enrolled(7, 0, &[5]));
        fits(PUT_AWAY, &re_enrolled(7, 0, &[], &[6]));
        found(PUT_AWAY, &renewed(7, 0, &[]));
    }

    #[test]
    fn rule_13_a_certificate_for_other_hardware_is_found() {
        fits(REGISTERED, &issued(Cause::Enrolled, 1, certificate(7, 0), &[], Some(with_serial(&[3], "x"))));
        found(REGISTERED, &enrolled(7, 0, &[9]));
        found(REGISTERED, &issued(Cause::Enrolled, 1, certificate(7, 0), &[], None));
        let presented = Some(hardware(&[1]));
        found(ACTIVE, &issued(Cause::Renewed, 1, certificate(7, 0), &[supersedes(1, 0)], presented));
    }

    #[test]
    fn rule_16_a_certificate_of_another_epoch_is_found() {
        found(REGISTERED, &issued(Cause::Enrolled, 2, certificate(7, 0), &[], Some(hardware(&[3]))));
        found(ACTIVE, &issued(Cause::Renewed, 0, certificate(7, 0), &[supersedes(1, 0)], None));
    }

    #[test]
    fn a_confirmation_of_anything_but_a_new_current_certificate_is_found() {
        for name in [UNKNOWN, REGISTERED, ACTIVE, INACTIVE, PUT_AWAY] {
            found(name, &confirmed(1));
            found(name, &confirmed(3));
            found(name, &confirmed(4));
        }
        let mut log = log();
        log.of("n1", renewed(7, 0, &[supersedes(1, 300)]));
        assert_eq!(log.broken_by_node("n1", confirmed(7)), [""; 0]);
        assert_eq!(log.broken_by_node("n1", confirmed(1)), [NAME]);
    }

    #[test]
    fn a_deactivation_of_a_node_that_is_not_active_is_found() {
        for name in [UNKNOWN, REGISTERED, INACTIVE, PUT_AWAY] {
            found(name, &goodbye());
        }
        fits(ACTIVE, &goodbye());
        fits(ACTIVE, &put_away(1));
    }

    #[test]
    fn a_deactivation_that_ends_the_wrong_certificate_or_none_is_found() {
        found(ACTIVE, &put_away(2));
        found(ACTIVE, &deactivated(DeactivationCause::Operator));
        found(ACTIVE, &Event::Deactivated { cause: DeactivationCause::Silence, supersedes: Some(serial(1)) });
    }

    #[test]
    fn an_expiry_before_the_end_is_found() {
        let expiry = deactivated(DeactivationCause::Expiry);
        let mut log = log();
        log.wait(3 * DAY - 1);
        assert_eq!(log.broken_by_node("n1", expiry.clone()), [NAME]);
        log.wait(1);
        assert_eq!(log.broken_by_node("n1", expiry), [""; 0]);
    }

    #[test]
    fn a_reactivation_without_a_living_certificate_is_found() {
        fits(INACTIVE, &reactivated(3));
        found(INACTIVE, &reactivated(1));
        for name in [UNKNOWN, REGISTERED, ACTIVE, PUT_AWAY] {
            found(name, &reactivated(1));
            found(name, &reactivated(4));
        }
        let mut log = log();
        log.wait(3 * DAY);
        assert_eq!(log.broken_by_node("n3", reactivated(3)), [NAME]);
    }

    #[test]
    fn a_revocation_of_an_unknown_node_is_found() {
        found(UNKNOWN, &revoked(&[], &[]));
        fits(REGISTERED, &revoked(&[], &[3]));
        fits(PUT_AWAY, &revoked(&[], &[6]));
    }

    #[test]
    fn rule_11_an_identity_bound_over_what_does_not_live_or_twice_is_found() {
        let mut log = Log::enrolled();
        log.append(vec![level_raised(2)]);
        let breaks = |log: &Log, name, event| {
            let mut record = log.next_of(name, event);
            record.principal = Principal::Node(node(name));
            log.broken_by(record)
        };
        assert_eq!(breaks(&log, "n1", bound_by("a", Some(1))), [""; 0]);
        assert_eq!(breaks(&log, "n1", bound_by("a", Some(2))), [NAME]);
        assert_eq!(breaks(&log, REGISTERED, bound_by("a", Some(1))), [NAME]);
        assert_eq!(log.broken_by_node(REGISTERED, bound("a")), [""; 0]);
        assert_eq!(log.broken_by_node(UNKNOWN, bound("a")), [NAME]);
        log.of("n1", bound("a"));
        assert_eq!(log.broken_by_node("n1", bound("a")), [NAME]);
        assert_eq!(breaks(&log, "n1", bound_by("a", Some(1))), [NAME]);
        log.wait(3 * DAY);
        assert_eq!(breaks(&log, "n1", bound_by("b", Some(1))), [NAME]);
    }

    #[test]
    fn rule_14_a_contest_that_cannot_be_is_found() {
        for name in [UNKNOWN, REGISTERED, INACTIVE, PUT_AWAY] {
            found(name, &contested(1, 9, &[1]));
        }
        fits(ACTIVE, &contested(1, 9, &[1]));
        found(ACTIVE, &contested(2, 9, &[1]));
        found(ACTIVE, &contested(1, 1, &[1]));
        found(ACTIVE, &contested(1, 9, &[3]));
        found(ACTIVE, &Event::Resolved {});
        found(UNKNOWN, &Event::Resolved {});
        let mut log = log();
        log.of("n1", contested(1, 9, &[1]));
        assert_eq!(log.broken_by_node("n1", contested(1, 8, &[1])), [NAME]);
        assert_eq!(log.broken_by_node("n1", Event::Resolved {}), [""; 0]);
    }

    #[test]
    fn replaced_hardware_without_an_address_or_a_change_is_found() {
        found(UNKNOWN, &replaced(&[9], &[], &[]));
        fits(REGISTERED, &replaced(&[9], &[3], &[]));
        fits(ACTIVE, &replaced(&[2, 9], &[1], &[1]));
        fits(INACTIVE, &replaced(&[9], &[5], &[3]));
        fits(PUT_AWAY, &replaced(&[9], &[6], &[]));
        found(REGISTERED, &replaced(&[3], &[], &[]));
        found(REGISTERED, &replaced(&[], &[3], &[]));
        found(REGISTERED, &replaced(&(10..27).collect::<Vec<u8>>(), &[3], &[]));
    }

    #[test]
    fn a_node_that_leaves_a_vcluster_that_it_is_not_in_is_found() {
        let mut log = log();
        log.append(vec![overlay_set("prod", b"1")]).append(vec![overlay_set("test", b"1")]);
        let broken = |log: &Log, name: &str, event: Event| log.broken_by_node(name, event);
        for name in [REGISTERED, ACTIVE, INACTIVE, PUT_AWAY] {
            assert_eq!(broken(&log, name, assigned("prod")), [""; 0]);
            for planted in [assigned("none"), unassigned("prod"), moved("prod", "test")] {
                assert_eq!(broken(&log, name, planted), [NAME], "{name}");
            }
            let mut log = log.clone();
            log.of(name, assigned("prod"));
            for fits in [unassigned("prod"), moved("prod", "test")] {
                assert_eq!(broken(&log, name, fits), [""; 0], "{name}");
            }
            for planted in [
                assigned("test"),
                unassigned("test"),
                moved("test", "prod"),
                moved("prod", "none"),
                moved("prod", "prod"),
            ] {
                assert_eq!(broken(&log, name, planted.clone()), [NAME], "{name}: {planted:?}");
            }
        }
        for planted in [assigned("prod"), unassigned("prod"), moved("prod", "test")] {
            assert_eq!(broken(&log, UNKNOWN, planted.clone()), [NAME], "{planted:?}");
        }
    }

    #[test]
    fn a_drain_of_what_drains_and_an_end_of_what_does_not_are_found() {
        found(UNKNOWN, &Event::Drained {});
        found(UNKNOWN, &Event::Undrained {});
        for name in [REGISTERED, ACTIVE, INACTIVE, PUT_AWAY] {
            fits(name, &Event::Drained {});
            found(name, &Event::Undrained {});
            let mut log = log();
            log.of(name, Event::Drained {});
            assert_eq!(log.broken_by_node(name, Event::Drained {}), [NAME]);
            assert_eq!(log.broken_by_node(name, Event::Undrained {}), [""; 0]);
        }
    }

    #[test]
    fn rule_05_attempts_that_contradict_themselves_are_found() {
        let good = refused(RefusalReason::HardwareMismatch, 0, 3);
        let note = |attempts: &RefusedAttempts| Event::AttemptsRefused(attempts.clone());
        found(UNKNOWN, &note(&good));
        for name in [REGISTERED, ACTIVE, INACTIVE, PUT_AWAY] {
            fits(name, &note(&good));
        }
        found(ACTIVE, &note(&RefusedAttempts { count: 0, ..good.clone() }));
        found(ACTIVE, &note(&RefusedAttempts { first: good.last, last: good.first, ..good.clone() }));
        found(ACTIVE, &note(&RefusedAttempts { reason: RefusalReason::KeyReused, ..good }));
    }

    #[test]
    fn an_end_of_certificates_that_nobody_is_to_blame_for_is_found() {
        found(ACTIVE, &distrusted(&[1]));
        let mut log = log();
        log.joins("j2", 2).append(vec![joined("j2")]).append(vec![evicted("j1")]);
        let broken = |name: &str, serials: &[u8]| log.broken_by_node(name, distrusted(serials));
        assert_eq!(broken(ACTIVE, &[1]), [""; 0]);
        assert_eq!(broken(INACTIVE, &[3]), [""; 0]);
        for (name, serials) in
            [(ACTIVE, &[][..]), (ACTIVE, &[2]), (REGISTERED, &[]), (UNKNOWN, &[1]), (PUT_AWAY, &[4])]
        {
            assert!(broken(name, serials).contains(&NAME), "{name} {serials:?}");
        }
    }

    /// n1, enrolled in the boot `a`, and rebooted at second 1000 into `b` with the certificate 7.
    fn rebooted_log() -> Log {
        let mut log = Log::new();
        log.append(vec![level_raised(2)]);
        log.of("n1", registered(1, &[1, 2])).of("n1", in_boot("a", enrolled(1, 0, &[1])));
        log.wait(1000);
        log.of("n1", rebooted(7, 1000, "b", &[1], &[1]));
        log
    }

    #[test]
    fn rule_14_a_warm_reboot_that_may_not_be_is_found() {
        let log = rebooted_log();
        let soon = rebooted(8, 1000, "c", &[7], &[1]);
        assert_eq!(log.broken_by_node("n1", soon), [NAME], "the last one was a moment ago");
        let mut later = rebooted_log();
        later.wait(300);
        let again = |boot| rebooted(8, 1300, boot, &[7], &[1]);
        assert_eq!(later.broken_by_node("n1", again("c")), [""; 0]);
        assert_eq!(later.broken_by_node("n1", again("b")), [NAME], "the same boot");
        later.of("n1", crate::samples::contested(7, 9, &[1]));
        assert_eq!(later.broken_by_node("n1", again("c")), [NAME], "it is contested");
        let mut away = rebooted_log();
        away.wait(300).of("n1", goodbye());
        assert_eq!(away.broken_by_node("n1", again("c")), [NAME], "it is not active");
    }

    #[test]
    fn rule_14_a_replaced_certificate_comes_back_only_with_the_end_of_the_claimed_one() {
        let log = rebooted_log();
        assert_eq!(log.broken_by_node("n1", reactivated(1)), [NAME], "the claimed one stands");
        assert_eq!(log.broken_by_node("n1", disproved(&[7])), [""; 0]);
        for other in [&[1][..], &[], &[7, 1]] {
            assert!(log.broken_by_node("n1", disproved(other)).contains(&NAME), "{other:?}");
        }
        let mut apart = rebooted_log();
        apart.of("n1", disproved(&[7]));
        assert_eq!(apart.broken_by_node("n1", reactivated(1)), [NAME], "in another append");
        let mut never = Log::enrolled();
        never.append(vec![level_raised(2)]);
        assert_eq!(never.broken_by_node("n1", disproved(&[1])), [NAME], "it has had no warm reboot");
        let mut together = rebooted_log();
        let of = |event| Fact::Node("n1".parse().unwrap(), event);
        together.append(vec![of(disproved(&[7])), of(reactivated(1)), of(contested(1, 7, &[1]))]);
        assert_eq!(together.broken_by_node("n1", Event::Resolved {}), [""; 0]);
    }
}
