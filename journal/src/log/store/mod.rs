//! The one RocksDB of a journal: Raft log, Raft state, facts, heads of streams, index of subjects, overlays.
//!
//! [`raft_log`] writes entries and votes, synced; [`state_machine`] writes what they bring, one batch an entry, not
//! synced. Both go through one write-ahead log, which keeps their order on disk: whatever is synced, all that was written
//! before is on disk too, and what is lost of the facts at a power cut is applied again from the Raft log.
//!
//! Not here: what is right and what is not ([`mod@super::check`]).

pub(super) mod continuation;
mod draft;
mod options;
pub(super) mod piece;
pub(super) mod raft_log;
mod recent;
pub(super) mod state_machine;
pub(super) mod takeover;

use std::path::Path;
use std::sync::Arc;

use events::codec::{Chain, StoredValue, decode_body, keys};
use events::fact::Record;
use events::stream::StreamName;
use events::vocabulary::{OverlayHash, Remark};
use openraft::{AnyError, ErrorSubject, ErrorVerb, StorageIOError};
use rocksdb::{
    ColumnFamily, DB, DBRawIterator, FlushOptions, IteratorMode, ReadOptions, WriteBatch, WriteOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::broken::{Broken, in_one_line};
use super::errors::StoreError;
use super::stored;
use super::types::Failure;

/// Keys of the column family `raft_state`.
pub(super) mod state {
    /// [`super::stored::StoredFounding`]
    pub(in crate::log) const FOUNDING: &str = "founding";
    /// [`super::stored::StoredMember`]
    pub(in crate::log) const MEMBER: &str = "member";
    /// [`super::stored::StoredVote`]
    pub(in crate::log) const VOTE: &str = "vote";
    /// [`super::stored::StoredPlace`] of the last entry that was purged.
    pub(in crate::log) const PURGED: &str = "purged";
    /// [`super::stored::StoredApplied`]
    pub(in crate::log) const APPLIED: &str = "applied";
    /// [`super::stored::StoredTaken`]
    pub(in crate::log) const TAKEN: &str = "taken";
    /// [`super::stored::StoredMembership`]
    pub(in crate::log) const MEMBERSHIP: &str = "membership";
}

/// RocksDB reads this many bytes ahead of a walk: few reads, into memory that is used again and stays in the processor's
/// cache. The allocator takes larger pieces from the system, and each page of them anew.
const READAHEAD_BYTES: usize = 120 << 10;

/// Key and value.
pub(super) type Row = (Box<[u8]>, Box<[u8]>);

/// Key and value where they lie.
type RowInPlace<'a> = (&'a [u8], &'a [u8]);

/// The last version of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// How many facts it has.
    pub version: u64,
    /// The place of the last.
    pub seq: u64,
}

impl Head {
    /// Reads the stored bytes: version ‖ seq.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        Some(Self { version: u64::from_be_bytes(*version), seq: keys::seq(rest)? })
    }

    fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.version.to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }
}

/// See [`Store::walk`].
pub(super) struct Walk<'a> {
    rows: DBRawIterator<'a>,
    /// Whether the row on which it stands was told already.
    taken: bool,
}

impl Walk<'_> {
    /// Key and value of the next row; none: that was the last.
    pub(super) fn next(&mut self) -> Result<Option<RowInPlace<'_>>, StoreError> {
        if std::mem::replace(&mut self.taken, true) {
            self.rows.next();
        }
        if !self.rows.valid() {
            self.taken = false;
            return self.rows.status().map(|()| None).map_err(StoreError::Rocks);
        }
        Ok(self.rows.item())
    }
}

/// See the module.
pub(super) struct Store {
    db: DB,
    broken: Arc<Broken>,
}

impl Store {
    /// Makes a new one in a directory that does not exist.
    pub(super) fn create(dir: &Path, broken: Arc<Broken>) -> Result<Self, StoreError> {
        Self::opened(DB::open_cf_descriptors(&options::database(true), dir, options::columns()), broken)
    }

    /// Opens one to write.
    pub(super) fn open(dir: &Path, broken: Arc<Broken>) -> Result<Self, StoreError> {
        Self::opened(DB::open_cf_descriptors(&options::database(false), dir, options::columns()), broken)
    }

