//! Verification: every fact's bytes, its link of the chain, every invariant after it, and the heads of all streams.
//!
//! `pact-replay verify` calls it, and whoever must know whether a log is sound: the chaos harness, the benches.
//!
//! Not here, on purpose: the comparison with another journal's log, and the signatures of certificates.
//!
//! **Invariant:** a log that cannot be read is an error, never a violation; what was not read is never called sound.

use std::path::Path;
use std::time::{Duration, Instant};

use events::codec::Chain;
use events::invariants::{Auditor, Violation};
use serde_json::{Value, json};

use crate::reader::{OpenError, ReadError, Reader, StreamSum};

/// Violations are listed up to this number and counted beyond: a log that is damaged throughout must not fill memory.
pub const MAX_LISTED: usize = 1000;

/// Why a log cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A later release wrote it (R26).
    #[error("fact {seq} has format {format}, which is not known to this release; upgrade")]
    LaterFormat {
        /// The first such fact.
        seq: u64,
        /// Its format.
        format: u8,
    },
}

/// What a verification found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// How many facts were read.
    pub facts: u64,
    /// The last link of the chain. None if there is no fact.
    pub head: Option<Chain>,
    /// How long it took, opening included.
    pub duration: Duration,
    /// The violations, at most [`MAX_LISTED`] of them.
    pub violations: Vec<Violation>,
    /// How many violations there are in all.
    pub violation_count: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn ok(&self) -> bool {
        self.violation_count == 0
    }

    /// The report as `verify -o json` prints it.
    pub fn to_json(&self) -> Value {
        let violation = |found: &Violation| json!({"seq": found.seq, "invariant": found.invariant, "message": found.message});
        json!({
            "ok": self.ok(),
            "facts": self.facts,
            "head": self.head.map(|head| head.to_string()),
            "seconds": self.seconds(),
            "violations": self.violations.iter().map(violation).collect::<Vec<_>>(),
            "violation_count": self.violation_count,
        })
    }

    /// How long it took, in seconds with three decimals.
    pub fn seconds(&self) -> f64 {
        (self.duration.as_secs_f64() * 1000.0).round() / 1000.0
    }

    fn add(&mut self, violation: Violation) {
        self.violation_count += 1;
        if self.violations.len() < MAX_LISTED {
            self.violations.push(violation);
        }
    }
}

/// Verifies the log in a journal's data directory, as it is at the moment of the call. Reads it once, and keeps of it
/// in memory only what the views keep.
pub fn verify(data_dir: &Path) -> Result<Report, VerifyError> {
    let started = Instant::now();
    let reader = Reader::open(data_dir)?;
    let mut report = Report::default();
    let mut auditor = Auditor::default();
    let mut streams = StreamSum::default();
    for entry in reader.facts() {
        let entry = entry?;
        if let (Some(format), true) = (entry.later_format(), report.ok()) {
            return Err(VerifyError::LaterFormat { seq: entry.seq, format });
        }
        report.facts += 1;
        report.head = entry.chain.or(report.head);
        entry.violations().for_each(|violation| report.add(violation));
        if let Some(record) = &entry.record {
            streams.add(record);
            auditor.check(record).into_iter().for_each(|violation| report.add(violation));
        }
    }
    if report.facts == 0 {
        let message = "the log has no first fact".to_owned();
        report.add(Violation { seq: 1, invariant: "sequence", message });
    }
    // Behind a violation the heads could only repeat what is known.
    if report.ok() {
        check_heads(&reader, &streams, &mut report)?;
    }
    report.duration = started.elapsed();
    Ok(report)
}

fn check_heads(reader: &Reader, streams: &StreamSum, report: &mut Report) -> Result<(), ReadError> {
    let found = reader.compare_heads(streams).map_err(|source| ReadError { after: report.facts, source })?;
    for disagreement in found {
        let (seq, message) = (disagreement.seq, disagreement.message);
        report.add(Violation { seq, invariant: "heads", message });
    }
    Ok(())
}
