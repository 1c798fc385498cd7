//! Scenarios: given what happened to the journal j2, when an order comes, then this is decided.

use super::*;
use crate::samples::{announced_at, at, endpoints, evicted, joined, joining, journal, key, remark};

const SECRET: &[u8] = b"secret";

fn event(fact: Fact) -> Event {
    let Fact::Member(_, event) = fact else { unreachable!("it is a member's") };
    event
}

fn folded(events: &[Event]) -> State {
    events.iter().fold(State::Unknown, |state, event| evolve(state, event, at(0)))
}

/// The one place that touches the API.
fn check(given: &[Event], command: Command, expected: Result<Option<Event>, Rejection>) {
    let state = folded(given);
    assert_eq!(decide(&journal("j2"), &state, command), expected, "in the state {state:?}");
}

fn nothing() -> Vec<Event> {
    vec![]
}

fn is_joining() -> Vec<Event> {
    vec![event(joining("j2", 2))]
}

fn has_joined() -> Vec<Event> {
    vec![event(joining("j2", 2)), event(joined("j2"))]
}

fn is_evicted() -> Vec<Event> {
    vec![event(joining("j2", 2)), event(joined("j2")), event(evicted("j2"))]
}

/// A token that lives until second 60.
fn live(consumed_by: Option<&str>) -> TokenState {
    TokenState::Created { expires_at: at(60), consumed_by: consumed_by.map(journal) }
}

/// With the key of this number, in second 10.
fn join(number: u8, token: TokenState) -> Command {
    Command::Join {
        endpoints: endpoints("j2"),
        certificate: CertificateHash::of(&[2]),
        key: key(number),
        token: TokenClaim { secret_sha256: SecretHash::of(SECRET), state: token },
        raft_id: 2,
        now: at(10),
    }
}

fn at_time(command: Command, time: Timestamp) -> Command {
    match command {
        Command::Join { endpoints, certificate, key, token, raft_id, .. } => {
            Command::Join { endpoints, certificate, key, token, raft_id, now: time }
        }
        Command::GiveUp { .. } => Command::GiveUp { now: time },
        Command::Confirm | Command::Announce { .. } | Command::Evict { .. } => command,
    }
}

#[test]
fn a_journal_joins_by_a_live_token() {
    check(&nothing(), join(2, live(None)), Ok(Some(event(joining("j2", 2)))));
}

#[test]
fn a_joining_lies_behind_the_consumption_of_its_token() {
    let facts = event(joining("j2", 2)).into_facts(&journal("j2"));
    let consumed =
        domain::Event::JoinTokenConsumed { secret_sha256: SecretHash::of(SECRET), journal: journal("j2") };
    assert_eq!(facts, [Fact::Domain(consumed), joining("j2", 2)]);
    assert_eq!(event(joined("j2")).into_facts(&journal("j2")), [joined("j2")]);
}

#[test]
fn a_token_that_is_unknown_or_expired_opens_nothing_for_anybody() {
    for given in [nothing(), is_joining(), has_joined(), is_evicted()] {
        check(&given, join(2, TokenState::Unknown), Err(Rejection::TokenUnknown));
        check(&given, at_time(join(2, live(None)), at(60)), Err(Rejection::TokenExpired));
        check(&given, at_time(join(3, live(Some("j2"))), at(60)), Err(Rejection::TokenExpired));
        check(&given, at_time(join(2, live(Some("j3"))), at(60)), Err(Rejection::TokenExpired));
    }
    check(&nothing(), at_time(join(2, live(None)), at(59)), Ok(Some(event(joining("j2", 2)))));
}

#[test]
fn who_is_joining_goes_on_after_its_token_has_expired_and_who_has_joined_does_not() {
    let late = at_time(join(2, live(Some("j2"))), at(60));
    check(&is_joining(), late.clone(), Ok(None));
    for given in [nothing(), has_joined(), is_evicted()] {
        check(&given, late.clone(), Err(Rejection::TokenExpired));
    }
}

#[test]
fn a_certificate_that_is_given_again_is_recorded() {
    let Command::Join { endpoints, key, token, raft_id, now, .. } = join(2, live(Some("j2"))) else {
        unreachable!("it joins")
    };
    let certificate = CertificateHash::of(b"again");
    let again = Command::Join { endpoints: endpoints.clone(), certificate, key, token, raft_id, now };
    check(&is_joining(), again, Ok(Some(Event::Announced { endpoints, certificate })));
}

#[test]
fn a_joiner_that_lost_the_answer_asks_again_with_the_same_key() {
    check(&is_joining(), join(2, live(Some("j2"))), Ok(None));
    check(&is_joining(), join(2, live(None)), Ok(None));
}

#[test]
fn rule_27_nobody_gets_the_place_of_a_journal_that_votes_not_even_by_its_key() {
    for token in [live(Some("j2")), live(None)] {
        check(&has_joined(), join(2, token), Err(Rejection::VotesAlready));
    }
}

#[test]
fn a_consumed_token_opens_nothing_for_another_key_or_journal() {
    check(&nothing(), join(2, live(Some("j3"))), Err(Rejection::TokenConsumed));
    for given in [is_joining(), has_joined()] {
        check(&given, join(3, live(Some("j2"))), Err(Rejection::TokenConsumed));
        check(&given, join(2, live(Some("j3"))), Err(Rejection::TokenConsumed));
    }
    check(&is_evicted(), join(2, live(Some("j2"))), Err(Rejection::TokenConsumed));
}

