//! Machines that asked to be a node that is here, and whether the one that is here has given a sign of life since (R14).
//!
//! Not every open stream has a machine behind it: one that was switched off leaves its stream open until a ping stays without
//! answer, and comes back with another key before that. Only what the stream says *afterwards* shows two machines. Pure:
//! time is passed in.
//!
//! **Invariant:** at most [`WAITING`] are remembered, one a node, each for [`PATIENCE`] at most.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use events::vocabulary::{NodeId, Serial};

use super::pulse::Pulse;

/// Machines that are remembered, with a request of 8 KB each at most. A whole cluster that was switched off and on makes more;
/// who is not remembered asks again.
const WAITING: usize = 1024;
/// A stream whose machine lives is heard of at every ping, each 30 s; one without is closed after two of them.
const PATIENCE: Duration = Duration::from_secs(65);

/// See the module. `R` is what is known of the machine that asked.
#[derive(Debug)]
pub struct Suspicions<R> {
    waiting: HashMap<NodeId, Suspicion<R>>,
}

/// A machine asked, and another may be there.
#[derive(Debug)]
pub struct Suspicion<R> {
    /// By which certificate the other is there.
    pub serial: Serial,
    /// Who asked.
    pub rival: R,
    pulse: Pulse,
    beats: u64,
    since: Instant,
}

impl<R> Default for Suspicions<R> {
    fn default() -> Self {
        Self { waiting: HashMap::new() }
    }
}

impl<R> Suspicions<R> {
    /// A machine asked to be a node whose stream stands. The first one that asks is remembered.
    pub fn begin(&mut self, node: &NodeId, (serial, pulse): (Serial, Pulse), rival: R, now: Instant) {
        if self.waiting.len() < WAITING && !self.waiting.contains_key(node) {
            let beats = pulse.beats();
            self.waiting.insert(node.clone(), Suspicion { serial, rival, pulse, beats, since: now });
        }
    }

    /// Whether nobody is waited for.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes those that the other machine has confirmed, and forgets those that it had time enough to confirm.
    pub fn take(&mut self, now: Instant) -> Vec<(NodeId, Suspicion<R>)> {
        self.waiting.retain(|_, suspicion| {
            suspicion.pulse.beats() != suspicion.beats || now.duration_since(suspicion.since) < PATIENCE
        });
        let lives = |_: &NodeId, suspicion: &mut Suspicion<R>| suspicion.pulse.beats() != suspicion.beats;
        self.waiting.extract_if(lives).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeId {
        format!("n{number}").parse().unwrap()
    }

    fn stream() -> (Serial, Pulse) {
        (Serial::from_random([1; 16]), Pulse::default())
    }

    fn taken(suspicions: &mut Suspicions<char>, now: Instant) -> Vec<(String, char)> {
        let taken = suspicions.take(now).into_iter();
        taken.map(|(node, suspicion)| (node.to_string(), suspicion.rival)).collect()
    }

    #[test]
    fn rule_14_a_sign_of_life_after_the_question_shows_two_machines_and_one_before_does_not() {
        let (mut suspicions, now, (serial, pulse)) = (Suspicions::default(), Instant::now(), stream());
        pulse.beat();
        suspicions.begin(&node(1), (serial, pulse.clone()), 'a', now);
        assert_eq!(taken(&mut suspicions, now), []);
        pulse.beat();
        assert_eq!(taken(&mut suspicions, now), [("n1".to_owned(), 'a')]);
        pulse.beat();
        assert_eq!(taken(&mut suspicions, now), [], "once");
    }

    #[test]
    fn rule_14_a_stream_that_stays_silent_shows_one_machine() {
        let (mut suspicions, now, stream) = (Suspicions::default(), Instant::now(), stream());
        suspicions.begin(&node(1), stream.clone(), 'a', now);
        assert_eq!(taken(&mut suspicions, now + PATIENCE - Duration::from_millis(1)), []);
        assert!(!suspicions.is_empty());
        assert_eq!(taken(&mut suspicions, now + PATIENCE), []);
        assert!(suspicions.is_empty());
        stream.1.beat();
        assert_eq!(taken(&mut suspicions, now + PATIENCE), []);
    }

    #[test]
    fn a_machine_that_asks_again_does_not_begin_anew() {
        let (mut suspicions, now, (serial, pulse)) = (Suspicions::default(), Instant::now(), stream());
        suspicions.begin(&node(1), (serial, pulse.clone()), 'a', now);
        pulse.beat();
        suspicions.begin(&node(1), (serial, pulse), 'b', now);
        assert_eq!(taken(&mut suspicions, now), [("n1".to_owned(), 'a')]);
    }

    #[test]
    fn however_many_ask_memory_is_bounded() {
        let (mut suspicions, now) = (Suspicions::default(), Instant::now());
        (0..WAITING + 1).for_each(|number| suspicions.begin(&node(number), stream(), 'a', now));
        assert_eq!(suspicions.waiting.len(), WAITING);
        suspicions.take(now + PATIENCE);
        suspicions.begin(&node(0), stream(), 'a', now);
        assert_eq!(suspicions.waiting.len(), 1, "there is room again");
    }
}
