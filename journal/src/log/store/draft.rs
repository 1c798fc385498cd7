//! What one Raft entry brings, put together before anything of it is written: the facts of those of its appends whose
//! versions are the actual ones.
//!
//! The state machine makes one for each entry. It compares versions (R1), recognises repetitions (R7), links the chain
//! (R6) and erases remarks (R4); it decides nothing, reads no clock and draws no number. All members come to the same.
//!
//! **Invariant:** an append is in the draft with all its facts or not at all; a later append of the entry sees the
//! facts of the earlier ones.

use std::collections::{BTreeMap, HashMap};

use events::append::{Append, Last, Outcome, settle};
use events::codec::{Chain, EncodeError, StoredValue, encode_body, keys};
use events::domain;
use events::fact::{Fact, Record};
use events::level::{self, Level};
use events::stream::StreamName;
use events::vocabulary::{OverlayHash, RemarkHash, Timestamp};
use rocksdb::WriteBatch;

use super::super::errors::StoreError;
use super::super::types::{Blob, Position};
use super::{Head, Store};

/// The end of the facts: what the next one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::log) struct Tip {
    /// The last fact, and the chain up to it.
    pub position: Position,
    /// Its time.
    pub recorded_at: Timestamp,
    /// The log's format level behind it (R26).
    pub level: Level,
}

impl Tip {
    /// Behind the fact that follows, with its link of the chain.
    pub(in crate::log) fn behind(self, record: &Record, chain: Chain) -> Self {
        // What stands in the log was admitted when it was recorded.
        let level = level::after(self.level, &record.fact).unwrap_or(self.level);
        Self { position: Position { seq: record.seq, chain }, recorded_at: record.recorded_at, level }
    }
}

