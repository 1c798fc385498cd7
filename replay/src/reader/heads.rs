//! Whether the heads of streams, by which the journal settles appends (R1), agree with the facts.
//!
//! The facts lead to a set of (stream, version); the heads claim one: versions 1 to the head's of every stream. Both are
//! summed up by a keyed hash, so that the comparison takes no memory however many streams there are. Only when the
//! sums differ is each head compared with its fact.
//!
//! **Invariant:** equal sums mean equal sets: no version twice, none skipped, no stream without head, no head without
//! facts (but for a chance of 2⁻⁶⁴ that nobody can steer, as the key is random).

use std::hash::{BuildHasher as _, RandomState};

use events::codec::{StoredValue, decode_body, keys};
use events::fact::Record;
use events::stream::{StreamName, StreamVersion};
use rocksdb::DB;

use super::{column_family, cursor};

/// Disagreements are counted no further than this.
const MAX_LISTED: usize = 1000;

/// A head that does not agree with the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The fact that the head names; 0 if none.
    pub seq: u64,
    /// What is wrong.
    pub message: String,
}

/// The sum of all versions of all streams that were seen.
#[derive(Debug, Default)]
pub struct StreamSum {
    key: RandomState,
    sum: u64,
    count: u64,
}

impl StreamSum {
    /// Adds what a fact says of its streams.
    pub fn add(&mut self, record: &Record) {
        for StreamVersion { name, version } in &record.streams {
            self.add_version(name, *version);
        }
    }

    fn add_version(&mut self, name: &StreamName, version: u64) {
        self.sum = self.sum.wrapping_add(self.key.hash_one((name, version)));
        self.count += 1;
    }
}

/// A head as it is stored.
struct Head {
    name: StreamName,
    version: u64,
    seq: u64,
}

impl Head {
    fn parse(key: &[u8], value: &[u8]) -> Option<Self> {
        let (version, seq) = value.split_first_chunk::<8>()?;
        Some(Self {
            name: std::str::from_utf8(key).ok()?.parse().ok()?,
            version: u64::from_be_bytes(*version),
            seq: u64::from_be_bytes(seq.try_into().ok()?),
        })
    }
}

/// See [`super::Reader::compare_heads`].
pub(super) fn compare(store: &DB, facts: &StreamSum) -> Result<Vec<Disagreement>, rocksdb::Error> {
    let mut heads = StreamSum { key: facts.key.clone(), sum: 0, count: 0 };
    let mut cursor = cursor(store, keys::HEADS);
    while let Some((key, value)) = cursor.item() {
        match Head::parse(key, value) {
            // A version that is larger than all facts together is not summed up: it would take for ever.
            Some(head) if head.version <= facts.count - heads.count => {
                (1..=head.version).for_each(|version| heads.add_version(&head.name, version));
            }
            Some(_) | None => return name_them(store),
        }
        cursor.next();
    }
    cursor.status()?;
    if (heads.sum, heads.count) == (facts.sum, facts.count) { Ok(vec![]) } else { name_them(store) }
}

/// Compares each head with the fact that it names.
fn name_them(store: &DB) -> Result<Vec<Disagreement>, rocksdb::Error> {
    let mut found = vec![];
    let mut cursor = cursor(store, keys::HEADS);
    while let Some((key, value)) = cursor.item() {
        let disagreement = match Head::parse(key, value) {
            Some(head) => disagreement(store, &head)?,
            None => Some(Disagreement { seq: 0, message: "a head of a stream cannot be read".to_owned() }),
        };
        found.extend(disagreement);
        if found.len() == MAX_LISTED {
            return Ok(found);
        }
        cursor.next();
    }
    cursor.status()?;
    if found.is_empty() {
        let message = "streams of the facts skip or repeat a version, or have no head".to_owned();
        found.push(Disagreement { seq: 0, message });
    }
    Ok(found)
}

fn disagreement(store: &DB, head: &Head) -> Result<Option<Disagreement>, rocksdb::Error> {
    let Head { name, version, seq } = head;
    let value = store.get_pinned_cf(column_family(store, keys::FACTS), keys::fact(*seq))?;
    let record = value.and_then(|value| decode_body(StoredValue::parse(&value).ok()?.body).ok());
    let given = record.and_then(|record| record.version_of(name));
    Ok(match given {
        Some(given) if given == *version => None,
        Some(given) => Some(format!("the head of {name} has version {version}, its fact {given}")),
        None => Some(format!("the head of {name} has version {version}, but its fact is missing")),
    }
    .map(|message| Disagreement { seq: *seq, message }))
}
