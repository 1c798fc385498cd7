//! A revoked node gets nothing before an operator begins a new epoch, a revoked operator gets nothing at all, and a
//! revocation names every certificate of its node that lives (R16); so do the facts that replace its machine or end its
//! current certificate.

use crate::fact::{Fact, Record};
use crate::node::{Event, State};
use crate::operator;
use crate::vocabulary::{NodeId, Serial, Timestamp};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "revoked_is_final";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    match &record.fact {
        Fact::Node(id, event) => node(past, record, id, event),
        Fact::Operator(id, _) => match past.operator() {
            operator::State::Revoked { .. } => Err(format!("the operator {id} was revoked")),
            operator::State::Unknown | operator::State::Active { .. } | operator::State::Kept { .. } => {
                Ok(())
            }
        },
        Fact::Domain(_) | Fact::Authority(..) | Fact::VCluster(..) | Fact::Member(..) => Ok(()),
    }
}

fn node(past: &Before<'_>, record: &Record, id: &NodeId, event: &Event) -> Result<(), String> {
    let state = past.node();
    match event {
        // What was refused to it is no more than that.
        Event::Registered { .. } | Event::AttemptsRefused(_) => Ok(()),
        Event::CertificateIssued { .. }
        | Event::EnrollmentConfirmed { .. }
        | Event::Deactivated { .. }
        | Event::Reactivated { .. }
        | Event::Assigned { .. }
        | Event::Unassigned { .. }
        | Event::Moved { .. }
        | Event::Drained {}
        | Event::Undrained {}
        | Event::Contested { .. }
        | Event::IdentityBound { .. }
        | Event::Resolved {} => alive(id, state),
        Event::CertificateRevoked { serials, .. } => {
            alive(id, state)?;
            // A node without its current certificate has none.
            let current = state.current().is_some_and(|held| serials.contains(&held.certificate.serial));
            if current { all_named(record, state, serials) } else { Ok(()) }
        }
        Event::Revoked { serials, .. } | Event::HardwareReplaced { serials, .. } => {
            alive(id, state)?;
            all_named(record, state, serials)
        }
    }
}

fn alive(id: &NodeId, state: &State) -> Result<(), String> {
    ensure(!matches!(state, State::Revoked { .. }), || format!("the node {id} was revoked"))
}

fn all_named(record: &Record, state: &State, named: &[Serial]) -> Result<(), String> {
    let held = || state.current().into_iter().chain(state.overlap()).map(|held| held.certificate.serial);
    let now = record.decided_at.max(record.recorded_at);
    for serial in held() {
        let lives = state.usable_until(serial).is_some_and(|until| until > now);
        ensure(!lives || named.contains(&serial), || format!("the certificate {serial} would live on"))?;
    }
    // What a warm reboot replaced opens nothing, and may be named lest it come back.
    let replaced =
        || state.all_replaced(Timestamp::default()).map(|replaced| replaced.held.certificate.serial);
    let foreign = named.iter().find(|serial| held().chain(replaced()).all(|own| own != **serial));
    foreign.map_or(Ok(()), |serial| Err(format!("the certificate {serial} is none of the node's")))
}

#[cfg(test)]
mod tests {
    use crate::fact::Fact;
    use crate::node::{Event, RefusalReason};
    use crate::samples::{
        DAY, Log, admin, confirmed, contested, distrusted, enrolled, evicted, goodbye, joined, level_raised,
        moved, operator_created, operator_renewed, operator_revoked, overlay_set, reactivated, refused,
        registered, renewed, replaced, revoked, supersedes, unassigned,
    };

    #[test]
    fn rule_16_a_fact_about_a_revoked_node_is_found() {
        let mut log = Log::enrolled();
        log.append(vec![level_raised(2)]).append(vec![overlay_set("test", b"1")]);
        log.of("n1", revoked(&[1], &[1, 2]));
        let planted: [Event; 13] = [
            enrolled(7, 0, &[1]),
            confirmed(1),
            goodbye(),
            reactivated(1),
            revoked(&[], &[1, 2]),
            contested(1, 9, &[1]),
            Event::Resolved {},
            replaced(&[9], &[1, 2], &[]),
            distrusted(&[1]),
            unassigned("prod"),
            moved("prod", "test"),
            Event::Drained {},
            Event::Undrained {},
        ];
        for event in planted {
            assert_eq!(log.broken_by_node("n1", event.clone()), [super::NAME], "{event:?}");
        }
        let refused = Event::AttemptsRefused(refused(RefusalReason::NodeRevoked, 0, 1));
        for event in [registered(2, &[1]), refused] {
            assert_eq!(log.broken_by_node("n1", event), [""; 0]);
        }
    }

    #[test]
    fn replaced_hardware_that_leaves_the_former_machine_a_certificate_is_found() {
        let mut log = Log::enrolled();
        log.of("n1", renewed(2, 0, &[supersedes(1, 300)]));
        for serials in [&[][..], &[1], &[2], &[1, 2, 3]] {
            let planted = replaced(&[9], &[1, 2], serials);
            assert_eq!(log.broken_by_node("n1", planted), [super::NAME], "{serials:?}");
        }
        assert_eq!(log.broken_by_node("n1", replaced(&[9], &[1, 2], &[2, 1])), [""; 0]);
    }

    #[test]
    fn an_end_of_the_current_certificate_that_leaves_its_predecessor_alive_is_found() {
        let mut log = Log::enrolled();
        log.of("n1", renewed(2, 0, &[supersedes(1, 300)]));
        log.joins("j2", 2).append(vec![joined("j2")]).append(vec![evicted("j1"), level_raised(2)]);
        assert_eq!(log.broken_by_node("n1", distrusted(&[2])), [super::NAME]);
        assert_eq!(log.broken_by_node("n1", distrusted(&[1])), [""; 0]);
        assert_eq!(log.broken_by_node("n1", distrusted(&[2, 1])), [""; 0]);
    }

    #[test]
    fn rule_16_a_revocation_that_leaves_a_certificate_alive_is_found() {
        let mut log = Log::enrolled();
        log.of("n1", renewed(2, 0, &[supersedes(1, 300)]));
        for serials in [&[][..], &[1], &[2], &[1, 2, 3]] {
            assert_eq!(log.broken_by_node("n1", revoked(serials, &[1, 2])), [super::NAME], "{serials:?}");
        }
        assert_eq!(log.broken_by_node("n1", revoked(&[2, 1], &[1, 2])), [""; 0]);
        log.wait(3 * DAY);
        assert_eq!(log.broken_by_node("n1", revoked(&[], &[1, 2])), [""; 0]);
    }

    #[test]
    fn rule_16_a_fact_about_a_revoked_operator_is_found() {
        let mut log = Log::new();
        log.append(vec![Fact::Operator(admin(), operator_revoked(50))]);
        for event in [operator_created(51, 0), operator_renewed(51, 0, 50), operator_revoked(50)] {
            assert_eq!(log.broken_by(log.next(Fact::Operator(admin(), event))), [super::NAME]);
        }
    }
}
