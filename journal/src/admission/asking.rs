//! One Enroll a node at a time (R21): whoever asks for a node with another key meanwhile is told to come back.
//!
//! Used by [`super::Admission`]. A node has one machine with one key a boot; the same key may ask again beside itself,
//! because its first answer may have been lost. How often, the node's places bound (`actors::Nodes`).
//!
//! Not here, on purpose: who of two keys is right. The one that asked first is decided first, as the log would have it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use events::vocabulary::{KeyHash, NodeId};

/// The nodes for which an Enroll is under way: no more than the line has places. Pure.
#[derive(Debug, Default)]
pub struct Asking(HashMap<NodeId, Asked>);

#[derive(Debug)]
struct Asked {
    /// None: the request was unreadable.
    key: Option<KeyHash>,
    times: u32,
}

impl Asking {
    /// Somebody asks for a node. Whether it may go on; if so, it must [`end`](Self::end).
    pub fn begin(&mut self, node: &NodeId, key: Option<KeyHash>) -> bool {
        match self.0.entry(node.clone()) {
            Entry::Vacant(free) => {
                free.insert(Asked { key, times: 1 });
                true
            }
            Entry::Occupied(mut taken) if taken.get().key == key => {
                taken.get_mut().times += 1;
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// It has its answer, or gave up.
    pub fn end(&mut self, node: &NodeId) {
        if let Some(asked) = self.0.get_mut(node) {
            asked.times -= 1;
            if asked.times == 0 {
                self.0.remove(node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_21_one_key_at_a_time_asks_for_a_node_and_may_ask_again() {
        let (mut asking, node): (_, NodeId) = (Asking::default(), "n1".parse().unwrap());
        let (one, two) = (Some(KeyHash::of(b"one")), Some(KeyHash::of(b"two")));
        assert!(asking.begin(&node, one) && asking.begin(&node, one));
        assert!(!asking.begin(&node, two) && !asking.begin(&node, None));
        assert!(asking.begin(&"n2".parse().unwrap(), two), "another node does not wait");
        asking.end(&node);
        assert!(!asking.begin(&node, two));
        asking.end(&node);
        assert!(asking.begin(&node, two));
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let (mut asking, node): (_, NodeId) = (Asking::default(), "n1".parse().unwrap());
        assert!(asking.begin(&node, None));
        asking.end(&node);
        asking.end(&node);
        assert!(asking.0.is_empty());
    }
}
