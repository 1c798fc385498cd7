//! Whether the heads of streams, by which the journal settles appends (R1), agree with the facts.
//!
//! An auditor that found every invariant kept knows the version of every stream, and how many there are. Each head must
//! have that version, and there must be as many heads. Only when that fails is each head compared with its fact.
//!
//! **Invariant:** no two heads are of one stream: the name of each is written as a journal writes it. So as many heads as
//! streams, each with a version that its stream has, are the heads of all streams.

use events::codec::{StoredValue, decode_body, keys};
use events::invariants::Auditor;
use events::stream::StreamName;
use rocksdb::DB;

use super::{column_family, cursor};

/// So many heads are read before they are compared: what they are compared with is looked up for all of them at once.
const BATCH: usize = 32;

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

/// A head as it is stored.
struct Head {
    name: StreamName,
    version: u64,
    seq: u64,
}

impl Head {
    fn parse(key: &[u8], value: &[u8]) -> Option<Self> {
        let (version, seq) = value.split_first_chunk::<8>()?;
        let name = keys::stream_of_head(key)?;
        let seq = u64::from_be_bytes(seq.try_into().ok()?);
        Some(Self { name, version: u64::from_be_bytes(*version), seq })
    }
}

/// See [`super::Reader::compare_heads`].
pub(super) fn compare(store: &DB, auditor: &Auditor) -> Result<Vec<Disagreement>, rocksdb::Error> {
    let (mut heads, mut batch) = (0, Vec::with_capacity(BATCH));
    let mut cursor = cursor(store, keys::HEADS);
    loop {
        batch.clear();
        while let Some((key, value)) = cursor.item().filter(|_| batch.len() < BATCH) {
            let Some(head) = Head::parse(key, value) else { return name_them(store) };
            batch.push(head);
            cursor.next();
        }
        batch.iter().for_each(|head| auditor.touch(&head.name));
        heads += batch.len() as u64;
        if batch.iter().any(|head| head.version == 0 || head.version != auditor.version(&head.name)) {
            return name_them(store);
        }
        if batch.is_empty() {
            break;
        }
    }
    cursor.status()?;
    if heads == auditor.streams() { Ok(vec![]) } else { name_them(store) }
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
