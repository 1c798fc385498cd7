//! The facts of a log, one after another, each with what is wrong with its bytes.
//!
//! Checked here: places without gaps, the layout of values, the chain (R6), bodies that decode to their last byte,
//! remarks that belong to their fact (R4). Not here: what facts mean ([`events::invariants`]).
//!
//! **Invariant:** one damage is told once: behind it the walk goes on with what is stored, so that the facts after it
//! are judged by themselves.

use events::codec::{Chain, DecodeError, StoredValue, decode_body_up_to, keys};
use events::fact::{Fact, Record};
use events::invariants::Violation;
use events::level::Level;
use events::vocabulary::{Remark, RemarkHash};
use events::{domain, fact_json};
use serde_json::{Map, Value};

use super::{LineDamage, LogError, ReadError, Row, Rows};

/// What is wrong with the bytes of a fact.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// A key that is no place in the log.
    #[error("a key of {bytes} bytes is no place in the log")]
    Key {
        /// How long it is.
        bytes: usize,
    },
    /// A line of an export is none, or says something else than its bytes.
    #[error("{0}")]
    Line(LineDamage),
    /// Facts are missing before this one.
    #[error("fact {expected} is missing: fact {found} comes in its place")]
    Gap {
        /// The first that is missing.
        expected: u64,
        /// What comes instead.
        found: u64,
    },
    /// The value has not the layout of R6.
    #[error("the value cannot be taken apart: {0}")]
    Value(#[source] DecodeError),
    /// The chain does not lead here: this fact or one before it was changed.
    #[error("the chain does not hold: stored {stored}, computed {computed}")]
    Chain {
        /// The link beside the fact.
        stored: Chain,
        /// The link that the body gives.
        computed: Chain,
    },
    /// The log does not begin with DomainCreated, so that the chain has no beginning.
    #[error("the log does not begin with DomainCreated")]
    Beginning,
    /// The body is not what a writer writes.
    #[error("the fact cannot be read: {0}")]
    Body(#[source] DecodeError),
    /// The fact lies in another's place.
    #[error("fact {says} lies in this place")]
    Place {
        /// The place that it has by its own word.
        says: u64,
    },
    /// The remarks are not what a writer writes.
    #[error("the remarks cannot be read: {0}")]
    Remarks(#[source] DecodeError),
    /// A text whose hash the fact does not hold.
    #[error("a remark was put beside the fact that it does not hold: {hash}")]
    ForeignRemark {
        /// The hash of that text.
        hash: RemarkHash,
    },
}

impl Damage {
    /// Its name in reports, beside those of [`events::invariants`].
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Key { .. } | Self::Gap { .. } | Self::Place { .. } => "sequence",
            Self::Line(_) => "line",
            Self::Value(_) => "value",
            Self::Chain { .. } => "chain",
            Self::Beginning => "beginning",
            Self::Body(_) => "body",
            Self::Remarks(_) | Self::ForeignRemark { .. } => "remarks",
        }
    }
}

/// One fact as it was found.
#[derive(Debug)]
pub struct Entry {
    /// Its place.
    pub seq: u64,
    /// The link of the chain beside it. None if the value cannot be taken apart.
    pub chain: Option<Chain>,
    /// The fact. None if it cannot be read.
    pub record: Option<Box<Record>>,
    /// The texts beside it that were not erased, unless only their hashes were asked for.
    pub remarks: Vec<Remark>,
    /// Its stored value, if it was asked for.
    pub stored: Vec<u8>,
    /// What is wrong with its bytes.
    pub damage: Vec<Damage>,
}

impl Entry {
    const fn empty(seq: u64) -> Self {
        Self { seq, chain: None, record: None, remarks: vec![], stored: vec![], damage: vec![] }
    }

