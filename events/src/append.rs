//! An append: one atomic set of facts, with the versions of all streams that its decision wrote and read (R1).
//!
//! A journal proposes it, the leader batches it, every member applies it. [`settle`] is the whole of what `apply`
//! decides: whether the expected versions are the actual ones. It reads no clock and draws no number.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fact::{Fact, Record};
use crate::level::{self, AboveLevel, Level};
use crate::stream::{MAX_STREAMS, StreamName, StreamVersion};
use crate::vocabulary::{AppendId, Assurance, JournalId, Principal, Remark, RemarkHash, Timestamp};

/// An append decided longer than this before or after the time that its facts would get is rejected (R24).
pub const MAX_SKEW: Duration = Duration::from_secs(60);

/// Facts of one append, at most: a decision about one subject never has more.
pub const MAX_FACTS: usize = 16;

/// See the module. Travels in Raft entries; **stored** there (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// Random; the same when the same append is sent again (R7).
    pub append_id: AppendId,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Who is answerable.
    pub principal: Principal,
    /// The journal that decided.
    pub proposed_by: JournalId,
    /// From where it was asked.
    pub source: Option<RemarkHash>,
    /// How sure the journal was of a node's identity.
    pub assurance: Option<Assurance>,
    /// The version that each stream had when it was decided: of all that it writes and all that it read.
    pub expects: Vec<StreamVersion>,
    /// What shall be recorded.
    pub facts: Vec<Fact>,
    /// The texts behind the hashes in source and facts (R4).
    pub remarks: Vec<Remark>,
}

/// Why an append is malformed. A mistake of the journal that made it, found before it is proposed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppend {
    /// Nothing to record, or more than [`MAX_FACTS`].
    #[error("an append has 1 to {MAX_FACTS} facts, not {facts}")]
    Facts {
        /// How many it has.
        facts: usize,
    },
    /// A fact in too many streams.
    #[error("a fact lies in at most {MAX_STREAMS} streams, not {streams}")]
    Streams {
        /// In how many.
        streams: usize,
    },
    /// A stream is written whose version was not read.
    #[error("the append writes {stream} without expecting a version of it")]
    Unread {
        /// Which.
        stream: StreamName,
    },
}

impl Append {
    /// Checks what every member relies on.
    pub fn check(&self) -> Result<(), InvalidAppend> {
        if !(1..=MAX_FACTS).contains(&self.facts.len()) {
            return Err(InvalidAppend::Facts { facts: self.facts.len() });
        }
        for fact in &self.facts {
            let streams = fact.streams();
            if streams.len() > MAX_STREAMS {
                return Err(InvalidAppend::Streams { streams: streams.len() });
            }
            if let Some(stream) = streams.into_iter().find(|name| !self.expects_any(name)) {
                return Err(InvalidAppend::Unread { stream });
            }
        }
        Ok(())
    }

    fn expects_any(&self, name: &StreamName) -> bool {
        self.expects.iter().any(|at| at.name == *name)
    }

    /// The texts that lie beside one of its facts: of the fact's own remark and of the source.
    pub fn remarks_of(&self, record: &Record) -> Vec<Remark> {
        let held = [record.fact.remark(), record.source];
        self.remarks.iter().filter(|remark| held.contains(&Some(remark.hash()))).cloned().collect()
    }
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its facts have these places, first to last.
    Committed {
        /// The first.
        first_seq: u64,
        /// The last.
        last_seq: u64,
    },
    /// A stream has another version than expected; nothing was recorded.
    Conflict {
        /// The first such stream.
        stream: StreamName,
        /// What the append expected.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// It was decided more than [`MAX_SKEW`] from the leader's stamp, or from the last fact if that is later; nothing
    /// was recorded (R24).
    Skewed,
    /// It is malformed ([`Append::check`]); nothing was recorded.
    Malformed,
    /// One of its facts needs a higher format level than the log has; nothing was recorded (R26).
    AboveLevel {
        /// The level that it needs.
        needs: Level,
        /// The log's.
        level: Level,
    },
}

/// The end of the facts, which an append follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Last {
    /// The place of the last fact; 0: there is none.
    pub seq: u64,
    /// Its time.
    pub recorded_at: Timestamp,
    /// The log's format level behind it.
    pub level: Level,
}

impl Last {
    /// Behind a fact which follows this end, or a later one.
    pub fn behind(self, record: &Record) -> Self {
        let level = level::after(self.level, &record.fact).unwrap_or(self.level);
        Self { seq: record.seq, recorded_at: record.recorded_at, level }
    }
}

/// Settles an append against the actual versions: the records that it brings, or why it brings none.
///
/// `version` answers the actual version of a stream; an error of it (the
/// store cannot be read) is passed on.
pub fn settle<E>(
    append: &Append,
    last: Last,
    stamp: Timestamp,
    mut version: impl FnMut(&StreamName) -> Result<u64, E>,
) -> Result<Result<Vec<Record>, Outcome>, E> {
    if append.check().is_err() {
        return Ok(Err(Outcome::Malformed));
    }
    // Against the time that the facts would get: after a fact from the future, and until then, nothing is recorded.
    // Otherwise its views would forget at once what they learn.
    let recorded_at = stamp.max(last.recorded_at);
    let away = |from| append.decided_at.distance(from) > MAX_SKEW;
    if away(stamp) || away(recorded_at) {
        return Ok(Err(Outcome::Skewed));
    }
    if let Err(AboveLevel { needs, level }) = level::after_all(last.level, &append.facts) {
        return Ok(Err(Outcome::AboveLevel { needs, level }));
    }
    let mut versions = BTreeMap::new();
    for StreamVersion { name, version: expected } in &append.expects {
        let found = version(name)?;
        if found != *expected {
            return Ok(Err(Outcome::Conflict { stream: name.clone(), expected: *expected, found }));
        }
        versions.insert(name, found);
    }
    let mut records = Vec::with_capacity(append.facts.len());
    for (seq, fact) in (last.seq + 1..).zip(&append.facts) {
        let place = |name: StreamName| {
            let version = versions.get_mut(&name).map_or(0, |version| {
                *version += 1;
                *version
            });
            StreamVersion { name, version }
        };
        records.push(Record {
            seq,
            streams: fact.streams().into_iter().map(place).collect(),
            append_id: append.append_id,
            decided_at: append.decided_at,
            recorded_at,
            principal: append.principal.clone(),
            proposed_by: append.proposed_by.clone(),
            source: append.source,
            assurance: append.assurance,
            fact: fact.clone(),
        });
    }
    Ok(Ok(records))
}

#[cfg(test)]
mod tests;
