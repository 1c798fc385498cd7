//! What can go wrong with the log: one enum for each thing that is asked of it.
//!
//! Not here: refusals of the domain (they are decided before an append is made), and the mark's own error
//! ([`super::synced`]).

use std::io;
use std::path::PathBuf;

use events::codec::{DecodeError, EncodeError};
use events::level::Level;
use events::stream::StreamName;
use events::vocabulary::JournalId;

use super::synced::MarkError;

/// The store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// RocksDB says so.
    #[error("{0}")]
    Rocks(rocksdb::Error),
    /// It holds bytes that this release does not read.
    #[error("{what} cannot be read")]
    Decode {
        /// Of what.
        what: &'static str,
        /// Why.
        source: DecodeError,
    },
    /// A value that cannot be stored.
    #[error("{what} cannot be stored")]
    Encode {
        /// Of what.
        what: &'static str,
        /// Why.
        source: EncodeError,
    },
    /// Something that must be there is not.
    #[error("{what} is not there")]
    Absent {
        /// What.
        what: &'static str,
    },
    /// Its directory could not be read.
    #[error("the directory cannot be read")]
    Directory(#[source] io::Error),
    /// The mark of the last sync could not be written.
    #[error("the mark of the last sync cannot be written")]
    Mark(#[source] io::Error),
}

/// Raft did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The thread of the log, or its runtime, could not be started.
    #[error("the thread of the log could not be started")]
    Thread(#[source] io::Error),
    /// The log broke while it started.
    #[error("{reason}")]
    Broken {
        /// Why.
        reason: String,
    },
    /// It was not ready in time.
    #[error("not ready after {seconds} s")]
    NotReady {
        /// How long it was given.
        seconds: u64,
    },
}

/// Why no log was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is something in its place.
    #[error("{path:?} exists already")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The directory or the mark could not be made.
    #[error("{path:?} cannot be made")]
    Directory {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store could not be made.
    #[error("the log's store cannot be made")]
    Store(#[source] StoreError),
    /// Raft did not come up.
    #[error("the log did not start")]
    Start(#[source] StartError),
}

/// Why a log was not opened. Up to `Start`, nothing on disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no log.
    #[error("there is no log in {path:?}; `pact-journal init` makes one")]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// Another process has it.
    #[error("the log in {path:?} is in use by another process")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// It belongs to another journal.
    #[error("the log belongs to journal {found}, not to {expected}")]
    OtherJournal {
        /// Who wants it.
        expected: JournalId,
        /// Whose it is.
        found: JournalId,
    },
    /// `init` did not come to its end.
    #[error(
        "the log has no fact: `pact-journal init` was interrupted; remove the data directory and run it again"
    )]
    NoDomain,
    /// RocksDB cannot read it.
    #[error("the log in {path:?} cannot be read; {WHAT_TO_DO}")]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// It is sound, but cannot be written: the disk is full, read-only or failing.
    #[error(
        "the log in {path:?} is sound but cannot be written; make room or mend the disk, then start again"
    )]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The mark of the last sync tells nothing.
    #[error("it cannot be told whether the log is whole; {WHAT_TO_DO}")]
    Mark(#[source] MarkError),
    /// It ends before what was synced (R27).
    #[error(
        "the log ends with entry {found} but was synced up to entry {synced}: entries are lost; {WHAT_TO_DO}"
    )]
    Shortened {
        /// The last entry that is there, as term-leader-index, or `none`.
        found: String,
        /// The last that was synced, likewise.
        synced: String,
    },
    /// What is in it does not fit together.
    #[error("the log is damaged; {WHAT_TO_DO}")]
    Damaged(#[source] Damage),
    /// A later release wrote to it (R26).
    #[error("the log is sound, but a later release wrote to it: upgrade this journal; nothing was changed")]
    Later(#[source] Damage),
    /// It is sound, but did not start.
    #[error("the log did not start")]
    Start(#[source] StartError),
}

/// R27: a member never returns with restored data under its old Raft id.
const WHAT_TO_DO: &str = "keep the directory as it is, for it is evidence, and go back to a whole copy of it";

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> Self {
        if damage.needs_upgrade() { Self::Later(damage) } else { Self::Damaged(damage) }
    }
}

impl Damage {
    /// Whether nothing is damaged, but written by a later release: of facts this is found out behind their link of the
    /// chain, of entries behind the store's checksum.
    pub fn needs_upgrade(&self) -> bool {
        match self {
            Self::Entry { source: Some(source), .. } | Self::Fact { source, .. } => source.needs_upgrade(),
            Self::Absent { .. }
            | Self::EntryMissing { .. }
            | Self::Entry { source: None, .. }
            | Self::Applied { .. }
            | Self::FactMissing { .. }
            | Self::Order { .. }
            | Self::Chain { .. }
            | Self::Founding
            | Self::Remark { .. }
            | Self::End { .. }
            | Self::Heads { .. }
            | Self::Overlay { .. }
            | Self::Subjects => false,
        }
    }
}

/// What does not fit together in a log.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// Something that every log has is not there.
    #[error("{what} is not there")]
    Absent {
        /// What.
        what: &'static str,
    },
    /// The Raft log has a hole.
    #[error("entry {expected} of the Raft log is not there")]
    EntryMissing {
        /// Which.
        expected: u64,
    },
    /// An entry of the Raft log cannot be read, or lies in another's place.
    #[error("entry {index} of the Raft log is damaged")]
    Entry {
        /// Where it lies.
        index: u64,
        /// Why; none if it belongs elsewhere.
        source: Option<DecodeError>,
    },
    /// The facts go further than the Raft log, or were purged from it before they were recorded.
    #[error("entries are applied up to {applied}, but the Raft log goes from {purged} to {last}")]
    Applied {
        /// Up to where.
        applied: String,
        /// Where the Raft log begins.
        purged: String,
        /// Where it ends.
        last: String,
    },
    /// The facts have a gap.
    #[error("fact {expected} is not there")]
    FactMissing {
        /// Which.
        expected: u64,
    },
    /// A fact cannot be read.
    #[error("fact {seq} cannot be read")]
    Fact {
        /// Which.
        seq: u64,
        /// Why.
        source: DecodeError,
    },
    /// A fact says that it is another, or is older than the one before.
    #[error("fact {seq} is out of order")]
    Order {
        /// Where it lies.
        seq: u64,
    },
    /// A fact was changed: its link is not the one that follows from it (R6).
    #[error("the chain breaks at fact {seq}")]
    Chain {
        /// The first whose link is wrong.
        seq: u64,
    },
    /// The first fact is not the creation of this log's domain.
    #[error("the first fact is not the creation of the domain whose log this is")]
    Founding,
    /// A remark that its fact does not hold.
    #[error("a remark beside fact {seq} is not the fact's")]
    Remark {
        /// Which fact.
        seq: u64,
    },
    /// The facts end elsewhere than when the last entry was applied.
    #[error("the facts end at {found}, but {expected} were recorded")]
    End {
        /// The last that is there.
        found: u64,
        /// The last that was recorded.
        expected: u64,
    },
    /// The versions of streams do not fit the facts.
    #[error("the versions of streams do not agree with the facts{}", stream.as_ref().map(|s| format!(" (at {s})")).unwrap_or_default())]
    Heads {
        /// The first stream that shows it; none if only the sum does.
        stream: Option<String>,
    },
    /// An overlay that a fact names is not there, or its bytes are others.
    #[error("the overlay {sha256} is not there, or is not the one that was set")]
    Overlay {
        /// Its hash, as far as it can be told.
        sha256: String,
    },
    /// The index of subjects does not fit the facts.
    #[error("the index of subjects does not agree with the facts")]
    Subjects,
}

