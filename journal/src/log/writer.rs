//! The writer: takes all appends that wait, makes one Raft entry of them, waits until it is applied, answers each.
//!
//! One entry is under way at a time. While it is synced the next appends gather: the busier, the larger the entries,
//! so that the number of syncs does not grow with the load (measured: 4 times the throughput of one entry an append).
//! While many come, the writer also waits a moment for more of them: an entry costs as much as a dozen appends.
//!
//! **Invariant:** an append is answered once, and `Committed` only after its facts are in the store and folded (R3).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::append::{Append, Outcome};
use events::vocabulary::Timestamp;
use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::Committed;
use super::broken::{Broken, in_one_line};
use super::errors::AppendError;
use super::types::{Batch, OverlayBytes, Raft};

/// Appends of one entry: at most some ms of applying, so that no answer waits long for its neighbours.
const MAX_APPENDS: usize = 1024;
/// Bytes of one entry, up to the last append that is taken: half of what an entry may have on disk.
const MAX_BYTES: usize = 8 << 20;

/// After an entry with so many appends more are on their way.
const BUSY: usize = 4;
/// How long the writer then waits for each of as many as came before: far less than anybody waits who is one of so many.
const LINGER_EACH: Duration = Duration::from_millis(1);
/// And how long at most.
const LINGER_MAX: Duration = Duration::from_millis(25);
/// After so much quiet nobody else is on their way.
const MEMORY: Duration = Duration::from_millis(250);

/// Where the time of an entry comes from: the system's clock, in tests another.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub(super) type Answer = Result<Committed, AppendError>;

/// An append on its way.
pub(super) struct Waiting {
    pub append: Append,
    /// The bytes of the overlay that it sets, if it sets one.
    pub overlay: Option<OverlayBytes>,
    /// Encoded, without the overlay.
    pub bytes: usize,
    pub answer: oneshot::Sender<Answer>,
}

/// How much went through.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub appends: AtomicU64,
    pub entries: AtomicU64,
}

/// See the module.
pub(super) struct Writer {
    pub raft: Raft,
    pub waiting: mpsc::Receiver<Waiting>,
    pub clock: Clock,
    pub broken: Arc<Broken>,
    pub counters: Arc<Counters>,
}

impl Writer {
    /// Writes until the log is stopped or broken. Whoever waits then hears that it was.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut before: Option<(usize, Instant)> = None;
        loop {
            let first = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                _ = self.broken.wait() => return,
                first = self.waiting.recv() => first,
            };
            let Some(first) = first else { return };
            let pause = before.map_or(Duration::ZERO, |(appends, at)| linger(appends, at.elapsed()));
            if !pause.is_zero() && self.waiting.len() < MAX_APPENDS && first.overlay.is_none() {
                tokio::select! {
                    biased;
                    // Whoever waits here hears that the log stopped.
                    _ = stop.wait_for(|stop| *stop) => return,
                    _ = self.broken.wait() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
            let (batch, answers) = self.gather(first);
            before = Some((answers.len(), Instant::now()));
            if !self.write(batch, answers).await {
                return;
            }
        }
    }

    fn gather(&mut self, first: Waiting) -> (Batch, Vec<oneshot::Sender<Answer>>) {
        let mut bytes = first.bytes;
        let overlays = first.overlay.into_iter().collect();
        let mut batch = Batch { stamp: Timestamp::default(), appends: vec![first.append], overlays };
        let mut answers = vec![first.answer];
        // At most one overlay: it may be as large as all the rest.
        while answers.len() < MAX_APPENDS && bytes < MAX_BYTES && batch.overlays.is_empty() {
            let Ok(next) = self.waiting.try_recv() else { break };
            bytes += next.bytes;
            batch.appends.push(next.append);
            batch.overlays.extend(next.overlay);
            answers.push(next.answer);
        }
        self.counters.entries.fetch_add(1, Ordering::Relaxed);
        self.counters.appends.fetch_add(answers.len() as u64, Ordering::Relaxed);
        batch.stamp = (self.clock)();
        (batch, answers)
    }

    /// Whether the log can go on.
    async fn write(&self, batch: Batch, answers: Vec<oneshot::Sender<Answer>>) -> bool {
        let written = tokio::select! {
            biased;
            written = self.raft.client_write(batch) => written,
            reason = self.broken.wait() => return refuse(answers, &AppendError::Stopped { reason }, false),
        };
        match written {
            Ok(written) => {
                for (answer, outcome) in answers.into_iter().zip(written.data.0) {
                    // Whoever asked may have gone; the facts stand.
                    let _ = answer.send(told(outcome));
                }
                true
            }
            Err(RaftError::APIError(
                ClientWriteError::ForwardToLeader(_) | ClientWriteError::ChangeMembershipError(_),
            )) => refuse(answers, &AppendError::NoLeader, true),
            Err(RaftError::Fatal(fatal)) => {
                self.broken.report(in_one_line(&fatal));
                let reason = self.broken.reason().unwrap_or_default();
                refuse(answers, &AppendError::Stopped { reason }, false)
            }
        }
    }
}

fn refuse(answers: Vec<oneshot::Sender<Answer>>, error: &AppendError, go_on: bool) -> bool {
    for answer in answers {
        let _ = answer.send(Err(error.clone()));
    }
    go_on
}

fn told(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Committed { first_seq, last_seq } => Ok(Committed { first_seq, last_seq }),
        Outcome::Conflict { stream, expected, found } => {
            Err(AppendError::Conflict { stream, expected, found })
        }
        Outcome::Skewed => Err(AppendError::Skewed),
        Outcome::Malformed => Err(AppendError::Malformed),
    }
}

/// How long to wait for more, so long after the end of an entry of so many appends.
fn linger(appends: usize, since: Duration) -> Duration {
    if appends < BUSY || since > MEMORY {
        return Duration::ZERO;
    }
    LINGER_EACH.saturating_mul(u32::try_from(appends).unwrap_or(u32::MAX)).min(LINGER_MAX)
}
