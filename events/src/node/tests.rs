//! Scenarios: given what happened to the node n1, when a command comes, then this is decided.

use std::time::Duration;

use super::*;
use crate::certificate::{Certificate, Subject, Terms};
use crate::samples::{
    DAY, assigned, at, authority_id, bound, bound_by, certificate, confirmed, contested, deactivated, der,
    distrusted, enrolled, goodbye, hardware, issued, key, mac, moved, node, put_away, re_enrolled,
    reactivated, refused, registered, remark, renewed, replaced, revoked, serial, supersedes, unassigned,
    with_serial,
};
use crate::vocabulary::{Assurance, HardwareIdentity, KeyHash, Labels, Role, Timestamp};

mod binding;
mod cells;
mod contest;
mod distrust;
mod draining;
mod enrollment;
mod grouping;
mod renewal;
mod replacement;
mod revocation;
mod warm_reboot;

/// What `decide` answered, with the certificate signed where one shall be.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    Record(Vec<Event>),
    Repeat(Certificate),
    Return(Vec<Event>, Certificate),
}

/// What happened, with the second at which it did.
type Given<'a> = &'a [(u64, Event)];

/// The one place that touches the API. A new certificate has the number 9.
fn check(given: Given<'_>, command: Command, expected: Result<Answer, Rejection>) {
    let state = state(given);
    let answer = decide(&node("n1"), &state, command).map(|decision| match decision {
        Decision::Nothing => Answer::Nothing,
        Decision::Record(events) => Answer::Record(events),
        Decision::Repeat(certificate) => Answer::Repeat(certificate),
        Decision::Return { events, certificate } => Answer::Return(events, certificate),
        Decision::Issue(issue) => {
            assert_eq!(issue.profile.subject, Subject::Node(node("n1")));
            Answer::Record(issue.complete(der(9)))
        }
    });
    assert_eq!(answer, expected, "in the state {state:#?}");
}

fn state(given: Given<'_>) -> State {
    given.iter().fold(State::Unknown, |state, (secs, event)| {
        evolve(state, event, at(*secs), Some(Assurance::Claimed))
    })
}

fn record(event: Event) -> Result<Answer, Rejection> {
    Ok(Answer::Record(vec![event]))
}

const NOTHING: Result<Answer, Rejection> = Ok(Answer::Nothing);

/// Terms on which the certificate 9 is issued: its renewal is due after exactly two thirds of 3 days.
fn terms(secs: u64) -> Terms {
    Terms {
        now: at(secs),
        serial: serial(9),
        jitter: u16::MAX / 2 + 1,
        lifetime: Duration::from_secs(3 * DAY),
        authority: authority_id(1),
        authority_not_after: at(45 * DAY),
    }
}

fn register(hardware: HardwareIdentity, macs: MacClaims) -> Command {
    Command::Register(Register {
        domain: "hpc".parse().unwrap(),
        hardware,
        labels: Labels::default(),
        macs,
        vcluster: None,
    })
}

/// A machine presents itself at this second; its request carries a free key of this number.
fn enroll(secs: u64, presented: HardwareIdentity, number: u8) -> Command {
    enroll_with(secs, presented, Some(free(number)))
}

fn enroll_with(secs: u64, presented: HardwareIdentity, key: Option<KeyClaim>) -> Command {
    let macs = MacClaims::default();
    Command::Enroll(Enroll {
        presented,
        macs,
        key,
        boot_id: None,
        former: Former::Untouchable,
        terms: terms(secs),
    })
}

/// A renewal over this certificate, to a free key of this number.
fn renew(secs: u64, over: u8, number: u8) -> Command {
    renew_with(secs, over, Some(free(number)))
}

fn renew_with(secs: u64, over: u8, key: Option<KeyClaim>) -> Command {
    Command::Renew(Renew { presented: serial(over), named: serial(over), key, terms: terms(secs) })
}

fn free(number: u8) -> KeyClaim {
    KeyClaim { key: key(number), holder: None }
}

fn held_by(number: u8, holder: &str, epoch: u32) -> KeyClaim {
    KeyClaim { key: key(number), holder: Some(KeyHolder::Node(node(holder), epoch)) }
}

fn confirm(secs: u64, number: u8) -> Command {
    Command::Confirm { serial: serial(number), now: at(secs) }
}

fn say_goodbye(number: u8) -> Command {
    Command::Goodbye { serial: serial(number) }
}

fn deactivate(secs: u64, cause: DeactivationCause) -> Command {
    Command::Deactivate { cause, now: at(secs) }
}

fn revoke(secs: u64) -> Command {
    let reason = Some(remark("stolen").hash());
    Command::Revoke { cause: RevocationCause::Revoked, reason, sessions: 0, now: at(secs) }
}

/// What a role of the contract stands for.
fn role(text: &str) -> Role {
    text.parse().unwrap()
}

/// The certificate 9, issued at this second to the key of this number.
fn ninth(secs: u64, number: u8) -> Certificate {
    Certificate { spki_sha256: key(number), ..certificate(9, secs) }
}

/// n1 registered with the addresses 1 and 2.
fn is_registered() -> Vec<(u64, Event)> {
    vec![(0, registered(1, &[1, 2]))]
}

/// …and enrolled with the certificate 1 at second 0.
fn is_unconfirmed() -> Vec<(u64, Event)> {
    [is_registered(), vec![(0, enrolled(1, 0, &[1]))]].concat()
}

fn is_active() -> Vec<(u64, Event)> {
    [is_unconfirmed(), vec![(0, confirmed(1))]].concat()
}

/// …and renewed: 2 is current and in use since second 1000, 1 is in overlap.
fn is_renewed() -> Vec<(u64, Event)> {
    let over = [supersedes(1, 300)];
    [is_active(), vec![(900, renewed(2, 900, &over)), (1000, confirmed(2))]].concat()
}

fn is_inactive() -> Vec<(u64, Event)> {
    [is_active(), vec![(0, goodbye())]].concat()
}

/// …by an operator, who ended its certificate.
fn is_put_away() -> Vec<(u64, Event)> {
    [is_active(), vec![(0, put_away(1))]].concat()
}

fn is_revoked() -> Vec<(u64, Event)> {
    [is_active(), vec![(0, revoked(&[1], &[1, 2]))]].concat()
}