#[test]
fn a_joiner_that_asks_again_from_elsewhere_is_found_there() {
    let elsewhere = endpoints("j9");
    let Command::Join { key, token, raft_id, now, .. } = join(2, live(Some("j2"))) else { unreachable!() };
    let certificate = CertificateHash::of(&[9]);
    let again = Command::Join { endpoints: elsewhere.clone(), certificate, key, token, raft_id, now };
    let announced = Event::Announced { endpoints: elsewhere, certificate };
    check(&is_joining(), again, Ok(Some(announced)));
}

#[test]
fn a_name_belongs_to_one_key_and_is_never_used_again() {
    for given in [is_joining(), has_joined()] {
        check(&given, join(3, live(None)), Err(Rejection::AlreadyExists));
    }
    check(&is_evicted(), join(2, live(None)), Err(Rejection::NameUsed));
    check(&is_evicted(), join(3, live(None)), Err(Rejection::NameUsed));
    let founder = State::founder(FOUNDER_RAFT_ID);
    assert_eq!(decide(&journal("j1"), &founder, join(2, live(None))), Err(Rejection::AlreadyExists));
}

#[test]
fn endpoints_that_could_not_be_stored_are_refused() {
    let long = "x".repeat(MAX_ENDPOINT);
    for (text, storable) in
        [("", false), ("a b", false), ("ä:1", false), ("a\n", false), (long.as_str(), true)]
    {
        let endpoints = Endpoints { cluster: text.to_owned(), ..endpoints("j2") };
        assert_eq!(endpoints.are_storable(), storable, "{text:?}");
    }
    let bad = Endpoints { agent: "x".repeat(MAX_ENDPOINT + 1), ..endpoints("j2") };
    let mut command = join(2, live(None));
    if let Command::Join { endpoints, .. } = &mut command {
        *endpoints = bad.clone();
    }
    check(&nothing(), command, Err(Rejection::EndpointInvalid));
    let certificate = CertificateHash::of(b"x");
    check(&has_joined(), Command::Announce { endpoints: bad, certificate }, Err(Rejection::EndpointInvalid));
}

#[test]
fn a_learner_becomes_a_voter_once() {
    check(&nothing(), Command::Confirm, Err(Rejection::NotFound));
    check(&is_joining(), Command::Confirm, Ok(Some(Event::Joined)));
    check(&has_joined(), Command::Confirm, Ok(None));
    check(&is_evicted(), Command::Confirm, Err(Rejection::Evicted));
}

#[test]
fn a_member_announces_what_is_new() {
    let announce = |host: &str| match event(announced_at("j2", host)) {
        Event::Announced { endpoints, certificate } => Command::Announce { endpoints, certificate },
        Event::Joining { .. } | Event::Joined | Event::Evicted { .. } => unreachable!("it is announced"),
    };
    check(&nothing(), announce("h"), Err(Rejection::NotFound));
    for given in [is_joining(), has_joined()] {
        check(&given, announce("h"), Ok(Some(event(announced_at("j2", "h")))));
        check(&[given, vec![event(announced_at("j2", "h"))]].concat(), announce("h"), Ok(None));
    }
    check(&is_evicted(), announce("h"), Err(Rejection::Evicted));
    let founder = decide(&journal("j1"), &State::founder(FOUNDER_RAFT_ID), announce("h"));
    assert_eq!(founder, Ok(Some(event(announced_at("j1", "h")))));
}

#[test]
fn a_member_is_evicted_once_unless_it_is_the_last_voter() {
    let evict = |last| Command::Evict { reason: Some(remark("broken").hash()), last };
    check(&nothing(), evict(false), Err(Rejection::NotFound));
    for given in [is_joining(), has_joined()] {
        check(&given, evict(false), Ok(Some(event(evicted("j2")))));
    }
    check(&has_joined(), evict(true), Err(Rejection::LastJournal));
    check(&is_evicted(), evict(false), Ok(None));
}

#[test]
fn who_joins_for_10_minutes_is_given_up() {
    let give_up = |secs, millis| Command::GiveUp { now: at(secs).plus(Duration::from_millis(millis)) };
    let gone = Some(Event::Evicted { reason: None });
    check(&is_joining(), give_up(599, 999), Ok(None));
    check(&is_joining(), give_up(600, 0), Ok(gone.clone()));
    check(&is_joining(), give_up(600, 1), Ok(gone));
    for given in [nothing(), has_joined(), is_evicted()] {
        check(&given, give_up(86_400, 0), Ok(None));
    }
}

#[test]
fn rule_27_nothing_brings_an_evicted_journal_back() {
    let state = folded(&is_evicted());
    assert_eq!(state, State::Evicted { raft_id: 2 });
    for fact in [joining("j2", 3), joined("j2"), announced_at("j2", "h"), evicted("j2")] {
        assert_eq!(evolve(state.clone(), &event(fact), at(0)), state);
    }
}

#[test]
fn a_fact_about_nobody_changes_nothing() {
    for fact in [joined("j2"), announced_at("j2", "h"), evicted("j2")] {
        assert_eq!(folded(&[event(fact)]), State::Unknown);
    }
}
