//! Whether the machine that an active node was until now is still there, when another boot asks to be it (R14 c).
//!
//! A machine whose power was cut leaves its stream open. So whoever holds it pings, and looks for [`PATIENCE`] whether anything
//! comes. Where no stream stands, the machine may still be on its way back to one: it counts as gone once it has been away for
//! longer than that takes. Only the leader knows who holds a stream, and knows of nobody before all others have reported; a
//! follower asks it, and it asks the holder.
//!
//! A question stays open beyond the call that began it: the machine is told to come back, and hears then what was found,
//! at whichever journal it asks.
//!
//! Not here, on purpose: what follows from it (`events::node::decide`).
//!
//! **Invariant:** not known is not gone, and nobody is called silent who gave a sign of life since the question.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use events::vocabulary::{JournalId, NodeId, Timestamp};
use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::clock;
use crate::log::Log;

use super::timers::leads;
use super::{Pulse, Streams, have_all_reported};

/// How often a stream is looked at while its machine is asked.
const LOOK: Duration = Duration::from_millis(500);
/// So many looks without a sign of life. Looks are counted, not time: a journal that stood still has not listened.
const LOOKS: u32 = 10;
/// What they take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A machine that is there answers within this, mostly; then the caller need not come back to hear it.
const AT_ONCE: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(200)];
/// What was found is kept so long. The machine comes back after [`PATIENCE`].
const KEPT: Duration = Duration::from_secs(60);
/// Questions at once, of less than 1 KB each: a whole machine room whose power came back. Who finds no place asks again.
const QUESTIONS: usize = 16 * 1024;
/// A stream was just lost or is just reported: who holds it is known soon.
const A_MOMENT: Duration = Duration::from_secs(1);
/// An agent that lost its journal tries again after 30 s at the latest. For this long nobody counts as gone who has no stream.
const AWAY: Duration = Duration::from_secs(35);

/// What is known of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sounding {
    /// It is there.
    Answers,
    /// It answers nobody.
    Silent,
    /// It is being asked; in so long it is known.
    Open(Duration),
    /// Whoever could know it does not answer, or does not know yet.
    Unknown,
}

impl Sounding {
    /// Of a machine with two streams: one that answers is enough, and all must be silent.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Answers, _) | (_, Self::Answers) => Self::Answers,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Open(one), Self::Open(other)) => Self::Open(one.max(other)),
            (Self::Open(wait), Self::Silent) | (Self::Silent, Self::Open(wait)) => Self::Open(wait),
            (Self::Silent, Self::Silent) => Self::Silent,
        }
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Soundings {
    log: Log,
    streams: Streams,
    journal_id: JournalId,
    cut_off: Duration,
    way: Arc<dyn ToHolder>,
    asked: Arc<Mutex<HashMap<NodeId, Arc<Question>>>>,
}

/// The answer of another journal. `Err`: there was none.
pub type Sounded = Pin<Box<dyn Future<Output = Result<Sounding, String>> + Send>>;

/// The way to other journals.
pub trait ToHolder: Send + Sync + 'static {
    /// Asks the member with this number in Raft. `passed_on`: by the leader, because it holds the stream.
    fn sound(&self, member: u64, node: NodeId, passed_on: bool) -> Sounded;
}

/// One machine is asked on all streams that stood when it began.
struct Question {
    pulses: Vec<(Pulse, u64)>,
    begun: Instant,
    silent: AtomicBool,
}

impl Question {
    fn new(pulses: &[Pulse], now: Instant) -> Self {
        let pulses = pulses.iter().map(|pulse| (pulse.clone(), pulse.beats())).collect();
        Self { pulses, begun: now, silent: AtomicBool::new(false) }
    }

    fn is_about(&self, pulses: &[Pulse]) -> bool {
        let pairs = self.pulses.iter().zip(pulses);
        self.pulses.len() == pulses.len() && pairs.into_iter().all(|((asked, _), pulse)| asked.is(pulse))
    }

    fn is_answered(&self) -> bool {
        self.pulses.iter().any(|(pulse, beats)| pulse.beats() != *beats)
    }

    fn found(&self, now: Instant) -> Sounding {
        if self.is_answered() {
            Sounding::Answers
        } else if self.silent.load(Ordering::Acquire) {
            Sounding::Silent
        } else {
            Sounding::Open(PATIENCE.saturating_sub(now.duration_since(self.begun)).max(LOOK))
        }
    }
}

impl Soundings {
    /// Asks on these streams, and other journals by this way. `cut_off`: after so long without a report a journal holds no
    /// stream any more, because it has cut them itself (R17).
    pub fn new(
        log: Log,
        streams: Streams,
        journal_id: JournalId,
        cut_off: Duration,
        way: Arc<dyn ToHolder>,
    ) -> Self {
        Self { log, streams, journal_id, cut_off, way, asked: Arc::default() }
    }

    /// Whether the machine of a node is still there.
    pub async fn ask(&self, node: &NodeId) -> Sounding {
        if self.log.is_alone() || leads(&self.log) {
            return self.everywhere(node).await;
        }
        let seats = self.log.seats();
        match seats.leader.filter(|leader| *leader != seats.own) {
            Some(leader) => self.of_member(leader, node, false).await,
            None => Sounding::Unknown,
        }
    }

    /// Another journal asks.
    pub async fn hear(&self, node: &NodeId, passed_on: bool) -> Sounding {
        if passed_on {
            // If it stands here no more, the report of that is on its way to the leader.
            return self.here(node).await.unwrap_or(Sounding::Open(A_MOMENT));
        }
        if leads(&self.log) { self.everywhere(node).await } else { Sounding::Unknown }
    }

