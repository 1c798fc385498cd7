//! The log of the simulation: committed entries, applied once as every member applies them.
//!
//! It does what the journal's state machine does: [`events::append::settle`] decides, an append that it has already is
//! recognised by its `append_id` (R7). Every fact goes through all invariants ([`events::invariants`]) on its way.
//!
//! Not here: how an entry comes to be committed ([`super::quorum`]), and bytes on a disk.
//!
//! **Invariant:** what was committed stays.

use std::{collections::HashMap, convert::Infallible, ops::Range, sync::Arc};

use events::{
    append::{Append, Last, Outcome, settle},
    fact::{Fact, Record},
    invariants::Auditor,
    node::{self, State},
    operator,
    stream::StreamName,
    views::Views,
    vocabulary::{AppendId, KeyHash, Principal, Timestamp},
};

use super::{
    fault::Fault,
    mistake::{Mistake, Mistakes},
};

/// Appends that a leader recorded as one entry, under its stamp.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The leader's clock.
    pub stamp: Timestamp,
    /// In their order.
    pub appends: Vec<Arc<Append>>,
}

/// A committed entry with what it brought.
#[derive(Debug)]
pub struct Applied {
    /// The facts: places in [`Log::records`].
    pub records: Range<usize>,
    /// What became of each append.
    pub outcomes: Vec<Outcome>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Log {
    /// All facts.
    pub records: Vec<Record>,
    /// All entries.
    pub entries: Vec<Applied>,
    /// The versions of all streams.
    versions: HashMap<StreamName, u64>,
    /// Which append gave a subject a version, and at which place.
    subjects: HashMap<(StreamName, u64), (AppendId, u64)>,
    auditor: Auditor,
}

impl Log {
    /// The views of all that is committed.
    pub fn views(&self) -> &Views {
        self.auditor.views()
    }

    /// Commits an entry and applies it. The faults of it, if any.
    pub fn commit(&mut self, entry: &Entry, mistakes: Mistakes) -> Vec<Fault> {
        let first = self.records.len();
        let mut faults = vec![];
        let mut outcomes = Vec::with_capacity(entry.appends.len());
        for append in &entry.appends {
            outcomes.push(self.apply(append, entry.stamp, mistakes, &mut faults));
        }
        self.entries.push(Applied { records: first..self.records.len(), outcomes });
        faults
    }

    fn apply(
        &mut self,
        append: &Append,
        stamp: Timestamp,
        mistakes: Mistakes,
        faults: &mut Vec<Fault>,
    ) -> Outcome {
        let Views { seq, recorded_at, level, .. } = *self.views();
        let last = Last { seq, recorded_at, level };
        let read = |name: &StreamName| Ok::<_, Infallible>(self.versions.get(name).copied().unwrap_or(0));
        let settled = if mistakes.has(Mistake::IgnoresVersions) {
            let mut blind = append.clone();
            blind.expects.iter_mut().for_each(|at| {
                let Ok(found) = read(&at.name);
                at.version = found;
            });
            settle(&blind, last, stamp, read)
        } else {
            settle(append, last, stamp, read)
        };
        let Ok(settled) = settled;
        match settled {
            Ok(records) => {
                let first_seq = seq + 1;
                let last_seq = seq + records.len() as u64;
                for record in records {
                    self.take(record, faults);
                }
                Outcome::Committed { first_seq, last_seq }
            }
            Err(refused @ (Outcome::Conflict { .. } | Outcome::Skewed)) => {
                let again =
                    if mistakes.has(Mistake::ForgetsWhatItRecorded) { None } else { self.repeated(append) };
                again.unwrap_or(refused)
            }
            Err(refused @ (Outcome::Malformed | Outcome::AboveLevel { .. } | Outcome::Committed { .. })) => {
                refused
            }
        }
    }

    fn take(&mut self, record: Record, faults: &mut Vec<Fault>) {
        for at in &record.streams {
            self.versions.insert(at.name.clone(), at.version);
        }
        if let Some(subject) = record.streams.first() {
            let brought = (record.append_id, record.seq);
            self.subjects.insert((subject.name.clone(), subject.version), brought);
        }
        faults.extend(self.asker_is_gone(&record).into_iter().chain(self.is_issued_twice(&record)));
        faults.extend(self.auditor.check(&record).into_iter().map(Fault::from));
        self.records.push(record);
    }

    /// What an operator orders who was revoked before is never recorded (R1).
    fn asker_is_gone(&self, record: &Record) -> Option<Fault> {
        let Principal::Operator(id) = &record.principal else { return None };
        let known = self.views().operators.get(id).map(|operator| &operator.state);
        let gone = known.and_then(operator::State::role).is_none();
        gone.then(|| Fault::new("askers_are_alive", format!("fact {} is of {id}, who is none", record.seq)))
    }

    /// A machine that asks again with its key gets the certificate that it has (R14 a, R15).
    fn is_issued_twice(&self, record: &Record) -> Option<Fault> {
        let Fact::Node(id, node::Event::CertificateIssued { certificate, .. }) = &record.fact else {
            return None;
        };
        let State::Active { current, .. } = &self.views().registry.node(id)?.state else { return None };
        let key: KeyHash = certificate.spki_sha256;
        let twice = current.certificate.spki_sha256 == key && !current.is_expired(record.decided_at);
        twice.then(|| {
            let message = format!("fact {} gives {id} a second certificate for one key", record.seq);
            Fault::new("one_certificate_a_request", message)
        })
    }

    /// The places of this very append, if it was recorded before: its first fact then gave its subject the version after
    /// the expected one.
    fn repeated(&self, append: &Append) -> Option<Outcome> {
        let subject = append.facts.first().map(Fact::subject)?;
        let expected = append.expects.iter().find(|at| at.name == subject)?.version;
        let (id, first_seq) = *self.subjects.get(&(subject, expected + 1))?;
        let last_seq = first_seq + (append.facts.len() as u64).saturating_sub(1);
        (id == append.append_id).then_some(Outcome::Committed { first_seq, last_seq })
    }
}
