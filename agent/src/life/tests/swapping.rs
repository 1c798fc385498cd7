//! Another identity takes the place of the certificate (R11).

use super::*;

/// One that goes by a workload identity since second 0.
fn lent() -> Living {
    let mut living = Living::active();
    let open = Effect::Open { prefer: Prefer::Serving, held: Some(config(7)) };
    assert_eq!(living.hears(Input::Swap), [open]);
    assert_eq!(living.life.phase(), Phase::Active);
    assert_eq!(names(&living.hears(Input::Opened(Ok(Ok(config(7)))))), "Adopt, Tell Subscribed");
    living
}

#[test]
fn rule_11_the_present_stream_is_left_only_for_one_that_stands_with_the_other_identity() {
    let mut living = lent();
    // The old one is heard a moment more, and the enrollment is renewed when its time comes.
    assert_eq!(living.wakes(), (DRAINED_AFTER, vec![Effect::Release]));
    assert_eq!(living.wakes(), (secs(60) - DRAINED_AFTER, vec![Effect::Renew(Key::New)]));
}

#[test]
fn rule_11_an_identity_that_opens_nothing_changes_nothing() {
    for failure in
        [unreachable(), revoked(), refused(Reason::CertificateRequired), refused(Reason::StaleJournal)]
    {
        let mut living = Living::active();
        living.hears(Input::Swap);
        assert_eq!(names(&living.hears(Input::Opened(Err(failure)))), "Warn NotSwapped, Stay");
        assert_eq!(living.life.phase(), Phase::Active);
        assert_eq!(living.wakes(), (secs(60), vec![Effect::Renew(Key::New)]));
    }
}

#[test]
fn rule_11_there_is_no_swap_without_a_stream_nor_while_a_certificate_is_renewed() {
    for (mut living, phase) in [
        (Living::begin(None), Phase::Probing),
        (Living::enrolling(), Phase::Enrolling),
        (Living::connecting(), Phase::Configuring),
        (Living::renewing(), Phase::Renewing),
        (Living::opening(), Phase::Renewing),
        (Living::degraded(), Phase::Degraded),
    ] {
        assert_eq!(living.hears(Input::Swap), [Effect::Stay]);
        assert_eq!(living.life.phase(), phase);
    }
    // Nor two at a time.
    let mut living = Living::active();
    living.hears(Input::Swap);
    assert_eq!(living.hears(Input::Swap), [Effect::Stay]);
}

#[test]
fn rule_11_a_stream_that_is_lost_meanwhile_is_opened_again_with_what_the_node_has() {
    let mut living = Living::active();
    living.hears(Input::Swap);
    assert_eq!(
        names(&living.hears(Input::StreamEnded(unreachable()))),
        "Lose, Tell Lost, Warn NotSubscribed"
    );
    let open = Effect::Open { prefer: Prefer::Others, held: Some(config(7)) };
    assert_eq!(living.wakes().1, [open]);
    assert_eq!(names(&living.hears(Input::Opened(Ok(Ok(config(7)))))), "Adopt, Tell Subscribed");
}

#[test]
fn rule_20_a_journal_that_asks_for_a_renewal_during_a_swap_gets_it_afterwards() {
    let mut living = Living::active();
    living.hears(Input::Swap);
    assert_eq!(living.hears(Input::Heard(Heard::RenewNow)), []);
    living.hears(Input::Opened(Ok(Ok(config(7)))));
    // At the same moment the old stream has had its time.
    assert_eq!(living.wakes(), (RENEW_NOW_SPREAD, vec![Effect::Renew(Key::New), Effect::Release]));
}

/// A certificate that no journal knows ends a life. An identity of others says nothing about it.
#[test]
fn rule_11_what_an_identity_of_others_is_told_ends_no_life() {
    let unknown = Failure::ConnectionRefused(ConnectionRefusal::Unknown);
    for failure in [unknown, refused(Reason::CertificateRequired), revoked()] {
        let mut living = lent();
        living.hears(Input::StreamEnded(unreachable()));
        living.wakes();
        assert_eq!(names(&living.hears(Input::Opened(Err(failure.clone())))), "Warn CertificateOver, Forget");
        assert!(matches!(living.life.phase(), Phase::Degraded | Phase::Enrolling), "{failure:?}");
        let (_, effects) = living.wakes();
        assert!(effects.contains(&Effect::Enroll(Key::New)), "{effects:?}");
    }
}