    /// What this release cannot read of a fact that a later one wrote: its chain holds, so nothing is wrong but this
    /// release (R26).
    ///
    /// # Errors
    /// If it is such a fact.
    pub fn is_of_this_release(&self) -> Result<(), LogError> {
        match self.damage.as_slice() {
            [Damage::Body(source)] if source.needs_upgrade() => {
                Err(LogError::Later { seq: self.seq, said: source.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with its bytes, as reports tell it.
    pub fn violations(&self) -> impl Iterator<Item = Violation> {
        self.damage.iter().map(|damage| Violation {
            seq: self.seq,
            invariant: damage.name(),
            message: damage.to_string(),
        })
    }
}

/// The link before the next fact.
#[derive(Clone, Copy)]
enum Link {
    /// The next fact is the first: it says where the chain begins.
    Beginning,
    /// It was stored beside the fact before.
    Stored(Chain),
    /// It is lost with the fact before.
    Lost,
}

/// A walk over all facts. Ends after the first error.
pub struct Facts<'a> {
    rows: Rows<'a>,
    place: Place,
    /// Whether entries have their stored value.
    keeping: bool,
    ended: bool,
    /// How many bytes were read so far.
    bytes: u64,
}

/// A batch takes no more once it has so many bytes: one fact has up to a MiB.
const BATCH_BYTES: u64 = 1 << 20;

/// Where the walk is.
struct Place {
    expected: u64,
    link: Link,
    /// Whether entries have the texts of remarks.
    texts: bool,
}

impl<'a> Facts<'a> {
    /// From the first row on.
    pub(super) const fn new(rows: Rows<'a>) -> Self {
        let place = Place { expected: 1, link: Link::Beginning, texts: true };
        Self { rows, place, keeping: false, ended: false, bytes: 0 }
    }

    /// The same, and each entry has its stored value.
    pub fn keeping_bytes(self) -> Self {
        Self { keeping: true, ..self }
    }

    /// The same, and of remarks only the hashes are looked at.
    pub fn without_texts(self) -> Self {
        Self { place: Place { texts: false, ..self.place }, ..self }
    }

    /// Takes the next facts, at most so many and few if they are large, in place of those in the batch. Whether there may be more.
    ///
    /// # Errors
    /// If the log cannot be read further; what was read before is in the batch.
    pub fn next_batch(&mut self, batch: &mut Vec<Entry>, most: usize) -> Result<bool, ReadError> {
        batch.clear();
        let enough = self.bytes + BATCH_BYTES;
        while batch.len() < most && self.bytes < enough {
            // Where it will lie: a fact has hundreds of bytes, and is not moved about.
            batch.push(Entry::empty(self.place.expected));
            let taken = batch.last_mut().map_or(Ok(false), |entry| self.read_next(entry));
            if !matches!(taken, Ok(true)) {
                batch.pop();
                return taken;
            }
        }
        Ok(true)
    }

    /// Reads the next fact into an empty entry. False: there is none.
    fn read_next(&mut self, entry: &mut Entry) -> Result<bool, ReadError> {
        if self.ended {
            return Ok(false);
        }
        let after = self.place.expected - 1;
        match self.rows.next() {
            Ok(Some(row)) => {
                self.bytes += row.value().unwrap_or_default().len() as u64;
                self.place.read(&row, entry);
                if self.keeping {
                    entry.stored.extend_from_slice(row.value().unwrap_or_default());
                }
                Ok(true)
            }
            Ok(None) => {
                self.ended = true;
                Ok(false)
            }
            Err(source) => {
                self.ended = true;
                Err(ReadError { after, source })
            }
        }
    }
}

impl Iterator for Facts<'_> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = Entry::empty(self.place.expected);
        self.read_next(&mut entry).map(|taken| taken.then_some(entry)).transpose()
    }
}

impl Place {
    fn read(&mut self, row: &Row<'_>, entry: &mut Entry) {
        match row {
            Row::Stored { key, value } => match keys::seq(key) {
                Some(seq) => self.read_value(seq, value, self.texts, entry),
                None => entry.damage.push(Damage::Key { bytes: key.len() }),
            },
            Row::Exported(line) => {
                self.read_value(line.seq, line.value, true, entry);
                compare_words(&line.words, entry);
            }
            // It stands where a fact should: the next line is expected to be the next fact.
            Row::Illegible(damage) => {
                entry.damage.push(Damage::Line(damage.clone()));
                self.expected = self.expected.saturating_add(1);
                self.link = Link::Lost;
            }
        }
    }

    fn read_value(&mut self, seq: u64, value: &[u8], texts: bool, entry: &mut Entry) {
        entry.seq = seq;
        if seq != self.expected {
            entry.damage.push(Damage::Gap { expected: self.expected, found: seq });
            self.link = Link::Lost;
        }
        self.expected = seq.saturating_add(1);
        match StoredValue::parse(value) {
            Ok(stored) => {
                self.take(&stored, entry);
                if texts {
                    take_remarks(&stored, entry);
                } else {
                    check_remarks(&stored, entry);
                }
            }
            Err(error) => {
                entry.damage.push(Damage::Value(error));
                self.link = Link::Lost;
            }
        }
    }

    /// The chain first: only then is anything decoded (R6). The first fact is the exception, it says where to begin.
    fn take(&mut self, stored: &StoredValue<'_>, entry: &mut Entry) {
        let check = |before: Chain, entry: &mut Entry| {
            let computed = before.next(stored.body);
            if computed != stored.chain {
                entry.damage.push(Damage::Chain { stored: stored.chain, computed });
            }
        };
        if let Link::Stored(before) = self.link {
            check(before, entry);
        }
        match decode_body_up_to(stored.body, Level::NEWEST) {
            Ok(record) => {
                if let Link::Beginning = self.link {
                    match beginning(&record) {
                        Some(start) => check(start, entry),
                        None => entry.damage.push(Damage::Beginning),
                    }
                }
                if record.seq != entry.seq {
                    entry.damage.push(Damage::Place { says: record.seq });
                }
                entry.record = Some(record);
            }
            Err(error) => entry.damage.push(Damage::Body(error)),
        }
        entry.chain = Some(stored.chain);
        self.link = Link::Stored(stored.chain);
    }
}

/// Where the chain of the log that begins with this fact begins.
fn beginning(first: &Record) -> Option<Chain> {
    match &first.fact {
        Fact::Domain(domain::Event::Created(created)) => {
            let domain_ca = events::vocabulary::CertificateHash::of(created.domain_ca.as_bytes());
            Some(Chain::start(created.log_id, domain_ca))
        }
        Fact::Domain(
            domain::Event::JoinTokenCreated { .. }
            | domain::Event::RemarkErased { .. }
            | domain::Event::DefaultSet { .. }
            | domain::Event::JoinTokenConsumed { .. }
            | domain::Event::LevelRaised { .. }
            | domain::Event::Restored(_),
        )
        | Fact::Node(..)
        | Fact::Authority(..)
        | Fact::Operator(..)
        | Fact::VCluster(..)
        | Fact::Member(..) => None,
    }
}

/// Whoever reads an export believes its words: each must be what the bytes say. Members that a later release adds to facts
/// are absent from older exports, so not all must be there.
fn compare_words(words: &Map<String, Value>, entry: &mut Entry) {
    let (Some(record), Some(chain)) = (&entry.record, &entry.chain) else { return };
    let said = fact_json::to_json(record, &entry.remarks, chain);
    let other = words.iter().find(|(name, word)| said.get(name.as_str()) != Some(word));
    if let Some((member, _)) = other {
        entry.damage.push(Damage::Line(LineDamage::Words { member: member.clone() }));
    }
}

/// The hashes that the fact holds. None: whose remarks they are cannot be told without the fact, which is reported already.
fn held(entry: &Entry) -> Option<[Option<RemarkHash>; 2]> {
    entry.record.as_ref().map(|record| [record.fact.remark(), record.source])
}

fn take_remarks(stored: &StoredValue<'_>, entry: &mut Entry) {
    check_remarks(stored, entry);
    let Some(held) = held(entry) else { return };
    let own = |remark: &Remark| held.contains(&Some(remark.hash()));
    entry.remarks.extend(stored.remarks().into_iter().flatten().filter(own));
}

fn check_remarks(stored: &StoredValue<'_>, entry: &mut Entry) {
    let held = held(entry);
    match stored.remark_hashes() {
        Ok(hashes) => {
            let foreign = hashes.filter(|hash| held.is_some_and(|held| !held.contains(&Some(*hash))));
            entry.damage.extend(foreign.map(|hash| Damage::ForeignRemark { hash }));
        }
        Err(error) => entry.damage.push(Damage::Remarks(error)),
    }
}

#[cfg(test)]
mod tests {
    use rocksdb::{DB, Options};

    use super::super::Reader;
    use super::*;

    /// Rows of so many bytes, which are no facts.
    fn log(dir: &std::path::Path, rows: u64, bytes: usize) {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let store = DB::open_cf(&options, dir.join(keys::DIRECTORY), [keys::FACTS, keys::HEADS]).unwrap();
        let facts = store.cf_handle(keys::FACTS).unwrap();
        (1..=rows).for_each(|seq| store.put_cf(facts, keys::fact(seq), vec![7; bytes]).unwrap());
    }

    fn batches(rows: u64, bytes: usize, most: usize) -> Vec<usize> {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), rows, bytes);
        let reader = Reader::open(dir.path()).unwrap();
        let (mut facts, mut batch, mut sizes) = (reader.facts(), vec![], vec![]);
        while facts.next_batch(&mut batch, most).unwrap() {
            sizes.push(batch.len());
        }
        sizes.push(batch.len());
        sizes
    }

    #[test]
    fn a_batch_has_few_facts_if_they_are_large_and_all_come_in_the_end() {
        assert_eq!(batches(10, 100, 4), [4, 4, 2]);
        assert_eq!(batches(10, 300 << 10, 256), [4, 4, 2], "with the fourth it has a MiB");
        assert_eq!(batches(3, 2 << 20, 256), [1, 1, 1, 0]);
        assert_eq!(batches(0, 0, 256), [0]);
    }
}
