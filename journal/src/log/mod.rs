//! The log: where facts become certain. openraft over one RocksDB on each member.
//!
//! The journal's actors append to it ([`Log::append`]) and look into its views ([`Log::views`]); the edge cuts
//! connections when it hears of a change ([`Log::on_change`]). An append takes this way: [`writer`] (many become one Raft
//! entry) → [`store::raft_log`] (synced) → [`store::state_machine`] (versions compared, chain linked, facts written) →
//! [`folded`] (views) → the answer. [`mod@check`] reads everything before anything is opened to write.
//!
//! RocksDB and openraft appear here and nowhere else in the journal. Not here: decisions (`events`), the lock on the
//! data directory, and who may append.
//!
//! **Invariant:** what was answered `Committed` is on disk, in the views, and in every later opening of this log.

mod broken;
mod check;
mod clocks;
mod errors;
mod exported;
mod folded;
mod founding;
mod freshness;
mod inbox;
mod network;
mod quorum;
mod read_index;
mod restoring;
mod room;
mod settings;
mod store;
mod stored;
mod synced;
#[cfg(test)]
mod tests;
mod thread;
mod transfer;
mod types;
mod wire;
mod writer;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use events::append::Append;
use events::codec::{Chain, keys};
use events::fact::Record;
use events::level::AboveLevel;
use events::stream::StreamName;
use events::views::{Changed, Views};
use events::vocabulary::{JournalId, MAX_OVERLAY_BYTES, OverlayHash, Remark};
use openraft::ServerState;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tokio::sync::{mpsc, oneshot, watch};

use broken::Broken;
use check::{Checked, check};
use clocks::Clocks;
use folded::Folded;
use founding::{lay_down, make};
use freshness::Freshness;
use inbox::Inbox;
use room::{Room, is_spared};
use store::Store;
use synced::Mark;
use thread::{Ends, Prepared};
use types::{Blob, FOUNDER, Position, RaftMetrics};
use writer::{Counters, Waiting, weigh};

pub use clocks::MAX_SKEW;
pub use errors::{AppendError, CreateError, Damage, OpenError, ReadError, StartError, StoreError};
pub use founding::Founding;
pub use network::{Exchange, NoPeers, PeerError, Peers};
pub use quorum::{Fitness, KNOWN, LastWord, Member, QuorumError, Seats};
pub use restoring::{Restoration, RestoringError};
pub use settings::{Settings, Timing};
pub use synced::MarkError;
pub use transfer::TransferError;
pub use wire::Release;
pub use writer::Clock;

/// An append has at most this many bytes. With it a fact's body stays far below its own limit of 1 MiB (R6), so that no
/// entry is ever committed whose facts cannot be stored.
pub const MAX_APPEND_BYTES: usize = 512 << 10;

/// Appends that may wait for the writer: four entries full. More wait at their actor, which holds its node meanwhile.
const MAX_WAITING: usize = 4096;

/// Where an append's facts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The first.
    pub first_seq: u64,
    /// The last.
    pub last_seq: u64,
}

/// How much was written since the log was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Appends that were given to Raft.
    pub appends: u64,
    /// The Raft entries in which they went: one sync each.
    pub entries: u64,
}

/// How it stands with Raft here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftStanding {
    /// Whether this member leads.
    pub leads: bool,
    /// The present term.
    pub term: u64,
    /// The last entry that is applied here; 0: none.
    pub applied_index: u64,
}

