//! The entries that were written last, as they were given to be written: to be applied, and sent to other members, they
//! need not be read and decoded again.
//!
//! The Raft log keeps one. An entry is applied, and sent to members that keep up, while it is among the last few; whoever
//! is further behind reads from the disk.
//!
//! **Invariant:** what lies here is on disk, without a gap, up to the end of the log; or nothing lies here.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::super::types::Entry;

/// One is applied and sent while the next is written; members are a message behind.
const ENTRIES: usize = 4;
/// One with more bytes is not kept: an overlay comes now and then, a storm's entries have a fifth of this.
const ENTRY_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Each with its bytes on disk.
    entries: VecDeque<(Entry, usize)>,
}

impl Recent {
    /// An entry was written at the end of the log.
    pub(super) fn push(&mut self, entry: Entry, bytes: usize) {
        let follows = self.bounds().is_none_or(|bounds| bounds.end() + 1 == entry.log_id.index);
        if !follows || bytes > ENTRY_BYTES {
            self.entries.clear();
        }
        if bytes > ENTRY_BYTES {
            return;
        }
        if self.entries.len() == ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back((entry, bytes));
    }

    /// The entries from one on, each with its bytes; None: that one is not here.
    pub(super) fn from(&self, index: u64) -> Option<impl Iterator<Item = &(Entry, usize)>> {
        let bounds = self.bounds()?;
        let behind = move |(entry, _): &&(Entry, usize)| entry.log_id.index >= index;
        bounds.contains(&index).then(|| self.entries.iter().filter(behind))
    }

    /// The log was cut: it has no entry any more from this one on.
    pub(super) fn cut(&mut self, from: u64) {
        self.entries.retain(|(entry, _)| entry.log_id.index < from);
    }

    /// The entries up to this one were purged.
    pub(super) fn forget(&mut self, upto: u64) {
        self.entries.retain(|(entry, _)| entry.log_id.index > upto);
    }

    fn bounds(&self) -> Option<RangeInclusive<u64>> {
        let (first, last) = (self.entries.front()?, self.entries.back()?);
        Some(first.0.log_id.index..=last.0.log_id.index)
    }
}

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, EntryPayload};

    use super::super::super::types::Place;
    use super::*;

    fn entry(index: u64) -> Entry {
        let log_id = Place::new(CommittedLeaderId::new(1, 1), index);
        Entry { log_id, payload: EntryPayload::Blank }
    }

    fn with(entries: RangeInclusive<u64>) -> Recent {
        let mut recent = Recent::default();
        entries.for_each(|index| recent.push(entry(index), 1));
        recent
    }

    fn from(recent: &Recent, index: u64) -> Option<Vec<u64>> {
        recent.from(index).map(|entries| entries.map(|(entry, _)| entry.log_id.index).collect())
    }

    #[test]
    fn the_last_few_are_kept() {
        let recent = with(3..=9);
        assert_eq!(from(&recent, 6), Some(vec![6, 7, 8, 9]));
        assert_eq!(from(&recent, 9), Some(vec![9]));
        assert_eq!((from(&recent, 5), from(&recent, 10), from(&Recent::default(), 0)), (None, None, None));
    }

    #[test]
    fn what_was_cut_or_purged_is_not_kept() {
        let mut recent = with(1..=4);
        recent.cut(4);
        assert_eq!((from(&recent, 2), from(&recent, 4)), (Some(vec![2, 3]), None));
        recent.forget(2);
        assert_eq!((from(&recent, 2), from(&recent, 3)), (None, Some(vec![3])));
        recent.push(entry(4), 1);
        assert_eq!(from(&recent, 3), Some(vec![3, 4]));
    }

    #[test]
    fn behind_a_gap_or_a_large_entry_nothing_older_is_kept() {
        let mut recent = with(1..=2);
        recent.push(entry(4), 1);
        assert_eq!((from(&recent, 2), from(&recent, 4)), (None, Some(vec![4])));
        recent.push(entry(5), ENTRY_BYTES + 1);
        assert_eq!((from(&recent, 4), from(&recent, 5)), (None, None));
        recent.push(entry(6), ENTRY_BYTES);
        assert_eq!(from(&recent, 6), Some(vec![6]));
    }
}
