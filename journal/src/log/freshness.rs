//! How fresh this member's knowledge is proven to be (R17).
//!
//! The proof of a leader is the last acknowledgement by a quorum; openraft lets no leader step down by itself. A
//! follower's is the last message of a leader that carried the leader's own proof and whose commit is applied here, or
//! a read index. Counted on CLOCK_BOOTTIME, which goes on while the process is stopped or the machine sleeps.
//!
//! A message may have been on its way for any time: it lies in the socket while this process is stopped. So it proves
//! something of a moment that is known to be before it was sent. An acknowledgement counts from when the leader sent what
//! is acknowledged. A leader's message says which answer of the follower the leader had last ([`Said`]), and counts from
//! when the follower gave that answer.
//!
//! Written by Raft's way in and out, read at every handshake and call.
//!
//! **Invariant:** a proof is never counted as younger than it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::ServerState;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::types::RaftMetrics;
use super::wire::{Said, Vitals};
use crate::boottime::{Boottime, Moment};

/// See the module.
pub(super) struct Freshness {
    boottime: Boottime,
    /// This process: what an earlier one said says nothing to this one.
    incarnation: u64,
    /// When what is applied here was last proven to be all that was committed, by others; 0: never.
    proven_at: AtomicU64,
    /// Proofs that count once an entry is applied, the oldest first: index, moment.
    pending: Mutex<Vec<(u64, Moment)>>,
    /// The other members, as a leader knows them.
    heard: Mutex<BTreeMap<u64, Heard>>,
    /// Who leads, and who counts.
    raft: OnceLock<watch::Receiver<RaftMetrics>>,
}

/// What a leader heard of another member.
struct Heard {
    /// In which term it last acknowledged this leader, and when that was sent which it acknowledged.
    acknowledged: Option<(u64, Moment)>,
    /// What it told with its last answer.
    vitals: Vitals,
    /// When that answer came.
    at: Moment,
}

/// Proofs that wait for their entries, at most: a member that falls behind needs only the newest.
const PENDING: usize = 64;

impl Freshness {
    /// Nothing is proven yet. `incarnation`: a random number of this process.
    pub(super) fn new(boottime: Boottime, incarnation: u64) -> Self {
        Self {
            boottime,
            incarnation,
            proven_at: AtomicU64::new(0),
            pending: Mutex::default(),
            heard: Mutex::default(),
            raft: OnceLock::new(),
        }
    }

    /// From now on it is known who leads and who counts.
    pub(super) fn follow(&self, raft: watch::Receiver<RaftMetrics>) {
        // Set once, by whoever started Raft.
        self.raft.set(raft).ok();
    }

    #[cfg(feature = "planted-bugs")]
    pub(super) fn leads(&self) -> bool {
        self.raft.get().is_some_and(|raft| raft.borrow().state == ServerState::Leader)
    }

    /// The voters besides this member, as far as it knows.
    pub(super) fn other_voters(&self) -> Vec<u64> {
        let Some(raft) = self.raft.get() else { return vec![] };
        let raft = raft.borrow();
        raft.membership_config.membership().voter_ids().filter(|voter| *voter != raft.id).collect()
    }

    /// The present moment.
    pub(super) fn now(&self) -> Moment {
        (self.boottime)()
    }

    /// What this member says with an answer: the leader's next message repeats it.
    pub(super) fn said(&self) -> Said {
        Said { incarnation: self.incarnation, at: self.now().as_millis() }
    }

    /// The moment of what this process said; none, if it was another one.
    pub(super) fn moment_of(&self, said: Said) -> Option<Moment> {
        let moment = Moment::from_millis(said.at);
        (said.incarnation == self.incarnation && moment <= self.now()).then_some(moment)
    }

    /// A leader whose own proof was so old told, after `sent`, that entries up to this one are committed.
    pub(super) fn told(&self, commit: u64, applied: u64, sent: Moment, ago_ms: u64) {
        let at = sent.before(ago_ms);
        if commit <= applied {
            return self.prove(at);
        }
        let mut pending = self.pending.lock();
        if pending.len() >= PENDING {
            pending.remove(0);
        }
        pending.push((commit, at));
    }

