//! Facts that another member sent, made ready beside the lock of the state machine: read, checked in themselves and against
//! each other, and put together as one batch of rows. So one piece is read while the one before it is written and folded.
//!
//! [`super::takeover`] makes them and takes them over. **Invariant:** what a piece says of its facts rests on nothing but the
//! piece: whether they follow the facts that are here, and what it says is wrong with them, counts only once its first fact
//! was held against the last one that is here.

use std::collections::HashSet;
use std::fmt::Write as _;

use events::codec::{Chain, StoredValue, keys};
use events::domain;
use events::fact::{Fact, Record};
use events::vocabulary::{OverlayHash, RemarkHash, Timestamp};
use rocksdb::WriteBatch;

use super::super::check::read_fact;
use super::super::errors::Damage;
use super::super::types::Blob;
use super::super::wire::Facts;
use super::{Head, Store};

/// What stands in a batch beside the value of a fact: its key, the heads of two streams, the index of its subject.
const BYTES_BESIDE: usize = 300;

/// See the module.
pub(in crate::log) struct Piece {
    /// The number of its first fact.
    pub(super) first_seq: u64,
    /// The stored values of all that was sent.
    pub(super) values: Vec<Blob>,
    /// The facts, as far as they are sound.
    #[expect(
        clippy::vec_box,
        reason = "they are decoded into boxes: a move of hundreds of bytes each would cost more"
    )]
    pub(super) records: Vec<Box<Record>>,
    /// The links of the chain that these add.
    pub(super) links: Vec<Chain>,
    /// What is wrong with the first that is not sound.
    pub(super) damage: Option<Damage>,
    /// Remarks that its facts erase, and of which earlier fact.
    pub(super) erased: Vec<(u64, RemarkHash)>,
    /// Overlays that its facts name and that did not come with it; by which fact.
    pub(super) overlays_elsewhere: Vec<(u64, OverlayHash)>,
    /// The rows of its facts.
    pub(super) batch: WriteBatch,
}

impl Piece {
    /// Reads what was sent. Takes no lock and writes nothing.
    pub(in crate::log) fn read(store: &Store, facts: Facts) -> Self {
        let Facts { first_seq, values, overlays } = facts;
        let (records, links) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
        let (erased, overlays_elsewhere, batch) = (vec![], vec![], WriteBatch::default());
        let mut piece =
            Self { first_seq, values, records, links, damage: None, erased, overlays_elsewhere, batch };
        piece.damage = piece.follow_all().err();
        if piece.damage.is_none() {
            // At once: a batch that grows takes fresh pages from the system each time.
            let bytes: usize = piece.values.iter().map(|value| value.0.len() + BYTES_BESIDE).sum();
            piece.batch = WriteBatch::with_capacity_bytes(bytes);
            piece.put_facts(store, &overlays);
            piece.put_indexes(store);
        }
        piece
    }

    fn follow_all(&mut self) -> Result<(), Damage> {
        let mut at = Timestamp::default();
        for (seq, value) in (self.first_seq..).zip(&self.values) {
            let value = StoredValue::parse(&value.0).map_err(|source| Damage::Fact { seq, source })?;
            if self.links.last().is_some_and(|chain| chain.next(value.body) != value.chain) {
                return Err(Damage::Chain { seq });
            }
            let record = read_fact(seq, &value)?;
            if record.recorded_at < at {
                return Err(Damage::Order { seq });
            }
            at = record.recorded_at;
            self.records.push(record);
            self.links.push(value.chain);
        }
        Ok(())
    }

    fn put_facts(&mut self, store: &Store, overlays: &[Blob]) {
        let overlays = overlays.iter().map(|bytes| (OverlayHash::of(&bytes.0), bytes));
        let overlays: Vec<_> = overlays.collect();
        let facts = store.column(keys::FACTS);
        let mut put = HashSet::new();
        for (record, value) in self.records.iter().zip(&self.values) {
            self.batch.put_cf(facts, keys::fact(record.seq), &value.0);
            // A later fact is not there yet, and so has no remark.
            if let Fact::Domain(domain::Event::RemarkErased { seq, remark }) = &record.fact
                && *seq < record.seq
            {
                self.erased.push((*seq, *remark));
            }
            let Some(overlay) = record.overlay() else { continue };
            match overlays.iter().find(|(sha256, _)| *sha256 == overlay.sha256) {
                Some((sha256, bytes)) if put.insert(*sha256) => {
                    self.batch.put_cf(store.column(keys::OVERLAYS), sha256.as_bytes(), &bytes.0);
                }
                Some(_) => {}
                None => self.overlays_elsewhere.push((record.seq, overlay.sha256)),
            }
        }
    }

    /// The heads of all streams of its facts, and the index of their subjects: both in the order of their keys, so that
    /// RocksDB finds each one's place beside the last one's.
    fn put_indexes(&mut self, store: &Store) {
        let (heads, subjects) = (store.column(keys::HEADS), store.column(keys::SUBJECTS));
        let places = Places::of(&self.records);
        let mut key = vec![];
        let mut rest = places.sorted.iter().peekable();
        while let Some(place) = rest.next() {
            let name = places.name(place);
            if place.subject {
                key.clear();
                key.extend_from_slice(name);
                key.push(0);
                key.extend_from_slice(&place.head.version.to_be_bytes());
                self.batch.put_cf(subjects, &key, keys::fact(place.head.seq));
            }
            let last = rest.peek().is_none_or(|next| places.name(next) != name);
            if last {
                self.batch.put_cf(heads, name, place.head.to_bytes());
            }
        }
    }
}

/// Where facts lie: the streams of all of them, by their names and versions. The names lie in one text, which is cheaper than
/// one for each.
struct Places {
    names: String,
    sorted: Vec<Place>,
}

struct Place {
    /// From where to where its name lies in the text.
    name: (usize, usize),
    head: Head,
    /// Whether it is the stream of the fact's subject.
    subject: bool,
}

impl Places {
    fn of(records: &[Box<Record>]) -> Self {
        let (mut names, mut sorted) = (String::new(), Vec::with_capacity(2 * records.len()));
        for record in records {
            for (nth, at) in record.streams.iter().enumerate() {
                let begin = names.len();
                // Writing to a String cannot fail.
                let _ = write!(names, "{}", at.name);
                let head = Head { version: at.version, seq: record.seq };
                sorted.push(Place { name: (begin, names.len()), head, subject: nth == 0 });
            }
        }
        let mut places = Self { names, sorted: vec![] };
        sorted.sort_unstable_by(|one, other| {
            let by_name = places.name(one).cmp(places.name(other));
            by_name.then(one.head.seq.cmp(&other.head.seq))
        });
        places.sorted = sorted;
        places
    }

    fn name(&self, place: &Place) -> &[u8] {
        &self.names.as_bytes()[place.name.0..place.name.1]
    }
}
