//! Warm reboots (R14 c): who is let in beside an active node, when, and what the former key brings back.

use super::*;
use crate::samples::{bound, bound_by, disproved, in_boot, rebooted};

/// The machine of n1 asks in the boot of this name, with a free key of the number 9.
fn ask(secs: u64, boot: Option<&str>, former: Former) -> Command {
    ask_with(secs, boot, former, Some(free(9)), hardware(&[1]))
}

fn ask_with(
    secs: u64,
    boot: Option<&str>,
    former: Former,
    key: Option<KeyClaim>,
    presented: HardwareIdentity,
) -> Command {
    let (macs, boot_id) = (MacClaims::default(), boot.map(|boot| boot.parse().unwrap()));
    Command::Enroll(Enroll { presented, macs, key, boot_id, former, terms: terms(secs) })
}

fn silent(number: u8) -> Former {
    Former::Silent { serial: serial(number) }
}

fn prove(secs: u64, number: u8) -> Command {
    Command::ProveFormer { serial: serial(number), now: at(secs) }
}

/// n1 enrolled in the boot `a` with the certificate 1, and is active.
fn is_up() -> Vec<(u64, Event)> {
    [is_registered(), vec![(0, in_boot("a", enrolled(1, 0, &[1]))), (0, confirmed(1))]].concat()
}

/// …gone and enrolled again as what it is.
fn is_away() -> Vec<(u64, Event)> {
    [is_up(), vec![(5, goodbye())]].concat()
}

/// …and renewed: 2 is current, 1 in overlap.
fn is_up_and_renewed() -> Vec<(u64, Event)> {
    [is_up(), vec![(900, renewed(2, 900, &[supersedes(1, 300)]))]].concat()
}

/// At second 1000 the boot `b` got the certificate 2 over 1.
fn is_rebooted() -> Vec<(u64, Event)> {
    [is_up(), vec![(1000, rebooted(2, 1000, "b", &[1], &[1]))]].concat()
}

/// What it shows when the certificate of one number comes back, over those of the others.
fn two_machines(back: u8, over: &[u8]) -> Vec<Event> {
    vec![disproved(over), reactivated(back), contested_by("b", back, over[0])]
}

fn contested_by(boot: &str, standing: u8, rival: u8) -> Event {
    let Event::Contested { serial, rival_spki_sha256, presented, .. } = contested(standing, rival, &[1])
    else {
        unreachable!("it is a contest")
    };
    Event::Contested { serial, rival_spki_sha256, presented, boot_id: Some(boot.parse().unwrap()) }
}

fn already_active(until: u64) -> Result<Answer, Rejection> {
    Err(Rejection::AlreadyActive { until: at(until) })
}

fn perhaps(number: u8, until: u64) -> Result<Answer, Rejection> {
    Err(Rejection::PerhapsRebooted { serial: serial(number), until: at(until) })
}

#[test]
fn rule_14_another_boot_is_let_in_over_an_active_node_that_answers_nobody_and_over_no_other() {
    let order = || ask(1000, Some("b"), silent(1));
    check(&[], order(), Err(Rejection::NotEnrolled));
    let first = in_boot("b", enrolled(9, 1000, &[1]));
    check(&is_registered(), order(), record(first));
    check(&is_up(), order(), record(rebooted(9, 1000, "b", &[1], &[1])));
    let again = in_boot("b", re_enrolled(9, 1000, &[supersedes(1, 0)], &[1]));
    check(&is_away(), order(), record(again));
    check(&[is_up(), vec![(9, revoked(&[1], &[1, 2]))]].concat(), order(), Err(Rejection::Revoked));
    check(
        &is_up_and_renewed(),
        ask(1000, Some("b"), silent(2)),
        record(rebooted(9, 1000, "b", &[2, 1], &[1])),
    );
}

#[test]
fn rule_14_whether_it_answers_must_be_asked_and_of_the_present_certificate() {
    check(&is_up(), ask(1000, Some("b"), Former::NotAsked), perhaps(1, 3 * DAY));
    check(&is_up(), ask(1000, Some("b"), silent(7)), perhaps(1, 3 * DAY));
    check(&is_up_and_renewed(), ask(1000, Some("b"), silent(1)), perhaps(2, 900 + 3 * DAY));
}