/// Why an append was not recorded. All but the last are answers; nothing is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A stream changed since the decision (R1): decide again.
    #[error("{stream} has version {found}, not {expected}")]
    Conflict {
        /// Which stream.
        stream: StreamName,
        /// What the append expected.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// Decided too long before or after the leader took it (R24).
    #[error("the decision is more than 60 s away from the leader's clock")]
    Skewed,
    /// The append contradicts itself: a mistake of the journal.
    #[error("the append is malformed")]
    Malformed,
    /// It has a fact that not all members could read (R26).
    #[error(
        "the log is at format level {level}, and this needs level {needs}: upgrade all journals (`pact journal members`)"
    )]
    AboveLevel {
        /// What it needs.
        needs: Level,
        /// The log's level.
        level: Level,
    },
    /// More bytes than may be recorded.
    #[error("the append has {bytes} bytes; {limit} are allowed")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Little disk is left, here or on most members: only revocations and evictions are recorded (R3).
    #[error("little disk is left; only revocations and evictions are recorded")]
    DiskLow,
    /// This member does not lead.
    #[error("this journal does not lead")]
    NoLeader,
    /// The log is stopped or broken. Whether the append was recorded is open: nothing may be acknowledged.
    #[error("the log is stopped: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
}

/// Why something could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log is closed.
    #[error("the log is closed")]
    Closed,
    /// The store could not be read.
    #[error("the log cannot be read")]
    Unreadable(#[source] StoreError),
}
