//! A growing map of random keys that is never cleared: ids, serial numbers, hashes.
//!
//! One B-tree of millions of random keys misses the processor's cache at each of its levels. Here the keys are spread by
//! their own bits over many small trees. Keys that somebody chose to fall together only make it as slow as one tree.

use std::collections::BTreeMap;

/// The trees are split before they have more keys than this, on average: a leaf or two.
const CROWDED: usize = 8;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Seen<const N: usize, V> {
    /// A power of two of them.
    trees: Vec<BTreeMap<[u8; N], V>>,
    keys: usize,
}

impl<const N: usize, V> Default for Seen<N, V> {
    fn default() -> Self {
        Self { trees: vec![BTreeMap::new()], keys: 0 }
    }
}

impl<const N: usize, V: Copy> Seen<N, V> {
    /// What was noted last of a key.
    pub(super) fn get(&self, key: &[u8; N]) -> Option<V> {
        self.trees[self.tree_of(key)].get(key).copied()
    }

    /// Notes a key.
    pub(super) fn insert(&mut self, key: [u8; N], value: V) {
        let tree = self.tree_of(&key);
        if self.trees[tree].insert(key, value).is_none() {
            self.keys += 1;
        }
        if self.keys > CROWDED * self.trees.len() {
            self.split();
        }
    }

    fn tree_of(&self, key: &[u8; N]) -> usize {
        let bits = key.iter().rev().take(4).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        bits & (self.trees.len() - 1)
    }

    fn split(&mut self) {
        let more = std::iter::repeat_with(BTreeMap::new).take(4 * self.trees.len()).collect();
        let trees = std::mem::replace(&mut self.trees, more);
        for (key, value) in trees.into_iter().flatten() {
            let tree = self.tree_of(&key);
            self.trees[tree].insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_found_however_many_there_are() {
        let key = |number: u32| crate::vocabulary::Digest::of(&number.to_be_bytes());
        let mut seen = Seen::<32, u32>::default();
        for number in 0..5000 {
            assert_eq!(seen.get(key(number).as_bytes()), None);
            seen.insert(*key(number).as_bytes(), number);
            seen.insert(*key(number).as_bytes(), number + 1);
        }
        assert!((0..5000).all(|number| seen.get(key(number).as_bytes()) == Some(number + 1)));
        assert_eq!(seen.keys, 5000);
        assert!(seen.trees.len() > 600);
    }
}
