//! Scenarios: given what happened to the operator admin, when a command comes, then this is decided.

use std::time::Duration;

use super::*;
use crate::node::KeyHolder;
use crate::samples::{
    DAY, admin, at, authority_id, certificate, der, key, node, operator_created, operator_renewed,
    operator_revoked, remark, serial,
};

/// The one place that touches the API. A new certificate has the number 59.
fn check(given: &[Event], command: Command, expected: Result<Option<Event>, Rejection>) {
    let state = given.iter().fold(State::Unknown, |state, event| evolve(state, event, at(0)));
    let answer = decide(&admin(), &state, command).map(|decision| match decision {
        Decision::Nothing => None,
        Decision::Record(event) => Some(*event),
        Decision::Issue(issue) => {
            assert_eq!(issue.profile.subject, Subject::Operator(admin()));
            Some(issue.complete(der(59)))
        }
    });
    assert_eq!(answer, expected, "in the state {state:?}");
}

fn terms() -> Terms {
    Terms {
        now: at(0),
        serial: serial(59),
        jitter: u16::MAX / 2 + 1,
        lifetime: Duration::from_secs(3 * DAY),
        authority: authority_id(1),
        authority_not_after: at(45 * DAY),
    }
}

fn free(number: u8) -> KeyClaim {
    KeyClaim { key: key(number), holder: None }
}

fn create(key: KeyClaim) -> Command {
    Command::Create {
        domain: "hpc".parse().unwrap(),
        role: Role::PlatformAdmin,
        key,
        name: Some(remark("Ada").hash()),
        terms: terms(),
    }
}

fn renew(over: u8, key: KeyClaim) -> Command {
    Command::Renew { presented: serial(over), key, terms: terms() }
}

fn revoke() -> Command {
    Command::Revoke { reason: None, another_admin: true }
}

fn is_active() -> Vec<Event> {
    vec![operator_created(50, 0)]
}

fn is_revoked() -> Vec<Event> {
    vec![operator_created(50, 0), operator_revoked(50)]
}

#[test]
fn an_operators_name_is_given_once() {
    check(&[], create(free(59)), Ok(Some(operator_created(59, 0))));
    check(&is_active(), create(free(59)), Err(Rejection::AlreadyExists));
    check(&is_revoked(), create(free(59)), Err(Rejection::AlreadyExists));
}

#[test]
fn an_operator_renews_over_the_current_certificate_only() {
    check(&[], renew(50, free(59)), Err(Rejection::NotFound));
    check(&is_active(), renew(50, free(59)), Ok(Some(operator_renewed(59, 0, 50))));
    check(&is_active(), renew(51, free(59)), Err(Rejection::SerialSuperseded));
    check(&is_revoked(), renew(50, free(59)), Err(Rejection::Revoked));
}

#[test]
fn an_operator_is_revoked_with_the_current_certificate() {
    check(&[], revoke(), Err(Rejection::NotFound));
    check(&is_active(), revoke(), Ok(Some(operator_revoked(50))));
    check(&[operator_created(50, 0), operator_renewed(51, 0, 50)], revoke(), Ok(Some(operator_revoked(51))));
    check(&is_revoked(), revoke(), Ok(None));
}

#[test]
fn the_last_administrator_is_not_revoked_but_others_are() {
    let alone = Command::Revoke { reason: None, another_admin: false };
    check(&is_active(), alone.clone(), Err(Rejection::LastAdmin));
    check(&is_revoked(), alone.clone(), Ok(None));
    let Event::Created { certificate, der, name, .. } = operator_created(50, 0) else { unreachable!() };
    let viewer = Event::Created { role: "pact-viewer-prod".parse().unwrap(), certificate, der, name };
    check(&[viewer], alone, Ok(Some(operator_revoked(50))));
}

#[test]
fn rule_08_an_operators_key_is_new() {
    for holder in [KeyHolder::Operator, KeyHolder::Node(node("n1"), 1)] {
        let used = KeyClaim { key: key(5), holder: Some(holder) };
        check(&[], create(used.clone()), Err(Rejection::KeyReused));
        check(&is_active(), renew(50, used), Err(Rejection::KeyReused));
    }
}

#[test]
fn an_operators_name_fits_into_the_common_name() {
    let command = Command::Create {
        domain: "d".repeat(40).parse().unwrap(),
        role: Role::PlatformAdmin,
        key: free(59),
        name: None,
        terms: terms(),
    };
    let longest: OperatorId = "o".repeat(9).parse().unwrap();
    assert!(decide(&longest, &State::Unknown, command.clone()).is_ok());
    let too_long: OperatorId = "o".repeat(10).parse().unwrap();
    assert_eq!(decide(&too_long, &State::Unknown, command), Err(Rejection::NameTooLong));
}

fn folded(events: &[Event]) -> State {
    events.iter().fold(State::Unknown, |state, event| evolve(state, event, at(0)))
}

#[test]
fn rule_15_a_renewed_operator_has_one_current_certificate_and_the_former_for_5_minutes() {
    let state = folded(&[operator_created(50, 0), operator_renewed(51, 10, 50)]);
    assert_eq!(state.usable_until(serial(50)), Some(at(300)));
    assert_eq!(state.usable_until(serial(51)), Some(certificate(51, 10).not_after));
    assert_eq!(state.role(), Some(&Role::PlatformAdmin));
}

#[test]
fn a_renewal_whose_answer_was_lost_is_asked_for_again_over_the_former_certificate() {
    let lost = [operator_created(50, 0), operator_renewed(51, 0, 50)];
    check(&lost, renew(50, free(59)), Ok(Some(operator_renewed(59, 0, 50))));
    let state = folded(&[&lost[..], &[operator_renewed(52, 0, 50)]].concat());
    // The lost one ends, and the overlap does not begin anew.
    assert_eq!(state.usable_until(serial(51)), None);
    assert_eq!(state.usable_until(serial(50)), Some(at(300)));
    let late =
        Command::Renew { presented: serial(50), key: free(59), terms: Terms { now: at(300), ..terms() } };
    check(&lost, late, Err(Rejection::SerialSuperseded));
}

#[test]
fn rule_16_a_revoked_operator_may_do_nothing() {
    let state = folded(&is_revoked());
    assert_eq!(state.role(), None);
    assert_eq!(state.usable_until(serial(50)), None);
    assert_eq!(evolve(state.clone(), &operator_renewed(51, 0, 50), at(0)), state);
}

#[test]
fn a_fact_about_nobody_changes_nothing() {
    for event in [operator_renewed(51, 0, 50), operator_revoked(50)] {
        assert_eq!(evolve(State::Unknown, &event, at(0)), State::Unknown);
    }
}
