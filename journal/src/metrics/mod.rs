//! Metrics for Prometheus: what happened is recorded where it happens, what is so is looked up at a scrape.
//!
//! ```text
//! names      every metric's name, description, buckets
//! board      registers and writes them
//! recorded   counters and histograms, their handles registered once
//! observed   gauges from the views, the log and Raft, at a scrape
//! census     the walk over all nodes
//! ```
//!
//! The edge, the actors and the log call the functions here, one line each; [`crate::http`] serves the text. The binary
//! calls [`install`] once; without it, in benches and tests, nothing is recorded and nothing is kept.
//!
//! Not here, on purpose: any decision. Nothing in a journal depends on a metric (R5).
//!
//! **Invariant:** no node's name and no secret stands in a metric.

mod board;
mod census;
mod names;
mod observed;
mod recorded;

use std::future::Future;
use std::sync::OnceLock;
use std::time::Instant;

use proto::reason::Reason;

use board::Board;
use recorded::Recorded;

pub use observed::Scraper;

/// What this process records; none: it records nothing.
static RECORDED: OnceLock<Recorded> = OnceLock::new();

/// Begins to record, for as long as the process lives. Whoever does so calls [`upkeep`] from then on. A second call
/// changes nothing.
pub fn install() {
    RECORDED.get_or_init(Recorded::new);
}

/// Sorts away what the histograms collected. Every second or so: until then each sample is kept.
pub fn upkeep() {
    if let Some(recorded) = RECORDED.get() {
        recorded.upkeep();
    }
}

/// What is recorded, without what a [`Scraper`] looks up: a journal whose log is not open yet has no more.
pub fn text() -> String {
    text_beside(Board::new())
}

/// What is recorded, and a board of what was looked up.
fn text_beside(board: Board) -> String {
    let Some(recorded) = RECORDED.get() else { return board.text() };
    recorded.show_levels(&board);
    recorded.text() + &board.text()
}

/// A part of an enrollment's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The look-up that finds the node.
    Gate,
    /// From the order until the node's actor begins it.
    Queue,
    /// Proof of possession and signature, with the wait for a worker.
    Sign,
    /// From the append until its facts are applied here.
    Commit,
    /// From the request, read whole, to the answer.
    Total,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Gate, Self::Queue, Self::Sign, Self::Commit, Self::Total];

    fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Queue => "queue",
            Self::Sign => "sign",
            Self::Commit => "commit",
            Self::Total => "total",
        }
    }
}

/// What became of a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// A client without certificate was let in.
    Anonymous,
    /// A node was.
    Node,
    /// An operator was.
    Operator,
    /// The client's certificate is revoked or superseded.
    Revoked,
    /// The client's certificate has expired.
    Expired,
    /// No fact records the client's certificate.
    Unknown,
    /// It broke off, or the client does not speak our TLS, or does not trust us.
    Failed,
    /// It was not done in time.
    TimedOut,
    /// There is no room for another client without certificate.
    Full,
    /// It had a certificate, and the journal cannot know what that is worth (R17).
    Stale,
}

impl Handshake {
    const ALL: [Self; 10] = [
        Self::Anonymous,
        Self::Node,
        Self::Operator,
        Self::Revoked,
        Self::Expired,
        Self::Unknown,
        Self::Failed,
        Self::TimedOut,
        Self::Full,
        Self::Stale,
    ];

    /// As whom the client was let in, and the result.
    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Anonymous => ("none", "ok"),
            Self::Node => ("node", "ok"),
            Self::Operator => ("operator", "ok"),
            Self::Revoked => ("none", "revoked"),
            Self::Expired => ("none", "expired"),
            Self::Unknown => ("none", "unknown"),
            Self::Failed => ("none", "failed"),
            Self::TimedOut => ("none", "timeout"),
            Self::Full => ("none", "full"),
            Self::Stale => ("none", "stale"),
        }
    }
}

/// Counts a handshake.
pub fn handshake(handshake: Handshake) {
    if let Some(recorded) = RECORDED.get() {
        recorded.handshake(handshake);
    }
}

/// What became of an Enroll request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It got its certificate.
    Issued,
    /// The journal said no.
    Refused(Reason),
    /// Something broke.
    Failed,
    /// The caller went, or the call's time was over.
    Abandoned,
}

/// An Enroll request under way. Dropped without an outcome it was abandoned.
#[derive(Debug)]
pub struct Enrollment {
    began: Instant,
    outcome: Outcome,
}

impl Enrollment {
    /// It begins.
    pub fn begin() -> Self {
        Self { began: Instant::now(), outcome: Outcome::Abandoned }
    }

    /// It is answered.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Enrollment {
    fn drop(&mut self) {
        if let Some(recorded) = RECORDED.get() {
            recorded.ended(self.outcome);
            recorded.stage(Stage::Total, self.began.elapsed());
        }
    }
}

/// Does something and records how long that took.
pub fn timed<T>(stage: Stage, work: impl FnOnce() -> T) -> T {
    let Some(recorded) = RECORDED.get() else { return work() };
    let began = Instant::now();
    let done = work();
    recorded.stage(stage, began.elapsed());
    done
}

/// Waits for something and, if it `counts`, records how long that took.
pub async fn waited<T>(stage: Stage, counts: bool, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    if let Some(recorded) = RECORDED.get().filter(|_| counts) {
        recorded.stage(stage, began.elapsed());
    }
    done
}

/// Syncs the log and records how long that took.
pub fn synced<T>(sync: impl FnOnce() -> T) -> T {
    let Some(recorded) = RECORDED.get() else { return sync() };
    let began = Instant::now();
    let done = sync();
    recorded.synced(began.elapsed());
    done
}

/// An order that waits until it is begun. It counts while it exists.
#[derive(Debug)]
pub struct Queued {
    since: Instant,
}

impl Queued {
    /// It waits from now on.
    pub fn begin() -> Self {
        if let Some(recorded) = RECORDED.get() {
            recorded.queued(1);
        }
        Self { since: Instant::now() }
    }

    /// Its wait is over; how long it was is recorded for an enrollment.
    pub fn end(self, is_enrollment: bool) {
        if let Some(recorded) = RECORDED.get().filter(|_| is_enrollment) {
            recorded.stage(Stage::Queue, self.since.elapsed());
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(recorded) = RECORDED.get() {
            recorded.queued(-1);
        }
    }
}

/// An open subscription. It counts while it exists.
#[derive(Debug)]
pub struct Subscription(());

impl Subscription {
    /// It is open.
    pub fn open() -> Self {
        if let Some(recorded) = RECORDED.get() {
            recorded.subscriptions(1);
        }
        Self(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(recorded) = RECORDED.get() {
            recorded.subscriptions(-1);
        }
    }
}
