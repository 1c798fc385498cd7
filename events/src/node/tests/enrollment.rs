//! Registration and Enroll: the match of hardware, the order of checks, the second Enroll, keys (R8, R12, R13, R14).

use super::*;

fn owned(number: u8, owner: &str) -> MacClaims {
    [(mac(number), node(owner))].into()
}

/// An Enroll of a machine with an address that somebody has.
fn enroll_owned(presented: HardwareIdentity, macs: MacClaims, key: Option<KeyClaim>) -> Command {
    Command::Enroll(Enroll {
        presented,
        macs,
        key,
        boot_id: None,
        former: Former::Untouchable,
        terms: terms(10),
    })
}

#[test]
fn rule_02_an_address_of_another_node_is_not_registered_again() {
    let order = |owner| register(hardware(&[1, 2]), owned(2, owner));
    check(&[], order("n2"), Err(Rejection::HardwareConflict { owner: node("n2") }));
    check(&is_revoked(), order("n2"), Err(Rejection::HardwareConflict { owner: node("n2") }));
    check(&is_revoked(), order("n1"), record(registered(2, &[1, 2])));
}

#[test]
fn a_name_that_does_not_fit_into_the_common_name_is_refused() {
    let order = |domain: usize| {
        Command::Register(Register {
            domain: "d".repeat(domain).parse().unwrap(),
            hardware: hardware(&[1]),
            labels: Labels::default(),
            macs: MacClaims::default(),
            vcluster: None,
        })
    };
    let name = node(&"n".repeat(10));
    assert!(decide(&name, &State::Unknown, order(34)).is_ok());
    assert_eq!(decide(&name, &State::Unknown, order(35)), Err(Rejection::NameTooLong));
    check(&is_active(), order(40), Err(Rejection::AlreadyEnrolled { equally: false }));
}

#[test]
fn rule_13_every_registered_field_must_match() {
    let given = [(
        0,
        Event::Registered { epoch: 1, hardware: with_serial(&[1, 2], "SN1"), labels: Labels::default() },
    )];
    let issued = |presented: HardwareIdentity| {
        record(issued(Cause::Enrolled, 1, certificate(9, 10), &[], Some(presented)))
    };
    for presented in [with_serial(&[1], "SN1"), with_serial(&[2], "SN1"), with_serial(&[1, 2, 3], "SN1")] {
        check(&given, enroll(10, presented.clone(), 9), issued(presented));
    }
    for presented in [
        hardware(&[1, 2]),
        with_serial(&[1], "SN2"),
        with_serial(&[3], "SN1"),
        with_serial(&[], "SN1"),
        HardwareIdentity::default(),
    ] {
        check(&given, enroll(10, presented, 9), Err(Rejection::HardwareMismatch));
    }
}

#[test]
fn rule_13_an_address_of_another_node_spoils_the_match() {
    let order = |owner| enroll_owned(hardware(&[1, 7]), owned(7, owner), Some(free(9)));
    check(&is_registered(), order("n2"), Err(Rejection::HardwareMismatch));
    check(&is_registered(), order("n1"), record(enrolled(9, 10, &[1, 7])));
}

#[test]
fn rule_13_active_and_revoked_are_told_only_after_a_full_match() {
    for given in [is_registered(), is_active(), is_inactive(), is_put_away(), is_revoked()] {
        check(&given, enroll(10, hardware(&[3]), 9), Err(Rejection::HardwareMismatch));
        let foreign = enroll_owned(hardware(&[1, 3]), owned(3, "n2"), Some(free(9)));
        check(&given, foreign, Err(Rejection::HardwareMismatch));
    }
    check(&is_active(), enroll(10, hardware(&[1]), 9), Err(Rejection::AlreadyActive { until: at(3 * DAY) }));
    check(&is_revoked(), enroll(10, hardware(&[1]), 9), Err(Rejection::Revoked));
}

#[test]
fn rule_12_the_state_answers_before_the_request_is_looked_at() {
    let unreadable = || enroll_with(10, hardware(&[1]), None);
    check(&[], unreadable(), Err(Rejection::NotEnrolled));
    check(&is_active(), unreadable(), Err(Rejection::AlreadyActive { until: at(3 * DAY) }));
    check(&is_revoked(), unreadable(), Err(Rejection::Revoked));
    check(&is_active(), enroll_with(10, hardware(&[3]), None), Err(Rejection::HardwareMismatch));
    for given in [is_registered(), is_inactive(), is_put_away()] {
        check(&given, unreadable(), Err(Rejection::CsrInvalid));
    }
}

