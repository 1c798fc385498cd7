//! What must hold after every run, whatever the faults were: each promise is an oracle with a name.
//!
//! [`crate::chaos`] asks all of them once the journals have recovered and stopped. They read the history of the clients, what was
//! seen from outside, and the logs; the journals' own word counts for nothing.
//!
//! **Invariant:** an oracle that could not look says so, and the run has failed.

mod acknowledged;
mod certificates;
mod linearizable;
mod logs;
mod presence;
mod processes;
mod terms;

use serde::Serialize;

use super::{history::History, log_order::LogOrder, probes::Probes, quorum::Quorum};

/// What all of them look at.
pub struct Evidence<'a> {
    /// The journals as they were.
    pub quorum: &'a Quorum,
    /// What clients called and were told.
    pub history: &'a History,
    /// Who was let in with what was over.
    pub probes: &'a Probes,
    /// The log of each journal that is left, by its name.
    pub logs: Vec<(String, LogOrder)>,
    /// The fact up to which all journals were before the first was stopped.
    pub level: u64,
    /// Of which `pact-replay verify` found something, with what it said.
    pub unsound: Vec<(String, String)>,
    /// What kept the journals from recovering after the last fault was lifted.
    pub unrecovered: Vec<String>,
}

impl Evidence<'_> {
    /// The longest log: what everybody had, if they are alike.
    pub fn order(&self) -> &LogOrder {
        static NONE: std::sync::LazyLock<LogOrder> = std::sync::LazyLock::new(LogOrder::default);
        self.logs.iter().map(|(_, log)| log).max_by_key(|log| log.last()).unwrap_or(&NONE)
    }
}

/// What broke a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The node, journal or operator that it is about.
    pub about: String,
    /// When, in ms from the beginning.
    pub at_ms: u64,
    /// What was seen, and what was promised.
    pub seen: String,
}

/// What one oracle says.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Its name.
    pub oracle: &'static str,
    /// How many things it looked at.
    pub checked: u64,
    /// How many broke it.
    pub broken: u64,
    /// The first of them.
    pub violations: Vec<Violation>,
}

/// So many are shown of each oracle.
const SHOWN: usize = 10;

impl Verdict {
    fn of(oracle: &'static str, checked: u64, mut violations: Vec<Violation>) -> Self {
        let broken = violations.len() as u64;
        violations.sort_by_key(|violation| violation.at_ms);
        violations.truncate(SHOWN);
        Self { oracle, checked, broken, violations }
    }

    /// Whether the promise was kept.
    pub fn is_kept(&self) -> bool {
        self.broken == 0
    }
}

/// Asks all.
pub fn ask_all(evidence: &Evidence<'_>) -> Vec<Verdict> {
    vec![
        acknowledged::in_every_log(evidence),
        logs::are_alike(evidence),
        logs::verify(evidence),
        linearizable::with_the_log_as_their_order(evidence),
        certificates::over_is_refused(evidence),
        certificates::used_once(evidence),
        presence::nobody_lost_alive(evidence),
        terms::never_fall(evidence),
        terms::lost_leads_stay_lost(evidence),
        processes::end_only_of_faults(evidence),
        processes::recover(evidence),
    ]
}

fn violation(about: impl Into<String>, at: std::time::Duration, seen: impl Into<String>) -> Violation {
    let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
    Violation { about: about.into(), at_ms, seen: seen.into() }
}
