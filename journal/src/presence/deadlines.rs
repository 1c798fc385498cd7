//! When to look at each node again: one moment a node, the soonest first. Pure.

use std::collections::{BTreeSet, HashMap};

use events::vocabulary::{NodeId, Timestamp};

/// See the module.
#[derive(Debug, Default)]
pub struct Deadlines {
    by_moment: BTreeSet<(Timestamp, NodeId)>,
    by_node: HashMap<NodeId, Timestamp>,
}

impl Deadlines {
    /// Sets a node's moment, in place of the one it had. None: it has none.
    pub fn set(&mut self, node: &NodeId, moment: Option<Timestamp>) {
        if let Some(old) = self.by_node.remove(node) {
            self.by_moment.remove(&(old, node.clone()));
        }
        if let Some(moment) = moment {
            self.by_node.insert(node.clone(), moment);
            self.by_moment.insert((moment, node.clone()));
        }
    }

    /// The soonest moment.
    pub fn next(&self) -> Option<Timestamp> {
        self.by_moment.first().map(|(moment, _)| *moment)
    }

    /// Takes the nodes whose moment has come, the soonest first, at most so many.
    pub fn take(&mut self, now: Timestamp, most: usize) -> Vec<NodeId> {
        let mut taken = Vec::new();
        while taken.len() < most && self.next().is_some_and(|moment| moment <= now) {
            let Some((_, node)) = self.by_moment.pop_first() else { break };
            self.by_node.remove(&node);
            taken.push(node);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn node(name: &str) -> NodeId {
        name.parse().unwrap()
    }

    #[test]
    fn the_soonest_come_first_and_none_comes_early_or_twice() {
        let mut deadlines = Deadlines::default();
        for (name, moment) in [("b", 20), ("a", 30), ("c", 10)] {
            deadlines.set(&node(name), Some(at(moment)));
        }
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.take(at(9), 9), []);
        assert_eq!(deadlines.take(at(20), 9), [node("c"), node("b")]);
        assert_eq!(deadlines.take(at(20), 9), []);
        assert_eq!(deadlines.next(), Some(at(30)));
    }

    #[test]
    fn a_node_has_one_moment_the_last_that_was_set() {
        let mut deadlines = Deadlines::default();
        deadlines.set(&node("a"), Some(at(10)));
        deadlines.set(&node("a"), Some(at(40)));
        assert_eq!(deadlines.take(at(39), 9), []);
        deadlines.set(&node("a"), None);
        assert_eq!(deadlines.next(), None);
        assert_eq!(deadlines.take(at(99), 9), []);
    }

    #[test]
    fn no_more_are_taken_at_once_than_asked_for() {
        let mut deadlines = Deadlines::default();
        for name in ["a", "b", "c"] {
            deadlines.set(&node(name), Some(at(1)));
        }
        assert_eq!(deadlines.take(at(1), 2).len(), 2);
        assert_eq!(deadlines.take(at(1), 2).len(), 1);
    }
}
