//! Fills a new store with the facts of a log whose journals are lost (R27): each is checked against the chain and all
//! invariants before any of it is written.
//!
//! [`super::super::restoring`] calls it, row after row, then entry after entry of what was not applied yet. Not here: where
//! rows come from, and whose the new store is.
//!
//! **Invariant:** the facts have the very bytes of before; only remarks that were erased are not there (R4).

use events::fact::Record;
use events::invariants::Auditor;
use events::vocabulary::OverlayHash;

use super::super::check::follow;
use super::super::errors::{Damage, StoreError};
use super::super::stored::StoredTaken;
use super::super::types::{Batch, Blob, Position};
use super::draft::{Draft, Tip};
use super::{Store, state};

/// Facts of one write: some MB.
const FACTS: usize = 1_000;

/// Why a log is not gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ContinueError {
    /// Its bytes are not sound.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Its history makes no sense.
    #[error("the log is not sound: {0}")]
    Unsound(events::invariants::Violation),
    /// An overlay that a fact names is lacking: who joins later would need it.
    #[error("the overlay {sha256} that fact {seq} names is not there; give its bytes with --overlay FILE")]
    Overlay {
        /// The fact.
        seq: u64,
        /// Its hash.
        sha256: OverlayHash,
    },
    /// The new store failed.
    #[error("the facts could not be written")]
    Store(#[from] StoreError),
}

/// A store that is being filled.
pub(in crate::log) struct Continuation<'a> {
    store: &'a Store,
    tip: Tip,
    auditor: Auditor,
    /// Facts that were judged and are not written yet, with their stored values and the end behind each.
    waiting: Vec<(Record, Vec<u8>, Tip)>,
    /// The overlays that they name.
    overlays: Vec<Blob>,
}

impl<'a> Continuation<'a> {
    /// Behind `tip`, the beginning of an empty store's chain.
    pub(in crate::log) fn new(store: &'a Store, tip: Tip) -> Self {
        Self { store, tip, auditor: Auditor::default(), waiting: vec![], overlays: vec![] }
    }

    /// Takes the next row in. `overlay` finds the bytes of one that it names.
    pub(in crate::log) fn take(
        &mut self,
        key: &[u8],
        value: &[u8],
        overlay: impl FnOnce(&OverlayHash) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<(), ContinueError> {
        let record = follow(&mut self.tip, key, value)?;
        self.judge(&record)?;
        if let Some(named) = record.overlay()
            && self.store.overlay(&named.sha256)?.is_none()
            && !self.overlays.iter().any(|known| OverlayHash::of(&known.0) == named.sha256)
        {
            let bytes = overlay(&named.sha256)?;
            let bytes = bytes.filter(|bytes| OverlayHash::of(bytes) == named.sha256);
            let absent = ContinueError::Overlay { seq: record.seq, sha256: named.sha256 };
            self.overlays.push(Blob(bytes.ok_or(absent)?));
        }
        self.waiting.push((*record, value.to_vec(), self.tip));
        if self.waiting.len() == FACTS { self.write() } else { Ok(()) }
    }

    /// Applies an entry that the other log had on disk and did not apply: its facts may have been acknowledged by those
    /// who are lost. What was recorded already is not recorded again (R7).
    pub(in crate::log) fn apply(&mut self, entry: &Batch) -> Result<(), ContinueError> {
        self.write()?;
        let mut draft = Draft::new(self.store, self.tip, &entry.overlays);
        for append in entry.appends.iter() {
            draft.append(append, entry.stamp)?;
        }
        let mut batch = draft.batch();
        let (records, tip) = draft.finish();
        for record in &records {
            self.judge(record)?;
        }
        put_end(self.store, &mut batch, tip.position)?;
        self.store.write(batch)?;
        self.tip = tip;
        Ok(())
    }

    /// The end, and what is known behind it. All is written.
    pub(in crate::log) fn finish(mut self) -> Result<(Tip, Auditor), ContinueError> {
        self.write()?;
        self.store.write_synced(rocksdb::WriteBatch::default())?;
        Ok((self.tip, self.auditor))
    }

    fn judge(&mut self, record: &Record) -> Result<(), ContinueError> {
        match self.auditor.check(record).into_iter().next() {
            None => Ok(()),
            Some(violation) => Err(ContinueError::Unsound(violation)),
        }
    }

    fn write(&mut self) -> Result<(), ContinueError> {
        let Some((.., last)) = self.waiting.last() else { return Ok(()) };
        let (last, overlays) = (*last, std::mem::take(&mut self.overlays));
        let mut draft = Draft::new(self.store, last, &overlays);
        for (record, value, tip) in self.waiting.drain(..) {
            draft.adopt(record, value, tip)?;
        }
        let mut batch = draft.batch();
        put_end(self.store, &mut batch, last.position)?;
        self.store.write(batch)?;
        Ok(())
    }
}

/// How far the facts go, as of a member that took them over from another: the check at start compares.
fn put_end(store: &Store, batch: &mut rocksdb::WriteBatch, end: Position) -> Result<(), StoreError> {
    store.put_state(batch, state::TAKEN, &StoredTaken::new(end.seq, end.chain))
}
