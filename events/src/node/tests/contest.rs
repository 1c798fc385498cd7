//! Contested nodes (R14) and refused attempts (R5): every cell, and what the contest leaves alone.

use super::*;

/// The stream of the certificate of one number answered; a machine with n1's hardware asked with the key of the other.
fn contest(standing: u8, rival: u8, presented: HardwareIdentity) -> Command {
    Command::Contest(Contest { serial: serial(standing), key: key(rival), presented, boot_id: None })
}

fn is_contested() -> Vec<(u64, Event)> {
    [is_active(), vec![(5, contested(1, 9, &[1]))]].concat()
}

#[test]
fn rule_14_a_contest_begins_while_the_node_is_active_and_at_no_other_time() {
    let order = || contest(1, 9, hardware(&[1]));
    for given in [vec![], is_registered(), is_inactive(), is_put_away(), is_revoked()] {
        check(&given, order(), NOTHING);
    }
    for given in [is_unconfirmed(), is_active()] {
        check(&given, order(), record(contested(1, 9, &[1])));
    }
}

#[test]
fn rule_14_one_fact_tells_of_a_contest_until_it_is_settled() {
    check(&is_contested(), contest(1, 9, hardware(&[1])), NOTHING);
    check(&is_contested(), contest(1, 8, hardware(&[1])), NOTHING);
    let settled = [is_contested(), vec![(6, Event::Resolved {})]].concat();
    check(&settled, contest(1, 8, hardware(&[1])), record(contested(1, 8, &[1])));
}

#[test]
fn rule_14_a_contest_is_with_another_key_over_a_living_certificate_by_a_full_match() {
    check(&is_active(), contest(1, 1, hardware(&[1])), NOTHING);
    check(&is_active(), contest(2, 9, hardware(&[1])), NOTHING);
    check(&is_active(), contest(1, 9, hardware(&[3])), NOTHING);
    check(&is_renewed(), contest(1, 9, hardware(&[1])), record(contested(1, 9, &[1])));
    check(&is_renewed(), contest(2, 9, hardware(&[1])), record(contested(2, 9, &[1])));
    check(&is_renewed(), contest(2, 1, hardware(&[1])), NOTHING);
}

#[test]
fn rule_14_a_contest_stands_through_all_states_until_an_operator_a_new_epoch_or_the_end_settles_it() {
    let mut given = is_contested();
    assert!(state(&given).is_contested());
    for event in
        [goodbye(), reactivated(1), put_away(1), re_enrolled(2, 9, &[], &[1]), replaced(&[1], &[2], &[2])]
    {
        given.push((9, event.clone()));
        assert!(state(&given).is_contested(), "{event:?}");
    }
    for event in [Event::Resolved {}, revoked(&[], &[1])] {
        assert!(!state(&[given.clone(), vec![(9, event)]].concat()).is_contested());
    }
    let again = [given, vec![(9, revoked(&[], &[1])), (9, registered(2, &[1]))]].concat();
    assert!(!state(&again).is_contested());
}

#[test]
fn rule_14_a_contest_takes_nothing_from_the_certificate_that_stands() {
    check(&is_contested(), renew(10, 1, 8), Ok(Answer::Record(vec![renewed_to(8, 10)])));
    check(
        &is_contested(),
        enroll(10, hardware(&[1]), 9),
        Err(Rejection::AlreadyActive { until: at(3 * DAY) }),
    );
    assert_eq!(state(&is_contested()).usable_until(serial(1)), Some(at(3 * DAY)));
}

/// The renewal of the certificate 1 to the key of this number.
fn renewed_to(number: u8, secs: u64) -> Event {
    issued(Cause::Renewed, 1, ninth(secs, number), &[supersedes(1, 300)], None)
}

#[test]
fn rule_14_an_operator_settles_a_contest_once() {
    check(&[], Command::Resolve, Err(Rejection::NotFound));
    for given in [is_registered(), is_unconfirmed(), is_active(), is_inactive(), is_put_away(), is_revoked()]
    {
        check(&given, Command::Resolve, NOTHING);
    }
    check(&is_contested(), Command::Resolve, record(Event::Resolved {}));
    let away = [is_contested(), vec![(9, goodbye())]].concat();
    check(&away, Command::Resolve, record(Event::Resolved {}));
    check(&[is_contested(), vec![(9, Event::Resolved {})]].concat(), Command::Resolve, NOTHING);
}

#[test]
fn rule_05_refused_attempts_are_noted_of_every_node_that_there_is_and_change_none() {
    let attempts = || refused(RefusalReason::AlreadyActive, 10, 3);
    check(&[], Command::NoteRefused(attempts()), NOTHING);
    for given in [is_registered(), is_unconfirmed(), is_active(), is_inactive(), is_put_away(), is_revoked()]
    {
        check(&given, Command::NoteRefused(attempts()), record(Event::AttemptsRefused(attempts())));
        let noted = [given.clone(), vec![(70, Event::AttemptsRefused(attempts()))]].concat();
        assert_eq!(state(&noted), state(&given));
    }
}