#[test]
fn rule_14_nobody_is_let_in_while_the_setting_is_off_the_boot_is_the_same_or_unknown_or_the_hardware_is_not_the_nodes()
 {
    check(&is_up(), ask(1000, Some("b"), Former::Untouchable), already_active(3 * DAY));
    for boot in [None, Some("a")] {
        check(&is_up(), ask(1000, boot, silent(1)), already_active(3 * DAY));
        check(&is_up(), ask(1000, boot, Former::NotAsked), already_active(3 * DAY));
    }
    // Its agent did not say in which boot it was.
    check(&is_active(), ask(1000, Some("b"), silent(1)), already_active(3 * DAY));
    let foreign = ask_with(1000, Some("b"), silent(1), Some(free(9)), hardware(&[3]));
    check(&is_up(), foreign, Err(Rejection::HardwareMismatch));
    let unreadable = ask_with(1000, Some("b"), silent(1), None, hardware(&[1]));
    check(&is_up(), unreadable, already_active(3 * DAY));
    let reused = ask_with(1000, Some("b"), silent(1), Some(held_by(9, "n2", 1)), hardware(&[1]));
    check(&is_up(), reused, Err(Rejection::KeyReused));
    let own = ask_with(1000, Some("b"), silent(1), Some(held_by(1, "n1", 1)), hardware(&[1]));
    check(&is_up(), own, Ok(Answer::Repeat(certificate(1, 0))));
}

#[test]
fn rule_14_a_contested_node_has_no_warm_reboot() {
    let given = [is_up(), vec![(9, contested(1, 8, &[1]))]].concat();
    check(&given, ask(1000, Some("b"), silent(1)), already_active(3 * DAY));
    let settled = [given, vec![(10, Event::Resolved {})]].concat();
    check(&settled, ask(1000, Some("b"), silent(1)), record(rebooted(9, 1000, "b", &[1], &[1])));
}

#[test]
fn rule_14_a_node_has_one_warm_reboot_in_five_minutes() {
    for (secs, expected) in [
        (1299, already_active(1300)),
        (1300, record(rebooted(9, 1300, "c", &[2], &[1]))),
        (1301, record(rebooted(9, 1301, "c", &[2], &[1]))),
    ] {
        check(&is_rebooted(), ask(secs, Some("c"), silent(2)), expected);
    }
    // Also after the former machine came back, and an operator settled it.
    let came_back = two_machines(1, &[2]).into_iter().map(|event| (1010, event)).collect();
    let settled = [is_rebooted(), came_back, vec![(1020, Event::Resolved {})]].concat();
    check(&settled, ask(1299, Some("c"), silent(1)), already_active(1300));
    check(&settled, ask(1300, Some("c"), silent(1)), record(rebooted(9, 1300, "c", &[1], &[1])));
}

#[test]
fn rule_11_a_node_that_goes_by_a_workload_identity_has_no_warm_reboot() {
    // It has discarded the key that could show later that it was there all the time.
    for identity in [bound("x"), bound_by("x", Some(1))] {
        let given = [is_up(), vec![(9, identity)]].concat();
        check(&given, ask(1000, Some("b"), silent(1)), already_active(3 * DAY));
    }
}

#[test]
fn rule_11_what_a_machine_that_was_not_the_node_had_bound_is_over_with_its_certificate() {
    let after = |identity: Event| {
        let shown = two_machines(1, &[2]).into_iter().map(|event| (1010, event)).collect();
        state(&[is_rebooted(), vec![(1005, identity)], shown].concat())
    };
    assert_eq!(after(bound_by("x", Some(2))).bound(), None);
    assert!(after(bound("x")).bound().is_some(), "an operator's word");
}

#[test]
fn rule_15_a_certificate_whose_overlap_was_over_does_not_come_back() {
    let renewed_and_rebooted = |used: u64| {
        let used_then_rebooted = vec![(used, confirmed(2)), (1500, rebooted(3, 1500, "b", &[1], &[2]))];
        [is_up_and_renewed(), used_then_rebooted].concat()
    };
    // The overlap ends five minutes after the first use of the new one.
    check(&renewed_and_rebooted(1200), prove(1600, 1), Err(Rejection::SerialSuperseded));
    let lives = state(&renewed_and_rebooted(1201));
    assert!(lives.replaced(serial(1), at(1600)).is_some(), "its overlap went on for a second");
    assert!(state(&renewed_and_rebooted(1200)).replaced(serial(2), at(1600)).is_some());
}

