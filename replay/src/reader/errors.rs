//! Why a log cannot be opened, or not be read to its end. None of it says whether the log is sound.
//!
//! Verification and every other verb share [`LogError`].

use std::io;
use std::path::PathBuf;

use events::codec::keys;

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path is no journal's data directory.
    #[error(
        "there is no log in {dir:?}: expected a journal's data directory with a folder {:?}, or a file that export wrote",
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
    /// A file cannot be read.
    #[error("the file {file:?} cannot be read")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of somebody else.
    #[error("the file {file:?} is no exported log: expected what `pact-replay export --format jsonl` writes")]
    NotAnExport {
        /// Which.
        file: PathBuf,
    },
    /// Facts for other tools: without their bytes.
    #[error("the file {file:?} has CloudEvents, from which no chain can be checked: export the log as jsonl")]
    CloudEvents {
        /// Which.
        file: PathBuf,
    },
    /// The facts in words only.
    #[error(
        "the file {file:?} has facts without their stored bytes, from which no chain can be checked: export the log again"
    )]
    WordsOnly {
        /// Which.
        file: PathBuf,
    },
    /// Without its beginning the chain cannot be checked.
    #[error("the file {file:?} begins with fact {first}: only an export from fact 1 on is a log")]
    Part {
        /// Which.
        file: PathBuf,
        /// Its first fact.
        first: u64,
    },
}

/// Why the rest of a log cannot be read. Says nothing about whether it is sound.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be read after fact {after}")]
pub struct ReadError {
    /// The last fact that was read; 0: none.
    pub after: u64,
    /// Why.
    pub source: ReadFault,
}

/// Which reading failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// Of a journal's store.
    #[error(transparent)]
    Store(rocksdb::Error),
    /// Of an exported file.
    #[error(transparent)]
    File(io::Error),
}

/// Why a log cannot be read to its end; whether it is sound stays open.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read further.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The operating system gives no thread to read it on.
    #[error("a thread to read the log cannot be started")]
    Thread(#[source] io::Error),
    /// A later release wrote it (R26).
    #[error("fact {seq} was written by a later release: {said}")]
    Later {
        /// The first such fact.
        seq: u64,
        /// What is not known.
        said: String,
    },
}
