//! Revocation and epochs (R16), and that `evolve` refuses nothing.

use super::*;

#[test]
fn rule_16_a_revocation_names_every_certificate_that_lives() {
    check(&is_renewed(), revoke(1001), record(revoked(&[2, 1], &[1, 2])));
    check(&is_renewed(), revoke(3 * DAY), record(revoked(&[2], &[1, 2])));
    check(&is_renewed(), revoke(4 * DAY), record(revoked(&[], &[1, 2])));
}

#[test]
fn rule_16_a_decommission_is_a_revocation_in_peace() {
    let order =
        Command::Revoke { cause: RevocationCause::Decommissioned, reason: None, sessions: 0, now: at(10) };
    let fact = Event::Revoked {
        cause: RevocationCause::Decommissioned,
        serials: vec![serial(1)],
        macs: vec![mac(1), mac(2)],
        reason: None,
    };
    check(&is_active(), order.clone(), record(fact));
    check(&is_revoked(), order, NOTHING);
}

#[test]
fn rule_16_every_enrollment_after_a_revocation_is_a_new_epoch() {
    let again = |epoch| vec![(0, registered(epoch, &[1])), (0, revoked(&[], &[1]))];
    let mut given = is_revoked();
    for epoch in 2..5 {
        check(&given, register(hardware(&[1]), MacClaims::default()), record(registered(epoch, &[1])));
        given.extend(again(epoch));
    }
}

#[test]
fn rule_16_a_new_epoch_begins_without_a_certificate() {
    let given = [is_revoked(), vec![(10, registered(2, &[1]))]].concat();
    assert_eq!(state(&given).current(), None);
    assert_eq!(state(&given).usable_until(serial(1)), None);
    check(&given, confirm(11, 1), Err(Rejection::SerialSuperseded));
    check(&given, renew(11, 1, 9), Err(Rejection::SerialSuperseded));
    let first = issued(Cause::Enrolled, 2, certificate(9, 11), &[], Some(hardware(&[1])));
    check(&given, enroll(11, hardware(&[1]), 9), record(first));
}

#[test]
fn a_fact_that_fits_no_state_changes_nothing() {
    let facts =
        [enrolled(5, 0, &[1]), renewed(5, 0, &[]), confirmed(5), goodbye(), put_away(5), reactivated(5)];
    for event in &facts {
        assert_eq!(state(&[(0, event.clone())]), State::Unknown, "{event:?}");
        let given = [is_revoked(), vec![(0, event.clone())]].concat();
        assert_eq!(state(&given), state(&is_revoked()), "{event:?}");
    }
    for event in [confirmed(5), reactivated(5)] {
        for given in [is_registered(), is_unconfirmed(), is_active(), is_inactive(), is_put_away()] {
            assert_eq!(
                state(&[given.clone(), vec![(0, event.clone())]].concat()),
                state(&given),
                "{event:?}"
            );
        }
    }
    assert_eq!(state(&[(0, revoked(&[], &[]))]), State::Unknown);
}

#[test]
fn sessions_hinder_a_planned_end_and_no_other() {
    let order = |cause, sessions| Command::Revoke { cause, reason: None, sessions, now: at(10) };
    let planned = |sessions| order(RevocationCause::Decommissioned, sessions);
    let refused = |count| Err(Rejection::ActiveSessions { count });
    check(&[], planned(2), Err(Rejection::NotFound));
    for given in [is_registered(), is_unconfirmed(), is_active(), is_inactive(), is_put_away()] {
        check(&given, planned(1), refused(1));
        check(&given, planned(u32::MAX), refused(u32::MAX));
        let (with, without) = (order(RevocationCause::Revoked, 2), order(RevocationCause::Revoked, 0));
        let decided = |command| decide(&node("n1"), &state(&given), command);
        assert!(matches!(decided(planned(0)), Ok(Decision::Record(_))), "{given:?}");
        assert_eq!(decided(with), decided(without), "{given:?}");
    }
    check(&is_revoked(), planned(2), NOTHING);
}

#[test]
fn one_session_runs_and_two_sessions_run() {
    for (count, begins) in [(1, "1 session runs on"), (2, "2 sessions run on")] {
        assert!(Rejection::ActiveSessions { count }.to_string().starts_with(begins));
    }
}
