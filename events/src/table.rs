//! A map of keys that are random by themselves: ids, serial numbers, hashes; or at least mostly different: addresses.
//!
//! The views and the invariants look several such keys up for every fact, in maps of millions. A B-tree of them misses the
//! processor's cache at each of its levels; this is a plain hash table, which misses it once or twice. A key is its own
//! hash: nothing is drawn at random, so the same facts make the same table on every journal. Keys that somebody chose to
//! fall together lie in a B-tree: they make it no slower than that.
//!
//! **Invariant:** every entry is found by its key; equal tables have equal entries, in whatever order they came.

mod entries;

use std::collections::BTreeMap;

use entries::Entries;

/// A key lies at most this many slots behind its own. Random keys hardly ever come so far.
const MOST_PROBES: usize = 64;
/// No slots to begin with, then so many: a power of two.
const FIRST_SLOTS: usize = 16;
/// At most 5 of 8 slots are taken: with more, keys lie far behind their own.
const TAKEN: usize = 5;
const OF: usize = 8;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Table<const N: usize, V> {
    /// In no order that means anything.
    entries: Entries<([u8; N], V)>,
    /// A power of two of them, or none.
    slots: Vec<Slot>,
    /// What found no slot near its own: the key and its entry.
    crowded: BTreeMap<[u8; N], u32>,
}

/// Where an entry is found.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Bits of its key: most others are told from it without a look at the entry.
    bits: u32,
    entry: u32,
}

const VACANT: Slot = Slot { bits: 0, entry: u32::MAX };

impl Slot {
    fn is_vacant(self) -> bool {
        self.entry == VACANT.entry
    }
}

/// Where a key is: in which slot, or among the crowded.
enum Place {
    Slot(usize),
    Crowd,
}

impl<const N: usize, V> Default for Table<N, V> {
    fn default() -> Self {
        Self { entries: Entries::default(), slots: vec![], crowded: BTreeMap::new() }
    }
}

impl<const N: usize, V: PartialEq> PartialEq for Table<N, V> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(key, value): &([u8; N], V)| other.get(key) == Some(value);
        self.len() == other.len() && self.entries.iter().all(same)
    }
}

impl<const N: usize, V: Eq> Eq for Table<N, V> {}

impl<const N: usize, V> Table<N, V> {
    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8; N]) -> Option<&V> {
        let (_, entry) = self.find(key, bits(key))?;
        self.entries.get(entry as usize).map(|(_, value)| value)
    }

    /// The value of a key, to change it.
    pub(crate) fn get_mut(&mut self, key: &[u8; N]) -> Option<&mut V> {
        let (_, entry) = self.find(key, bits(key))?;
        self.entries.get_mut(entry as usize).map(|(_, value)| value)
    }

    /// Notes a key; answers the value that it had.
    pub(crate) fn insert(&mut self, key: [u8; N], value: V) -> Option<V> {
        let bits = bits(&key);
        match self.find(&key, bits) {
            Some((_, entry)) => {
                self.entries.get_mut(entry as usize).map(|(_, old)| std::mem::replace(old, value))
            }
            None => {
                self.push(key, bits, value);
                None
            }
        }
    }

    /// The value of a key, to change it; made if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: &[u8; N], make: impl FnOnce() -> V) -> &mut V {
        let bits = bits(key);
        let entry = match self.find(key, bits) {
            Some((_, entry)) => entry,
            None => self.push(*key, bits, make()),
        };
        &mut self.entries.get_mut(entry as usize).expect("what was found or pushed is there").1
    }

    /// Notes a key that is not there; answers its entry.
    fn push(&mut self, key: [u8; N], bits: u32, value: V) -> u32 {
        let entry = u32::try_from(self.entries.len()).expect("memory ends before the numbers do");
        self.entries.push((key, value));
        if self.entries.len() * OF > self.slots.len() * TAKEN {
            self.grow();
        }
        self.place(Slot { bits, entry });
        entry
    }

    /// Reads the slot that a look-up of the key will read first, and answers something of it. Of many keys one after
    /// another, none of these reads waits for another's: memory answers several at once.
    pub(crate) fn touch(&self, key: &[u8; N]) -> u32 {
        self.first_slot(key).bits
    }

    /// Reads the entry that a look-up of the key will most likely come to, and answers something of it; see
    /// [`Self::touch`], which comes first.
    pub(crate) fn touch_entry(&self, key: &[u8; N]) -> Option<&V> {
        self.entries.get(self.first_slot(key).entry as usize).map(|(_, value)| value)
    }

    /// Forgets a key; answers its value.
    pub(crate) fn remove(&mut self, key: &[u8; N]) -> Option<V> {
        let (place, entry) = self.find(key, bits(key))?;
        self.vacate(place, key);
        let last = self.entries.len() - 1;
        if entry as usize != last {
            // The last entry takes its place, and must be found there.
            let moved = self.entries.last().map(|(key, _)| *key)?;
            match self.find(&moved, bits(&moved))?.0 {
                Place::Slot(at) => self.slots[at].entry = entry,
                Place::Crowd => {
                    self.crowded.insert(moved, entry);
                }
            }
        }
        self.entries.swap_remove(entry as usize).map(|(_, value)| value)
    }

    fn find(&self, key: &[u8; N], bits: u32) -> Option<(Place, u32)> {
        for at in self.probes(bits) {
            let slot = self.slots[at];
            if slot.is_vacant() {
                break;
            }
            let known = || self.entries.get(slot.entry as usize).is_some_and(|(known, _)| known == key);
            if slot.bits == bits && known() {
                return Some((Place::Slot(at), slot.entry));
            }
        }
        self.crowded.get(key).map(|entry| (Place::Crowd, *entry))
    }

    /// The slots in which a key with these bits may lie.
    fn probes(&self, bits: u32) -> impl Iterator<Item = usize> + use<N, V> {
        let slots = self.slots.len();
        (0..slots.min(MOST_PROBES)).map(move |step| (bits as usize + step) & (slots - 1))
    }

    fn first_slot(&self, key: &[u8; N]) -> Slot {
        let at = bits(key) as usize & self.slots.len().wrapping_sub(1);
        self.slots.get(at).copied().unwrap_or(VACANT)
    }

    /// Makes an entry that has no place be found.
    fn place(&mut self, slot: Slot) {
        match self.probes(slot.bits).find(|at| self.slots[*at].is_vacant()) {
            Some(at) => self.slots[at] = slot,
            None => {
                let key = self.entries.get(slot.entry as usize).map(|(key, _)| *key);
                self.crowded.extend(key.map(|key| (key, slot.entry)));
            }
        }
    }

    /// Slot by slot, not entry by entry: what lay side by side comes to lie side by side, so memory is walked and not
    /// jumped about in.
    fn grow(&mut self) {
        let slots = (2 * self.slots.len()).max(FIRST_SLOTS);
        let taken = std::mem::replace(&mut self.slots, vec![VACANT; slots]);
        let crowded = std::mem::take(&mut self.crowded);
        taken.into_iter().filter(|slot| !slot.is_vacant()).for_each(|slot| self.place(slot));
        crowded.into_iter().for_each(|(key, entry)| self.place(Slot { bits: bits(&key), entry }));
    }

    /// Keys behind a slot that becomes vacant move up, or no one would look for them beyond it.
    fn vacate(&mut self, place: Place, key: &[u8; N]) {
        let Place::Slot(mut hole) = place else {
            self.crowded.remove(key);
            return;
        };
        let last = self.slots.len() - 1;
        let mut at = (hole + 1) & last;
        while !self.slots[at].is_vacant() {
            let from_own = at.wrapping_sub(self.slots[at].bits as usize) & last;
            if from_own >= at.wrapping_sub(hole) & last {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = (at + 1) & last;
        }
        self.slots[hole] = VACANT;
    }
}

