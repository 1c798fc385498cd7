//! What `pact-loadtest revoke -o json` says, which runs a quorum of three.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The result.
#[derive(Debug, Clone)]
pub struct Revocations(Value);

impl Revocations {
    /// Runs it as it is by default; its progress goes to stderr. None if it said nothing that can be read.
    pub fn run(binaries: &Path) -> Option<Self> {
        let mut revoke = Command::new(binaries.join("pact-loadtest"));
        let output = revoke.args(["revoke", "-o", "json"]).stderr(Stdio::inherit()).output().ok()?;
        Self::read(&output.stdout)
    }

    /// Reads what one said.
    pub fn read(stdout: &[u8]) -> Option<Self> {
        serde_json::from_slice(stdout).ok().map(Self)
    }

    /// From an answer to the end of the stream, in milliseconds, 99 of 100. Not if a stream was never cut: its time is in no
    /// percentile.
    pub fn cut_p99_ms(&self) -> Option<f64> {
        self.0["latency_ms"]["p99"].as_f64().filter(|_| self.0["left_connected"] == 0)
    }

    /// All that it said.
    pub fn line(&self) -> String {
        self.0.to_string()
    }
}
