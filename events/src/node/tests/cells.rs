//! Every cell of the table in design §5, a column a test.

use super::*;

#[test]
fn an_operator_enrolls_only_what_is_new_or_revoked() {
    let order = || register(hardware(&[1, 2]), MacClaims::default());
    check(&[], order(), record(registered(1, &[1, 2])));
    for given in [is_registered(), is_unconfirmed(), is_active(), is_inactive(), is_put_away()] {
        check(&given, order(), Err(Rejection::AlreadyEnrolled { equally: true }));
    }
    check(&is_revoked(), order(), record(registered(2, &[1, 2])));
}

#[test]
fn rule_12_an_agent_is_activated_by_its_certificate() {
    let order = || enroll(10, hardware(&[1]), 9);
    check(&[], order(), Err(Rejection::NotEnrolled));
    check(&is_registered(), order(), record(enrolled(9, 10, &[1])));
    for given in [is_unconfirmed(), is_active()] {
        check(&given, order(), Err(Rejection::AlreadyActive { until: at(3 * DAY) }));
    }
    check(&is_inactive(), order(), record(re_enrolled(9, 10, &[supersedes(1, 0)], &[1])));
    check(&is_put_away(), order(), record(re_enrolled(9, 10, &[], &[1])));
    check(&is_revoked(), order(), Err(Rejection::Revoked));
}

#[test]
fn the_first_authenticated_call_confirms_or_brings_back() {
    let order = || confirm(10, 1);
    check(&[], order(), Err(Rejection::NotEnrolled));
    check(&is_registered(), order(), Err(Rejection::SerialSuperseded));
    check(&is_unconfirmed(), order(), record(confirmed(1)));
    check(&is_active(), order(), NOTHING);
    check(&is_inactive(), order(), record(reactivated(1)));
    check(&is_put_away(), order(), Err(Rejection::SerialSuperseded));
    check(&is_revoked(), order(), Err(Rejection::Revoked));
}

#[test]
fn a_node_is_stuck_when_its_certificate_lies_unused_for_longer_than_it_may() {
    let after = Duration::from_secs(600);
    let unused = state(&is_unconfirmed());
    let issued = unused.current().expect("it has a certificate").certificate.issued_at();
    for (secs, stuck) in [(599, false), (600, false), (601, true)] {
        assert_eq!(unused.is_stuck(issued.plus(Duration::from_secs(secs)), after), stuck, "after {secs} s");
    }
    for other in [is_registered(), is_active(), is_inactive(), is_put_away(), is_revoked()] {
        assert!(!state(&other).is_stuck(issued.plus(Duration::from_secs(DAY)), after));
    }
}

#[test]
fn rule_19_what_is_active_goes_by_silence_goodbye_or_an_operators_word() {
    use DeactivationCause::{Goodbye, Operator, Silence};
    for order in [deactivate(10, Silence), deactivate(10, Goodbye), deactivate(10, Operator), say_goodbye(1)]
    {
        for given in [is_registered(), is_put_away(), is_revoked()] {
            check(&given, order.clone(), NOTHING);
        }
    }
    for order in [deactivate(10, Silence), deactivate(10, Goodbye), say_goodbye(1)] {
        check(&is_inactive(), order, NOTHING);
    }
    for order in [deactivate(10, Silence), deactivate(10, Goodbye), say_goodbye(1)] {
        check(&[], order, NOTHING);
    }
    check(&[], deactivate(10, Operator), Err(Rejection::NotFound));
    for given in [is_unconfirmed(), is_active()] {
        check(&given, deactivate(10, Silence), record(deactivated(Silence)));
        check(&given, deactivate(10, Goodbye), record(goodbye()));
        check(&given, deactivate(10, Operator), record(put_away(1)));
        check(&given, say_goodbye(1), record(goodbye()));
    }
}

#[test]
fn an_operator_takes_the_certificate_also_from_a_node_that_is_gone_and_could_come_back_by_itself() {
    let order = |secs| deactivate(secs, DeactivationCause::Operator);
    check(&is_inactive(), order(3 * DAY - 1), record(put_away(1)));
    check(&is_inactive(), order(3 * DAY), NOTHING);
    let taken = [is_inactive(), vec![(10, put_away(1))]].concat();
    check(&taken, order(11), NOTHING);
    check(&taken, confirm(11, 1), Err(Rejection::SerialSuperseded));
    assert_eq!(state(&taken).usable_until(serial(1)), None);
}

#[test]
fn an_expired_certificate_makes_its_node_inactive() {
    let order = |secs| deactivate(secs, DeactivationCause::Expiry);
    for given in [vec![], is_registered(), is_inactive(), is_put_away(), is_revoked()] {
        check(&given, order(3 * DAY), NOTHING);
    }
    for given in [is_unconfirmed(), is_active()] {
        check(&given, order(3 * DAY - 1), NOTHING);
        check(&given, order(3 * DAY), record(deactivated(DeactivationCause::Expiry)));
        check(&given, order(3 * DAY + 1), record(deactivated(DeactivationCause::Expiry)));
    }
}

#[test]
fn a_node_renews_while_it_has_a_certificate() {
    let order = || renew(10, 1, 9);
    check(&[], order(), Err(Rejection::NotEnrolled));
    check(&is_registered(), order(), Err(Rejection::SerialSuperseded));
    for given in [is_unconfirmed(), is_active(), is_inactive()] {
        check(&given, order(), record(renewed(9, 10, &[supersedes(1, 300)])));
    }
    check(&is_put_away(), order(), Err(Rejection::SerialSuperseded));
    check(&is_revoked(), order(), Err(Rejection::Revoked));
}

#[test]
fn rule_16_a_revocation_ends_whatever_there_is() {
    let order = || revoke(10);
    check(&[], order(), Err(Rejection::NotFound));
    check(&is_registered(), order(), record(revoked(&[], &[1, 2])));
    for given in [is_unconfirmed(), is_active(), is_inactive()] {
        check(&given, order(), record(revoked(&[1], &[1, 2])));
    }
    check(&is_put_away(), order(), record(revoked(&[], &[1, 2])));
    check(&is_revoked(), order(), NOTHING);
}
