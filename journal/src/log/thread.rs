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
use tokio::sync::{mpsc, oneshot, watch};

use super::Settings;
use super::broken::{Broken, in_one_line};
use super::errors::StartError;
use super::folded::Folded;
use super::network::NoPeers;
use super::store::Store;
use super::store::raft_log::RaftLog;
use super::store::state_machine::{StateMachine, Tip};
use super::synced::Mark;
use super::types::{Raft, RaftMetrics};
use super::writer::{Counters, Waiting, Writer};

/// A start applies again what a power cut took from the facts, thousands of entries at the most.
const READY_SECONDS: u64 = 60;

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
}

/// What a thread is started with.
pub(super) struct Ends {
    pub waiting: mpsc::Receiver<Waiting>,
    pub stop: watch::Receiver<bool>,
    pub finished: watch::Sender<bool>,
    pub broken: Arc<Broken>,
    pub counters: Arc<Counters>,
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
    let Ends { waiting, stop, broken, counters, settings, .. } = ends;
    let writing = Arc::clone(&broken);
    runtime.block_on(async move {
        match start(prepared, &settings, &writing).await {
            Ok(raft) => {
                drop(ready.send(Ok(Running { store: opened, folded, raft: raft.metrics() })));
                let clock = settings.clock;
                let writer = Writer { raft: raft.clone(), waiting, clock, broken: writing, counters };
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

/// Starts Raft and waits until it leads and has applied all that is committed.
async fn start(prepared: Prepared, settings: &Settings, broken: &Broken) -> Result<Raft, StartError> {
    let told = |reason: String| StartError::Broken { reason: broken.reason().unwrap_or(reason) };
    let Prepared { store, mark, folded, tip, raft_id, new } = prepared;
    let config = config(settings).validate().map_err(|error| told(in_one_line(&error)))?;
    let machine = StateMachine::new(Arc::clone(&store), folded, tip).map_err(|e| told(in_one_line(&e)))?;
    let log = RaftLog::new(store, mark);
    let raft = Raft::new(raft_id, Arc::new(config), NoPeers, log, machine).await;
    let raft = raft.map_err(|error| told(in_one_line(&error)))?;
    if new {
        match raft.initialize(BTreeSet::from([raft_id])).await {
            Ok(()) => {}
            Err(RaftError::APIError(
                error @ (InitializeError::NotAllowed(_) | InitializeError::NotInMembers(_)),
            )) => return Err(told(in_one_line(&error))),
            Err(RaftError::Fatal(error)) => return Err(told(in_one_line(&error))),
        }
    }
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
            Ok(_) => Ok(raft),
            Err(_) => Err(broken.reason().map_or(
                StartError::NotReady { seconds: READY_SECONDS },
                |reason| StartError::Broken { reason },
            )),
        },
    }
}

fn config(settings: &Settings) -> Config {
    Config {
        cluster_name: "pact".to_owned(),
        // A snapshot is a line of text, so one may be made often: after each, all older entries but these are purged.
        snapshot_policy: SnapshotPolicy::LogsSinceLast(settings.keep_entries.max(1)),
        max_in_snapshot_log_to_keep: settings.keep_entries,
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 600,
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
