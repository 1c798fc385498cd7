//! The writer: takes all appends that wait, makes one Raft entry of them, waits until it is applied, answers each.
//!
//! One entry is under way at a time. While it is synced the next appends gather: the busier, the larger the entries,
//! so that the number of syncs does not grow with the load (measured: 4 times the throughput of one entry an append).
//! While many come, the writer also waits a moment for more of them: an entry costs as much as a dozen appends.
//!
//! **Invariant:** an append is answered once, and `Committed` only after its facts are in the store and folded (R3).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::append::{Append, Outcome};
use events::codec::{EncodeError, encode};
use events::vocabulary::{Remark, Timestamp};
use openraft::ServerState;
use openraft::error::{ClientWriteError, RaftError};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::broken::{Broken, in_one_line};
use super::clocks::Worth;
use super::errors::AppendError;
use super::inbox::Inbox;
use super::network::{Peers, ask};
use super::quorum::is_alone;
use super::types::{Batch, Blob};
use super::wire::{AskRecord, Recorded, Told};
use super::{Committed, MAX_APPEND_BYTES};
use crate::boottime::Moment;

/// Appends of one entry: at most some ms of applying, so that no answer waits long for its neighbours.
const MAX_APPENDS: usize = 1024;
/// Bytes of one entry, up to the last append that is taken: half of what an entry may have on disk.
const MAX_BYTES: usize = 8 << 20;

/// After an entry with so many appends more are on their way.
const BUSY: usize = 4;
/// How long the writer then waits for each of as many as came before: far less than anybody waits who is one of so many.
const LINGER_EACH: Duration = Duration::from_millis(1);
/// And how long at most: an entry costs as much as dozens of appends, with other members a message to each and a sync on
/// each. Only where hundreds wait does anybody wait so long, and they wait for each other anyway.
const LINGER_MAX: Duration = Duration::from_millis(100);
/// After so much quiet nobody else is on their way.
const MEMORY: Duration = Duration::from_millis(250);

/// An append for which nobody led for so long is given up: its caller asks again, maybe another journal.
const GIVE_UP: Duration = Duration::from_secs(8);
/// After so long without news of a leader it is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// The leader records within this, or the same bytes are sent again (R7).
const FORWARDED: Duration = Duration::from_secs(2);
/// What is committed is applied here within this, or this member is far behind.
const APPLIED: Duration = Duration::from_secs(4);
/// A leader that no quorum acknowledged for so long is likely cut off, and another one elected.
const CUT_OFF: Duration = Duration::from_secs(2);

/// A leader of whose clock nobody can say whether it is right waits so long for more voters before it stamps anything
/// (R24): what a wrong clock stamps holds up everybody's until they have caught up with it. It is longer than a restart of
/// the missing ones, and not for ever: the one that contradicts it may be the one that is wrong.
pub(super) const UNDECIDED: Duration = Duration::from_secs(30);

/// Where the time of an entry comes from: the system's clock, in tests another.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub(super) type Answer = Result<Committed, AppendError>;

/// An append on its way.
pub(super) struct Waiting {
    pub append: Append,
    /// The bytes of the overlay that it sets, if it sets one.
    pub overlay: Option<Blob>,
    /// Encoded, without the overlay.
    pub bytes: usize,
    pub answer: oneshot::Sender<Answer>,
    /// Another journal sent it: if this one does not lead any more, that one looks for the next leader itself.
    pub forwarded: bool,
}

/// How much went through.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub appends: AtomicU64,
    pub entries: AtomicU64,
}

/// See the module.
pub(super) struct Writer {
    pub inbox: Inbox,
    pub waiting: mpsc::Receiver<Waiting>,
    pub clock: Clock,
    pub broken: Arc<Broken>,
    pub counters: Arc<Counters>,
    pub peers: Arc<dyn Peers>,
    /// Since when this process leads others, and in which term.
    pub led_since: Mutex<Option<(u64, Moment)>>,
}

/// Appends that go together, until they are recorded.
struct Gathered {
    appends: Arc<Vec<Append>>,
    overlays: Arc<Vec<Blob>>,
    /// Who waits for each.
    answers: Vec<Asker>,
}

