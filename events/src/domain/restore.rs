//! Whether and how a domain goes on whose journals are lost for the most part (R27): who founds it anew, and who commands it.
//!
//! `pact-journal restore` decides with it, on the views of the log that is left.
//!
//! **Invariant:** name and Raft id of the new journal were given to nobody, also by facts that were lost behind the log's
//! end, as long as those let fewer than [`LOST_IDS`] journals in.

use crate::codec::Chain;
use crate::level::Level;
use crate::operator;
use crate::views::Views;
use crate::vocabulary::{Digest, JournalId, OperatorId, Role};

use super::{Event, Restored, State};

/// Raft ids after a restore begin with a multiple of this, so that people see how often it was done.
const STEP: u64 = 1000;
/// So many ids at least are left out: the lost end of the log may have given some. A domain has 3 to 5 journals.
const LOST_IDS: u64 = 500;
/// The operator that `init` makes.
const FIRST_OPERATOR: &str = "admin";

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restore {
    /// The name of the new journal; none: `j` and its Raft id.
    pub founder: Option<JournalId>,
    /// The administrator who goes on; none: `admin`, whom `init` made.
    pub operator: Option<OperatorId>,
}

/// Why a domain is not restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRejection {
    /// The log has none.
    #[error("the log has no domain")]
    NoDomain,
    /// The name belonged to a journal.
    #[error(
        "{founder} is a journal of the domain or was one, and a name is never used again; choose another --journal-id"
    )]
    FounderKnown {
        /// The name.
        founder: JournalId,
    },
    /// Nobody would command the domain.
    #[error(
        "{operator} is no administrator of the domain; choose with --operator one of: {}",
        listed(admins)
    )]
    NoAdmin {
        /// Who should go on.
        operator: String,
        /// Who could.
        admins: Vec<OperatorId>,
    },
}

fn listed(names: &[OperatorId]) -> String {
    names.iter().map(OperatorId::as_str).collect::<Vec<_>>().join(", ")
}

/// Decides that the log goes on behind its last fact, with the link `head` of its chain: the events of one append. Expired
/// certificates hinder nobody: all are void afterwards. The new journal is the only member, so the level is raised to what
/// it `reads` (R26).
///
/// # Errors
/// If a name does not fit what the log tells.
pub fn restore(
    views: &Views,
    head: &Chain,
    reads: Level,
    asked: &Restore,
) -> Result<Vec<Event>, RestoreRejection> {
    match views.domain {
        State::Unknown => return Err(RestoreRejection::NoDomain),
        State::Created(_) => {}
    }
    let raft_id = free_raft_id(views.members.next_raft_id());
    let founder = match &asked.founder {
        Some(founder) => founder.clone(),
        None => format!("j{raft_id}").parse().expect("a letter and digits are a name"),
    };
    if views.members.get(&founder).is_some() {
        return Err(RestoreRejection::FounderKnown { founder });
    }
    let name = asked.operator.as_ref().map_or(FIRST_OPERATOR, OperatorId::as_str);
    let admins = views.operators.iter().filter(|(_, known)| is_admin(&known.state));
    let admins: Vec<OperatorId> = admins.map(|(id, _)| id.clone()).collect();
    let Some(operator) = admins.iter().find(|id| id.as_str() == name).cloned() else {
        return Err(RestoreRejection::NoAdmin { operator: name.to_owned(), admins });
    };
    let (restored_seq, restored_head) = (views.seq, Digest::new(*head.as_bytes()));
    let raised = (views.level < reads).then_some(Event::LevelRaised { level: reads });
    let restored = Restored { restored_seq, restored_head, founder, raft_id, operator };
    Ok(raised.into_iter().chain([Event::Restored(restored)]).collect())
}

/// The next multiple of [`STEP`] behind [`LOST_IDS`] that nobody gets.
fn free_raft_id(next: u64) -> u64 {
    (next.saturating_add(LOST_IDS) / STEP).saturating_add(1).saturating_mul(STEP)
}

