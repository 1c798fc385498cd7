//! What `pact-loadtest storm -o json` says, on one journal or three. A field that it does not say was not measured.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The result of a storm.
#[derive(Debug, Clone)]
pub struct Storm(Value);

/// The nodes for which the table has its seconds.
const NODES: u64 = 10_000;

impl Storm {
    /// Runs one, with more flags; its progress goes to stderr. None if it said nothing that can be read.
    pub fn run(binaries: &Path, nodes: u64, more: &[&str]) -> Option<Self> {
        let mut storm = Command::new(binaries.join("pact-loadtest"));
        storm.args(["storm", "-o", "json", "--nodes", &nodes.to_string()]).args(more);
        let output = storm.stderr(Stdio::inherit()).output().ok()?;
        Self::read(&output.stdout)
    }

    /// Reads what one said.
    pub fn read(stdout: &[u8]) -> Option<Self> {
        serde_json::from_slice(stdout).ok().map(Self)
    }

    /// How long it took, if it was one of 10,000 nodes.
    pub fn seconds(&self) -> Option<f64> {
        self.0["seconds"].as_f64().filter(|_| self.0["nodes"] == NODES)
    }

    /// The CPU of all journals per node over the floor.
    pub fn floor_ratio(&self) -> Option<f64> {
        self.0["floor_ratio"].as_f64()
    }

    /// What a subscription costs the journal, in units of 1,000 bytes.
    pub fn subscription_kb(&self) -> Option<f64> {
        self.0["rss_per_subscription_bytes"].as_f64().map(|bytes| bytes / 1000.0)
    }

    /// How many nodes failed.
    pub fn failed(&self) -> Option<f64> {
        self.0["failed"].as_f64()
    }

    /// What the journals served for each second of their CPU under overload, in hundredths of what they served without.
    pub fn goodput_percent(&self) -> Option<f64> {
        self.0["overload"]["goodput_ratio"].as_f64().map(|ratio| ratio * 100.0)
    }

    /// All that it said.
    pub fn line(&self) -> String {
        self.0.to_string()
    }
}
