//! A renewal on two channels (R15, R20).

use super::*;

#[test]
fn rule_20_the_next_certificate_is_asked_for_when_its_time_comes_and_not_before() {
    let mut living = Living::active();
    assert_eq!(living.passes(secs(60) - Duration::from_millis(1)), []);
    assert_eq!(living.life.phase(), Phase::Active);
    assert_eq!(living.passes(Duration::from_millis(1)), [Effect::Renew(Key::New)]);
}

#[test]
fn rule_20_a_journal_may_ask_for_a_renewal_and_nodes_spread() {
    let mut living = Living::active();
    living.hears(Input::Heard(Heard::RenewNow));
    assert_eq!(living.wakes(), (RENEW_NOW_SPREAD, vec![Effect::Renew(Key::New)]));
    // It never puts one off.
    let mut living = Living::active();
    living.passes(secs(59));
    living.hears(Input::Heard(Heard::RenewNow));
    assert_eq!(living.wakes().0, secs(1));
}

#[test]
fn rule_20_the_present_stream_is_left_only_for_one_that_stands() {
    let mut living = Living::renewing();
    let effects = living.hears(Input::Renewed(Ok(given())));
    let open = Effect::Open { prefer: Prefer::Serving, held: Some(config(7)) };
    assert_eq!(effects, [Effect::Tell(Told::Renewed), open]);
    assert_eq!(names(&living.hears(Input::Opened(Ok(Ok(config(7)))))), "Adopt, Tell Subscribed");
    assert_eq!(living.life.phase(), Phase::Active);
    // The old one is heard a moment more.
    assert_eq!(living.wakes(), (DRAINED_AFTER, vec![Effect::Release]));
    // And the next renewal is that of the next certificate.
    assert_eq!(living.wakes(), (secs(60) - DRAINED_AFTER, vec![Effect::Renew(Key::New)]));
}

#[test]
fn rule_20_a_failed_renewal_keeps_the_certificate_is_tried_again_and_tells_how_much_time_is_left() {
    let mut living = Living::renewing();
    let mut warned = Vec::new();
    for _ in 0..4 {
        let effects = living.hears(Input::Renewed(Err(unreachable())));
        let [Effect::Warn(Warning::NotRenewed { wait, left, .. })] = &effects[..] else {
            panic!("{effects:?}")
        };
        warned.push((wait.as_millis(), left.as_millis()));
        assert_eq!(living.life.phase(), Phase::Renewing);
        // A reply may have been lost: the same key gives the same certificate (R15).
        assert_eq!(living.wakes().1, [Effect::Renew(Key::Same)]);
    }
    assert_eq!(warned, [(200, 30_000), (400, 29_800), (800, 29_400), (1600, 28_600)]);
}

#[test]
fn rule_20_a_stream_that_cannot_be_opened_with_the_next_certificate_keeps_the_present_one() {
    for failure in [unreachable(), revoked(), refused(Reason::StaleJournal)] {
        let mut living = Living::opening();
        let effects = living.hears(Input::Opened(Err(failure.clone())));
        assert_eq!(names(&effects), "Warn NotRenewed", "{failure:?}");
        // Elsewhere first.
        let open = Effect::Open { prefer: Prefer::Others, held: Some(config(7)) };
        assert_eq!(living.wakes().1, [open]);
        // What the present stream tells still counts, and the new one begins behind it.
        living.hears(Input::Heard(Heard::Changed(changed(9))));
        living.hears(Input::Fetched(Ok(config(9))));
        living.hears(Input::Opened(Err(unreachable())));
        let open = Effect::Open { prefer: Prefer::Others, held: Some(config(9)) };
        assert_eq!(living.wakes().1, [open]);
    }
}

#[test]
fn rule_15_what_both_streams_tell_counts_once() {
    let mut living = Living::opening();
    assert_eq!(names(&living.hears(Input::Heard(Heard::Changed(changed(9))))), "Fetch");
    living.hears(Input::Fetched(Ok(config(9))));
    // The new stream was opened from 7, and tells 9 again; so does the old one, late.
    assert_eq!(names(&living.hears(Input::Opened(Ok(Ok(config(7)))))), "Adopt, Tell Subscribed");
    for _ in 0..2 {
        assert_eq!(living.hears(Input::Heard(Heard::Changed(changed(9)))), []);
    }
    assert_eq!(living.life.held(), Some(&config(9)));
}

#[test]
fn rule_20_a_fetch_over_the_old_connection_begins_again_over_the_new_one() {
    let mut living = Living::opening();
    living.hears(Input::Heard(Heard::Changed(changed(9))));
    let effects = living.hears(Input::Opened(Ok(Ok(config(7)))));
    assert_eq!(names(&effects), "Adopt, Tell Subscribed, Fetch");
}

#[test]
fn rule_15_a_stream_that_is_lost_meanwhile_is_replaced_by_one_with_the_next_certificate() {
    let mut living = Living::opening();
    assert_eq!(names(&living.hears(Input::StreamEnded(unreachable()))), "Lose, Tell Lost");
    living.hears(Input::Opened(Ok(Ok(config(7)))));
    // The next certificate's time counts: it was given at 60.
    assert_eq!(living.wakes(), (secs(60), vec![Effect::Renew(Key::New)]));
}

#[test]
fn rule_15_a_renewal_whose_reply_was_lost_with_its_stream_is_asked_for_again_with_the_same_key() {
    let mut living = Living::renewing();
    living.hears(Input::StreamEnded(unreachable()));
    living.wakes();
    let effects = living.hears(Input::Opened(Ok(Ok(config(7)))));
    assert_eq!(names(&effects), "Adopt, Tell Subscribed, Renew Same");
}

#[test]
fn rule_20_a_renewal_that_a_journal_asked_for_outlives_its_stream() {
    let mut living = Living::active();
    living.hears(Input::Heard(Heard::RenewNow));
    living.hears(Input::StreamEnded(unreachable()));
    living.passes(RENEW_NOW_SPREAD);
    let effects = living.hears(Input::Opened(Ok(Ok(config(7)))));
    assert_eq!(names(&effects), "Adopt, Tell Subscribed, Renew New");
}

#[test]
fn a_renewal_that_is_refused_or_cannot_be_used_is_asked_for_elsewhere_with_a_new_key() {
    for failure in [refused(Reason::SerialSuperseded), Failure::named("ANSWER_INVALID", "of another key")] {
        let mut living = Living::renewing();
        let effects = living.hears(Input::Renewed(Err(failure)));
        assert_eq!(names(&effects), "Lose, Tell Lost, Warn NotSubscribed");
        living.wakes();
        let effects = living.hears(Input::Opened(Ok(Ok(config(7)))));
        assert_eq!(names(&effects), "Adopt, Tell Subscribed, Renew New");
    }
}

#[test]
fn a_stopped_life_says_goodbye_with_the_next_certificate_if_the_present_one_is_over() {
    let mut living = Living::degraded();
    living.now = secs(90);
    assert_eq!(living.hears(Input::Stop), [Effect::Forget, Effect::Leave]);
    let mut living = Living::opening();
    living.now = secs(95);
    living.hears(Input::StreamEnded(unreachable()));
    assert_eq!(living.hears(Input::Stop), [Effect::Leave]);
}