/// See the module.
pub(super) struct Draft<'a> {
    store: &'a Store,
    tip: Tip,
    /// Of the streams that have new facts.
    heads: HashMap<StreamName, Head>,
    /// As the store has them: most appends of an entry read the same authority.
    stored_heads: HashMap<StreamName, Head>,
    /// The new facts.
    records: Vec<Record>,
    /// The stored values: of the new facts, and of older ones from which a remark is erased.
    values: BTreeMap<u64, Vec<u8>>,
    /// The overlays that came with the entry.
    overlays: BTreeMap<OverlayHash, &'a [u8]>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(store: &'a Store, tip: Tip, overlays: &'a [Blob]) -> Self {
        let overlays = overlays.iter().map(|bytes| (OverlayHash::of(&bytes.0), bytes.0.as_slice()));
        let overlays = overlays.collect();
        let (heads, stored_heads) = (HashMap::new(), HashMap::new());
        Self { store, tip, heads, stored_heads, records: Vec::new(), values: BTreeMap::new(), overlays }
    }

    /// Takes an append in, or says why not. An error is of the store; nothing may be written then.
    pub(super) fn append(&mut self, append: &Append, stamp: Timestamp) -> Result<Outcome, StoreError> {
        if self.lacks_an_overlay(append)? {
            return Ok(Outcome::Malformed);
        }
        #[cfg(feature = "planted-bugs")]
        let append = &self.as_it_would_fit(append)?;
        let Tip { position, recorded_at, level } = self.tip;
        let last = Last { seq: position.seq, recorded_at, level };
        let settled = settle(append, last, stamp, |stream| self.head(stream).map(|head| head.version))?;
        match settled {
            Ok(records) => match values(&records, append, self.tip.position.chain) {
                Ok((values, chain)) => self.record(records, values, chain),
                // No reader would accept these bytes, so no writer commits them. The journal checked before; only a
                // mistake of it comes here.
                Err(_) => Ok(Outcome::Malformed),
            },
            Err(refused @ (Outcome::Conflict { .. } | Outcome::Skewed)) => {
                Ok(self.repeated(append)?.unwrap_or(refused))
            }
            Err(refused @ (Outcome::Malformed | Outcome::AboveLevel { .. } | Outcome::Committed { .. })) => {
                Ok(refused)
            }
        }
    }

    #[cfg(feature = "planted-bugs")]
    fn as_it_would_fit(&mut self, append: &Append) -> Result<Append, StoreError> {
        let mut fitting = append.clone();
        if crate::planted::is(crate::planted::Bug::SkipVersionCheck) {
            for expected in &mut fitting.expects {
                expected.version = self.head(&expected.name)?.version;
            }
        }
        Ok(fitting)
    }

    /// Takes in a fact that another member recorded, with its stored value; `tip` is the end behind it. Whether the
    /// overlay that it names is there.
    pub(super) fn adopt(&mut self, record: Record, value: Vec<u8>, tip: Tip) -> Result<bool, StoreError> {
        if let Some(overlay) = record.overlay()
            && !self.overlays.contains_key(&overlay.sha256)
            && self.store.overlay(&overlay.sha256)?.is_none()
        {
            return Ok(false);
        }
        self.enter(record, value, tip)?;
        Ok(true)
    }

    fn enter(&mut self, record: Record, value: Vec<u8>, tip: Tip) -> Result<(), StoreError> {
        for at in &record.streams {
            self.heads.insert(at.name.clone(), Head { version: at.version, seq: record.seq });
        }
        self.values.insert(record.seq, value);
        self.tip = tip;
        if let Fact::Domain(domain::Event::RemarkErased { seq, remark }) = &record.fact {
            self.erase(*seq, *remark)?;
        }
        self.records.push(record);
        Ok(())
    }

    /// All that is to be written.
    pub(super) fn batch(&self) -> WriteBatch {
        let mut batch = WriteBatch::default();
        for (seq, value) in &self.values {
            batch.put_cf(self.store.column(keys::FACTS), keys::fact(*seq), value);
        }
        // In the order of their keys, as the facts already are: RocksDB then finds each one's place beside the last one's.
        let mut heads: Vec<_> = self.heads.iter().map(|(stream, head)| (keys::head(stream), head)).collect();
        heads.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (key, head) in heads {
            batch.put_cf(self.store.column(keys::HEADS), key, head.to_bytes());
        }
        for overlay in self.records.iter().filter_map(Record::overlay) {
            // One that did not come with the entry is there from earlier.
            if let Some(bytes) = self.overlays.get(&overlay.sha256) {
                batch.put_cf(self.store.column(keys::OVERLAYS), overlay.sha256.as_bytes(), bytes);
            }
        }
        let subject = |record: &Record| {
            let subject = record.streams.first()?;
            Some((keys::subject(&subject.name, subject.version), record.seq))
        };
        let mut subjects: Vec<_> = self.records.iter().filter_map(subject).collect();
        subjects.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (key, seq) in subjects {
            batch.put_cf(self.store.column(keys::SUBJECTS), key, keys::fact(seq));
        }
        batch
    }

    /// The new facts, and what follows them.
    pub(super) fn finish(self) -> (Vec<Record>, Tip) {
        (self.records, self.tip)
    }

    /// A fact that names bytes which no member could show is not recorded.
    fn lacks_an_overlay(&self, append: &Append) -> Result<bool, StoreError> {
        for overlay in append.facts.iter().filter_map(Fact::overlay) {
            let size = match self.overlays.get(&overlay.sha256) {
                Some(bytes) => Some(bytes.len()),
                None => self.store.overlay(&overlay.sha256)?.map(|bytes| bytes.len()),
            };
            if size != usize::try_from(overlay.size).ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn head(&mut self, stream: &StreamName) -> Result<Head, StoreError> {
        if let Some(head) = self.heads.get(stream).or_else(|| self.stored_heads.get(stream)) {
            return Ok(*head);
        }
        let head = self.store.head(stream)?;
        self.stored_heads.insert(stream.clone(), head);
        Ok(head)
    }

    fn record(
        &mut self,
        records: Vec<Record>,
        values: Vec<Vec<u8>>,
        chain: Chain,
    ) -> Result<Outcome, StoreError> {
        let first_seq = self.tip.position.seq + 1;
        for (record, value) in records.into_iter().zip(values) {
            let tip = self.tip.behind(&record, chain);
            self.enter(record, value, tip)?;
        }
        Ok(Outcome::Committed { first_seq, last_seq: self.tip.position.seq })
    }

    /// Drops a remark's text from the tail of its fact; the chain does not cover it (R4). A fact that is not there has
    /// none.
    fn erase(&mut self, seq: u64, remark: RemarkHash) -> Result<(), StoreError> {
        let stored;
        let value = match self.values.get(&seq) {
            Some(value) => Some(value),
            None => {
                stored = self.store.get(keys::FACTS, keys::fact(seq))?;
                stored.as_ref()
            }
        };
        let Some(value) = value else { return Ok(()) };
        let erased = StoredValue::parse(value).and_then(|value| value.without(remark));
        let erased = erased.map_err(|source| StoreError::Decode { what: "a fact with a remark", source })?;
        self.values.insert(seq, erased);
        Ok(())
    }

    /// The places of the facts of this very append, if it was recorded before (R7): its first fact then gave its
    /// subject the version after the expected one.
    fn repeated(&self, append: &Append) -> Result<Option<Outcome>, StoreError> {
        let Some(subject) = append.facts.first().map(Fact::subject) else { return Ok(None) };
        let Some(expected) = append.expects.iter().find(|at| at.name == subject) else { return Ok(None) };
        // Versions are data of a caller; the greatest has no successor.
        let Some(version) = expected.version.checked_add(1) else { return Ok(None) };
        let brought = |record: &&Record| {
            record.streams.first().is_some_and(|at| at.name == subject && at.version == version)
        };
        let first = match self.records.iter().find(brought) {
            Some(record) => Some((record.append_id, record.seq)),
            None => self.recorded(&subject, version)?,
        };
        let Some((_, first_seq)) = first.filter(|(id, _)| *id == append.append_id) else { return Ok(None) };
        let last_seq = first_seq + (append.facts.len() as u64).saturating_sub(1);
        // Half an append is no state that any entry leaves behind.
        if last_seq > self.tip.position.seq {
            return Err(StoreError::Absent { what: "the rest of an append" });
        }
        Ok(Some(Outcome::Committed { first_seq, last_seq }))
    }

    fn recorded(
        &self,
        subject: &StreamName,
        version: u64,
    ) -> Result<Option<(events::vocabulary::AppendId, u64)>, StoreError> {
        let Some(seq) = self.store.subject(subject, version)? else { return Ok(None) };
        Ok(self.store.record(seq)?.map(|(record, ..)| (record.append_id, record.seq)))
    }
}

/// The stored values of new facts, and the chain after the last.
fn values(
    records: &[Record],
    append: &Append,
    mut chain: Chain,
) -> Result<(Vec<Vec<u8>>, Chain), EncodeError> {
    let mut values = Vec::with_capacity(records.len());
    for record in records {
        let body = encode_body(record)?;
        chain = chain.next(&body);
        values.push(StoredValue::write(&chain, &body, &append.remarks_of(record))?);
    }
    Ok((values, chain))
}
