//! What the bench of catch-up measured: it leaves `catch_up.json` in cargo's directory for temporary files.
//!
//! **Invariant:** a figure of another log or another storm than the table's rows name does not count, nor does a file of an
//! earlier run.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::estimates::is_fresh;
use super::{LONG_LOG_LAPS, LONG_LOG_NODES};
use crate::catch_up::{CatchUp, Size};

/// In cargo's directory for temporary files.
const FILE: &str = "catch_up.json";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CaughtUp {
    /// From the start of a journal's process with the long log until it serves, in seconds.
    started: Option<f64>,
    /// From the start of a new journal's process until it votes, in a storm, in seconds: of those that joined the slowest.
    joined: Option<f64>,
}

impl CaughtUp {
    /// What counts of a measurement.
    pub fn of(measured: &CatchUp, size: Size) -> Self {
        let whole = size.nodes >= LONG_LOG_NODES && size.laps >= LONG_LOG_LAPS;
        let slowest = measured.joined.iter().map(|took| took.seconds).reduce(f64::max);
        Self {
            started: whole.then_some(measured.started.seconds),
            joined: slowest.filter(|_| whole && size.storm > 0),
        }
    }

    /// Leaves it for the table.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, below: &Path) -> io::Result<()> {
        fs::write(below.join(FILE), json!({"started": self.started, "joined": self.joined}).to_string())
    }

    /// Reads it; none if there is none of this run.
    pub fn read(below: &Path) -> Option<Self> {
        let file = below.join(FILE);
        if !is_fresh(&file)? {
            return None;
        }
        // What cannot be read was not measured.
        let told: Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        Some(Self { started: told["started"].as_f64(), joined: told["joined"].as_f64() })
    }

    /// Seconds until a journal with the long log serves.
    pub fn started(&self) -> Option<f64> {
        self.started
    }

    /// Seconds until a new journal votes.
    pub fn joined(&self) -> Option<f64> {
        self.joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catch_up::Took;

    fn measured() -> CatchUp {
        let took = |seconds| Took { seconds, cpu_seconds: 1.0 };
        CatchUp { facts: 1_001_003, started: took(2.5), joined: vec![took(8.0), took(9.5)] }
    }

    #[test]
    fn the_slowest_that_joined_counts_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(CaughtUp::read(folder.path()), None);
        let size = Size { nodes: LONG_LOG_NODES, laps: LONG_LOG_LAPS, storm: 10 };
        let told = CaughtUp::of(&measured(), size);
        told.write(folder.path()).unwrap();
        assert_eq!(CaughtUp::read(folder.path()), Some(told));
        assert_eq!((told.started(), told.joined()), (Some(2.5), Some(9.5)));
    }

    #[test]
    fn a_shorter_log_or_no_storm_is_no_figure_of_the_table() {
        let quiet = Size { nodes: LONG_LOG_NODES, laps: LONG_LOG_LAPS, storm: 0 };
        assert_eq!(CaughtUp::of(&measured(), quiet), CaughtUp { started: Some(2.5), joined: None });
        let short = Size { nodes: 10, storm: 10, ..quiet };
        assert_eq!(CaughtUp::of(&measured(), short), CaughtUp { started: None, joined: None });
    }
}
