//! What revocations showed: printed as lines for people, or as one JSON document.
//!
//! The names of the fields are stable: users script against them.

use std::{collections::BTreeMap, fmt};

use hdrhistogram::Histogram;
use proto::outcome::Exit;
use serde::Serialize;
use tokio::time::Instant;

use crate::{arguments::Output, log_check::Verified, storm::latency, summary::LatencyMs};

/// What is asked for: 99 of 100 streams are cut within this after the answer (design §10).
const ASKED_P99_MS: u32 = 250;

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct Revoked {
    /// How many nodes were to be revoked.
    pub nodes: u32,
    /// How many revocations were answered.
    pub revoked: u64,
    /// How many nodes did not come up or whose revocation was not answered.
    pub failed: u64,
    /// Why, and how many each.
    pub failures: BTreeMap<String, u64>,
    /// Revoked nodes whose stream was not cut.
    pub left_connected: u64,
    /// Streams that were cut without any revocation that was answered.
    pub lost: u64,
    /// From the first order to the last answer.
    pub seconds: f64,
    /// From an answer to the end of the stream.
    pub latency_ms: LatencyMs,
    /// The same at each journal.
    pub journals: Vec<AtJournal>,
    /// How often a journal was killed meanwhile, and started again.
    pub journals_killed: u32,
    /// Whether `pact-replay verify` found the logs sound, and alike.
    pub log_verified: bool,
    /// How many facts they hold.
    pub log_facts: u64,
}

/// The streams at one journal.
#[derive(Debug, Clone, Serialize)]
pub struct AtJournal {
    /// Its listener for agents.
    pub journal: String,
    /// How many streams were cut there.
    pub streams: u64,
    /// From an answer, at any journal, to the end of a stream at this one.
    pub latency_ms: LatencyMs,
}

/// Moments, by the numbers of nodes.
pub(super) struct Measured {
    pub(super) nodes: u32,
    /// At which journal each stream was.
    pub(super) streams: BTreeMap<u32, String>,
    pub(super) answered: BTreeMap<u32, Instant>,
    pub(super) cut: BTreeMap<u32, Instant>,
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) seconds: f64,
}

impl Measured {
    pub(super) fn told(self, journals: Vec<String>, killed: u32, verified: Option<Verified>) -> Revoked {
        let at_journal = |journal: String| {
            let (streams, latency_ms) = self.latency(|number| self.streams.get(number) == Some(&journal));
            AtJournal { journal, streams, latency_ms }
        };
        let count = |numbers: usize| u64::try_from(numbers).unwrap_or(u64::MAX);
        let left = self.answered.keys().filter(|number| !self.cut.contains_key(number)).count();
        let lost = self.cut.keys().filter(|number| !self.answered.contains_key(number)).count();
        Revoked {
            nodes: self.nodes,
            revoked: count(self.answered.len()),
            failed: self.failures.values().sum(),
            left_connected: count(left),
            lost: count(lost),
            seconds: (self.seconds * 1e3).round() / 1e3,
            latency_ms: self.latency(|_| true).1,
            journals: journals.into_iter().map(at_journal).collect(),
            journals_killed: killed,
            log_verified: verified.is_some(),
            log_facts: verified.map_or(0, |verified| verified.facts),
            failures: self.failures,
        }
    }

    /// How many of these streams were cut after an answer, and how soon.
    fn latency(&self, of: impl Fn(&u32) -> bool) -> (u64, LatencyMs) {
        let mut micros = Histogram::<u64>::new(3).expect("three digits are a precision that it knows");
        for (number, answered) in self.answered.iter().filter(|(number, _)| of(number)) {
            let Some(cut) = self.cut.get(number) else { continue };
            let within = cut.saturating_duration_since(*answered).as_micros();
            // It grows as it has to: no stream is waited for longer than it can count.
            micros.record(u64::try_from(within).unwrap_or(u64::MAX)).ok();
        }
        (micros.len(), latency(&micros))
    }
}

impl Revoked {
    /// Whether every node was revoked and none is left connected.
    pub fn is_sound(&self) -> bool {
        self.failed == 0
            && self.left_connected == 0
            && self.lost == 0
            && self.revoked == u64::from(self.nodes)
            && self.log_verified
    }

    /// Prints it to stdout. Answers how the process ends.
    pub fn print(&self, output: Output) -> Exit {
        output.print(self);
        if self.is_sound() { Exit::Done } else { Exit::Failed }
    }
}

/// A line a matter, its name first; ends with `log verified`.
impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nodes {}", self.nodes)?;
        writeln!(f, "revoked {} in {:.2} s", self.revoked, self.seconds)?;
        writeln!(f, "failed {}", self.failed)?;
        self.failures.iter().try_for_each(|(reason, count)| writeln!(f, "  {reason} {count}"))?;
        writeln!(f, "left connected {}", self.left_connected)?;
        if self.lost > 0 {
            writeln!(f, "cut without a revocation {}", self.lost)?;
        }
        let LatencyMs { p50, p95, p99, max } = &self.latency_ms;
        write!(f, "answer to cut stream, ms: p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1}, max {max:.1}")?;
        writeln!(f, "; p99 shall be at most {ASKED_P99_MS}")?;
        for at in &self.journals {
            let (streams, journal, LatencyMs { p99, max, .. }) = (at.streams, &at.journal, &at.latency_ms);
            writeln!(f, "  {streams} streams at {journal}: p99 {p99:.1}, max {max:.1}")?;
        }
        if self.journals_killed > 0 {
            writeln!(f, "journals killed and started again {}", self.journals_killed)?;
        }
        write!(
            f,
            "facts {}\n{}",
            self.log_facts,
            if self.log_verified { "log verified" } else { "log NOT verified" }
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Three nodes at two journals: cut after 4 ms, cut before the answer, and as the test says.
    fn measured(third: Option<u64>) -> Revoked {
        let began = Instant::now();
        let after = |millis| began + Duration::from_millis(millis);
        let mut cut = BTreeMap::from([(0, after(14)), (1, after(9))]);
        cut.extend(third.map(|millis| (2, after(millis))));
        let measured = Measured {
            nodes: 3,
            streams: [(0, "a"), (1, "b"), (2, "b")].map(|(number, at)| (number, at.to_owned())).into(),
            answered: [0, 1, 2].map(|number| (number, after(10))).into(),
            cut,
            failures: BTreeMap::new(),
            seconds: 0.5,
        };
        measured.told(["a", "b"].map(str::to_owned).to_vec(), 0, Some(Verified { facts: 9 }))
    }

    #[test]
    fn what_counts_is_the_time_from_the_answer_to_the_cut_and_never_less_than_none() {
        let told = measured(Some(30));
        assert!(told.is_sound(), "{told}");
        assert!(
            (told.latency_ms.max - 20.0).abs() < 0.1 && (told.latency_ms.p50 - 4.0).abs() < 0.1,
            "{told}"
        );
        let streams = told.journals.iter().map(|at| (at.journal.as_str(), at.streams)).collect::<Vec<_>>();
        assert_eq!(streams, [("a", 1), ("b", 2)]);
        assert!((told.journals[0].latency_ms.max - 4.0).abs() < 0.1, "{told}");
        assert!(told.to_string().ends_with("\nfacts 9\nlog verified"), "{told}");
    }

    #[test]
    fn one_that_is_left_connected_is_a_failure() {
        let told = measured(None);
        assert_eq!((told.left_connected, told.is_sound()), (1, false));
        assert!(told.to_string().contains("\nleft connected 1\n"), "{told}");
    }
}
