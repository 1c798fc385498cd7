//! A fact about an operator fits the state that it meets: created once, renewed over the current certificate or, in
//! its overlap, the former one, revoked with the current one.
//!
//! Not here: what a revoked operator may not have ([`super::revoked_is_final`]).

use crate::fact::{Fact, Record};
use crate::operator::{Event, State};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "operator_fact_fits_its_state";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Operator(id, event) = &record.fact else { return Ok(()) };
    let fits = match (past.operator(), event) {
        (State::Unknown, Event::Created { .. }) | (State::Revoked { .. }, _) => true,
        (state @ State::Active { .. }, Event::Renewed { supersedes, .. }) => {
            state.usable_until(*supersedes).is_some()
        }
        (State::Active { current, .. }, Event::Revoked { serial, .. }) => current.serial == *serial,
        (
            State::Kept { last, .. },
            Event::Renewed { supersedes: serial, .. } | Event::Revoked { serial, .. },
        ) => last == serial,
        (State::Active { .. } | State::Kept { .. }, Event::Created { .. })
        | (State::Unknown, Event::Renewed { .. } | Event::Revoked { .. }) => false,
    };
    ensure(fits, || format!("it does not fit the state of the operator {id}"))
}

#[cfg(test)]
mod tests {
    use crate::fact::Fact;
    use crate::operator::Event;
    use crate::samples::{Log, admin, operator_created, operator_renewed, operator_revoked};

    fn breaks(name: &str, event: Event) -> Vec<&'static str> {
        let log = Log::new();
        log.broken_by(log.next(Fact::Operator(name.parse().unwrap(), event)))
    }

    #[test]
    fn an_operator_created_twice_is_found() {
        assert_eq!(breaks(admin().as_str(), operator_created(51, 0)), [super::NAME]);
        assert_eq!(breaks("ada", operator_created(51, 0)), [""; 0]);
    }

    #[test]
    fn a_renewal_or_revocation_of_another_certificate_is_found() {
        assert_eq!(breaks(admin().as_str(), operator_renewed(51, 0, 49)), [super::NAME]);
        assert_eq!(breaks(admin().as_str(), operator_renewed(51, 0, 50)), [""; 0]);
        assert_eq!(breaks(admin().as_str(), operator_revoked(49)), [super::NAME]);
        assert_eq!(breaks(admin().as_str(), operator_revoked(50)), [""; 0]);
    }

    #[test]
    fn a_renewal_or_revocation_of_nobody_is_found() {
        assert_eq!(breaks("ada", operator_renewed(51, 0, 50)), [super::NAME]);
        assert_eq!(breaks("ada", operator_revoked(50)), [super::NAME]);
    }
}
