//! Takes over the facts that this member lacks, piece by piece, from the leader (design §9: a snapshot is the facts
//! themselves).
//!
//! Each piece is checked against the chain before any of it is used ([`super::piece`]), written in one batch with how far the
//! facts go ([`StoredTaken`]), and folded: facts in a snapshot are committed, whoever sends them. A break loses nothing; the
//! next attempt goes on behind the last piece. [`Machine::finish`] then moves the applied index behind them.
//!
//! Each piece is synced, so that a power cut finds one at most that is half on the disk: RocksDB forgives a torn end of its
//! write-ahead log, and no hole in it.
//!
//! Entries below that index may still be applied before: their appends are recognised by their ids and recorded once
//! (R7).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use events::codec::{StoredValue, keys};
use events::fact::Record;
use parking_lot::Mutex;
use rocksdb::WriteBatch;

use super::super::broken::in_one_line;
use super::super::check::follow;
use super::super::errors::{Damage, StoreError};
use super::super::stored::{StoredApplied, StoredMembership, StoredPlace, StoredTaken};
use super::super::types::{Membership, Place, Position};
use super::piece::Piece;
use super::state;
use super::state_machine::{Machine, Panics};

/// The piece before one is read, written and folded by then, or does not come.
const OVERTAKEN: Duration = Duration::from_secs(2);
/// A piece of so many facts is one of many: a member that was away for a moment gets fewer.
const MUCH: usize = 1_000;

