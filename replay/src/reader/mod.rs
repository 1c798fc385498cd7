//! The reader: the facts of a log, in order, from a journal's data directory.
//!
//! [`crate::verify`] and [`crate::history`] call it. The log is opened read-only beside a journal that may be running:
//! no lock is taken, nothing is written, and what was committed when it was opened is what counts.
//!
//! Not here, on purpose: the journal's options of its RocksDB, and its index of subjects. A reader that shared them
//! would share their mistakes.
//!
//! **Invariant:** facts come one at a time; the log is never in memory.

mod facts;
mod heads;
mod still;

use std::io;
use std::path::{Path, PathBuf};

use events::codec::keys;
use rocksdb::{ColumnFamily, DB, DBRawIterator, DBRecoveryMode, Options, ReadOptions};

pub use facts::{Damage, Entry, Facts};
pub use heads::{Disagreement, StreamSum};

/// RocksDB reads this many bytes ahead of a scan: few reads, little memory.
const READAHEAD_BYTES: usize = 2 << 20;

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path is no journal's data directory.
    #[error(
        "there is no log in {dir:?}: expected a journal's data directory with a folder {:?}",
        keys::DIRECTORY
    )]
    NotFound {
        /// What was given.
        dir: PathBuf,
    },
    /// A RocksDB, but of somebody else.
    #[error("the RocksDB in {dir:?} is no log: it has no column family {column_family:?}")]
    NotALog {
        /// Where it lies.
        dir: PathBuf,
        /// What is missing.
        column_family: &'static str,
    },
    /// The directory cannot be listed.
    #[error("the directory {dir:?} cannot be read")]
    List {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// RocksDB refuses the files, and nobody writes to them meanwhile.
    #[error("the log in {dir:?} cannot be opened")]
    Store {
        /// Where it lies.
        dir: PathBuf,
        /// Why.
        source: rocksdb::Error,
    },
    /// A running journal moved files at every try.
    #[error("the files in {dir:?} moved at each of {tries} tries; try again when the journal has less to do")]
    Moving {
        /// Where they lie.
        dir: PathBuf,
        /// How often it was tried.
        tries: u32,
    },
}

/// Why the rest of a log cannot be read. Says nothing about whether it is sound.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be read after fact {after}")]
pub struct ReadError {
    /// The last fact that was read; 0: none.
    pub after: u64,
    /// Why.
    pub source: rocksdb::Error,
}

/// An open log, as it was at one moment.
pub struct Reader {
    store: DB,
}

impl Reader {
    /// Opens the log of a journal's data directory. Tried again for 10 s while a running journal moves files under it.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let dir = data_dir.join(keys::DIRECTORY);
        // RocksDB's binding creates a missing directory even for a reader.
        if !dir.join("CURRENT").is_file() {
            return Err(OpenError::NotFound { dir: data_dir.to_owned() });
        }
        let store = still::when_still(&dir, || open_store(&dir))?;
        Ok(Self { store })
    }

    /// The facts, from the first.
    pub fn facts(&self) -> Facts<'_> {
        Facts::new(self.cursor(keys::FACTS))
    }

    /// Whether the heads of the streams that the journal keeps agree with the facts that were read: with all of them.
    pub fn compare_heads(&self, streams: &StreamSum) -> Result<Vec<Disagreement>, rocksdb::Error> {
        heads::compare(self, streams)
    }

    fn cursor(&self, column_family: &'static str) -> DBRawIterator<'_> {
        let mut options = ReadOptions::default();
        options.set_readahead_size(READAHEAD_BYTES);
        options.fill_cache(false);
        options.set_verify_checksums(true);
        let mut cursor = self.store.raw_iterator_cf_opt(self.column_family(column_family), options);
        cursor.seek_to_first();
        cursor
    }

    fn column_family(&self, name: &'static str) -> &ColumnFamily {
        self.store.cf_handle(name).expect("open_store opened every column family that is read")
    }
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
    DB::open_cf_for_read_only(&options, dir, read, false).map_err(failed)
}