fn is_admin(state: &operator::State) -> bool {
    match state {
        operator::State::Active { role, .. } | operator::State::Kept { role, .. } => {
            *role == Role::PlatformAdmin
        }
        operator::State::Unknown | operator::State::Revoked { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::Fact;
    use crate::samples::{Log, admin, journal, operator_created, operator_revoked};

    fn head() -> Chain {
        Chain::from_bytes([7; 32])
    }

    fn decided(log: &Log, asked: &Restore) -> Result<Restored, RestoreRejection> {
        restore(&log.views(), &head(), Level::NEWEST, asked).map(|events| {
            let Some(Event::Restored(restored)) = events.last() else { unreachable!("it is a restore") };
            restored.clone()
        })
    }

    #[test]
    fn rule_26_the_level_is_raised_with_the_restore_if_it_is_too_low() {
        let mut log = Log::new();
        let decided = |log: &Log| restore(&log.views(), &head(), Level::NEWEST, &Restore::default()).unwrap();
        let events = decided(&log);
        assert_eq!(events.first(), Some(&Event::LevelRaised { level: Level::NEWEST }));
        log.append(events.into_iter().map(Fact::Domain).collect());
        assert_eq!(log.last_breaks(), [""; 0]);
        assert_eq!(decided(&log).len(), 1);
    }

    #[test]
    fn rule_27_the_log_goes_on_behind_its_last_fact_with_a_new_journal_and_the_first_operator() {
        let log = Log::enrolled();
        let restored = decided(&log, &Restore::default()).unwrap();
        assert_eq!(restored.restored_seq, log.records.len() as u64);
        assert_eq!(restored.restored_head.as_bytes(), head().as_bytes());
        assert_eq!((restored.founder, restored.raft_id), (journal("j1000"), 1000));
        assert_eq!(restored.operator, admin());
    }

    #[test]
    fn rule_27_a_raft_id_is_far_from_all_that_were_given() {
        let given = [(1, 1000), (4, 1000), (499, 1000), (500, 2000), (1001, 2000), (1500, 3000)];
        for (next, raft_id) in given {
            assert_eq!(free_raft_id(next), raft_id, "{next}");
            assert!(raft_id - next >= LOST_IDS);
        }
        assert_eq!(free_raft_id(u64::MAX) % STEP, u64::MAX % STEP, "it saturates");
    }

    #[test]
    fn rule_27_a_journals_name_is_never_used_again() {
        let mut log = Log::new();
        log.joins("j2", 2);
        for name in ["j1", "j2"] {
            let founder = journal(name);
            let asked = Restore { founder: Some(founder.clone()), operator: None };
            assert_eq!(decided(&log, &asked), Err(RestoreRejection::FounderKnown { founder }));
        }
        let asked = Restore { founder: Some(journal("north")), operator: None };
        assert_eq!(decided(&log, &asked).unwrap().founder, journal("north"));
    }

    #[test]
    fn only_an_administrator_who_was_not_revoked_goes_on() {
        let mut log = Log::new();
        let named = |name: &str| Restore { founder: None, operator: Some(name.parse().unwrap()) };
        let refused = |log: &Log, asked: &Restore| decided(log, asked).unwrap_err().to_string();
        assert!(refused(&log, &named("ada")).ends_with("choose with --operator one of: admin"));
        let ada = "ada".parse().unwrap();
        log.append(vec![Fact::Operator(ada, operator_created(51, 0))]);
        log.append(vec![Fact::Operator(admin(), operator_revoked(50))]);
        assert!(refused(&log, &Restore::default()).starts_with("admin is no administrator"));
        assert_eq!(decided(&log, &named("ada")).unwrap().operator.as_str(), "ada");
    }

    #[test]
    fn a_log_without_a_domain_is_not_restored() {
        assert_eq!(decided(&Log::default(), &Restore::default()), Err(RestoreRejection::NoDomain));
    }
}