/// Why facts were not taken over. Nothing of the piece was written.
#[derive(Debug, thiserror::Error)]
pub(in crate::log) enum TakeOverError {
    /// They do not follow the last one that is here.
    #[error("the facts begin with {found}; expected {expected}")]
    Gap {
        /// The first that is lacking.
        expected: u64,
        /// The first that was sent.
        found: u64,
    },
    /// One of them is damaged, or not of this log.
    #[error("the facts cannot be taken over")]
    Damaged(#[source] Damage),
    /// An overlay that one of them names did not come with it.
    #[error("the overlay of the fact {seq} is missing")]
    Overlay {
        /// The fact.
        seq: u64,
    },
    /// The facts that are here are not those of the snapshot.
    #[error("the facts end with {found}, or with another chain; the snapshot's with {expected}")]
    Other {
        /// The snapshot's last.
        expected: u64,
        /// The last that is here.
        found: u64,
    },
    /// The store failed.
    #[error("the facts could not be written")]
    Store(#[from] StoreError),
}

impl TakeOverError {
    /// Whether they are sound, and of a later release (R26).
    pub(in crate::log) fn needs_upgrade(&self) -> bool {
        match self {
            Self::Damaged(damage) => damage.needs_upgrade(),
            Self::Gap { .. } | Self::Overlay { .. } | Self::Other { .. } | Self::Store(_) => false,
        }
    }
}

impl Machine {
    /// Takes a piece over, and returns when it is folded. What cannot be read, and a panic on the way, end the log: what is in
    /// memory may then be half of it. While a piece is folded the next is written.
    pub(in crate::log) fn take(machine: &Mutex<Self>, piece: Piece) -> Result<(), TakeOverError> {
        let mut this = machine.lock();
        let broken = Arc::clone(&this.store.broken);
        let _writing = Panics(Arc::clone(&broken));
        // Several are read at once, and a small one is ready before a large one that comes before it.
        let (moved, until) = (Arc::clone(&this.moved), Instant::now() + OVERTAKEN);
        while this.tip.position.seq + 1 < piece.first_seq && !moved.wait_until(&mut this, until).timed_out() {
        }
        match this.take_in(piece) {
            Ok(records) => {
                let (folded, position) = (Arc::clone(&this.folded), this.tip.position);
                // Before the lock is let go of: the next piece waits behind this one.
                let turn = folded.turn();
                // Said before the next one has its turn.
                let _folding = Panics(broken);
                drop(this);
                turn.fold(&records, position);
                Ok(())
            }
            Err(error) => {
                if error.needs_upgrade() {
                    this.store.broken.report_upgrade(in_one_line(&error));
                }
                Err(error)
            }
        }
    }

    /// Answers what is to be folded.
    #[expect(clippy::vec_box, reason = "as they come (Piece::records)")]
    fn take_in(&mut self, mut piece: Piece) -> Result<Vec<Box<Record>>, TakeOverError> {
        let expected = self.tip.position.seq + 1;
        if piece.first_seq != expected {
            return Err(TakeOverError::Gap { expected, found: piece.first_seq });
        }
        let Some(first) = piece.values.first() else { return Ok(vec![]) };
        let mut tip = self.tip;
        follow(&mut tip, &keys::fact(expected), &first.0).map_err(TakeOverError::Damaged)?;
        // It follows what is here: now what the piece says of the others counts.
        if let Some(damage) = piece.damage {
            return Err(TakeOverError::Damaged(damage));
        }
        for (record, link) in piece.records.iter().zip(&piece.links).skip(1) {
            tip = tip.behind(record, *link);
        }
        for (seq, overlay) in &piece.overlays_elsewhere {
            if self.store.overlay(overlay)?.is_none() {
                return Err(TakeOverError::Overlay { seq: *seq });
            }
        }
        self.put_erased(&mut piece)?;
        if piece.records.len() >= MUCH && !self.takes_much {
            self.store.expect_much(true);
            self.takes_much = true;
        }
        let Position { seq, chain } = tip.position;
        self.store.put_state(&mut piece.batch, state::TAKEN, &StoredTaken::new(seq, chain))?;
        self.store.write_synced(piece.batch)?;
        self.tip = tip;
        self.moved.notify_all();
        Ok(piece.records)
    }

    /// Drops the texts of remarks from the tails of facts, of this piece or of earlier ones (R4).
    fn put_erased(&self, piece: &mut Piece) -> Result<(), StoreError> {
        let mut values = BTreeMap::<u64, Vec<u8>>::new();
        for (seq, remark) in &piece.erased {
            let of_piece = seq.checked_sub(piece.first_seq).and_then(|nth| usize::try_from(nth).ok());
            let value = match (values.get(seq), of_piece) {
                (Some(value), _) => Some(value.clone()),
                (None, Some(nth)) => piece.values.get(nth).map(|value| value.0.clone()),
                (None, None) => self.store.get(keys::FACTS, keys::fact(*seq))?,
            };
            let Some(value) = value else { continue };
            let erased = StoredValue::parse(&value).and_then(|value| value.without(*remark));
            let erased =
                erased.map_err(|source| StoreError::Decode { what: "a fact with a remark", source })?;
            values.insert(*seq, erased);
        }
        for (seq, value) in values {
            piece.batch.put_cf(self.store.column(keys::FACTS), keys::fact(seq), value);
        }
        Ok(())
    }

    /// All facts of a snapshot are here: what is applied goes up to its last entry.
    pub(in crate::log) fn finish(
        &mut self,
        place: Option<Place>,
        membership: Membership,
        snapshot: Position,
    ) -> Result<(), TakeOverError> {
        let _guard = Panics(Arc::clone(&self.store.broken));
        // A member that applied entries meanwhile may be further; Raft asks for no step back.
        if self.tip.position.seq < snapshot.seq {
            let (expected, found) = (snapshot.seq, self.tip.position.seq);
            return Err(TakeOverError::Other { expected, found });
        }
        if self.tip.position.seq == snapshot.seq && self.tip.position.chain != snapshot.chain {
            let (expected, found) = (snapshot.seq, self.tip.position.seq);
            return Err(TakeOverError::Other { expected, found });
        }
        let Some(place) = place else { return Ok(()) };
        self.expect_little();
        let mut batch = WriteBatch::default();
        let Position { seq, chain } = self.tip.position;
        self.store.put_state(&mut batch, state::APPLIED, &StoredApplied::new(place, seq, chain))?;
        self.store.put_state(&mut batch, state::MEMBERSHIP, &StoredMembership::from(&membership))?;
        // The entries up to there go in the same step: a start must find none applied that is not in the log or purged.
        self.store.put_state(&mut batch, state::PURGED, &StoredPlace::from(place))?;
        let column = self.store.column(keys::RAFT_LOG);
        batch.delete_range_cf(column, 0_u64.to_be_bytes(), (place.index + 1).to_be_bytes());
        self.store.write_synced(batch)?;
        self.applied = Some(place);
        self.membership = membership;
        self.freshness.applied(place.index);
        Ok(())
    }
}