#[test]
fn rule_14_the_same_key_gets_the_same_certificate_again() {
    let again = |secs, key| enroll_with(secs, hardware(&[1]), Some(key));
    for given in [is_unconfirmed(), is_active()] {
        check(&given, again(10, held_by(1, "n1", 1)), Ok(Answer::Repeat(certificate(1, 0))));
        check(&given, again(3 * DAY - 1, held_by(1, "n1", 1)), Ok(Answer::Repeat(certificate(1, 0))));
    }
    check(&is_renewed(), again(1001, held_by(2, "n1", 1)), Ok(Answer::Repeat(certificate(2, 900))));
    let until = at(900 + 3 * DAY);
    check(&is_renewed(), again(1001, held_by(1, "n1", 1)), Err(Rejection::AlreadyActive { until }));
}

#[test]
fn rule_14_an_expired_certificate_opens_the_way_at_once() {
    let order = |secs| enroll(secs, hardware(&[1]), 9);
    let now = 3 * DAY;
    for given in [is_unconfirmed(), is_active()] {
        check(&given, order(now - 1), Err(Rejection::AlreadyActive { until: at(now) }));
        let over = deactivated(DeactivationCause::Expiry);
        let again = re_enrolled(9, now, &[supersedes(1, 0)], &[1]);
        check(&given, order(now), Ok(Answer::Record(vec![over, again])));
    }
}

#[test]
fn rule_14_after_an_expiry_the_same_key_gets_a_new_certificate() {
    let now = 3 * DAY;
    let order = enroll_with(now, hardware(&[1]), Some(held_by(1, "n1", 1)));
    let over = deactivated(DeactivationCause::Expiry);
    let again = issued(Cause::ReEnrolled, 1, ninth(now, 1), &[supersedes(1, 0)], Some(hardware(&[1])));
    check(&is_active(), order, Ok(Answer::Record(vec![over, again])));
}

#[test]
fn rule_08_a_key_of_somebody_else_or_of_an_earlier_epoch_is_refused() {
    let second_epoch = [is_revoked(), vec![(0, registered(2, &[1, 2]))]].concat();
    let order = |key| enroll_with(10, hardware(&[1]), Some(key));
    for (given, epoch) in [(is_registered(), 1), (is_inactive(), 1), (second_epoch, 2)] {
        for claim in [
            held_by(5, "n2", epoch),
            held_by(5, "n1", epoch + 1),
            held_by(5, "n1", epoch - 1),
            KeyClaim { key: key(5), holder: Some(KeyHolder::Operator) },
        ] {
            check(&given, order(claim), Err(Rejection::KeyReused));
        }
    }
    let own = issued(Cause::ReEnrolled, 1, ninth(10, 1), &[supersedes(1, 0)], Some(hardware(&[1])));
    check(&is_inactive(), order(held_by(1, "n1", 1)), record(own));
}

#[test]
fn rule_08_a_certificate_never_outlives_its_authority() {
    let mut terms = terms(10);
    terms.authority_not_after = at(1000);
    let presented = hardware(&[1]);
    let command = Command::Enroll(Enroll {
        presented,
        macs: MacClaims::default(),
        key: Some(free(9)),
        boot_id: Some("boot-7".parse().unwrap()),
        former: Former::Untouchable,
        terms,
    });
    let Ok(Decision::Issue(issue)) = decide(&node("n1"), &state(&is_registered()), command) else {
        panic!("a certificate is issued");
    };
    assert_eq!(issue.profile.not_after, at(1000));
    let events = issue.complete(der(9));
    let Some(Event::CertificateIssued { boot_id, certificate, .. }) = events.last() else {
        panic!("the issuance is the last fact");
    };
    assert_eq!(boot_id.as_ref().map(ToString::to_string), Some("boot-7".to_owned()));
    assert_eq!((certificate.spki_sha256, certificate.not_after), (key_of(9), at(1000)));
}

fn key_of(number: u8) -> KeyHash {
    key(number)
}

#[test]
fn rule_13_the_assurance_is_kept_with_the_certificate() {
    let states: Vec<Option<Assurance>> = [None, Some(Assurance::Claimed), Some(Assurance::Token)]
        .into_iter()
        .map(|assurance| {
            let state =
                evolve(state(&is_registered()), &enrolled(1, 0, &[1]), Timestamp::default(), assurance);
            state.current().and_then(|held| held.assurance)
        })
        .collect();
    assert_eq!(states, [None, Some(Assurance::Claimed), Some(Assurance::Token)]);
}
