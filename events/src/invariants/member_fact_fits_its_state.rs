//! A fact about a journal fits the state that it meets: joined once, by a token that the fact before consumed for it,
//! with a Raft id that nobody had; confirmed while it joins; never the last voter evicted (R27).

use crate::fact::{Fact, Record};
use crate::member::{Event, State};
use crate::vocabulary::{JournalId, SecretHash};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "member_fact_fits_its_state";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Member(id, event) = &record.fact else { return Ok(()) };
    let members = &past.views.members;
    let state = members.get(id).map_or(&State::Unknown, |row| &row.state);
    match (state, event) {
        (State::Unknown, Event::Joining { raft_id, token, .. }) => {
            let next = members.next_raft_id();
            ensure(*raft_id >= next, || format!("a journal has had the Raft id {raft_id}"))?;
            ensure(came_by(past, record, id, token), || {
                format!("{id} joins without a token that was consumed for it in the same append")
            })
        }
        (State::Member(member), Event::Joined) => {
            ensure(!member.votes(), || format!("the journal {id} had joined before"))
        }
        (State::Member(_), Event::Announced { .. }) => Ok(()),
        (State::Member(_), Event::Evicted { .. }) => {
            ensure(!members.is_last_voter(id), || format!("{id} was the last journal that voted"))
        }
        (State::Member(_) | State::Evicted { .. }, Event::Joining { .. })
        | (
            State::Unknown | State::Evicted { .. },
            Event::Joined | Event::Announced { .. } | Event::Evicted { .. },
        ) => Err(format!("it does not fit the state of the journal {id}")),
    }
}

fn came_by(past: &Before<'_>, record: &Record, id: &JournalId, token: &SecretHash) -> bool {
    let consumed_by = past.views.join_tokens.get(token).and_then(|token| token.consumed_by.as_ref());
    consumed_by == Some(id) && past.last_append().is_some_and(|last| last.append_id == record.append_id)
}

#[cfg(test)]
mod tests {
    use crate::fact::{Fact, Record};
    use crate::member::Event;
    use crate::samples::{Log, announced_at, evicted, join_token, joined, joining, journal, token_consumed};

    fn breaks(log: &Log, fact: Fact) -> Vec<&'static str> {
        log.broken_by(log.next(fact))
    }

    /// A log in which the token was consumed for the journal, and the fact that comes next in that append.
    fn consumed_and(for_whom: &str, fact: Fact) -> Vec<&'static str> {
        let mut log = Log::new();
        log.append(vec![join_token()]).append(vec![token_consumed(for_whom)]);
        let append_id = log.records.last().unwrap().append_id;
        let next = log.next(fact);
        log.broken_by(Record { append_id, ..next })
    }

    #[test]
    fn a_journal_joins_by_a_token_that_is_consumed_for_it_with_it() {
        assert_eq!(consumed_and("j2", joining("j2", 2)), [""; 0]);
        assert_eq!(consumed_and("j3", joining("j2", 2)), [super::NAME]);
        let mut log = Log::new();
        log.append(vec![join_token()]);
        assert_eq!(breaks(&log, joining("j2", 2)), [super::NAME]);
        log.append(vec![token_consumed("j2")]);
        assert_eq!(breaks(&log, joining("j2", 2)), [super::NAME], "in another append");
    }

    #[test]
    fn rule_27_a_raft_id_that_somebody_had_is_found() {
        assert_eq!(consumed_and("j2", joining("j2", 1)), [super::NAME]);
        assert_eq!(consumed_and("j2", joining("j2", 3)), [""; 0]);
    }

    #[test]
    fn a_fact_about_a_journal_that_is_no_member_is_found() {
        for fact in [joined("j2"), evicted("j2"), announced_at("j2", "h2")] {
            assert_eq!(breaks(&Log::new(), fact), [super::NAME]);
        }
    }

    #[test]
    fn rule_27_what_comes_after_an_eviction_is_found() {
        let mut log = Log::new();
        log.joins("j2", 2).append(vec![joined("j2")]).append(vec![evicted("j2")]);
        for fact in [joined("j2"), evicted("j2"), announced_at("j2", "h2"), joining("j2", 3)] {
            assert_eq!(breaks(&log, fact), [super::NAME]);
        }
    }

    #[test]
    fn a_second_joined_and_a_second_joining_are_found() {
        let mut log = Log::new();
        log.joins("j2", 2);
        assert_eq!(breaks(&log, joining("j2", 3)), [super::NAME]);
        assert_eq!(breaks(&log, joined("j2")), [""; 0]);
        log.append(vec![joined("j2")]);
        assert_eq!(breaks(&log, joined("j2")), [super::NAME]);
        assert_eq!(breaks(&log, Fact::Member(journal("j1"), Event::Joined)), [super::NAME]);
    }

    #[test]
    fn the_eviction_of_the_last_voter_is_found() {
        let mut log = Log::new();
        log.joins("j2", 2);
        assert_eq!(breaks(&log, evicted("j1")), [super::NAME]);
        assert_eq!(breaks(&log, evicted("j2")), [""; 0]);
        log.append(vec![joined("j2")]);
        assert_eq!(breaks(&log, evicted("j1")), [""; 0]);
    }
}
