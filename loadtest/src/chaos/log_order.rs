//! The log of a run as the order in which all of it happened: read from an export, folded by the rules of `events`.
//!
//! [`super::oracles`] compare with it what clients were told.
//!
//! Not here, on purpose: the store's bytes. `pact-replay` reads those, and verifies them.
//!
//! **Invariant:** what stands here is what one journal had on disk when it had stopped.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use events::{
    codec::{StoredValue, decode_body, export_line},
    fact::{Fact, Record},
    node::State,
    views::Views,
};
use proto::{outcome::Failure, pb::NodeState};
use tokio::process::Command;

use super::history::NodeTold;
use crate::siblings;

/// See the module.
#[derive(Debug, Default)]
pub struct LogOrder {
    /// All facts, the first at place 0.
    pub records: Vec<Record>,
    /// The lines as they were exported.
    pub lines: Vec<Vec<u8>>,
    nodes: BTreeMap<String, Vec<(u64, NodeTold)>>,
    serials: BTreeMap<String, u64>,
}

impl LogOrder {
    /// Exports the log of a stopped journal and reads it.
    ///
    /// # Errors
    /// If `pact-replay` cannot export it.
    pub async fn read(data_dir: &Path, to: &Path) -> Result<Self, Failure> {
        let done = Command::new(siblings::find("pact-replay")?)
            .arg("export")
            .arg(data_dir)
            .args(["--format", "jsonl", "--out"])
            .arg(to)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| Failure::other(format!("pact-replay cannot be started: {error}")))?;
        if !done.status.success() {
            let words = String::from_utf8_lossy(&done.stderr);
            return Err(Failure::Violation(format!("a log cannot be exported: {}", words.trim())));
        }
        let order = Self::parse(to);
        fs::remove_file(to).ok();
        order
    }

    fn parse(file: &Path) -> Result<Self, Failure> {
        let failed = |why: String| Failure::other(format!("{}: {why}", file.display()));
        let reader = BufReader::new(File::open(file).map_err(|error| failed(error.to_string()))?);
        let (mut order, mut views, mut value) = (Self::default(), Views::default(), Vec::new());
        for line in reader.split(b'\n') {
            let line = line.map_err(|error| failed(error.to_string()))?;
            export_line::take_apart(&line, &mut value).map_err(|error| failed(error.to_string()))?;
            let stored = StoredValue::parse(&value).map_err(|error| failed(error.to_string()))?;
            let record = decode_body(stored.body).map_err(|error| failed(error.to_string()))?;
            views.refold(&record);
            order.take(record, &views);
            order.lines.push(line);
        }
        Ok(order)
    }

    fn take(&mut self, record: Record, views: &Views) {
        if let Fact::Node(id, event) = &record.fact {
            let state = views.registry.node(id).map(|node| &node.state);
            let told = shown(state.unwrap_or(&State::Unknown), record.subject_version());
            self.nodes.entry(id.to_string()).or_default().push((record.seq, told));
            if let events::node::Event::CertificateIssued { certificate, .. } = event {
                self.serials.insert(certificate.serial.to_string(), record.seq);
            }
        }
        self.records.push(record);
    }

    /// The last fact.
    pub fn last(&self) -> u64 {
        self.records.len() as u64
    }

    /// A fact by its place.
    pub fn record(&self, seq: u64) -> Option<&Record> {
        let at = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.records.get(at)
    }

    /// The facts up to one of them, which is among them.
    pub fn up_to(&self, seq: u64) -> &[Record] {
        let count = usize::try_from(seq).unwrap_or(usize::MAX).min(self.records.len());
        &self.records[..count]
    }

    /// The fact that brought a certificate.
    pub fn issued(&self, serial: &str) -> Option<u64> {
        self.serials.get(serial).copied()
    }

    /// How it stood with a node after a fact; none: nothing was known of it.
    pub fn node_at(&self, node: &str, seq: u64) -> Option<&NodeTold> {
        let all = self.nodes.get(node)?;
        let behind = all.partition_point(|(at, _)| *at <= seq);
        all.get(behind.checked_sub(1)?).map(|(_, told)| told)
    }

    /// How it stood with a node at some time between two facts: at the first, and after each change up to the second.
    pub fn node_between(&self, node: &str, from: u64, to: u64) -> impl Iterator<Item = Option<&NodeTold>> {
        let all = self.nodes.get(node).map(Vec::as_slice).unwrap_or_default();
        let changes =
            all.iter().filter(move |(at, _)| (from + 1..=to).contains(at)).map(|(_, told)| Some(told));
        std::iter::once(self.node_at(node, from)).chain(changes)
    }

    /// All nodes that were ever told of.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }
}

/// As an answer shows it.
fn shown(state: &State, version: u64) -> NodeTold {
    let serial = state.current().map(|held| held.certificate.serial.to_string());
    let vcluster = state.vcluster().map(ToString::to_string);
    let state = match state {
        State::Unknown => NodeState::Unspecified,
        State::Registered { .. } => NodeState::Registered,
        State::Active { .. } => NodeState::Active,
        State::Inactive { .. } => NodeState::Inactive,
        State::Revoked { .. } => NodeState::Revoked,
    };
    NodeTold { state, version, serial, vcluster }
}
