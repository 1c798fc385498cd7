//! What a storm showed: printed as lines for people, or as one JSON document.
//!
//! The names of the fields are stable: users script against them. What could not be measured is absent: of a journal
//! on another machine everything that only its process or its metrics tell.

use std::{collections::BTreeMap, fmt};

use proto::outcome::Exit;
use serde::Serialize;

use crate::{arguments::Output, floor::Floor};

/// The result of a storm.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// How many nodes booted.
    pub nodes: u32,
    /// The storm: what came up and how fast, and what it took.
    #[serde(flatten)]
    pub storm: Showing,
    /// What the cryptography of one boot alone costs a server, in microseconds of one core.
    pub crypto_floor_us_per_node: f64,
    /// What the journal used over that: 1 would be nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_ratio: Option<f64>,
    /// The parts of the floor.
    pub crypto_floor: Floor,
    /// The storm with more concurrency, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<Overload>,
    /// How often a journal was killed meanwhile, and started again.
    #[serde(skip_serializing_if = "is_none")]
    pub journals_killed: u32,
    /// Whether `pact-replay verify` found the log sound; absent if the log lies elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_verified: Option<bool>,
    /// How many facts it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_facts: Option<u64>,
}

/// What became of one storm.
#[derive(Debug, Clone, Serialize)]
pub struct Showing {
    /// How many came up and stayed up until all were.
    pub succeeded: u64,
    /// How many did not.
    pub failed: u64,
    /// Why, and how many each.
    pub failures: BTreeMap<String, u64>,
    /// Nodes that lost their subscription with a journal that was killed, and have another.
    #[serde(skip_serializing_if = "are_none")]
    pub subscribed_again: u64,
    /// From the first connection to the last boot configuration.
    pub seconds: f64,
    /// Of those that came up.
    pub nodes_per_second: f64,
    /// From a node's power-on to its boot configuration.
    pub latency_ms: LatencyMs,
    /// User and system time of the journal in these seconds, for each node that came up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal_cpu_us_per_node: Option<f64>,
    /// The same of all agents together.
    pub client_cpu_us_per_node: f64,
    /// Raft entries written meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raft_entries: Option<u64>,
    /// Appends in one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appends_per_entry: Option<f64>,
    /// Syncs of the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fsyncs: Option<u64>,
    /// Resident memory of each journal while all nodes were up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub journal_rss_bytes: Vec<u64>,
    /// How much it grew in the storm, for each subscription that was open at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_per_subscription_bytes: Option<u64>,
}

/// A storm with more concurrency, beside the first.
#[derive(Debug, Clone, Serialize)]
pub struct Overload {
    /// How many times the concurrency.
    pub factor: u32,
    /// How many nodes were on their way at one moment.
    pub concurrency: u32,
    /// What it showed.
    #[serde(flatten)]
    pub storm: Showing,
    /// Nodes that came up for each second of the journal's processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes_per_journal_cpu_second: Option<f64>,
    /// The same of the first storm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unloaded_nodes_per_journal_cpu_second: Option<f64>,
    /// The former over the latter: 1 is what no overload can hurt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goodput_ratio: Option<f64>,
}

// serde wants a reference.
fn is_none(count: &u32) -> bool {
    *count == 0
}

fn are_none(count: &u64) -> bool {
    *count == 0
}

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Serialize)]
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
    /// How many nodes failed, in all storms.
    pub fn failed(&self) -> u64 {
        self.storm.failed + self.overload.as_ref().map_or(0, |overload| overload.storm.failed)
    }

    /// Prints it to stdout. Answers how the process ends.
    pub fn print(&self, output: Output) -> Exit {
        output.print(self);
        if self.failed() == 0 { Exit::Done } else { Exit::Failed }
    }
}

