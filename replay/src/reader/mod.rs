//! The reader: the facts of a log, in order, from a journal's data directory or from an exported file.
//!
//! [`crate::verify`] and [`crate::told`] call it. A journal's log is opened read-only beside a journal that may be running:
//! no lock is taken, nothing is written, and what was committed when it was opened is what counts.
//!
//! Not here, on purpose: the journal's options of its RocksDB, and its index of subjects. A reader that shared them
//! would share their mistakes.
//!
//! **Invariant:** the log is never in memory: facts come one at a time, or some thousand ahead ([`Reader::read_ahead`]).

mod ahead;
mod errors;
mod facts;
mod heads;
mod lines;
mod rows;
mod still;
mod synced;

use std::path::Path;

use events::codec::keys;
use events::invariants::Auditor;
use rocksdb::{ColumnFamily, DB, DBRawIterator, DBRecoveryMode, Options, ReadOptions};

pub(crate) use ahead::Ahead;
pub use errors::{LogError, OpenError, ReadError, ReadFault};
pub use events::codec::export_line::LineDamage;
pub use facts::{Damage, Entry, Facts};
pub use heads::Disagreement;
pub(crate) use lines::{STORED, in_base64};
pub(crate) use rows::{Row, Rows};

use lines::ExportFile;
use synced::Mark;

/// RocksDB reads this many bytes ahead of a scan: few reads, into memory that is used again and stays in the processor's
/// cache. The allocator takes larger pieces from the system, and each page of them anew.
const READAHEAD_BYTES: usize = 120 << 10;

/// An open log, as it was at one moment.
pub struct Reader {
    source: Source,
}

/// Where it lies.
enum Source {
    /// In a journal's data directory, with where it was last synced.
    Store(DB, Mark),
    /// In a file that `export` wrote.
    Export(ExportFile),
}

impl Reader {
    /// Opens the log of a journal's data directory, tried again for 10 s while a running journal moves files under it; or
    /// an exported file.
    pub fn open(log: &Path) -> Result<Self, OpenError> {
        if log.is_file() {
            return Ok(Self { source: Source::Export(ExportFile::open(log)?) });
        }
        let dir = log.join(keys::DIRECTORY);
        // RocksDB's binding creates a missing directory even for a reader.
        if !dir.join("CURRENT").is_file() {
            return Err(OpenError::NotFound { dir: log.to_owned() });
        }
        let mark = Mark::read(log);
        let store = still::when_still(&dir, || open_store(&dir))?;
        Ok(Self { source: Source::Store(store, mark) })
    }

    /// The facts, from the first.
    pub fn facts(&self) -> Facts<'_> {
        Facts::new(self.rows())
    }

    /// The rows, from the first; nothing of them is checked.
    pub(crate) fn rows(&self) -> Rows<'_> {
        match &self.source {
            Source::Store(store, _) => Rows::Store(cursor(store, keys::FACTS), false),
            Source::Export(file) => Rows::Export(file.lines()),
        }
    }

    /// Whether the heads of the streams that the journal keeps agree with what an auditor knows that checked all facts and
    /// found nothing. An export has none: they are the journal's own, and follow from the facts.
    pub fn compare_heads(&self, auditor: &Auditor) -> Result<Vec<Disagreement>, ReadFault> {
        match &self.source {
            Source::Store(store, _) => heads::compare(store, auditor).map_err(ReadFault::Store),
            Source::Export(_) => Ok(vec![]),
        }
    }

    /// That the log ends before it was last synced (R27), with what to do; none: it does not. An export tells nothing of it.
    pub fn lost_end(&self) -> Result<Option<String>, ReadFault> {
        match &self.source {
            Source::Store(store, mark) => mark.lost(store).map_err(ReadFault::Store),
            Source::Export(_) => Ok(None),
        }
    }
}

fn cursor<'a>(store: &'a DB, name: &'static str) -> DBRawIterator<'a> {
    let mut options = ReadOptions::default();
    options.set_readahead_size(READAHEAD_BYTES);
    options.fill_cache(false);
    options.set_verify_checksums(true);
    let mut cursor = store.raw_iterator_cf_opt(column_family(store, name), options);
    cursor.seek_to_first();
    cursor
}

fn column_family<'a>(store: &'a DB, name: &'static str) -> &'a ColumnFamily {
    store.cf_handle(name).expect("open_store opened every column family that is read")
}
/// Opens what is read and no more: other column families, also those of later releases, stay closed.
fn open_store(dir: &Path) -> Result<DB, OpenError> {
    let failed = |source| OpenError::Store { dir: dir.to_owned(), source };
    let mut options = Options::default();
    // The last record may be half written by a running journal; damage before it is an error, never a shorter log.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    let found = DB::list_cf(&options, dir).map_err(failed)?;
    let read = [keys::FACTS, keys::HEADS];
    if let Some(column_family) = read.into_iter().find(|name| !found.iter().any(|found| found == name)) {
        return Err(OpenError::NotALog { dir: dir.to_owned(), column_family });
    }
    // What a log of facts alone does not have.
    let raft =
        [keys::RAFT_LOG, keys::RAFT_STATE].into_iter().filter(|name| found.iter().any(|found| found == name));
    DB::open_cf_for_read_only(&options, dir, read.into_iter().chain(raft), false).map_err(failed)
}