/// A handle on the open log; clones share it. See the module.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    appends: mpsc::Sender<Waiting>,
    folded: Arc<Folded>,
    raft: watch::Receiver<RaftMetrics>,
    /// None when it is closed.
    store: RwLock<Option<Arc<Store>>>,
    broken: Arc<Broken>,
    counters: Arc<Counters>,
    /// None when it is closed: it holds the store too.
    inbox: RwLock<Option<Inbox>>,
    freshness: Arc<Freshness>,
    clocks: Arc<Clocks>,
    clock: Clock,
    /// As of the last look (R24).
    skewed: AtomicBool,
    room: Arc<Room>,
    read_indexes: mpsc::Sender<read_index::Asker>,
    stale_after: Duration,
    peers: Arc<dyn Peers>,
    stop: watch::Sender<bool>,
    finished: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Makes the log of a new domain in an existing directory, with this journal as the only member, and opens it. If
    /// it fails half way, what it made stays behind; [`Log::create`] then refuses to go on.
    pub async fn create(
        data_dir: &Path,
        journal: JournalId,
        founding: Founding,
    ) -> Result<Self, CreateError> {
        Self::create_with(data_dir, journal, founding, Settings::default()).await
    }

    /// [`Log::create`] with other settings.
    pub async fn create_with(
        data_dir: &Path,
        journal: JournalId,
        founding: Founding,
        settings: Settings,
    ) -> Result<Self, CreateError> {
        let (data_dir, lies_in) = (data_dir.to_owned(), data_dir);
        let prepare = move |broken| make(&data_dir, journal, founding, broken);
        Self::start(lies_in, prepare, CreateError::Start, settings).await
    }

    /// Makes the empty log of a member that will get all facts from the others, and does not open it. `raft_id`: its own
    /// number, never an old one (R27).
    ///
    /// # Errors
    /// If there is a log already, or it cannot be made.
    pub fn create_member(
        data_dir: &Path,
        journal: JournalId,
        founding: Founding,
        raft_id: u64,
    ) -> Result<(), CreateError> {
        lay_down(data_dir, journal, founding, raft_id, Arc::new(Broken::new())).map(drop)
    }

    /// Opens the log of a data directory: checks all of it and changes nothing if it is not sound (R27), folds the
    /// views, starts Raft. Done when all that was committed is applied.
    pub async fn open(data_dir: &Path, journal: JournalId) -> Result<Self, OpenError> {
        Self::open_with(data_dir, journal, Settings::default()).await
    }

    /// [`Log::open`] with other settings.
    pub async fn open_with(
        data_dir: &Path,
        journal: JournalId,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        Self::inspect(data_dir, &journal)?.open_with(settings).await
    }

    /// The first half of [`Log::open`]: checks all of it and changes nothing. Whoever has more to check, such as what
    /// lies beside the log, does it between the halves. Blocks while it reads.
    pub fn inspect(data_dir: &Path, journal: &JournalId) -> Result<Inspected, OpenError> {
        let checked = check(data_dir, Some(journal))?;
        if checked.views.seq == 0 && checked.raft_id == FOUNDER {
            return Err(OpenError::NoDomain);
        }
        Ok(Inspected { data_dir: data_dir.to_owned(), checked })
    }

    async fn start<E: Send + 'static>(
        data_dir: &Path,
        prepare: impl FnOnce(Arc<Broken>) -> Result<Prepared, E> + Send + 'static,
        failed: fn(StartError) -> E,
        settings: Settings,
    ) -> Result<Self, E> {
        let (appends, waiting) = mpsc::channel(MAX_WAITING);
        let (stop, stopped) = watch::channel(false);
        let (finishes, finished) = watch::channel(false);
        let (broken, counters) = (Arc::new(Broken::new()), Arc::new(Counters::default()));
        let (read_indexes, asked) = mpsc::channel(read_index::MAX_WAITING);
        let room = Arc::new(Room::new(data_dir, settings.disk_reserve));
        let (clock, stale_after) = (Arc::clone(&settings.clock), settings.stale_after);
        let ends = Ends {
            appends: appends.clone(),
            waiting,
            stop: stopped,
            finished: finishes,
            broken: Arc::clone(&broken),
            counters: Arc::clone(&counters),
            read_indexes: asked,
            room: Arc::clone(&room),
            settings,
        };
        let peers = Arc::clone(&ends.settings.peers);
        let (ready, is_ready) = oneshot::channel();
        let thread = thread::spawn(prepare, failed, ends, ready);
        let thread = thread.map_err(|error| failed(StartError::Thread(error)))?;
        let Ok(running) = is_ready.await else {
            let reason = broken.reason().unwrap_or_default();
            return Err(failed(StartError::Broken { reason }));
        };
        let running = running?;
        let shared = Shared {
            appends,
            folded: running.folded,
            raft: running.raft,
            freshness: Arc::clone(&running.inbox.freshness),
            clocks: Arc::clone(&running.inbox.clocks),
            clock,
            skewed: AtomicBool::new(false),
            room,
            read_indexes,
            stale_after,
            inbox: RwLock::new(Some(running.inbox)),
            peers,
            store: RwLock::new(Some(running.store)),
            broken,
            counters,
            stop,
            finished,
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Records an append. Answers when its facts are committed, stored and folded here (R3). The same append sent
    /// again gets the same answer (R7). Dropping the future does not take the append back.
    pub async fn append(&self, append: Append) -> Result<Committed, AppendError> {
        self.send(append, None).await
    }

    /// [`Log::append`] of facts that set an overlay, with its bytes.
    pub async fn append_with_overlay(
        &self,
        append: Append,
        overlay: Vec<u8>,
    ) -> Result<Committed, AppendError> {
        if overlay.len() > MAX_OVERLAY_BYTES {
            return Err(AppendError::TooLarge { bytes: overlay.len(), limit: MAX_OVERLAY_BYTES });
        }
        self.send(append, Some(Blob(overlay))).await
    }

    async fn send(&self, append: Append, overlay: Option<Blob>) -> Result<Committed, AppendError> {
        self.shared
            .folded
            .admits(&append)
            .map_err(|AboveLevel { needs, level }| AppendError::AboveLevel { needs, level })?;
        // Another journal may have better luck with what is asked.
        let append = self.shared.folded.vouched(append).ok_or(AppendError::NoLeader)?;
        let bytes = weigh(&append)?;
        if !is_spared(&append) && self.is_short_of_disk() {
            return Err(AppendError::DiskLow);
        }
        let (answer, answered) = oneshot::channel();
        if self
            .shared
            .appends
            .send(Waiting { append, overlay, bytes, answer, forwarded: false })
            .await
            .is_err()
        {
            return Err(self.stopped());
        }
        answered.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    /// Whether the reserve of disk is reached here, or this member leads and it is on so many that a quorum would end
    /// with them: only revocations and evictions are recorded then (R3).
    pub fn is_short_of_disk(&self) -> bool {
        self.shared.room.is_low() || self.shared.room.quorum_is_low()
    }

    /// The bytes of disk that are left here, as of a second ago, if that is less than the reserve.
    pub fn little_disk(&self) -> Option<u64> {
        self.shared.room.is_low().then(|| self.shared.room.free())
    }

    fn stopped(&self) -> AppendError {
        let reason = self.shared.broken.reason();
        AppendError::Stopped { reason: reason.unwrap_or_else(|| "it was closed".to_owned()) }
    }

    /// The views of all facts recorded so far. Hold the guard briefly, never across a wait and never twice: while it is
    /// held nothing is recorded.
    pub fn views(&self) -> RwLockReadGuard<'_, Views> {
        self.shared.folded.views()
    }

    /// The version of a stream; 0 if nothing lies in it.
    pub fn version(&self, stream: &StreamName) -> Result<u64, ReadError> {
        self.read(|store| store.head(stream)).map(|head| head.version)
    }

    /// The version of a stream, if `views` show all that lies in it. None: its last fact is stored and not folded yet,
    /// so that views and version would not speak of the same moment; it is a matter of microseconds, and of some ten
    /// milliseconds while facts are taken over.
    pub fn version_seen(&self, stream: &StreamName, views: &Views) -> Result<Option<u64>, ReadError> {
        let head = self.read(|store| store.head(stream))?;
        Ok((head.seq <= views.seq).then_some(head.version))
    }

    /// A fact with the remarks that were not erased.
    pub fn record(&self, seq: u64) -> Result<Option<(Record, Vec<Remark>)>, ReadError> {
        Ok(self.read(|store| store.record(seq))?.map(|(record, remarks, _)| (record, remarks)))
    }

    /// A fact as operators are told it.
    pub fn fact_json(&self, seq: u64) -> Result<Option<serde_json::Value>, ReadError> {
        let told = self.read(|store| store.record(seq))?;
        Ok(told.map(|(record, remarks, chain)| events::fact_json::to_json(&record, &remarks, &chain)))
    }

    fn read<T>(&self, read: impl FnOnce(&Store) -> Result<T, StoreError>) -> Result<T, ReadError> {
        let store = self.shared.store.read();
        read(store.as_deref().ok_or(ReadError::Closed)?).map_err(ReadError::Unreadable)
    }

    /// The bytes of an overlay that a fact names.
    pub fn overlay(&self, sha256: &OverlayHash) -> Result<Option<Vec<u8>>, ReadError> {
        self.read(|store| store.overlay(sha256))
    }

    /// Answers a question of another journal, which the cluster listener knows: Raft's messages and what else members say
    /// to each other about the log.
    ///
    /// # Errors
    /// If the bytes are no question.
    pub async fn answer(&self, from: &JournalId, question: &[u8]) -> Result<Vec<u8>, String> {
        let inbox = self.inbox().ok_or_else(|| "the log is closed".to_owned())?;
        inbox.answer(from, question).await
    }

    fn inbox(&self) -> Option<Inbox> {
        self.shared.inbox.read().clone()
    }

    /// Resolves when a fact is recorded and folded here.
    pub fn reaches(&self, seq: u64) -> impl Future<Output = ()> + Send + 'static {
        self.shared.folded.reaches(seq)
    }

    /// Calls `listener` with what a fold changed: after the fold, before the append is answered. It runs on the thread
    /// of the log, or one that takes facts over, and must be quick; it may look into the views.
    pub fn on_change(&self, listener: impl Fn(&Changed) + Send + Sync + 'static) {
        self.shared.folded.listen(Box::new(listener));
    }

    /// Resolves with the reason when the log cannot be written any more. The process must stop then (R3).
    pub fn broken(&self) -> impl Future<Output = String> + Send + 'static {
        self.shared.broken.wait()
    }

    /// Whether [`Log::broken`] is because what comes next was written by a later release (R26).
    pub fn needs_upgrade(&self) -> bool {
        self.shared.broken.needs_upgrade()
    }

    /// The last fact and the chain up to it.
    pub fn chain_head(&self) -> (u64, Chain) {
        let Position { seq, chain } = self.shared.folded.position();
        (seq, chain)
    }

    /// How much was written since the log was opened.
    pub fn totals(&self) -> Totals {
        let Counters { appends, entries } = &*self.shared.counters;
        Totals { appends: appends.load(Ordering::Relaxed), entries: entries.load(Ordering::Relaxed) }
    }

    /// How it stands with Raft; after its end, how it stood then.
    pub fn raft(&self) -> RaftStanding {
        let raft = self.shared.raft.borrow();
        let applied_index = raft.last_applied.map_or(0, |place| place.index);
        RaftStanding { leads: raft.state == ServerState::Leader, term: raft.current_term, applied_index }
    }

    /// Stops Raft and closes the store; what waits is answered [`AppendError::Stopped`]. All handles are then useless
    /// but for their views.
    pub async fn stop(&self) {
        self.shared.stop.send_replace(true);
        self.shared.inbox.write().take();
        let mut finished = self.shared.finished.clone();
        // An error means that the thread is gone, which is what is waited for.
        let _ = finished.wait_for(|finished| *finished).await;
        if let Some(thread) = self.shared.thread.lock().take() {
            // Its last act was to say that it is finished; a panic was reported as a broken log.
            let _ = thread.join();
        }
        self.shared.store.write().take();
    }
}