/// Who waits for an append.
struct Asker {
    answer: oneshot::Sender<Answer>,
    forwarded: bool,
}

/// What became of a try to have appends recorded.
enum Tried {
    /// Raft took them.
    Settled(Vec<Recorded>),
    /// Nobody leads, or whoever led does not any more: to be tried again as they are (R7).
    Again,
    /// The log is over.
    Over(AppendError),
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
            let gathered = self.gather(first);
            before = Some((gathered.answers.len(), Instant::now()));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                goes_on = self.write(gathered) => if !goes_on { return },
            }
        }
    }

    fn gather(&mut self, first: Waiting) -> Gathered {
        let mut bytes = first.bytes;
        let mut overlays: Vec<_> = first.overlay.into_iter().collect();
        let mut appends = vec![first.append];
        let mut answers = vec![Asker { answer: first.answer, forwarded: first.forwarded }];
        // At most one overlay: it may be as large as all the rest.
        while answers.len() < MAX_APPENDS && bytes < MAX_BYTES && overlays.is_empty() {
            let Ok(next) = self.waiting.try_recv() else { break };
            bytes += next.bytes;
            appends.push(next.append);
            overlays.extend(next.overlay);
            answers.push(Asker { answer: next.answer, forwarded: next.forwarded });
        }
        Gathered { appends: Arc::new(appends), overlays: Arc::new(overlays), answers }
    }

    /// Has appends recorded, here or by the leader, as they are until it is settled (R7). Whether the log can go on.
    async fn write(&self, gathered: Gathered) -> bool {
        let mut gathered = self.without_cast_out(gathered);
        if gathered.answers.is_empty() {
            return true;
        }
        // One member alone cannot lose its leader: there is no other try.
        if self.is_alone() {
            return match self.lead(&gathered).await {
                Tried::Settled(outcomes) => answer(gathered.answers, outcomes),
                Tried::Again => refuse(gathered.answers, &AppendError::NoLeader, true),
                Tried::Over(error) => refuse(gathered.answers, &error, false),
            };
        }
        let give_up = Instant::now() + GIVE_UP;
        loop {
            let mut metrics = self.inbox.raft.metrics();
            let (leader, own) = {
                let metrics = metrics.borrow_and_update();
                (metrics.current_leader, metrics.id)
            };
            // Others find the leader by themselves: two journals must not send each other in a circle.
            gathered = match leader {
                Some(leader) if leader == own => self.without_cast_out(gathered),
                Some(_) | None => turn_away(gathered, |_| true),
            };
            if gathered.answers.is_empty() {
                return true;
            }
            let tried = match leader {
                Some(leader) if leader == own => self.lead(&gathered).await,
                Some(leader) => self.follow(leader, &gathered).await,
                None => Tried::Again,
            };
            match tried {
                Tried::Settled(outcomes) => return answer(gathered.answers, outcomes),
                Tried::Over(error) => return refuse(gathered.answers, &error, false),
                Tried::Again if Instant::now() >= give_up => {
                    return refuse(gathered.answers, &AppendError::NoLeader, true);
                }
                Tried::Again => {
                    tracing::debug!(
                        appends = gathered.answers.len(),
                        "no leader recorded the appends; they are sent again"
                    );
                    tokio::time::timeout(AGAIN, metrics.changed()).await.ok();
                }
            }
        }
    }

    /// A journal may have lost its seat while what it had sent waited here.
    fn without_cast_out(&self, gathered: Gathered) -> Gathered {
        turn_away(gathered, |append| self.inbox.is_cast_out(&append.proposed_by))
    }

    fn is_alone(&self) -> bool {
        is_alone(&self.inbox.raft.metrics().borrow())
    }

    /// Writes an entry as the leader.
    async fn lead(&self, gathered: &Gathered) -> Tried {
        // Whoever shall lead instead has all that there is only while nothing is added.
        if self.inbox.transfers.are_under_way() {
            return Tried::Again;
        }
        let judged = match self.is_alone() {
            true => None,
            false => match self.judged_time() {
                Some(stamp) => Some(stamp),
                None => return Tried::Again,
            },
        };
        self.counters.entries.fetch_add(1, Ordering::Relaxed);
        self.counters.appends.fetch_add(gathered.appends.len() as u64, Ordering::Relaxed);
        let Gathered { appends, overlays, .. } = gathered;
        let batch = match Batch::new(
            judged.unwrap_or_else(|| (self.clock)()),
            Arc::clone(appends),
            Arc::clone(overlays),
        ) {
            Ok(batch) => batch,
            Err(error) => return self.over(&error),
        };
        #[cfg(feature = "planted-bugs")]
        if let Some(outcomes) = crate::planted::promise(appends, self.inbox.folded.position().seq) {
            let raft = self.inbox.raft.clone();
            tokio::spawn(async move { raft.client_write(batch).await.ok() });
            return Tried::Settled(outcomes.into_iter().map(Recorded::Outcome).collect());
        }
        let mut metrics = self.inbox.raft.metrics();
        let term = metrics.borrow().current_term;
        let written = tokio::select! {
            biased;
            written = self.inbox.raft.client_write(batch) => written,
            reason = self.broken.wait() => return Tried::Over(AppendError::Stopped { reason }),
            _ = metrics.wait_for(|now| now.current_term != term || now.state != ServerState::Leader) => {
                return Tried::Again;
            }
            () = self.cut_off() => return Tried::Again,
        };
        match written {
            Ok(written) => Tried::Settled(written.data.0.into_iter().map(Recorded::Outcome).collect()),
            Err(RaftError::APIError(
                ClientWriteError::ForwardToLeader(_) | ClientWriteError::ChangeMembershipError(_),
            )) => Tried::Again,
            Err(RaftError::Fatal(fatal)) => self.over(&fatal),
        }
    }

    fn over(&self, error: &dyn std::error::Error) -> Tried {
        self.broken.report(in_one_line(error));
        Tried::Over(AppendError::Stopped { reason: self.broken.reason().unwrap_or_default() })
    }

    /// Resolves when no quorum has acknowledged this leader for too long.
    async fn cut_off(&self) {
        loop {
            tokio::time::sleep(AGAIN).await;
            if !self.is_alone() && self.is_cut_off() {
                return;
            }
        }
    }

    fn is_cut_off(&self) -> bool {
        self.inbox.freshness.age().is_none_or(|age| age > CUT_OFF)
    }

    /// The time, if this leader may stamp facts with it: if its clock is known to be right, or nobody could say more about it
    /// for long (R24). Nor does one that was cut off: it would wait for ever.
    fn judged_time(&self) -> Option<Timestamp> {
        if self.is_cut_off() {
            return None;
        }
        let term = self.inbox.raft.metrics().borrow().current_term;
        let others = self.inbox.freshness.other_voters();
        // Read once: what is stamped is what was judged.
        let (stamp, now) = ((self.clock)(), self.inbox.freshness.now());
        let since = match *self.led_since.lock() {
            Some((led, since)) if led == term => since,
            ref mut led => led.insert((term, now)).1,
        };
        let may = match self.inbox.clocks.worth(&others, stamp, now) {
            Worth::Right => true,
            Worth::Wrong => false,
            Worth::Unknown => now.since(since) >= UNDECIDED,
        };
        may.then_some(stamp)
    }

    /// Sends appends to the leader; done when what it recorded is applied here too (R10).
    async fn follow(&self, leader: u64, gathered: &Gathered) -> Tried {
        let Gathered { appends, overlays, .. } = gathered;
        let question = AskRecord::new(appends, overlays.first());
        let mut metrics = self.inbox.raft.metrics();
        let told = tokio::select! {
            biased;
            reason = self.broken.wait() => return Tried::Over(AppendError::Stopped { reason }),
            told = ask(&*self.peers, leader, &question, FORWARDED) => told,
            // One that does not answer any more is not waited for once there is another (R7).
            _ = metrics.wait_for(|now| now.current_leader.is_some_and(|now| now != leader)) => return Tried::Again,
        };
        match told {
            Ok(Told::Recorded(outcomes, seq)) if outcomes.len() == appends.len() => {
                let applied = tokio::time::timeout(APPLIED, self.inbox.folded.reaches(seq)).await.is_ok();
                let open = outcomes.contains(&Recorded::Open);
                if applied && !open { Tried::Settled(outcomes) } else { Tried::Again }
            }
            Ok(_) => Tried::Again,
            Err(error) => {
                tracing::debug!(%error, "appends could not be sent to the leader");
                Tried::Again
            }
        }
    }
}