/// A line a matter, its name first; ends with `log verified`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Showing { succeeded, failed, failures, .. } = &self.storm;
        writeln!(f, "nodes {}", self.nodes)?;
        writeln!(f, "succeeded {succeeded}")?;
        tell_failed(f, *failed, failures)?;
        if self.journals_killed > 0 {
            let (killed, again) = (self.journals_killed, self.storm.subscribed_again);
            writeln!(f, "journals killed and started again {killed}, subscriptions opened again {again}")?;
        }
        self.storm.tell_speed(f)?;
        self.tell_processors(f)?;
        self.storm.tell_memory(f)?;
        self.storm.tell_log(f)?;
        if let Some(overload) = &self.overload {
            overload.tell(f)?;
        }
        match (self.log_verified, self.log_facts) {
            (Some(true), Some(facts)) => write!(f, "facts {facts}\nlog verified"),
            (Some(true), None) => f.write_str("log verified"),
            (Some(false), _) => f.write_str("log NOT verified"),
            (None, _) => f.write_str("log not looked at: it lies on another machine"),
        }
    }
}

fn tell_failed(f: &mut fmt::Formatter<'_>, failed: u64, failures: &BTreeMap<String, u64>) -> fmt::Result {
    writeln!(f, "failed {failed}")?;
    failures.iter().try_for_each(|(reason, count)| writeln!(f, "  {reason} {count}"))
}

impl Summary {
    fn tell_processors(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Floor { handshake_us, csr_check_us, signature_us, mutual_handshake_us } = self.crypto_floor;
        let (floor, clients) = (self.crypto_floor_us_per_node, self.storm.client_cpu_us_per_node);
        if let Some(journal) = self.storm.journal_cpu_us_per_node {
            writeln!(f, "journal CPU {journal:.0} us a node, client CPU {clients:.0} us")?;
        } else {
            writeln!(f, "client CPU {clients:.0} us a node")?;
        }
        write!(f, "floor {floor:.0} us a node: ")?;
        write!(f, "TLS {handshake_us:.0} + request {csr_check_us:.0} + signature {signature_us:.0}")?;
        writeln!(f, " + mTLS {mutual_handshake_us:.0}")?;
        match self.floor_ratio {
            Some(ratio) => writeln!(f, "floor ratio {ratio:.2}"),
            None => Ok(()),
        }
    }
}

impl Showing {
    fn tell_speed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LatencyMs { p50, p95, p99, max } = &self.latency_ms;
        writeln!(f, "seconds {:.2}", self.seconds)?;
        writeln!(f, "nodes/s {:.0}", self.nodes_per_second)?;
        writeln!(f, "latency ms p50 {p50:.0}, p95 {p95:.0}, p99 {p99:.0}, max {max:.0}")
    }

    fn tell_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.journal_rss_bytes.is_empty() {
            return Ok(());
        }
        let memory: u64 = self.journal_rss_bytes.iter().sum();
        write!(f, "journal memory {:.1} MB with all nodes up", memory as f64 / 1e6)?;
        match self.rss_per_subscription_bytes {
            Some(each) => writeln!(f, ", {:.1} KB a subscription", each as f64 / 1e3),
            None => writeln!(f),
        }
    }

    fn tell_log(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.raft_entries, self.appends_per_entry, self.fsyncs) {
            (Some(entries), Some(appends), Some(fsyncs)) => {
                writeln!(f, "Raft entries {entries} with {appends:.1} appends each, {fsyncs} fsyncs")
            }
            _ => Ok(()),
        }
    }
}

impl Overload {
    fn tell(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Showing { failed, failures, seconds, latency_ms, .. } = &self.storm;
        let (factor, concurrency) = (self.factor, self.concurrency);
        writeln!(
            f,
            "overload {factor}x, {concurrency} at once: {seconds:.2} s, p99 {:.0} ms",
            latency_ms.p99
        )?;
        if *failed > 0 {
            tell_failed(f, *failed, failures)?;
        }
        let served = self.nodes_per_journal_cpu_second.zip(self.unloaded_nodes_per_journal_cpu_second);
        let Some(((loaded, unloaded), ratio)) = served.zip(self.goodput_ratio) else { return Ok(()) };
        let percent = ratio * 100.0;
        writeln!(f, "served {loaded:.0} nodes a CPU second, {percent:.0} % of {unloaded:.0} without overload")
    }
}

#[cfg(test)]
mod tests;
