//! `DIR/log.synced`: where the Raft log ended when it was last synced (R27).
//!
//! RocksDB forgives a torn end of its write-ahead log, as it must after a power cut. A log that lost entries *after*
//! they were synced (a lying disk, a copied directory, a deleted file) looks the same to it: this file tells them apart.
//! Written after each sync of the log, past the kernel's cache (`O_DIRECT`): the disk has it at once, and the next sync of the log, which
//! empties the disk's cache too, makes it last. So it costs no sync of its own, lags behind the log by one sync at most, and never
//! runs ahead of it: what a disk loses before its last sync is noticed. A file system that refuses such writes gets a sync once a second
//! at most; there what was lost may go unnoticed, up to half a minute of it, if no more is written. Two slots in turn, each in
//! a sector of its own: a torn write spoils one at most.
//!
//! Written by the Raft log, read by the check at start, which refuses a log that ends before the mark.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use events::vocabulary::Digest;
use openraft::CommittedLeaderId;

use super::types::Place;

const NAME: &str = "log.synced";
const MAGIC: [u8; 8] = *b"pactsync";
/// A sector of any disk; the slots lie this far apart, and what passes the kernel's cache has whole ones.
const SECTOR: usize = 4096;
/// Where a mark does not pass the kernel's cache, that would keep it for half a minute. A sync costs as much as one of the
/// log, so not each has its own.
const SYNCED_EVERY: Duration = Duration::from_secs(1);
/// Magic, turn, term, leader, number of entries, and the first 8 bytes of the SHA-256 over them.
const SLOT: usize = 48;

/// Why the mark tells nothing.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The file cannot be read, or is not there.
    #[error("{path:?} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither slot is whole.
    #[error("{path:?} is damaged")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
}

/// What is written at once: it lies in memory as `O_DIRECT` asks for.
#[repr(C, align(4096))]
struct Sector([u8; SECTOR]);

/// The open file.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    turn: u64,
    /// When it was last synced. None: it passes the kernel's cache, and the syncs of the log take it along.
    synced_at: Option<Instant>,
}

impl Mark {
    /// Makes the file of an empty log.
    pub(super) fn create(data_dir: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(data_dir.join(NAME))?;
        for turn in 0..2 {
            write(&file, turn, None)?;
        }
        file.sync_all()
    }

    /// Reads where the log ended when it was last synced.
    pub(super) fn read(data_dir: &Path) -> Result<Option<Place>, MarkError> {
        Self::parse(data_dir).map(|(_, place)| place)
    }

    /// Opens the file to write on.
    pub(super) fn open(data_dir: &Path) -> Result<Self, MarkError> {
        let (turn, place) = Self::parse(data_dir)?;
        let path = data_dir.join(NAME);
        let mut direct = OpenOptions::new();
        direct.write(true).custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed());
        // Some file systems refuse the flag, some the first write. A file of an earlier release grows by it, which is synced.
        let turn = turn + 1;
        let tried = direct.open(&path).and_then(|file| {
            write(&file, turn, place)?;
            file.sync_all()?;
            Ok(file)
        });
        match tried {
            Ok(file) => return Ok(Self { file, turn, synced_at: None }),
            Err(error) => tracing::warn!(
                ?path, %error,
                "it cannot be written past the kernel's cache: where the log was synced is on the disk once a second"
            ),
        }
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => Ok(Self { file, turn, synced_at: Some(Instant::now()) }),
            Err(source) => Err(MarkError::Unreadable { path, source }),
        }
    }

    fn parse(data_dir: &Path) -> Result<(u64, Option<Place>), MarkError> {
        let path = data_dir.join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(MarkError::Unreadable { path, source }),
        };
        let slots = [Some(bytes.as_slice()), bytes.get(SECTOR..)].into_iter().flatten();
        let newest = slots.filter_map(parse_slot).max_by_key(|(turn, _)| *turn);
        newest.ok_or(MarkError::Damaged { path })
    }

    /// The log was synced up to here.
    pub(super) fn advance(&mut self, last: Place) -> io::Result<()> {
        self.turn += 1;
        write(&self.file, self.turn, Some(last))?;
        if self.synced_at.is_some_and(|synced_at| synced_at.elapsed() >= SYNCED_EVERY) {
            self.synced_at = Some(Instant::now());
            return self.sync();
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        crate::metrics::synced(|| self.file.sync_data())
    }

    /// The log is about to end earlier, on purpose. Synced: else a power cut could bring the higher mark back.
    pub(super) fn retreat(&mut self, last: Option<Place>) -> io::Result<()> {
        for _ in 0..2 {
            self.turn += 1;
            write(&self.file, self.turn, last)?;
        }
        self.sync()
    }
}

fn write(file: &File, turn: u64, last: Option<Place>) -> io::Result<()> {
    let mut sector = Sector([0; SECTOR]);
    sector.0[..SLOT].copy_from_slice(&slot(turn, last));
    file.write_all_at(&sector.0, turn % 2 * SECTOR as u64)
}

fn slot(turn: u64, last: Option<Place>) -> [u8; SLOT] {
    let leader = last.map(|place| place.leader_id).unwrap_or_default();
    let entries = last.map_or(0, |place| place.index + 1);
    let mut slot = [0; SLOT];
    let fields = [MAGIC, turn.to_be_bytes(), leader.term.to_be_bytes(), leader.node_id.to_be_bytes()];
    let fields = fields.into_iter().chain([entries.to_be_bytes()]);
    for (place, field) in slot.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field);
    }
    let sum = Digest::of(&slot[..SLOT - 8]);
    slot[SLOT - 8..].copy_from_slice(&sum.as_bytes()[..8]);
    slot
}

fn parse_slot(bytes: &[u8]) -> Option<(u64, Option<Place>)> {
    let slot: &[u8; SLOT] = bytes.first_chunk()?;
    let field = |n: usize| slot[n * 8..].first_chunk().copied().map(u64::from_be_bytes);
    let sum = Digest::of(&slot[..SLOT - 8]);
    if !slot.starts_with(&MAGIC) || slot[SLOT - 8..] != sum.as_bytes()[..8] {
        return None;
    }
    let leader = CommittedLeaderId::new(field(2)?, field(3)?);
    Some((field(1)?, field(4)?.checked_sub(1).map(|index| Place::new(leader, index))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(index: u64) -> Place {
        Place::new(CommittedLeaderId::new(1, 1), index)
    }

    #[test]
    fn the_last_mark_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        Mark::create(dir.path()).unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap(), None);
        for index in 0..5 {
            Mark::open(dir.path()).unwrap().advance(place(index)).unwrap();
            assert_eq!(Mark::read(dir.path()).unwrap(), Some(place(index)));
        }
        Mark::open(dir.path()).unwrap().retreat(Some(place(2))).unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap(), Some(place(2)));
    }

    #[test]
    fn one_torn_slot_is_borne_and_two_are_damage() {
        let dir = tempfile::tempdir().unwrap();
        Mark::create(dir.path()).unwrap();
        let mut mark = Mark::open(dir.path()).unwrap();
        mark.advance(place(6)).unwrap();
        mark.advance(place(7)).unwrap();
        let file = OpenOptions::new().write(true).open(dir.path().join(NAME)).unwrap();
        file.write_all_at(&[0xff; 20], mark.turn % 2 * SECTOR as u64).unwrap();
        assert_eq!(Mark::read(dir.path()).unwrap(), Some(place(6)));
        file.write_all_at(&[0xff; 20], (mark.turn + 1) % 2 * SECTOR as u64).unwrap();
        assert!(matches!(Mark::read(dir.path()), Err(MarkError::Damaged { .. })));
    }
}