/// Whoever asked may have gone; the facts stand.
fn answer(answers: Vec<Asker>, outcomes: Vec<Recorded>) -> bool {
    for (asker, outcome) in answers.into_iter().zip(outcomes) {
        let _ = asker.answer.send(told(outcome));
    }
    true
}

fn refuse(answers: Vec<Asker>, error: &AppendError, go_on: bool) -> bool {
    for asker in answers {
        let _ = asker.answer.send(Err(error.clone()));
    }
    go_on
}

/// Tells those that came from other journals, and that are not for this one to record, so; the rest is left.
fn turn_away(gathered: Gathered, is_away: impl Fn(&Append) -> bool) -> Gathered {
    let goes = |append: &Append, asker: &Asker| asker.forwarded && is_away(append);
    if !gathered.appends.iter().zip(&gathered.answers).any(|(append, asker)| goes(append, asker)) {
        return gathered;
    }
    let Gathered { appends, overlays, answers } = gathered;
    let (away, kept): (Vec<_>, Vec<_>) = Arc::unwrap_or_clone(appends)
        .into_iter()
        .zip(answers)
        .partition(|(append, asker)| goes(append, asker));
    refuse(away.into_iter().map(|(_, asker)| asker).collect(), &AppendError::NoLeader, true);
    // At most one append of these sets an overlay.
    let sets = |(append, _): &(Append, Asker)| append.facts.iter().any(|fact| fact.overlay().is_some());
    let overlays = if kept.iter().any(sets) { overlays } else { Arc::default() };
    let (appends, answers) = kept.into_iter().unzip();
    Gathered { appends: Arc::new(appends), overlays, answers }
}

