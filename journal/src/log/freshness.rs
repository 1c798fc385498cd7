//! How fresh this member's knowledge is proven to be (R17), and how far clocks are apart (R24).
//!
//! The proof of a leader is the last acknowledgement by a quorum; openraft lets no leader step down by itself. A
//! follower's is the last message of a leader that carried the leader's own proof and whose commit is applied here.
//! Counted on CLOCK_BOOTTIME, which goes on while the process is stopped or the machine sleeps.
//!
//! Written by Raft's way in and out, read at every handshake and call.
//!
//! **Invariant:** a proof is never counted as younger than it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::vocabulary::Timestamp;
use parking_lot::Mutex;

/// Milliseconds on a clock that only ever goes forward and counts sleep.
type Moment = u64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// When what is applied here was last proven to be all that was committed; 0: never.
    proven_at: AtomicU64,
    /// Proofs that count once an entry is applied, the oldest first: index, moment.
    pending: Mutex<Vec<(u64, Moment)>>,
    /// How far each other member's clock is ahead, in ms.
    ahead: Mutex<BTreeMap<u64, i64>>,
}

/// Proofs that wait for their entries, at most: a member that falls behind needs only the newest.
const PENDING: usize = 64;

impl Freshness {
    /// A quorum acknowledged this leader so long ago.
    pub(super) fn acknowledged(&self, ago: Duration) {
        self.prove(now().saturating_sub(millis(ago)));
    }

    /// A leader that was acknowledged so long ago told that entries up to this one are committed.
    pub(super) fn told(&self, commit: u64, applied: u64, ago_ms: u64) {
        let at = now().saturating_sub(ago_ms);
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

    fn prove(&self, at: Moment) {
        self.proven_at.fetch_max(at, Ordering::Release);
    }

    /// How old the proof is; None: there was never one.
    pub(super) fn age(&self) -> Option<Duration> {
        match self.proven_at.load(Ordering::Acquire) {
            0 => None,
            at => Some(Duration::from_millis(now().saturating_sub(at))),
        }
    }

    /// The same in ms, for others.
    pub(super) fn proven_ms_ago(&self) -> Option<u64> {
        self.age().map(millis)
    }

    /// Another member's clock said this when ours said that.
    pub(super) fn heard(&self, member: u64, theirs: Timestamp, ours: Timestamp) {
        let millis = |time: Timestamp| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.ahead.lock().insert(member, millis(theirs).saturating_sub(millis(ours)));
    }

    /// How far this member's clock is from the median of all that were heard and its own, in ms.
    pub(super) fn skew_ms(&self) -> u64 {
        let mut ahead: Vec<i64> = self.ahead.lock().values().copied().chain([0]).collect();
        ahead.sort_unstable();
        // Of an even number the middle that is kinder: with two members, neither can say who is wrong.
        let middles = ahead.get((ahead.len() - 1) / 2..=ahead.len() / 2).unwrap_or_default();
        middles.iter().map(|median| median.unsigned_abs()).min().unwrap_or_default()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// From 1 on, so that 0 can say never.
fn now() -> Moment {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_17_a_leaders_word_counts_once_its_commit_is_applied_and_as_old_as_it_is() {
        let freshness = Freshness::default();
        assert_eq!(freshness.age(), None);
        freshness.told(7, 6, 400);
        assert_eq!(freshness.age(), None, "entry 7 is not applied yet");
        freshness.applied(6);
        assert_eq!(freshness.age(), None);
        freshness.applied(7);
        assert!(freshness.age().unwrap() >= Duration::from_millis(400));
        freshness.told(7, 7, 100);
        let age = freshness.age().unwrap();
        assert!(age >= Duration::from_millis(100) && age < Duration::from_millis(400), "{age:?}");
        freshness.told(7, 7, 9_000);
        assert!(freshness.age().unwrap() < Duration::from_millis(400), "an older proof takes none away");
    }

    #[test]
    fn rule_17_a_leader_is_as_fresh_as_its_last_acknowledgement() {
        let freshness = Freshness::default();
        freshness.acknowledged(Duration::from_millis(250));
        assert!(freshness.proven_ms_ago().unwrap() >= 250);
    }

    #[test]
    fn rule_24_the_clock_of_the_few_is_the_wrong_one() {
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1000);
        let freshness = Freshness::default();
        freshness.heard(2, at(30), at(0));
        assert_eq!(freshness.skew_ms(), 0, "two members cannot say who is wrong");
        freshness.heard(2, at(0), at(30));
        assert_eq!(freshness.skew_ms(), 0);
        freshness.heard(2, at(30), at(0));
        freshness.heard(3, at(31), at(0));
        assert_eq!(freshness.skew_ms(), 30_000);
    }
}