    /// Opens one to read. Takes no lock and writes nothing.
    pub(super) fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        let options = options::database(false);
        let db = DB::open_cf_descriptors_read_only(&options, dir, options::columns(), false);
        Self::opened(db, Arc::new(Broken::new()))
    }

    /// From now on this hears when it fails.
    pub(super) fn reports_to(&mut self, broken: Arc<Broken>) {
        self.broken = broken;
    }

    fn opened(db: Result<DB, rocksdb::Error>, broken: Arc<Broken>) -> Result<Self, StoreError> {
        let db = db.map_err(StoreError::Rocks)?;
        match keys::ALL.into_iter().find(|name| db.cf_handle(name).is_none()) {
            None => Ok(Self { db, broken }),
            Some(what) => Err(StoreError::Absent { what }),
        }
    }

    fn column(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("all column families were found when the store was opened")
    }

    /// The bytes under a key.
    fn get(&self, column: &str, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(self.column(column), key).map_err(StoreError::Rocks)
    }

    /// One of the values of [`state`].
    pub(super) fn state<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, StoreError> {
        let bytes = self.get(keys::RAFT_STATE, key)?;
        let read = |bytes: Vec<u8>| stored::read(&bytes);
        bytes.map(read).transpose().map_err(|source| StoreError::Decode { what: key, source })
    }

    /// Puts one of the values of [`state`] into a batch.
    pub(super) fn put_state(
        &self,
        batch: &mut WriteBatch,
        key: &'static str,
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let bytes = stored::write(value).map_err(|source| StoreError::Encode { what: key, source })?;
        batch.put_cf(self.column(keys::RAFT_STATE), key, bytes);
        Ok(())
    }

    /// The last version of a stream; version 0 if nothing lies in it.
    pub(super) fn head(&self, stream: &StreamName) -> Result<Head, StoreError> {
        match self.get(keys::HEADS, keys::head(stream))? {
            None => Ok(Head::default()),
            Some(bytes) => Head::parse(&bytes).ok_or(StoreError::Absent { what: "the head of a stream" }),
        }
    }

    /// The place of one version of a subject's stream.
    fn subject(&self, stream: &StreamName, version: u64) -> Result<Option<u64>, StoreError> {
        let place = self.get(keys::SUBJECTS, keys::subject(stream, version))?;
        Ok(place.as_deref().and_then(keys::seq))
    }

    /// A fact, with the remarks that were not erased and its link of the chain.
    pub(super) fn record(&self, seq: u64) -> Result<Option<(Record, Vec<Remark>, Chain)>, StoreError> {
        let Some(value) = self.get(keys::FACTS, keys::fact(seq))? else { return Ok(None) };
        let read = || {
            let value = StoredValue::parse(&value)?;
            Ok(Some((decode_body(value.body)?, value.remarks()?, value.chain)))
        };
        read().map_err(|source| StoreError::Decode { what: "a fact", source })
    }

    /// The bytes of an overlay.
    pub(super) fn overlay(&self, sha256: &OverlayHash) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(keys::OVERLAYS, sha256.as_bytes())
    }

    /// All of a column family in the order of its keys, from a key on; checksums are checked, caches left alone.
    pub(super) fn scan(&self, column: &str, from: &[u8]) -> impl Iterator<Item = Result<Row, StoreError>> {
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        read.set_verify_checksums(true);
        let mode = IteratorMode::From(from, rocksdb::Direction::Forward);
        let rows = self.db.iterator_cf_opt(self.column(column), read, mode);
        rows.map(|row| row.map_err(StoreError::Rocks))
    }

    /// All of a column family in the order of its keys, each row where it lies: for whoever reads millions of them.
    pub(super) fn walk(&self, column: &str) -> Walk<'_> {
        self.walk_from(column, &[])
    }

    /// [`Store::walk`], from a key on.
    pub(super) fn walk_from(&self, column: &str, from: &[u8]) -> Walk<'_> {
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        read.set_verify_checksums(true);
        read.set_readahead_size(READAHEAD_BYTES);
        let mut rows = self.db.raw_iterator_cf_opt(self.column(column), read);
        rows.seek(from);
        Walk { rows, taken: false }
    }

    /// The last row of a column family.
    fn last(&self, column: &str) -> Result<Option<Row>, StoreError> {
        let mut rows = self.db.iterator_cf(self.column(column), IteratorMode::End);
        rows.next().transpose().map_err(StoreError::Rocks)
    }

    /// Writes a batch and waits until it, and all that was written before, is on disk.
    pub(super) fn write_synced(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        crate::metrics::synced(|| self.db.write_opt(batch, &options)).map_err(StoreError::Rocks)
    }

    /// Writes a batch; the next synced one takes it to disk.
    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.db.write(batch).map_err(StoreError::Rocks)
    }

    /// From now on much is written at once, or no more: the write buffers of facts and what follows from them are larger
    /// meanwhile. Nothing depends on it but time.
    pub(super) fn expect_much(&self, much: bool) {
        for column in [keys::FACTS, keys::HEADS, keys::SUBJECTS] {
            let bytes = options::buffer_bytes(column, much).to_string();
            let set = self.db.set_options_cf(self.column(column), &[("write_buffer_size", &bytes)]);
            if let Err(error) = set {
                tracing::warn!(column, %error, "the size of a write buffer could not be set");
            }
        }
        if !much {
            self.begin_to_flush();
        }
    }

    /// Has the write buffers emptied, so that large ones do not stay. Nobody waits for it: what is in them lies in the
    /// write-ahead log.
    fn begin_to_flush(&self) {
        let mut options = FlushOptions::default();
        options.set_wait(false);
        for column in [keys::FACTS, keys::HEADS, keys::SUBJECTS] {
            if let Err(error) = self.db.flush_cf_opt(self.column(column), &options) {
                tracing::warn!(column, %error, "the log could not be flushed");
            }
        }
    }

    /// Empties the write buffers, so that the next start reads no write-ahead log.
    pub(super) fn flush(&self) {
        for column in keys::ALL {
            if let Err(error) = self.db.flush_cf(self.column(column)) {
                // Nothing is lost: it lies in the write-ahead log.
                tracing::warn!(column, %error, "the log could not be flushed");
            }
        }
    }

    /// The facts of another member were not what it said: Raft must stop, for nobody knows which of the two is wrong.
    fn fail_to_take_over(&self, error: &takeover::TakeOverError) -> Failure {
        let line = in_one_line(error);
        let failure =
            StorageIOError::new(ErrorSubject::Snapshot(None), ErrorVerb::Write, AnyError::error(&line));
        self.broken.report(line);
        failure.into()
    }

    /// Tells everybody that the store failed, and Raft that it must stop (R3).
    fn fail(&self, subject: ErrorSubject<u64>, verb: ErrorVerb, error: &StoreError) -> Failure {
        let line = in_one_line(error);
        let failure = StorageIOError::new(subject, verb, AnyError::error(&line));
        self.broken.report(line);
        failure.into()
    }
}
