//! A restored domain goes on behind the very fact before its append, with a journal whose name and Raft id nobody had, and keeps an
//! administrator who was not revoked (R27).
//!
//! Not here: whether the link of the chain that it names is that fact's, which `replay` compares; and what opens nothing
//! afterwards, which the views say.

use crate::domain;
use crate::fact::{Fact, Record};
use crate::operator::State;
use crate::vocabulary::Role;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "restored_log_goes_on";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Domain(domain::Event::Restored(restored)) = &record.fact else { return Ok(()) };
    let domain::Restored { restored_seq, restored_head: _, founder, raft_id, operator } = restored;
    let views = &past.views;
    let own = past.last_append().filter(|last| last.append_id == record.append_id);
    let last = views.seq.saturating_sub(own.map_or(0, |own| own.facts as u64));
    ensure(*restored_seq == last, || format!("it goes on behind fact {restored_seq}, and follows {last}"))?;
    ensure(views.members.get(founder).is_none(), || format!("{founder} is a member or was one"))?;
    let next = views.members.next_raft_id();
    ensure(*raft_id >= next, || format!("a journal has had the Raft id {raft_id}"))?;
    let admin = match views.operators.get(operator).map(|known| &known.state) {
        Some(State::Active { role, .. } | State::Kept { role, .. }) => *role == Role::PlatformAdmin,
        Some(State::Revoked { .. } | State::Unknown) | None => false,
    };
    ensure(admin, || format!("{operator}, who is kept, is no administrator"))
}

#[cfg(test)]
mod tests {
    use crate::domain;
    use crate::fact::Fact;
    use crate::samples::{Log, admin, level_raised, operator_revoked, restored, restored_by};

    /// In a log of the level that the fact needs.
    fn log() -> Log {
        let mut log = Log::new();
        log.append(vec![level_raised(2)]);
        log
    }

    fn breaks(log: &Log, change: impl FnOnce(&mut domain::Restored)) -> Vec<&'static str> {
        let mut planted = restored_by("j9", 9, log.records.len() as u64);
        change(&mut planted);
        log.broken_by(log.next(Fact::Domain(domain::Event::Restored(planted))))
    }

    #[test]
    fn rule_27_a_restore_that_goes_on_elsewhere_is_found() {
        let log = log();
        assert_eq!(breaks(&log, |_| {}), [""; 0]);
        for wrong in [0, log.records.len() as u64 - 1, u64::MAX] {
            assert_eq!(breaks(&log, |restored| restored.restored_seq = wrong), [super::NAME]);
        }
    }

    #[test]
    fn rule_27_a_restore_by_a_journal_that_was_a_member_is_found() {
        let mut log = log();
        log.joins("j2", 2);
        for name in ["j1", "j2"] {
            assert_eq!(breaks(&log, |restored| restored.founder = name.parse().unwrap()), [super::NAME]);
        }
        for raft_id in [0, 1, 2] {
            assert_eq!(breaks(&log, |restored| restored.raft_id = raft_id), [super::NAME]);
        }
        assert_eq!(breaks(&log, |restored| restored.raft_id = 3), [""; 0]);
    }

    #[test]
    fn rule_27_a_restore_that_keeps_nobody_or_a_revoked_operator_is_found() {
        let mut log = log();
        assert_eq!(breaks(&log, |restored| restored.operator = "nobody".parse().unwrap()), [super::NAME]);
        log.append(vec![Fact::Operator(admin(), operator_revoked(50))]);
        assert_eq!(breaks(&log, |_| {}), [super::NAME]);
    }

    #[test]
    fn a_domain_may_be_restored_again_before_its_operator_came_back() {
        let mut log = log();
        log.append(vec![restored("j9", 9, 4)]);
        let again = restored("j10", 10, 5);
        assert_eq!(log.broken_by(log.next(again)), [""; 0]);
    }
}
