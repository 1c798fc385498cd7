//! Refused attempts, added up by node and reason, and when each sum may become a fact (R5). Pure: time is passed in.
//!
//! **Invariant:** no more than this journal's [`share`] of [`IN_ALL`] sums is given out in any [`PERIOD`], none twice for one
//! node; at most [`WAITING`] wait; and no attempt is counted twice.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use events::node::{RefusalReason, RefusedAttempts};
use events::vocabulary::{HardwareField, NodeId, Timestamp};

/// A node has one fact of a journal in this time, and all nodes have [`IN_ALL`] of all journals (R5).
const PERIOD: Duration = Duration::from_secs(60);
/// See [`PERIOD`].
const IN_ALL: usize = 60;
/// Sums that wait: some 250 bytes each, 4 MB of them. One journal alone makes facts of as many in four and a half hours;
/// attempts at nodes beyond them stand in the metric of refusals only.
const WAITING: usize = 16_384;

/// How many facts in a [`PERIOD`] one of so many voters has: all together [`IN_ALL`], or as many more as do not divide.
fn share(voters: usize) -> usize {
    IN_ALL.div_ceil(voters.max(1))
}

/// Sums that wait to become facts. See the module.
#[derive(Debug, Default)]
pub struct Sums {
    waiting: HashMap<(NodeId, RefusalReason), Sum>,
    /// The same, the one that waits longest first.
    queue: VecDeque<(NodeId, RefusalReason)>,
    /// What was given out within the last period.
    given: VecDeque<(Instant, NodeId)>,
}

/// One refused attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Why.
    pub reason: RefusalReason,
    /// What did not match (R13).
    pub differing: Vec<HardwareField>,
    /// From where.
    pub from: Option<IpAddr>,
    /// When.
    pub at: Timestamp,
}

/// Attempts at one node with one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// What the fact will say.
    pub attempts: RefusedAttempts,
    /// From where the last one came.
    pub from: Option<IpAddr>,
}

impl Sum {
    fn of(attempt: Attempt) -> Self {
        let Attempt { reason, differing, from, at } = attempt;
        Self { attempts: RefusedAttempts { reason, first: at, last: at, count: 1, differing }, from }
    }

    /// The clock may have been set in between: what came first is decided by it, not by the order of calls.
    fn add(&mut self, other: Self) {
        let (own, new) = (&mut self.attempts, other.attempts);
        if new.last >= own.last {
            self.from = other.from;
        }
        own.first = own.first.min(new.first);
        own.last = own.last.max(new.last);
        own.count = own.count.saturating_add(new.count);
        own.differing.extend(new.differing);
        own.differing.sort_unstable();
        own.differing.dedup();
    }
}

impl Sums {
    /// Counts an attempt.
    pub fn add(&mut self, node: &NodeId, attempt: Attempt) {
        self.put(node, Sum::of(attempt));
    }

