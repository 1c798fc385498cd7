//! Verification: every fact's bytes, its link of the chain, every invariant after it, the heads of all streams, and that the
//! log does not end before it was last synced.
//!
//! `pact-replay verify` calls it, and whoever must know whether a log is sound: the chaos harness, the benches.
//!
//! Not here, on purpose: the comparison with another journal's log ([`crate::against`]), and the signatures of
//! certificates.
//!
//! **Invariant:** a log that cannot be read is an error, never a violation; what was not read is never called sound.

use std::path::Path;
use std::time::{Duration, Instant};

use events::codec::Chain;
use events::invariants::{Auditor, Violation};
use serde_json::{Value, json};

use crate::against::{Comparison, compare};
use crate::continuity::Continuity;
use crate::reader::{Ahead, Entry, LogError, ReadError, Reader};

/// Violations are listed up to this number and counted beyond: a log that is damaged throughout must not fill memory.
pub const MAX_LISTED: usize = 1000;

/// So many facts are looked at before they are checked: what they are checked against is looked up for all of them at once.
const BATCH: usize = 32;

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
    /// What the comparison with another log found, if one was asked for.
    pub against: Option<Comparison>,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn ok(&self) -> bool {
        self.violation_count == 0
    }

    /// The report as `verify -o json` prints it.
    pub fn to_json(&self) -> Value {
        let violation = |found: &Violation| json!({"seq": found.seq, "invariant": found.invariant, "message": found.message});
        let mut document = json!({
            "ok": self.ok(),
            "facts": self.facts,
            "head": self.head.map(|head| head.to_string()),
            "seconds": self.seconds(),
            "violations": self.violations.iter().map(violation).collect::<Vec<_>>(),
            "violation_count": self.violation_count,
        });
        if let Some(against) = &self.against {
            document["against"] = against.to_json();
        }
        document
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

/// Verifies a log as it is at the moment of the call: in a journal's data directory, or an exported file. Reads it once,
/// and keeps of it in memory only what the views keep.
///
/// # Errors
/// If it cannot be read to its end.
pub fn verify(log: &Path) -> Result<Report, LogError> {
    let started = Instant::now();
    let reader = Reader::open(log)?;
    let (mut report, _auditor) = check(&reader)?;
    report.duration = started.elapsed();
    Ok(report)
}

/// Verifies a log, and holds it against another one of the same domain: where both have a fact, it must be the same. The
/// other log is not verified beyond that.
///
/// # Errors
/// If either cannot be read to its end.
pub fn verify_against(log: &Path, other: &Path) -> Result<Report, LogError> {
    let started = Instant::now();
    let (reader, other) = (Reader::open(log)?, Reader::open(other)?);
    let (mut report, _auditor) = check(&reader)?;
    let compared = compare(&reader, &other)?;
    compared.violation().into_iter().for_each(|violation| report.add(violation));
    report.against = Some(compared);
    report.duration = started.elapsed();
    Ok(report)
}

/// Answers with the auditor too: to free what it knows of a million facts is no part of a verification.
fn check(reader: &Reader) -> Result<(Report, Auditor), LogError> {
    let (mut report, auditor) = reader.read_ahead(check_facts)??;
    if report.facts == 0 {
        let message = "the log has no first fact".to_owned();
        report.add(Violation { seq: 1, invariant: "sequence", message });
    }
    // Behind a violation the heads could only repeat what is known.
    if report.ok() {
        check_heads(reader, &auditor, &mut report)?;
    }
    let after = report.facts;
    let lost = reader.lost_end().map_err(|source| ReadError { after, source })?;
    if let Some(message) = lost {
        report.add(Violation { seq: after + 1, invariant: "synced", message });
    }
    Ok((report, auditor))
}

/// Checks facts as they come, in their order.
fn check_facts(ahead: &Ahead) -> Result<(Report, Auditor), LogError> {
    let mut report = Report::default();
    let mut auditor = Auditor::default();
    let mut continuity = Continuity::default();
    while let Some((facts, read)) = ahead.next() {
        for batch in facts.chunks(BATCH) {
            auditor.look_ahead(batch.iter().filter_map(|entry: &Entry| entry.record.as_deref()));
            for entry in batch {
                if report.ok() {
                    entry.is_of_this_release()?;
                }
                report.facts += 1;
                report.head = entry.chain.or(report.head);
                entry.violations().for_each(|violation| report.add(violation));
                continuity.check(entry).into_iter().for_each(|violation| report.add(violation));
                if let Some(record) = &entry.record {
                    auditor.check(record).into_iter().for_each(|violation| report.add(violation));
                }
            }
        }
        ahead.give_back(facts);
        read?;
    }
    Ok((report, auditor))
}

fn check_heads(reader: &Reader, auditor: &Auditor, report: &mut Report) -> Result<(), ReadError> {
    let found = reader.compare_heads(auditor).map_err(|source| ReadError { after: report.facts, source })?;
    for disagreement in found {
        let (seq, message) = (disagreement.seq, disagreement.message);
        report.add(Violation { seq, invariant: "heads", message });
    }
    Ok(())
}