/// The bits of a key that say where it lies. All of it counts: each word is multiplied by 2⁶⁴ over the golden ratio, so
/// that also keys that follow each other are spread.
fn bits<const N: usize>(key: &[u8; N]) -> u32 {
    let mix = |bits: u64, word: u64| {
        let mixed = (bits ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 32
    };
    let (words, rest) = key.as_chunks::<8>();
    let bits = words.iter().map(|word| u64::from_le_bytes(*word)).fold(0, mix);
    let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(bits, rest) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What becomes of an empty table and an empty B-tree.
    fn both(
        orders: &[(u16, Option<u8>)],
        key: fn(u16) -> [u8; 16],
    ) -> (Table<16, u8>, BTreeMap<[u8; 16], u8>) {
        let (mut table, mut tree) = (Table::default(), BTreeMap::new());
        for (number, order) in orders {
            let key = key(*number);
            match order {
                Some(value) => assert_eq!(table.insert(key, *value), tree.insert(key, *value)),
                None => assert_eq!(table.remove(&key), tree.remove(&key)),
            }
            assert_eq!(table.get(&key), tree.get(&key));
        }
        (table, tree)
    }

    fn random(number: u16) -> [u8; 16] {
        *crate::vocabulary::Digest::of(&number.to_be_bytes()).as_bytes().first_chunk().unwrap()
    }

    /// All of them fall together.
    fn chosen(number: u16) -> [u8; 16] {
        let first = u64::from(number).to_le_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&first);
        // What undoes the first word.
        let undone = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        key[8..].copy_from_slice(&(undone ^ undone >> 32).to_le_bytes());
        key
    }

    fn same(table: &Table<16, u8>, tree: &BTreeMap<[u8; 16], u8>) {
        assert_eq!(table.len(), tree.len());
        for (key, value) in tree {
            assert_eq!(table.get(key), Some(value));
        }
    }

    proptest! {
        #[test]
        fn it_knows_what_a_b_tree_knows(orders in prop::collection::vec((0..200_u16, any::<Option<u8>>()), 0..600)) {
            for key in [random, chosen] {
                let (table, tree) = both(&orders, key);
                same(&table, &tree);
            }
        }
    }

    #[test]
    fn many_keys_are_found_also_after_half_of_them_went() {
        for key in [random, chosen] {
            let inserted = (0..5000).map(|number| (number, Some(1)));
            let removed = (0..5000).filter(|number| number % 3 != 0).map(|number| (number, None));
            let (table, tree) = both(&inserted.chain(removed).collect::<Vec<_>>(), key);
            same(&table, &tree);
            assert_eq!(table.len(), 1667);
        }
    }

    #[test]
    fn keys_that_were_chosen_to_fall_together_lie_in_a_tree_and_random_ones_do_not() {
        let crowd =
            |key| both(&(0..5000).map(|number| (number, Some(1))).collect::<Vec<_>>(), key).0.crowded.len();
        assert_eq!(crowd(random), 0);
        assert_eq!(crowd(chosen), 5000 - MOST_PROBES);
    }

    #[test]
    fn equal_tables_have_equal_entries_in_whatever_order_they_came() {
        let there = both(&[(1, Some(1)), (2, Some(2)), (3, Some(3)), (1, None)], random).0;
        let back = both(&[(3, Some(3)), (2, Some(2))], random).0;
        assert_eq!(there, back);
        assert_ne!(there, both(&[(3, Some(3)), (2, Some(9))], random).0);
        assert_ne!(there, both(&[(3, Some(3))], random).0);
        assert_ne!(there, both(&[(3, Some(3)), (4, Some(2))], random).0);
    }
}