#[test]
fn rule_15_what_a_warm_reboot_replaces_opens_nothing_and_leaves_no_overlap() {
    let rebooted = state(&is_rebooted());
    assert_eq!(rebooted.usable_until(serial(1)), None);
    assert_eq!(rebooted.usable_until(serial(2)), Some(at(1000 + 3 * DAY)));
    assert_eq!(rebooted.overlap(), None);
    assert!(rebooted.replaced(serial(1), at(3 * DAY - 1)).is_some());
    assert!(rebooted.replaced(serial(1), at(3 * DAY)).is_none(), "its own time is over");
    for order in [confirm(1001, 1), renew(1001, 1, 9)] {
        check(&is_rebooted(), order, Err(Rejection::SerialSuperseded));
    }
    check(&is_rebooted(), say_goodbye(1), NOTHING);
}

#[test]
fn rule_14_who_proves_the_former_key_shows_two_machines_and_the_former_key_stands() {
    for (given, expected) in [
        (vec![], Err(Rejection::SerialSuperseded)),
        (is_up(), NOTHING),
        (is_away(), NOTHING),
        (is_rebooted(), Ok(Answer::Record(two_machines(1, &[2])))),
        ([is_rebooted(), vec![(1001, goodbye())]].concat(), Ok(Answer::Record(two_machines(1, &[2])))),
        ([is_rebooted(), vec![(1001, revoked(&[2], &[1, 2]))]].concat(), Err(Rejection::Revoked)),
        ([is_up(), vec![(9, put_away(1))]].concat(), Err(Rejection::SerialSuperseded)),
    ] {
        check(&given, prove(1010, 1), expected);
    }
    check(&is_rebooted(), prove(1010, 2), NOTHING);
    check(&is_rebooted(), prove(1010, 7), Err(Rejection::SerialSuperseded));
    check(&is_rebooted(), prove(3 * DAY - 1, 1), Ok(Answer::Record(two_machines(1, &[2]))));
    check(&is_rebooted(), prove(3 * DAY, 1), Err(Rejection::SerialSuperseded));
}

#[test]
fn rule_14_the_former_key_in_a_request_shows_the_same_and_is_answered_with_its_certificate() {
    let asks =
        |secs| ask_with(secs, Some("a"), Former::Untouchable, Some(held_by(1, "n1", 1)), hardware(&[1]));
    let back = Ok(Answer::Return(two_machines(1, &[2]), certificate(1, 0)));
    check(&is_rebooted(), asks(1010), back);
    let away = [is_rebooted(), vec![(1001, goodbye())]].concat();
    check(&away, asks(1010), Ok(Answer::Return(two_machines(1, &[2]), certificate(1, 0))));
    check(&is_rebooted(), asks(3 * DAY), already_active(1000 + 3 * DAY));
    let foreign = ask_with(1010, Some("a"), Former::Untouchable, Some(held_by(1, "n1", 1)), hardware(&[3]));
    check(&is_rebooted(), foreign, Err(Rejection::HardwareMismatch));
}

/// …and then the certificate 1 came back.
fn is_back() -> Vec<(u64, Event)> {
    let back = two_machines(1, &[2]).into_iter().map(|event| (1010, event)).collect();
    [is_rebooted(), back].concat()
}

#[test]
fn rule_14_afterwards_the_former_certificate_is_the_nodes_and_the_claimed_one_is_over() {
    let back = state(&is_back());
    assert!(back.is_contested());
    assert_eq!(back.usable_until(serial(1)), Some(at(3 * DAY)));
    assert_eq!(back.usable_until(serial(2)), None);
    check(&is_back(), prove(1011, 1), NOTHING);
    check(&is_back(), prove(1011, 2), Err(Rejection::SerialSuperseded));
    check(&is_back(), confirm(1011, 1), NOTHING);
    check(&is_back(), confirm(1011, 2), Err(Rejection::SerialSuperseded));
    let claimed = ask_with(1011, Some("b"), silent(1), Some(held_by(2, "n1", 1)), hardware(&[1]));
    check(&is_back(), claimed, already_active(3 * DAY));
    // It is known again in which boot it is.
    let settled = [is_back(), vec![(1300, Event::Resolved {})]].concat();
    check(&settled, ask(1300, Some("a"), silent(1)), already_active(3 * DAY));
}

#[test]
fn rule_14_of_a_contested_node_the_former_key_stands_all_the_same_and_no_second_fact_begins_it() {
    let given = [is_rebooted(), vec![(1005, contested(2, 8, &[1]))]].concat();
    let back = vec![disproved(&[2]), reactivated(1)];
    check(&given, prove(1010, 1), Ok(Answer::Record(back)));
}

