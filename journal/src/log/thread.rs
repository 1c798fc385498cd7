//! The thread of the log: Raft, its state machine and the writer on one runtime with one thread, where syncs are waited
//! for in place.
//!
//! A thread of its own because a sync blocks: neither the actors nor the listeners wait behind it, and while it lasts
//! the next appends gather. [`super::Log`] starts it; it ends when the log is stopped, broken, or nobody has it any more.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InitializeError, RaftError};
use openraft::{Config, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::broken::{Broken, in_one_line};
use super::clocks::Clocks;
use super::errors::StartError;
use super::folded::Folded;
use super::freshness::Freshness;
use super::inbox::Inbox;
use super::network::Network;
use super::read_index::{Asker, ReadIndexes};
use super::room::{self, Room};
use super::store::Store;
use super::store::raft_log::RaftLog;
use super::store::state_machine::{Machine, StateMachine, Tip};
use super::synced::Mark;
use super::transfer::Transfers;
use super::types::{FOUNDER, Raft, RaftMetrics};
use super::writer::{Counters, Waiting, Writer};
use super::{Settings, Timing};
use crate::random;

/// A start applies again what a power cut took from the facts, thousands of entries at the most.
const READY_SECONDS: u64 = 60;

/// Entries of one message: appends of some seconds.
const PAYLOAD_ENTRIES: u64 = 64;
/// A member that lacks millions of facts takes minutes; each piece has a deadline of its own.
const INSTALL_MS: u64 = 600_000;

/// A store that is sound and open to write.
pub(super) struct Prepared {
    pub store: Arc<Store>,
    pub mark: Mark,
    pub folded: Arc<Folded>,
    pub tip: Tip,
    pub raft_id: u64,
    /// Made just now: Raft has no members yet.
    pub new: bool,
}

/// What the thread shares with the handles.
pub(super) struct Running {
    pub store: Arc<Store>,
    pub folded: Arc<Folded>,
    pub raft: watch::Receiver<RaftMetrics>,
    pub inbox: Inbox,
}

/// What a thread is started with.
pub(super) struct Ends {
    pub appends: mpsc::Sender<Waiting>,
    pub waiting: mpsc::Receiver<Waiting>,
    pub stop: watch::Receiver<bool>,
    pub finished: watch::Sender<bool>,
    pub broken: Arc<Broken>,
    pub counters: Arc<Counters>,
    pub read_indexes: mpsc::Receiver<Asker>,
    pub room: Arc<Room>,
    pub settings: Settings,
}

/// Starts the thread. It prepares the store, starts Raft, says through `ready` how that went, and writes.
pub(super) fn spawn<E: Send + 'static>(
    prepare: impl FnOnce(Arc<Broken>) -> Result<Prepared, E> + Send + 'static,
    failed: fn(StartError) -> E,
    ends: Ends,
    ready: oneshot::Sender<Result<Running, E>>,
) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("pact-log".to_owned()).spawn(move || {
        let _finished = Finished { told: ends.finished.clone(), broken: Arc::clone(&ends.broken) };
        match prepare(Arc::clone(&ends.broken)) {
            Ok(prepared) => run(prepared, failed, ends, ready),
            // Whoever wanted it may have gone.
            Err(error) => drop(ready.send(Err(error))),
        }
    })
}

fn run<E>(
    prepared: Prepared,
    failed: fn(StartError) -> E,
    ends: Ends,
    ready: oneshot::Sender<Result<Running, E>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(failed(StartError::Thread(error))))),
    };
    let (store, folded) = (Arc::clone(&prepared.store), Arc::clone(&prepared.folded));
    let opened = Arc::clone(&store);
    let Ends { appends, waiting, stop, broken, counters, read_indexes, room, settings, .. } = ends;
    let writing = Arc::clone(&broken);
    runtime.block_on(async move {
        match start(prepared, &settings, &writing, appends, &room).await {
            Ok(inbox) => {
                let raft = inbox.raft.clone();
                let Settings { clock, peers, .. } = settings;
                tokio::spawn(
                    ReadIndexes { asked: read_indexes, inbox: inbox.clone(), peers: Arc::clone(&peers) }
                        .run(),
                );
                tokio::spawn(look_at_the_disk(inbox.clone()));
                let writer = Writer {
                    inbox: inbox.clone(),
                    waiting,
                    clock,
                    broken: writing,
                    counters,
                    peers,
                    led_since: Mutex::new(None),
                };
                let running =
                    Running { store: opened, folded: Arc::clone(&folded), raft: raft.metrics(), inbox };
                drop(ready.send(Ok(running)));
                writer.run(stop).await;
                if let Err(error) = raft.shutdown().await {
                    tracing::warn!(%error, "raft did not stop in peace");
                }
            }
            Err(error) => drop(ready.send(Err(failed(error)))),
        }
    });
    // With the runtime go the tasks of Raft, and their handles on the store.
    drop(runtime);
    if broken.reason().is_none() {
        store.flush();
    }
}

