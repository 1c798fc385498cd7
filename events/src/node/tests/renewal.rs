//! RenewCert, confirmation and the overlap (R15, R20).

use super::*;

#[test]
fn rule_15_the_same_key_gets_the_same_certificate() {
    check(&is_active(), renew_with(10, 1, Some(held_by(1, "n1", 1))), Ok(Answer::Repeat(certificate(1, 0))));
    let again = renew_with(1001, 2, Some(held_by(2, "n1", 1)));
    check(&is_renewed(), again, Ok(Answer::Repeat(certificate(2, 900))));
}

#[test]
fn rule_15_a_lost_answer_is_given_again_over_the_former_certificate() {
    let unused = [is_active(), vec![(900, renewed(2, 900, &[supersedes(1, 300)]))]].concat();
    let again = |secs| renew_with(secs, 1, Some(held_by(2, "n1", 1)));
    check(&unused, again(901), Ok(Answer::Repeat(certificate(2, 900))));
    check(&unused, again(2 * DAY), Ok(Answer::Repeat(certificate(2, 900))));
    check(&unused, again(3 * DAY), Err(Rejection::SerialSuperseded));
}

#[test]
fn rule_15_the_former_certificate_opens_nothing_new() {
    check(&is_renewed(), renew(1001, 1, 9), Err(Rejection::SerialSuperseded));
    check(&is_renewed(), renew_with(1001, 1, None), Err(Rejection::SerialSuperseded));
    let own_old_key = renew_with(1001, 1, Some(held_by(1, "n1", 1)));
    check(&is_renewed(), own_old_key, Err(Rejection::SerialSuperseded));
}

#[test]
fn rule_15_the_overlap_ends_5_minutes_after_the_first_use_of_the_new_certificate() {
    let again = |secs: u64| renew_with(1000 + secs, 1, Some(held_by(2, "n1", 1)));
    check(&is_renewed(), again(299), Ok(Answer::Repeat(certificate(2, 900))));
    check(&is_renewed(), again(300), Err(Rejection::SerialSuperseded));
    check(&is_renewed(), again(301), Err(Rejection::SerialSuperseded));
    check(&is_renewed(), confirm(1299, 1), NOTHING);
    check(&is_renewed(), confirm(1300, 1), Err(Rejection::SerialSuperseded));
    check(&is_renewed(), confirm(1301, 1), Err(Rejection::SerialSuperseded));
    assert_eq!(state(&is_renewed()).usable_until(serial(1)), Some(at(1300)));
}

#[test]
fn rule_15_an_overlap_never_outlives_the_former_certificate() {
    let late = 3 * DAY - 100;
    let given =
        [is_active(), vec![(late, renewed(2, late, &[supersedes(1, 300)])), (late, confirmed(2))]].concat();
    assert_eq!(state(&given).usable_until(serial(1)), Some(at(3 * DAY)));
    check(&given, confirm(3 * DAY - 1, 1), NOTHING);
    check(&given, confirm(3 * DAY, 1), Err(Rejection::SerialSuperseded));
}

#[test]
fn rule_15_a_renewal_ends_an_older_overlap() {
    let over = [supersedes(2, 300), supersedes(1, 0)];
    check(&is_renewed(), renew(1001, 2, 9), record(renewed(9, 1001, &over)));
    let after = state(&[is_renewed(), vec![(1001, renewed(9, 1001, &over))]].concat());
    assert_eq!(after.usable_until(serial(9)), Some(at(1001 + 3 * DAY)));
    assert_eq!(after.usable_until(serial(2)), Some(at(900 + 3 * DAY)));
    assert_eq!(after.usable_until(serial(1)), None);
}

#[test]
fn rule_15_the_first_use_counts_from_the_confirmation_and_once() {
    let unused = state(&[is_active(), vec![(900, renewed(2, 900, &[supersedes(1, 300)]))]].concat());
    assert_eq!(unused.usable_until(serial(1)), Some(at(3 * DAY)));
    let twice = state(&[is_renewed(), vec![(5000, confirmed(2))]].concat());
    assert_eq!(twice.usable_until(serial(1)), Some(at(1300)));
}