    /// Entries up to this one are applied.
    pub(super) fn applied(&self, index: u64) {
        let mut pending = self.pending.lock();
        let proven = pending.iter().filter(|(commit, _)| *commit <= index).map(|(_, at)| *at).max();
        pending.retain(|(commit, _)| *commit > index);
        drop(pending);
        if let Some(at) = proven {
            self.prove(at);
        }
    }

    /// A leader confirmed after this moment what is committed, and that is applied here.
    pub(super) fn confirmed(&self, asked: Moment) {
        self.prove(asked);
    }

    fn prove(&self, at: Moment) {
        self.proven_at.fetch_max(at.as_millis(), Ordering::Release);
    }

    /// A member answered this leader. `acknowledged`: the term in which it follows, and when the question was sent.
    pub(super) fn answered(&self, member: u64, acknowledged: Option<(u64, Moment)>, vitals: Vitals) {
        let at = self.now();
        let mut heard = self.heard.lock();
        let before = heard.get(&member).and_then(|heard| heard.acknowledged);
        heard.insert(member, Heard { acknowledged: acknowledged.max(before), vitals, at });
    }

    /// The last answer of a member, for the next message to it.
    pub(super) fn last_said(&self, member: u64) -> Option<Said> {
        self.heard.lock().get(&member).map(|heard| heard.vitals.said)
    }

    /// What a member last told this leader, and how long ago.
    pub(super) fn heard(&self, member: u64) -> Option<(Vitals, Duration)> {
        let heard = self.heard.lock();
        let Heard { vitals, at, .. } = heard.get(&member)?;
        Some((vitals.clone(), self.now().since(*at)))
    }

    /// How old the proof is; None: there was never one.
    pub(super) fn age(&self) -> Option<Duration> {
        let now = self.now();
        let told = Some(self.proven_at.load(Ordering::Acquire)).filter(|at| *at > 0).map(Moment::from_millis);
        self.acknowledged(now).max(told).map(|at| now.since(at))
    }

    /// The same in ms, for others.
    pub(super) fn proven_ms_ago(&self) -> Option<u64> {
        self.age().map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }

    /// Since when a quorum acknowledges this leader. Not before it has applied an entry of its own term: only then it
    /// knows all that was committed before.
    fn acknowledged(&self, now: Moment) -> Option<Moment> {
        let raft = self.raft.get()?.borrow();
        let leader = raft.vote.leader_id;
        let knows = raft.last_applied.is_some_and(|place| place.leader_id == leader);
        if raft.state != ServerState::Leader || !knows {
            return None;
        }
        let heard = self.heard.lock();
        let of = |member: u64| {
            let (term, sent) = heard.get(&member)?.acknowledged?;
            (term == leader.term).then_some(sent)
        };
        let configs = raft.membership_config.membership().get_joint_config();
        by_a_quorum(configs, |member| if member == raft.id { Some(now) } else { of(member) })
    }
}