    /// By a leader: on all streams that stand anywhere. A machine that lost its network for a moment may have a new one at
    /// another journal while the old one stands.
    async fn everywhere(&self, node: &NodeId) -> Sounding {
        let holders: Vec<u64> = {
            let views = self.log.views();
            let raft_id = |journal| views.members.get(&journal).and_then(|row| row.state.raft_id());
            self.streams.holders(node).into_iter().filter_map(raft_id).collect()
        };
        let elsewhere = holders.iter().map(|holder| self.of_member(*holder, node, true));
        let (here, elsewhere) = tokio::join!(self.here(node), join_all(elsewhere));
        let found = here.into_iter().chain(elsewhere).reduce(Sounding::and);
        let found = found.unwrap_or_else(|| self.nowhere(node));
        let all = || have_all_reported(&self.log, &self.streams, &self.journal_id, self.cut_off);
        if found == Sounding::Silent && !self.log.is_alone() && !all() {
            return Sounding::Unknown;
        }
        found
    }

    /// None: no stream stands here.
    async fn here(&self, node: &NodeId) -> Option<Sounding> {
        let pulses = self.streams.pulses(node);
        if pulses.is_empty() {
            self.asked.lock().remove(node);
            return None;
        }
        let Some(question) = self.question(node, &pulses) else { return Some(Sounding::Open(PATIENCE)) };
        for wait in AT_ONCE {
            if !matches!(question.found(Instant::now()), Sounding::Open(_)) {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        let found = question.found(Instant::now());
        if found == Sounding::Answers {
            // Whoever comes next asks anew.
            self.forget(node, &question);
        }
        Some(found)
    }

    /// The question that is open about these streams, or a new one. None: there are too many.
    fn question(&self, node: &NodeId, pulses: &[Pulse]) -> Option<Arc<Question>> {
        let mut asked = self.asked.lock();
        if let Some(open) = asked.get(node).filter(|open| open.is_about(pulses)) {
            return Some(Arc::clone(open));
        }
        if asked.len() >= QUESTIONS {
            return None;
        }
        let question = Arc::new(Question::new(pulses, Instant::now()));
        asked.insert(node.clone(), Arc::clone(&question));
        pulses.iter().for_each(Pulse::ask);
        tokio::spawn(self.clone().listen(node.clone(), Arc::clone(&question)));
        Some(question)
    }

    async fn listen(self, node: NodeId, question: Arc<Question>) {
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK).await;
            if question.is_answered() {
                break;
            }
        }
        question.silent.store(true, Ordering::Release);
        tokio::time::sleep(KEPT).await;
        self.forget(&node, &question);
    }

    fn forget(&self, node: &NodeId, question: &Arc<Question>) {
        let mut asked = self.asked.lock();
        if asked.get(node).is_some_and(|open| Arc::ptr_eq(open, question)) {
            asked.remove(node);
        }
    }

    fn nowhere(&self, node: &NodeId) -> Sounding {
        let active_since = self.log.views().registry.node(node).map(|known| known.active_since);
        let Some(active_since) = active_since else { return Sounding::Unknown };
        away(self.streams.away_since(node, active_since), clock::now())
    }

    async fn of_member(&self, member: u64, node: &NodeId, passed_on: bool) -> Sounding {
        match self.way.sound(member, node.clone(), passed_on).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%node, member, error, "a journal did not say whether a machine is still there");
                Sounding::Unknown
            }
        }
    }
}

/// A machine without a stream: nobody can ask it, and one that lives may be on its way to another journal.
fn away(since: Timestamp, now: Timestamp) -> Sounding {
    let left = AWAY.saturating_sub(now.since(since));
    if left.is_zero() { Sounding::Silent } else { Sounding::Open(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_14_a_machine_is_silent_only_after_all_looks_and_never_after_a_sign_of_life() {
        let (one, two, now) = (Pulse::default(), Pulse::default(), Instant::now());
        one.beat();
        let question = Question::new(&[one, two.clone()], now);
        assert_eq!(question.found(now), Sounding::Open(PATIENCE));
        // Time alone says nothing: the journal may have stood still.
        assert_eq!(question.found(now + PATIENCE * 9), Sounding::Open(LOOK));
        question.silent.store(true, Ordering::Release);
        assert_eq!(question.found(now), Sounding::Silent);
        two.beat();
        assert_eq!(question.found(now), Sounding::Answers, "it came late, and before anything was decided");
    }

    #[test]
    fn rule_14_of_two_streams_one_that_answers_is_enough_and_both_must_be_silent() {
        use Sounding::{Answers, Silent, Unknown};
        let open = |secs| Sounding::Open(Duration::from_secs(secs));
        for (one, other, both) in [
            (Answers, Silent, Answers),
            (Unknown, Answers, Answers),
            (Silent, Unknown, Unknown),
            (open(1), Unknown, Unknown),
            (open(1), Silent, open(1)),
            (open(1), open(2), open(2)),
            (Silent, Silent, Silent),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both));
        }
    }

    #[test]
    fn rule_14_a_question_is_about_the_streams_that_stood_when_it_began() {
        let (one, two) = (Pulse::default(), Pulse::default());
        let question = Question::new(std::slice::from_ref(&one), Instant::now());
        assert!(question.is_about(std::slice::from_ref(&one)));
        assert!(!question.is_about(std::slice::from_ref(&two)) && !question.is_about(&[one, two]));
    }

    #[test]
    fn rule_14_who_has_no_stream_is_gone_after_35_seconds() {
        let at = |millis: u64| Timestamp::from_millis(1_000_000 + millis);
        for (after, expected) in [
            (0, Sounding::Open(Duration::from_secs(35))),
            (34_999, Sounding::Open(Duration::from_millis(1))),
            (35_000, Sounding::Silent),
        ] {
            assert_eq!(away(at(0), at(after)), expected, "{after}");
        }
    }
}