fn told(outcome: Recorded) -> Answer {
    match outcome {
        Recorded::Outcome(Outcome::Committed { first_seq, last_seq }) => {
            Ok(Committed { first_seq, last_seq })
        }
        Recorded::Outcome(Outcome::Conflict { stream, expected, found }) => {
            Err(AppendError::Conflict { stream, expected, found })
        }
        Recorded::Outcome(Outcome::Skewed) => Err(AppendError::Skewed),
        Recorded::Outcome(Outcome::AboveLevel { needs, level }) => {
            Err(AppendError::AboveLevel { needs, level })
        }
        Recorded::Outcome(Outcome::Malformed) => Err(AppendError::Malformed),
        Recorded::DiskLow => Err(AppendError::DiskLow),
        Recorded::Open => Err(AppendError::NoLeader),
    }
}

/// The bytes of an append, if members will be able to record it.
pub(super) fn weigh(append: &Append) -> Result<usize, AppendError> {
    let hashes: BTreeSet<_> = append.remarks.iter().map(Remark::hash).collect();
    // A remark given twice would lie beside its fact twice.
    if append.check().is_err() || hashes.len() != append.remarks.len() {
        return Err(AppendError::Malformed);
    }
    match encode::<MAX_APPEND_BYTES>(append) {
        Ok(bytes) => Ok(bytes.len()),
        Err(EncodeError::TooLarge { bytes, limit }) => Err(AppendError::TooLarge { bytes, limit }),
        Err(EncodeError::Encode(_)) => Err(AppendError::Malformed),
    }
}

/// How long to wait for more, so long after the end of an entry of so many appends.
fn linger(appends: usize, since: Duration) -> Duration {
    if appends < BUSY || since > MEMORY {
        return Duration::ZERO;
    }
    LINGER_EACH.saturating_mul(u32::try_from(appends).unwrap_or(u32::MAX)).min(LINGER_MAX)
}