#[test]
fn rule_14_the_claim_ends_with_all_that_it_became() {
    let renewed = [is_rebooted(), vec![(2000, renewed(3, 2000, &[supersedes(2, 300)]))]].concat();
    let back = vec![disproved(&[3, 2]), reactivated(1), contested_by("b", 1, 3)];
    check(&renewed, prove(2010, 1), Ok(Answer::Record(back)));
    let again = [
        is_rebooted(),
        vec![(1001, goodbye()), (1002, in_boot("c", re_enrolled(3, 1002, &[supersedes(2, 0)], &[1])))],
    ]
    .concat();
    let back = vec![disproved(&[3]), reactivated(1), contested_by("b", 1, 3)];
    check(&again, prove(1010, 1), Ok(Answer::Record(back)));
}

#[test]
fn rule_14_each_of_several_reboots_can_be_shown_to_be_another_machine() {
    let twice = [is_rebooted(), vec![(1300, rebooted(3, 1300, "c", &[2], &[1]))]].concat();
    for back in [1, 2] {
        let events = vec![disproved(&[3]), reactivated(back), contested_by("c", back, 3)];
        check(&twice, prove(1310, back), Ok(Answer::Record(events.clone())));
        let came = events.into_iter().map(|event| (1310, event)).collect();
        let after = [twice.clone(), came].concat();
        check(&after, prove(1311, 3 - back), Err(Rejection::SerialSuperseded));
    }
    let renewed = [is_up_and_renewed(), vec![(1000, rebooted(3, 1000, "b", &[2, 1], &[1]))]].concat();
    for back in [1, 2] {
        let events = vec![disproved(&[3]), reactivated(back), contested_by("b", back, 3)];
        check(&renewed, prove(1010, back), Ok(Answer::Record(events)));
    }
}

#[test]
fn rule_14_an_operators_word_is_the_last_about_what_was_replaced() {
    for (event, expected) in [
        (contested(2, 8, &[1]), Ok(Answer::Record(vec![disproved(&[2]), reactivated(1)]))),
        (put_away(2), Err(Rejection::SerialSuperseded)),
        (replaced(&[9], &[1, 2], &[2]), Err(Rejection::SerialSuperseded)),
        (distrusted(&[2]), Err(Rejection::SerialSuperseded)),
        (distrusted(&[1]), Err(Rejection::SerialSuperseded)),
    ] {
        let given = [is_rebooted(), vec![(1005, event)]].concat();
        check(&given, prove(1010, 1), expected);
    }
    let settled = [is_rebooted(), vec![(1005, contested(2, 8, &[1])), (1006, Event::Resolved {})]].concat();
    check(&settled, prove(1010, 1), Err(Rejection::SerialSuperseded));
}

#[test]
fn rule_07_what_an_evicted_journal_signed_does_not_come_back_by_its_key() {
    let order = Command::Distrust { authorities: [authority_id(1)].into(), now: at(1010) };
    check(&is_rebooted(), order, record(distrusted(&[2, 1])));
}

#[test]
fn what_may_come_back_is_bounded_and_what_has_expired_makes_room() {
    let mut given = is_up();
    let last = u8::try_from(MAX_REPLACED).unwrap();
    for nth in 1..=last {
        let secs = u64::from(nth) * 300;
        given.push((
            secs,
            rebooted(nth + 9, secs, &format!("b{nth}"), &[if nth == 1 { 1 } else { nth + 8 }], &[1]),
        ));
    }
    let current = last + 9;
    let until = u64::from(last) * 300 + 3 * DAY;
    check(&given, ask(9000, Some("z"), silent(current)), already_active(until));
    // The log's time may be a minute behind the one by which this is decided (R24).
    let room = 3 * DAY + 60;
    check(&given, ask(room - 1, Some("z"), silent(current)), already_active(until));
    check(&given, ask(room, Some("z"), silent(current)), record(rebooted(9, room, "z", &[current], &[1])));
    assert_eq!(state(&given).all_replaced(at(9000)).count(), MAX_REPLACED);
}

#[test]
fn rule_14_a_key_that_was_replaced_or_is_in_overlap_is_nobody_elses() {
    let own = ask_with(1000, Some("b"), silent(2), Some(held_by(1, "n1", 1)), hardware(&[1]));
    check(&is_up_and_renewed(), own, already_active(900 + 3 * DAY));
    let renewal = |secs| renew_with(secs, 2, Some(held_by(1, "n1", 1)));
    check(&is_rebooted(), renewal(3 * DAY - 1), Err(Rejection::KeyReused));
    let renewed = issued(Cause::Renewed, 1, ninth(3 * DAY, 1), &[supersedes(2, 300)], None);
    check(&is_rebooted(), renewal(3 * DAY), record(renewed));
}
