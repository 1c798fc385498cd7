//! A fact about an authority fits the state that it meets: announced once, under a generation that its journal has not
//! used, and retired once, after its last certificate has expired (R9).

use crate::authority::{Event, State};
use crate::fact::{Fact, Record};
use crate::vocabulary::AuthorityId;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "authority_fact_fits_its_state";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Authority(id, event) = &record.fact else { return Ok(()) };
    let authority = past.views.authorities.get(id);
    let state = authority.map_or(&State::Unknown, |authority| &authority.state);
    match (state, event) {
        (State::Unknown, Event::Announced(announced)) => {
            let next = past.views.authorities.next_generation(&announced.journal_id);
            let (journal, generation) = (&announced.journal_id, announced.generation);
            ensure(generation >= next, || format!("{journal} has used the generation {generation} before"))
        }
        (State::Announced(_), Event::Retired {}) => {
            let now = record.decided_at.max(record.recorded_at);
            let last = authority.and_then(|authority| authority.last_not_after);
            ensure(last.is_none_or(|last| last <= now), || "a certificate of it still lives".to_owned())
        }
        (State::Announced(_) | State::Retired(_), Event::Announced(_)) => twice(id, "announced"),
        (State::Retired(_), Event::Retired {}) => twice(id, "retired"),
        (State::Unknown, Event::Retired {}) => Err(format!("the authority {id} was never announced")),
    }
}

fn twice(id: &AuthorityId, what: &str) -> Result<(), String> {
    Err(format!("the authority {id} was {what} before"))
}

#[cfg(test)]
mod tests {
    use crate::authority::Event;
    use crate::fact::Fact;
    use crate::samples::{DAY, Log, announced, authority_id};

    fn of(number: u8, event: Event) -> Fact {
        Fact::Authority(authority_id(number), event)
    }

    fn breaks(log: &Log, fact: Fact) -> Vec<&'static str> {
        log.broken_by(log.next(fact))
    }

    #[test]
    fn rule_09_an_authority_announced_twice_is_found() {
        let log = Log::new();
        assert_eq!(breaks(&log, of(1, announced(2, 0))), [super::NAME]);
        assert_eq!(breaks(&log, of(2, announced(2, 0))), [""; 0]);
    }

    #[test]
    fn rule_09_a_generation_used_twice_is_found() {
        let log = Log::new();
        let Event::Announced(mut next) = announced(2, 0) else { unreachable!("it is announced") };
        next.generation = 1;
        assert_eq!(breaks(&log, of(2, Event::Announced(next.clone()))), [super::NAME]);
        next.journal_id = "j2".parse().unwrap();
        assert_eq!(breaks(&log, of(2, Event::Announced(next))), [""; 0]);
    }

    #[test]
    fn rule_09_a_retirement_while_a_certificate_lives_is_found() {
        let mut log = Log::enrolled();
        log.wait(3 * DAY - 1);
        assert_eq!(breaks(&log, of(1, Event::Retired {})), [super::NAME]);
        log.wait(1);
        assert_eq!(breaks(&log, of(1, Event::Retired {})), [""; 0]);
    }

    #[test]
    fn rule_09_a_retirement_of_none_or_twice_is_found() {
        let mut log = Log::new();
        assert_eq!(breaks(&log, of(2, Event::Retired {})), [super::NAME]);
        log.append(vec![of(2, announced(2, 0))]).append(vec![of(2, Event::Retired {})]);
        assert_eq!(breaks(&log, of(2, Event::Retired {})), [super::NAME]);
        assert_eq!(breaks(&log, of(2, announced(3, 0))), [super::NAME]);
    }
}