/// Starts Raft. A member that is alone leads and has applied all that is committed when this returns; one of several
/// finds the others later, or not.
async fn start(
    prepared: Prepared,
    settings: &Settings,
    broken: &Arc<Broken>,
    appends: mpsc::Sender<Waiting>,
    room: &Arc<Room>,
) -> Result<Inbox, StartError> {
    let told = |reason: String| StartError::Broken { reason: broken.reason().unwrap_or(reason) };
    let Prepared { store, mark, folded, tip, raft_id, new } = prepared;
    let config = config(settings).validate().map_err(|error| told(in_one_line(&error)))?;
    let incarnation = random::bytes().map_err(|error| told(error.to_string()))?;
    let boottime = Arc::clone(&settings.boottime);
    let freshness = Arc::new(Freshness::new(boottime, u64::from_le_bytes(incarnation)));
    let clocks = Arc::new(Clocks::default());
    let machine = Machine::new(Arc::clone(&store), Arc::clone(&folded), Arc::clone(&freshness), tip);
    let machine = machine.map_err(|error| told(in_one_line(&error)))?;
    // Of what is stored: Raft itself tells nothing before its first step.
    let others = machine.names_others(raft_id);
    // A founder's first entry may be lost with a power cut; nobody else's is.
    let leads = new || raft_id == FOUNDER || machine.names(raft_id);
    let machine = Arc::new(Mutex::new(machine));
    let (clock, peers) = (Arc::clone(&settings.clock), Arc::clone(&settings.peers));
    let network = Network {
        peers: Arc::clone(&peers),
        store: Arc::clone(&store),
        freshness: Arc::clone(&freshness),
        clocks: Arc::clone(&clocks),
        clock: Arc::clone(&clock),
    };
    let log = RaftLog::new(Arc::clone(&store), mark);
    let applied = StateMachine::new(Arc::clone(&machine));
    let raft = Raft::new(raft_id, Arc::new(config), network, log, applied).await;
    let raft = raft.map_err(|error| told(in_one_line(&error)))?;
    freshness.follow(raft.metrics());
    if new {
        match raft.initialize(BTreeSet::from([raft_id])).await {
            Ok(()) => {}
            Err(RaftError::APIError(
                error @ (InitializeError::NotAllowed(_) | InitializeError::NotInMembers(_)),
            )) => return Err(told(in_one_line(&error))),
            Err(RaftError::Fatal(error)) => return Err(told(in_one_line(&error))),
        }
    }
    let (room, ends, transfers) = (Arc::clone(room), Arc::clone(broken), Transfers::default());
    let inbox = Inbox {
        raft,
        appends,
        folded,
        freshness,
        clocks,
        room,
        machine,
        store,
        clock,
        broken: ends,
        peers,
        transfers,
    };
    // Another member is asked to lead, or a new one waits to be called.
    if others || !leads {
        return Ok(inbox);
    }
    leads_alone(&inbox.raft, broken).await.map(|()| inbox)
}

async fn leads_alone(raft: &Raft, broken: &Broken) -> Result<(), StartError> {
    let wait = raft.wait(Some(Duration::from_secs(READY_SECONDS)));
    let ready = wait.metrics(
        |metrics| {
            let applied = metrics.last_applied.map(|place| place.index);
            metrics.state == ServerState::Leader && applied == metrics.last_log_index
        },
        "leads and has applied everything",
    );
    tokio::select! {
        biased;
        reason = broken.wait() => Err(StartError::Broken { reason }),
        ready = ready => match ready {
            Ok(_) => Ok(()),
            Err(_) => Err(broken.reason().map_or(
                StartError::NotReady { seconds: READY_SECONDS },
                |reason| StartError::Broken { reason },
            )),
        },
    }
}

/// Takes a reading of the disk now and then, for as long as the log is open (R3).
async fn look_at_the_disk(inbox: Inbox) {
    loop {
        inbox.look_at_the_disk();
        tokio::time::sleep(room::LOOK).await;
    }
}

fn config(settings: &Settings) -> Config {
    let Timing { heartbeat_ms, silence_ms } = settings.timing;
    // openraft waits for the lease, which is the longest election timeout, and then for the timeout that each member draws
    // once: together the silence, and a twelfth of it more at most. Who stands at the same moment does not hinder the
    // other: of two votes in one term the one for the greater number counts.
    let (shortest, longest) = (silence_ms * 11 / 24, silence_ms * 13 / 24);
    Config {
        cluster_name: "pact".to_owned(),
        // A snapshot is a line of text, so one may be made often: after each, all older entries but these are purged.
        snapshot_policy: SnapshotPolicy::LogsSinceLast(settings.keep_entries.max(1)),
        max_in_snapshot_log_to_keep: settings.keep_entries,
        // Up to one more than a message may have is read at a time.
        max_payload_entries: PAYLOAD_ENTRIES,
        // One that lacks so many gets the facts instead of the entries, which are purged by then anyway.
        replication_lag_threshold: settings.keep_entries.saturating_mul(2).max(PAYLOAD_ENTRIES),
        heartbeat_interval: heartbeat_ms,
        election_timeout_min: shortest,
        election_timeout_max: longest,
        install_snapshot_timeout: INSTALL_MS,
        ..Config::default()
    }
}

/// Tells that the thread ended, in whatever way.
struct Finished {
    told: watch::Sender<bool>,
    broken: Arc<Broken>,
}

impl Drop for Finished {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.broken.report("the thread of the log ended unexpectedly".to_owned());
        }
        self.told.send_replace(true);
    }
}
