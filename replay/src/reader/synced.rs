//! Whether the log still ends where it was last synced (R27). Called by [`super::Reader`].
//!
//! Neither the chain nor the heads show that the end of a log was cut: what is left is a log. A journal notes beside it where
//! its Raft log ended at each sync (`log.synced`), and does not start on a log that ends before.
//!
//! Not here: any other file than `log.synced` of the directory, and an export, which has no such file.
//!
//! **Invariant:** the mark is read before the log is opened. It never runs ahead of what is synced, so a log that was opened
//! behind it and ends before it has lost entries; unless a running journal moved the mark back meanwhile, which a
//! second look shows.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use events::codec::{decode, keys};
use events::vocabulary::Digest;
use rocksdb::DB;

use super::cursor;

const NAME: &str = "log.synced";
const MAGIC: &[u8] = b"pactsync";
/// The second of its two slots lies here.
const SECOND: usize = 4096;
/// Magic, turn, term, leader, number of entries, and the first 8 bytes of the SHA-256 over them.
const SLOT: usize = 48;
/// Key in the state of Raft: the last entry that was purged.
const PURGED: &str = "purged";

/// The place of an entry of the Raft log, in the order of such places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    term: u64,
    leader: u64,
    index: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.term, self.leader, self.index)
    }
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// There is none: whoever copied the log left it behind.
    Nothing,
    /// Neither slot is whole.
    Garbage,
    /// The last entry that was synced; none: no entry was.
    Synced(Option<Place>),
}

/// The mark as it was before the log was opened.
#[derive(Debug)]
pub(super) struct Mark {
    file: PathBuf,
    said: Said,
}

impl Mark {
    /// Of a data directory.
    pub(super) fn read(data_dir: &Path) -> Self {
        let file = data_dir.join(NAME);
        let said = said(&file);
        Self { file, said }
    }

    /// What is wrong, with what to do; none: the log ends where it was synced, or behind.
    pub(super) fn lost(&self, store: &DB) -> Result<Option<String>, rocksdb::Error> {
        let synced = match self.said {
            Said::Nothing => return Ok(None),
            Said::Garbage => {
                return Ok(Some(format!("{NAME} is damaged, which says where the log ended; {WHAT_TO_DO}")));
            }
            Said::Synced(synced) => synced,
        };
        let found = last(store)?;
        if found >= synced || said(&self.file) != self.said {
            return Ok(None);
        }
        let shown = |place: Option<Place>| place.map_or_else(|| "none".to_owned(), |place| place.to_string());
        let (found, synced) = (shown(found), shown(synced));
        Ok(Some(format!(
            "the log ends with entry {found} of Raft's, and was synced up to entry {synced}: its end was cut off; {WHAT_TO_DO}"
        )))
    }
}

const WHAT_TO_DO: &str =
    "keep the directory, evict this journal and let it join anew, or restore the domain from another log";

fn said(file: &Path) -> Said {
    match fs::read(file) {
        Ok(bytes) => parse(&bytes).map_or(Said::Garbage, Said::Synced),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Said::Nothing,
        Err(_) => Said::Garbage,
    }
}

/// What the newer of the slots that are whole says.
fn parse(bytes: &[u8]) -> Option<Option<Place>> {
    let slots = [Some(bytes), bytes.get(SECOND..)].into_iter().flatten().filter_map(parse_slot);
    slots.max_by_key(|(turn, _)| *turn).map(|(_, place)| place)
}

fn parse_slot(bytes: &[u8]) -> Option<(u64, Option<Place>)> {
    let (said, sum) = bytes.get(..SLOT)?.split_at(SLOT - 8);
    let words = said.strip_prefix(MAGIC).filter(|_| Digest::of(said).as_bytes().starts_with(sum))?;
    let [turn, term, leader, entries] = numbers(words)?;
    Some((turn, entries.checked_sub(1).map(|index| Place { term, leader, index })))
}

/// The last entry of the Raft log, purged or not.
fn last(store: &DB) -> Result<Option<Place>, rocksdb::Error> {
    let mut found = None;
    if store.cf_handle(keys::RAFT_LOG).is_some() {
        let mut entries = cursor(store, keys::RAFT_LOG);
        entries.seek_to_last();
        found = entries.value().and_then(|entry| numbers(entry.get(..24)?));
        entries.status()?;
    }
    if let (None, Some(state)) = (found, store.cf_handle(keys::RAFT_STATE)) {
        let purged = store.get_cf(state, PURGED)?;
        // Behind the number of its format.
        found = purged.and_then(|purged| decode::<[u64; 3], 64>(purged.get(1..)?).ok());
    }
    Ok(found.map(|[term, leader, index]| Place { term, leader, index }))
}

/// So many numbers, big-endian, and nothing else.
fn numbers<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: &[[u8; 8]; N] = words.try_into().ok().filter(|_| rest.is_empty())?;
    Some(words.map(u64::from_be_bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(turn: u64, numbers: [u64; 3]) -> Vec<u8> {
        let words = [turn].into_iter().chain(numbers).flat_map(u64::to_be_bytes);
        let said: Vec<u8> = MAGIC.iter().copied().chain(words).collect();
        let sum = Digest::of(&said);
        [&said, &sum.as_bytes()[..8]].concat()
    }

    fn file(first: &[u8], second: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; SECOND];
        bytes[..first.len()].copy_from_slice(first);
        [&bytes, second].concat()
    }

    #[test]
    fn the_newer_slot_counts_and_a_torn_one_does_not() {
        let (older, newer) = (slot(6, [1, 1, 8]), slot(7, [2, 3, 10]));
        let place = |term, leader, index| Some(Some(Place { term, leader, index }));
        assert_eq!(parse(&file(&older, &newer)), place(2, 3, 9));
        assert_eq!(parse(&file(&newer, &older)), place(2, 3, 9));
        assert_eq!(parse(&file(&older, &newer[..47])), place(1, 1, 7));
        assert_eq!(parse(&file(&[0xff; SLOT], &[])), None);
        assert_eq!(parse(&slot(0, [0, 0, 0])), Some(None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_a_changed_one_spoils_its_slot(
            bytes in prop::collection::vec(any::<u8>(), 0..2 * SLOT),
            at in 0..SLOT,
            change in 1..=u8::MAX,
        ) {
            prop_assert_eq!(parse(&bytes), None);
            let mut changed = slot(1, [1, 1, 5]);
            changed[at] ^= change;
            prop_assert_eq!(parse(&changed), None);
        }
    }
}