#[test]
fn rule_20_a_renewal_is_bound_to_the_presented_certificate() {
    let order = |presented, named| {
        Command::Renew(Renew {
            presented: serial(presented),
            named: serial(named),
            key: Some(free(9)),
            terms: terms(10),
        })
    };
    check(&is_active(), order(1, 2), Err(Rejection::SerialSuperseded));
    check(&is_active(), order(2, 1), Err(Rejection::SerialSuperseded));
    check(&is_active(), order(7, 7), Err(Rejection::SerialSuperseded));
    check(&is_active(), order(1, 1), record(renewed(9, 10, &[supersedes(1, 300)])));
}

#[test]
fn an_expired_certificate_renews_nothing() {
    for given in [is_active(), is_inactive()] {
        check(&given, renew(3 * DAY - 1, 1, 9), record(renewed(9, 3 * DAY - 1, &[supersedes(1, 300)])));
        check(&given, renew(3 * DAY, 1, 9), Err(Rejection::SerialSuperseded));
        let same_key = renew_with(3 * DAY, 1, Some(held_by(1, "n1", 1)));
        check(&given, same_key, Err(Rejection::SerialSuperseded));
    }
}

#[test]
fn rule_08_a_renewal_to_a_used_key_or_an_unreadable_request_is_refused() {
    for claim in [
        held_by(5, "n2", 1),
        held_by(5, "n1", 2),
        KeyClaim { key: key(5), holder: Some(KeyHolder::Operator) },
    ] {
        check(&is_active(), renew_with(10, 1, Some(claim)), Err(Rejection::KeyReused));
    }
    check(&is_active(), renew_with(10, 1, None), Err(Rejection::CsrInvalid));
    check(&is_revoked(), renew_with(10, 1, None), Err(Rejection::Revoked));
}

#[test]
fn a_renewal_brings_an_inactive_node_back() {
    let after = state(&[is_inactive(), vec![(10, renewed(2, 10, &[supersedes(1, 300)]))]].concat());
    assert!(matches!(after, State::Active { .. }));
    assert_eq!(after.usable_until(serial(1)), Some(at(3 * DAY)));
}

#[test]
fn a_node_that_comes_back_with_an_unused_certificate_confirms_it_too() {
    let given = [is_unconfirmed(), vec![(5, deactivated(DeactivationCause::Silence))]].concat();
    check(&given, confirm(10, 1), Ok(Answer::Record(vec![reactivated(1), confirmed(1)])));
    check(&given, confirm(3 * DAY, 1), Err(Rejection::SerialSuperseded));
    check(&is_inactive(), confirm(3 * DAY, 1), Err(Rejection::SerialSuperseded));
}

#[test]
fn a_call_with_a_certificate_that_was_never_the_nodes_is_refused() {
    for given in [is_unconfirmed(), is_active(), is_renewed(), is_inactive()] {
        check(&given, confirm(10, 7), Err(Rejection::SerialSuperseded));
    }
}

#[test]
fn a_goodbye_of_the_former_certificates_stream_means_nothing_once_the_new_one_was_used() {
    check(&is_renewed(), say_goodbye(1), NOTHING);
    check(&is_renewed(), say_goodbye(2), record(goodbye()));
}

#[test]
fn a_node_that_stops_between_two_certificates_says_goodbye_with_the_former() {
    let given = [is_active(), vec![(900, renewed(2, 900, &[supersedes(1, 300)]))]].concat();
    check(&given, say_goodbye(1), record(goodbye()));
    check(&given, say_goodbye(7), NOTHING);
}

#[test]
fn a_node_that_is_gone_has_no_overlap() {
    let after = state(&[is_renewed(), vec![(1001, goodbye())]].concat());
    assert_eq!(after.usable_until(serial(2)), Some(at(900 + 3 * DAY)));
    assert_eq!(after.usable_until(serial(1)), None);
    check(
        &[is_renewed(), vec![(1001, goodbye())]].concat(),
        confirm(1002, 1),
        Err(Rejection::SerialSuperseded),
    );
}