    /// Counts a sum again that could not be recorded; it comes when the node's time has come again.
    pub fn give_back(&mut self, node: &NodeId, sum: Sum) {
        self.put(node, sum);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The sum that may become a fact now, the one that waits longest first; this journal is one of so many voters. None:
    /// none may, at this moment.
    pub fn take(&mut self, now: Instant, voters: usize) -> Option<(NodeId, Sum)> {
        while self.given.front().is_some_and(|(at, _)| now.duration_since(*at) >= PERIOD) {
            self.given.pop_front();
        }
        if self.given.len() >= share(voters) {
            return None;
        }
        // A node has as many sums as there are reasons, so no more than some hundreds are passed over.
        let silent = |node: &NodeId| self.given.iter().all(|(_, given)| given != node);
        let place = self.queue.iter().position(|(node, _)| silent(node))?;
        let key = self.queue.remove(place)?;
        let sum = self.waiting.remove(&key)?;
        self.given.push_back((now, key.0.clone()));
        Some((key.0, sum))
    }

    fn put(&mut self, node: &NodeId, sum: Sum) {
        let key = (node.clone(), sum.attempts.reason);
        if let Some(known) = self.waiting.get_mut(&key) {
            known.add(sum);
        } else if self.waiting.len() < WAITING {
            self.queue.push_back(key.clone());
            self.waiting.insert(key, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: usize) -> NodeId {
        format!("n{number}").parse().unwrap()
    }

    fn attempt(reason: RefusalReason, at: u64) -> Attempt {
        let from = Some(IpAddr::from([10, 0, 0, 1]));
        Attempt { reason, differing: vec![], from, at: Timestamp::from_millis(at) }
    }

    const ACTIVE: RefusalReason = RefusalReason::AlreadyActive;
    const MISMATCH: RefusalReason = RefusalReason::HardwareMismatch;

    fn counted(taken: Option<(NodeId, Sum)>) -> Option<(String, RefusalReason, u64)> {
        taken.map(|(node, sum)| (node.to_string(), sum.attempts.reason, sum.attempts.count))
    }

    fn is(number: usize, reason: RefusalReason, count: u64) -> Option<(String, RefusalReason, u64)> {
        Some((format!("n{number}"), reason, count))
    }

    #[test]
    fn rule_05_attempts_are_added_up() {
        let (mut sums, now) = (Sums::default(), Instant::now());
        let other = Some(IpAddr::from([10, 0, 0, 9]));
        for (at, differing, from) in [
            (7, vec![HardwareField::Uuid], other),
            (9, vec![HardwareField::Macs, HardwareField::Uuid], other),
            (5, vec![], Some(IpAddr::from([10, 0, 0, 1]))),
        ] {
            let at = Timestamp::from_millis(at);
            sums.add(&node(1), Attempt { reason: MISMATCH, differing, from, at });
        }
        let (_, sum) = sums.take(now, 1).unwrap();
        let attempts = RefusedAttempts {
            reason: MISMATCH,
            first: Timestamp::from_millis(5),
            last: Timestamp::from_millis(9),
            count: 3,
            differing: vec![HardwareField::Macs, HardwareField::Uuid],
        };
        assert_eq!(sum, Sum { attempts, from: other }, "from where the last one came");
        assert!(sums.is_empty() && sums.take(now, 1).is_none());
    }

    #[test]
    fn rule_05_a_node_has_one_fact_a_minute_and_what_comes_meanwhile_is_in_the_next() {
        let (mut sums, now) = (Sums::default(), Instant::now());
        sums.add(&node(1), attempt(ACTIVE, 0));
        assert_eq!(counted(sums.take(now, 1)), is(1, ACTIVE, 1));
        for at in 1..=5 {
            sums.add(&node(1), attempt(ACTIVE, at));
        }
        sums.add(&node(1), attempt(MISMATCH, 6));
        sums.add(&node(2), attempt(ACTIVE, 7));
        assert_eq!(
            counted(sums.take(now + Duration::from_secs(1), 1)),
            is(2, ACTIVE, 1),
            "others do not wait"
        );
        assert_eq!(counted(sums.take(now + PERIOD - Duration::from_millis(1), 1)), None);
        assert_eq!(counted(sums.take(now + PERIOD, 1)), is(1, ACTIVE, 5));
        assert_eq!(counted(sums.take(now + PERIOD, 1)), None, "its other reason waits for its own minute");
        assert_eq!(counted(sums.take(now + 2 * PERIOD, 1)), is(1, MISMATCH, 1));
    }

    #[test]
    fn rule_05_all_nodes_together_have_sixty_facts_a_minute() {
        let (mut sums, now) = (Sums::default(), Instant::now());
        (0..100).for_each(|number| sums.add(&node(number), attempt(ACTIVE, 0)));
        let first: Vec<_> = std::iter::from_fn(|| sums.take(now, 1)).collect();
        assert_eq!(first.len(), IN_ALL);
        assert!(sums.take(now + PERIOD - Duration::from_millis(1), 1).is_none());
        let rest: Vec<_> = std::iter::from_fn(|| sums.take(now + PERIOD, 1)).collect();
        assert_eq!(rest.len(), 100 - IN_ALL);
    }

    #[test]
    fn rule_05_the_journals_of_a_quorum_share_the_sixty_facts_a_minute() {
        let now = Instant::now();
        for (voters, each) in [(0, 60), (1, 60), (2, 30), (3, 20), (5, 12), (7, 9), (1000, 1)] {
            let mut sums = Sums::default();
            (0..100).for_each(|number| sums.add(&node(number), attempt(ACTIVE, 0)));
            assert_eq!(std::iter::from_fn(|| sums.take(now, voters)).count(), each, "{voters}");
        }
        // Two more vote by then: what was given out before counts.
        let mut sums = Sums::default();
        (0..100).for_each(|number| sums.add(&node(number), attempt(ACTIVE, 0)));
        let given: Vec<_> = std::iter::from_fn(|| sums.take(now, 5)).collect();
        assert_eq!(given.len(), 12);
        assert_eq!(std::iter::from_fn(|| sums.take(now, 3)).count(), 8);
        assert!(sums.take(now, 5).is_none());
    }

    #[test]
    fn what_could_not_be_recorded_is_in_the_next() {
        let (mut sums, now) = (Sums::default(), Instant::now());
        sums.add(&node(1), attempt(ACTIVE, 0));
        let (name, sum) = sums.take(now, 1).unwrap();
        sums.add(&node(1), attempt(ACTIVE, 1));
        sums.give_back(&name, sum);
        assert_eq!(counted(sums.take(now + PERIOD, 1)), is(1, ACTIVE, 2));
    }

    #[test]
    fn rule_05_whoever_asks_for_however_many_nodes_memory_is_bounded() {
        let mut sums = Sums::default();
        (0..WAITING + 10).for_each(|number| sums.add(&node(number), attempt(ACTIVE, 0)));
        sums.add(&node(0), attempt(ACTIVE, 1));
        assert_eq!((sums.waiting.len(), sums.queue.len()), (WAITING, WAITING));
        assert_eq!(counted(sums.take(Instant::now(), 1)), is(0, ACTIVE, 2), "those that wait count on");
    }

    proptest! {
        #[test]
        fn rule_05_every_attempt_is_in_one_fact_and_no_minute_has_too_many(
            steps in prop::collection::vec((0..90_usize, any::<bool>(), 0..2500_u64), 1..400)
        ) {
            let (mut sums, start) = (Sums::default(), Instant::now());
            let (mut now, mut told) = (start, vec![]);
            let mut taking = |sums: &mut Sums, now| while let Some((node, sum)) = sums.take(now, 1) {
                told.push((now, node, sum.attempts.count));
            };
            for (number, mismatch, millis) in &steps {
                sums.add(&node(*number), attempt(if *mismatch { MISMATCH } else { ACTIVE }, 0));
                now += Duration::from_millis(*millis);
                taking(&mut sums, now);
            }
            while !sums.is_empty() {
                now += Duration::from_secs(1);
                taking(&mut sums, now);
            }
            prop_assert_eq!(told.iter().map(|(_, _, count)| count).sum::<u64>(), steps.len() as u64);
            for (at, node, _) in &told {
                let minute = told.iter().filter(|(other, ..)| *other >= *at && *other < *at + PERIOD);
                prop_assert!(minute.clone().count() <= IN_ALL);
                prop_assert_eq!(minute.filter(|(_, other, _)| other == node).count(), 1);
            }
        }
    }
}
