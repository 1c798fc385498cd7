//! What a run of faults showed: printed as lines for people, or as one JSON document.
//!
//! The names of the fields are stable: users script against them.

use std::fmt;

use proto::outcome::Exit;
use serde::Serialize;

use super::{history::Counts, injection::Injected, oracles::Verdict};
use crate::arguments::Output;

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// By which it can be run again.
    pub seed: u64,
    /// How many journals formed the quorum.
    pub journals: u8,
    /// How long faults came.
    pub seconds: u64,
    /// How long it took from the last fault's end until all served again, in seconds.
    pub recovered_after: f64,
    /// The faults in their time.
    pub timeline: Vec<Injected>,
    /// What came of the calls.
    pub calls: Counts,
    /// How many facts the logs hold.
    pub facts: u64,
    /// How often somebody tried a certificate that was over.
    pub probes: u64,
    /// What each oracle says.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// Whether every promise was kept.
    pub fn is_kept(&self) -> bool {
        self.verdicts.iter().all(Verdict::is_kept)
    }

    /// Prints it to stdout. Answers how the process ends.
    pub fn print(&self, output: Output) -> Exit {
        output.print(self);
        if self.is_kept() { Exit::Done } else { Exit::Violation }
    }
}

/// A line a matter; a violation names the oracle, the seed, whom it is about and when.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, journals, seconds, recovered_after, .. } = self;
        writeln!(f, "seed {seed}: {journals} journals, {} faults in {seconds} s", self.timeline.len())?;
        let Counts { done, refused, unknown, .. } = self.calls;
        writeln!(f, "calls acknowledged {done}, refused {refused}, of which nobody knows {unknown}")?;
        writeln!(f, "facts {}, tries with what was over {}", self.facts, self.probes)?;
        writeln!(f, "recovered after {recovered_after:.1} s")?;
        for Verdict { oracle, checked, broken, violations } in &self.verdicts {
            match broken {
                0 => writeln!(f, "kept    {oracle}: {checked} looked at")?,
                _ => writeln!(f, "BROKEN  {oracle}: {broken} of {checked}, seed {seed}")?,
            }
            for violation in violations {
                let at = violation.at_ms as f64 / 1000.0;
                writeln!(f, "        {at:7.2} s {}: {}", violation.about, violation.seen)?;
            }
        }
        write!(f, "{}", if self.is_kept() { "every promise was kept" } else { "a promise was broken" })
    }
}
