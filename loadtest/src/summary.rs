//! What a storm showed: printed as lines for people, or as one JSON document.
//!
//! The names of the fields are stable: users script against them. What is not measured is absent.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use proto::outcome::Exit;
use serde::Serialize;

use crate::arguments::Output;

/// The result of a storm.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// How many nodes booted.
    pub nodes: u32,
    /// How many of them came up and stayed up until all were.
    pub succeeded: u64,
    /// How many did not.
    pub failed: u64,
    /// Why, and how many each.
    pub failures: BTreeMap<String, u64>,
    /// From the first connection to the last subscription.
    pub seconds: f64,
    /// Of those that came up.
    pub nodes_per_second: f64,
    /// From a node's power-on to its open subscription.
    pub latency_ms: LatencyMs,
    /// User and system time of the journal in these seconds, for each node that came up.
    pub journal_cpu_us_per_node: f64,
    /// The same of all agents together.
    pub client_cpu_us_per_node: f64,
    /// Resident memory of each journal while all nodes were up.
    pub journal_rss_bytes: Vec<u64>,
    /// Whether `pact-replay verify` found the log sound.
    pub log_verified: bool,
}

/// Percentiles, in milliseconds.
#[derive(Debug, Serialize)]
pub struct LatencyMs {
    /// Half of the nodes were up within this.
    pub p50: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

impl Summary {
    /// Prints it to stdout. Answers how the process ends.
    pub fn print(&self, output: Output) -> Exit {
        let text = match output {
            Output::Text => self.to_string(),
            Output::Json => serde_json::to_string(self).expect("numbers and texts are JSON"),
        };
        // Nobody is left to tell if stdout is closed.
        writeln!(io::stdout().lock(), "{text}").ok();
        if self.failed == 0 { Exit::Done } else { Exit::Failed }
    }
}

/// Ends with `log verified`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LatencyMs { p50, p95, p99, max } = &self.latency_ms;
        let memory: u64 = self.journal_rss_bytes.iter().sum();
        writeln!(f, "nodes {}", self.nodes)?;
        writeln!(f, "succeeded {}", self.succeeded)?;
        writeln!(f, "failed {}", self.failed)?;
        for (reason, count) in &self.failures {
            writeln!(f, "  {reason} {count}")?;
        }
        writeln!(f, "seconds {:.2}, {:.0} nodes/s", self.seconds, self.nodes_per_second)?;
        writeln!(f, "latency ms p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1}, max {max:.1}")?;
        writeln!(f, "journal CPU {:.0} us per node", self.journal_cpu_us_per_node)?;
        writeln!(f, "client CPU {:.0} us per node", self.client_cpu_us_per_node)?;
        writeln!(f, "journal memory {:.1} MB with all nodes up", memory as f64 / 1e6)?;
        f.write_str(if self.log_verified { "log verified" } else { "log NOT verified" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            nodes: 3,
            succeeded: 3,
            failed: 0,
            failures: BTreeMap::new(),
            seconds: 1.5,
            nodes_per_second: 2.0,
            latency_ms: LatencyMs { p50: 1.0, p95: 2.0, p99: 3.0, max: 4.0 },
            journal_cpu_us_per_node: 400.0,
            client_cpu_us_per_node: 300.0,
            journal_rss_bytes: vec![100_000_000],
            log_verified: true,
        }
    }

    #[test]
    fn a_sound_storm_ends_with_the_words_that_are_looked_for() {
        let text = summary().to_string();
        assert!(text.contains("\nfailed 0\n"), "{text}");
        assert!(text.ends_with("\nlog verified"), "{text}");
    }

    #[test]
    fn the_fields_are_the_published_ones_as_far_as_they_are_measured() {
        let json = serde_json::to_string(&summary()).unwrap();
        let expected = "{\"nodes\":3,\"succeeded\":3,\"failed\":0,\"failures\":{},\"seconds\":1.5,\
                        \"nodes_per_second\":2.0,\"latency_ms\":{\"p50\":1.0,\"p95\":2.0,\"p99\":3.0,\"max\":4.0},\
                        \"journal_cpu_us_per_node\":400.0,\"client_cpu_us_per_node\":300.0,\
                        \"journal_rss_bytes\":[100000000],\"log_verified\":true}";
        assert_eq!(json, expected);
    }

    #[test]
    fn a_node_that_failed_is_told_with_its_reason_and_exits_with_1() {
        let failures = BTreeMap::from([("DEADLINE".to_owned(), 1)]);
        let summary = Summary { failed: 1, succeeded: 2, failures, ..summary() };
        assert!(summary.to_string().contains("failed 1\n  DEADLINE 1\n"));
        assert_eq!(summary.print(Output::Json), Exit::Failed);
    }
}