/// A log that was checked and is not open yet. See [`Log::inspect`].
pub struct Inspected {
    data_dir: PathBuf,
    checked: Checked,
}

impl Inspected {
    /// The views of all facts in it.
    pub fn views(&self) -> &Views {
        &self.checked.views
    }

    /// Where its chain begins: known before the first fact.
    pub fn founding(&self) -> Founding {
        self.checked.founding
    }

    /// The second half of [`Log::open`]: opens it to write and starts Raft.
    pub async fn open(self) -> Result<Log, OpenError> {
        self.open_with(Settings::default()).await
    }

    /// [`Inspected::open`] with the way to the other members.
    ///
    /// # Errors
    /// If it cannot be opened to write, or Raft does not start.
    pub async fn open_with(self, settings: Settings) -> Result<Log, OpenError> {
        let data_dir = self.data_dir.clone();
        let prepare = move |broken| reopen(&self.data_dir, self.checked, broken);
        Log::start(&data_dir, prepare, OpenError::Start, settings).await
    }
}

/// Opens the checked files of a log to write.
fn reopen(data_dir: &Path, checked: Checked, broken: Arc<Broken>) -> Result<Prepared, OpenError> {
    let Checked { views, tip, raft_id, founding: _ } = checked;
    let path = data_dir.join(keys::DIRECTORY);
    let store = match Store::open(&path, broken) {
        Ok(store) => Arc::new(store),
        Err(StoreError::Rocks(error)) if is_locked(&error) => return Err(OpenError::InUse { path }),
        // It was read whole a moment ago: what fails now is writing.
        Err(source) => return Err(OpenError::Unwritable { path, source }),
    };
    let mark = Mark::open(data_dir).map_err(OpenError::Mark)?;
    let folded = Arc::new(Folded::new(views, tip.position.chain));
    Ok(Prepared { store, mark, folded, tip, raft_id, new: false })
}

/// RocksDB has no kind of its own for a lock that another process, or another part of this one, holds.
fn is_locked(error: &rocksdb::Error) -> bool {
    error.kind() == rocksdb::ErrorKind::IOError && error.as_ref().contains("lock")
}
