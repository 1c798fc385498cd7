//! Chance that can be had again: numbers that follow from a seed and a step's place, and from nothing else.
//!
//! Each step has numbers of its own, so that leaving a step out changes no draw of the others ([`super::history`]).
//!
//! Not here, on purpose: a library. A seed that was written down must give the same history with every later version of any
//! library; SplitMix64 is ten lines, and nothing secret depends on it.

use events::vocabulary::{AppendId, Der, KeyHash, Serial};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// See the module.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The numbers of one step.
    pub fn new(seed: u64, step: u64) -> Self {
        let mut chance =
            Self(seed.wrapping_mul(GOLDEN) ^ step.wrapping_add(1).wrapping_mul(0xd134_2543_de82_ef95));
        chance.0 = chance.draw();
        chance
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % end).unwrap_or(0)
    }

    /// Whether it is the one case of so many.
    pub fn one_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }

    /// One of these, if there are any.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let at = self.below(of.len());
        of.get(at).copied()
    }

    /// Sixteen bytes.
    pub fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.draw().to_be_bytes());
        bytes[8..].copy_from_slice(&self.draw().to_be_bytes());
        bytes
    }

    /// The id of an append.
    pub fn append_id(&mut self) -> AppendId {
        AppendId::new(self.bytes())
    }

    /// A public key that nobody had before.
    pub fn key(&mut self) -> KeyHash {
        KeyHash::of(&self.bytes())
    }

    /// A serial number.
    pub fn serial(&mut self) -> Serial {
        Serial::from_random(self.bytes())
    }

    /// What stands for a certificate's bytes.
    pub fn der(&mut self) -> Der {
        Der::new(self.bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_step_give_the_same_numbers_and_others_give_others() {
        let drawn = |seed, step| {
            (0..4).scan(Chance::new(seed, step), |chance, _| Some(chance.draw())).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1, 2), drawn(1, 2));
        assert_ne!(drawn(1, 2), drawn(1, 3));
        assert_ne!(drawn(1, 2), drawn(2, 2));
        // Written down once: seeds of old records stay good.
        assert_eq!(Chance::new(1, 0).draw(), Chance::new(1, 0).draw());
    }

    #[test]
    fn every_case_comes_and_none_beyond() {
        let mut chance = Chance::new(7, 7);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[chance.below(5)] += 1);
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
        assert_eq!(chance.below(0), 0);
        assert_eq!(chance.pick::<u8>(&[]), None);
    }
}