/// The latest moment since which a majority of each configuration has acknowledged.
fn by_a_quorum(configs: &[BTreeSet<u64>], since: impl Fn(u64) -> Option<Moment>) -> Option<Moment> {
    let of_one = |voters: &BTreeSet<u64>| {
        let mut moments: Vec<Option<Moment>> = voters.iter().map(|member| since(*member)).collect();
        moments.sort_unstable();
        // So many may be older, or never have acknowledged.
        let minority = moments.len().checked_sub(moments.len() / 2 + 1)?;
        moments.get(minority).copied().flatten()
    };
    configs.iter().map(of_one).min().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use events::vocabulary::Timestamp;

    use super::*;

    const INCARNATION: u64 = 7;

    /// On a clock that the test moves.
    fn at(start: u64) -> (Freshness, Arc<AtomicU64>) {
        let clock = Arc::new(AtomicU64::new(start));
        let read = Arc::clone(&clock);
        let boottime = Arc::new(move || Moment::from_millis(read.load(Ordering::Relaxed)));
        (Freshness::new(boottime, INCARNATION), clock)
    }

    fn moment(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn age(freshness: &Freshness) -> Option<u64> {
        freshness.proven_ms_ago()
    }

    #[test]
    fn rule_17_a_leaders_word_counts_once_its_commit_is_applied_and_as_old_as_it_is() {
        let (freshness, _) = at(10_000);
        assert_eq!(age(&freshness), None);
        freshness.told(7, 6, moment(9_900), 400);
        assert_eq!(age(&freshness), None, "entry 7 is not applied yet");
        freshness.applied(6);
        assert_eq!(age(&freshness), None);
        freshness.applied(7);
        assert_eq!(age(&freshness), Some(500), "100 since it was sent, and 400 before");
        freshness.told(7, 7, moment(9_950), 100);
        assert_eq!(age(&freshness), Some(150));
        freshness.told(7, 7, moment(9_950), 9_000);
        assert_eq!(age(&freshness), Some(150), "an older proof takes none away");
    }

    #[test]
    fn rule_17_a_message_counts_from_an_answer_that_its_sender_had_and_not_from_when_it_is_read() {
        let (freshness, clock) = at(10_000);
        let said = freshness.said();
        // The leader's message was sent a moment later. Then this process stood still for 40 s, and reads it now.
        clock.store(50_000, Ordering::Relaxed);
        let sent = freshness.moment_of(said).unwrap();
        freshness.told(7, 7, sent, 5);
        assert_eq!(age(&freshness), Some(40_005));
    }

    #[test]
    fn rule_17_what_another_process_said_or_what_lies_ahead_dates_nothing() {
        let (freshness, _) = at(10_000);
        assert_eq!(freshness.moment_of(Said { incarnation: INCARNATION, at: 9_000 }), Some(moment(9_000)));
        // Before a restart of the machine its clock was at another place.
        assert_eq!(freshness.moment_of(Said { incarnation: INCARNATION + 1, at: 9_000 }), None);
        assert_eq!(freshness.moment_of(Said { incarnation: INCARNATION, at: 10_001 }), None);
    }

    #[test]
    fn rule_17_a_read_index_proves_from_when_it_was_asked_for() {
        let (freshness, clock) = at(10_000);
        let asked = freshness.now();
        clock.store(10_300, Ordering::Relaxed);
        freshness.confirmed(asked);
        assert_eq!(age(&freshness), Some(300));
    }

    #[test]
    fn rule_17_a_leader_is_as_fresh_as_the_oldest_acknowledgement_that_it_needs_for_a_majority() {
        let acknowledged = |member: u64| match member {
            1 => Some(moment(1_000)),
            2 => Some(moment(700)),
            3 => Some(moment(500)),
            4 => Some(moment(300)),
            _ => None,
        };
        for (configs, since) in [
            (vec![vec![1]], Some(1_000)),
            (vec![vec![1, 2]], Some(700)),
            (vec![vec![1, 2, 3]], Some(700)),
            (vec![vec![1, 3, 9]], Some(500)),
            (vec![vec![1, 8, 9]], None),
            (vec![vec![1, 2, 3, 4]], Some(500)),
            (vec![vec![1, 2, 3, 4, 9]], Some(500)),
            // While the members change a majority of the old and of the new ones counts.
            (vec![vec![1, 2, 3], vec![1, 3, 4]], Some(500)),
            (vec![vec![1, 2, 3], vec![1, 8, 9]], None),
            (vec![vec![2, 3, 4]], Some(500)),
            (vec![vec![]], None),
            (vec![], None),
        ] {
            let sets: Vec<BTreeSet<u64>> =
                configs.iter().map(|voters| voters.iter().copied().collect()).collect();
            assert_eq!(by_a_quorum(&sets, acknowledged), since.map(moment), "{configs:?}");
        }
    }

    #[test]
    fn rule_17_an_older_acknowledgement_takes_none_away_and_a_later_term_counts_more() {
        let (freshness, _) = at(10_000);
        let said = Said { incarnation: 1, at: 5 };
        let vitals = || Vitals {
            said,
            clock: Timestamp::default(),
            applied_seq: 1,
            disk_low: false,
            version: String::new(),
        };
        let kept = |freshness: &Freshness| freshness.heard.lock()[&2].acknowledged;
        freshness.answered(2, Some((3, moment(900))), vitals());
        freshness.answered(2, Some((3, moment(800))), vitals());
        freshness.answered(2, None, vitals());
        assert_eq!(kept(&freshness), Some((3, moment(900))));
        freshness.answered(2, Some((4, moment(850))), vitals());
        assert_eq!(kept(&freshness), Some((4, moment(850))));
        assert_eq!((freshness.last_said(2), freshness.last_said(3)), (Some(said), None));
    }
}
