//! How Raft's own things lie on disk: `format u8 ‖ bincode`, an entry with its place in front. In types of our own, so
//! that another release of openraft reads what this one wrote.
//!
//! Used by the store and by the check at start. **Stored** (R6): fields and variants are frozen with the format's number.

use std::collections::BTreeSet;
use std::sync::Arc;

use events::append::Append;
use events::codec::{Chain, DecodeError, EncodeError, decode, encode};
use events::level;
use events::vocabulary::{CertificateHash, JournalId, LogId, Timestamp};
use openraft::{CommittedLeaderId, EmptyNode, EntryPayload, Vote};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::types::{Batch, Blob, Entry, Membership, Place, TypeConfig};
use crate::release::READS;

const FORMAT: u8 = 1;

/// An entry has at most this many bytes. The writer stays far below ([`super::writer`]).
const LIMIT: usize = 24 << 20;

/// Writes a value behind its format.
pub(super) fn write(value: &impl Serialize) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = encode::<LIMIT>(value)?;
    bytes.insert(0, FORMAT);
    Ok(bytes)
}

/// Reads a value behind its format.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (format, rest) = bytes.split_first().ok_or(DecodeError::Truncated)?;
    if *format == FORMAT {
        decode::<T, LIMIT>(rest)
    } else {
        Err(DecodeError::UnknownFormat { format: *format })
    }
}

/// The beginning of the chain (R6), known before the first fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredFounding {
    pub log_id: LogId,
    pub domain_ca_sha256: CertificateHash,
}

/// Whose store it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredMember {
    pub journal: JournalId,
    pub raft_id: u64,
}

/// The place of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredPlace {
    term: u64,
    leader: u64,
    index: u64,
}

impl From<Place> for StoredPlace {
    fn from(place: Place) -> Self {
        Self { term: place.leader_id.term, leader: place.leader_id.node_id, index: place.index }
    }
}

impl From<StoredPlace> for Place {
    fn from(place: StoredPlace) -> Self {
        Self::new(CommittedLeaderId::new(place.term, place.leader), place.index)
    }
}

/// For whom this member voted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredVote {
    term: u64,
    leader: u64,
    granted: bool,
}

impl From<&Vote<u64>> for StoredVote {
    fn from(vote: &Vote<u64>) -> Self {
        Self { term: vote.leader_id.term, leader: vote.leader_id.node_id, granted: vote.committed }
    }
}

impl From<StoredVote> for Vote<u64> {
    fn from(vote: StoredVote) -> Self {
        let StoredVote { term, leader, granted } = vote;
        if granted { Self::new_committed(term, leader) } else { Self::new(term, leader) }
    }
}

/// Up to where entries are applied, and what the facts were then: written in one batch with them, so that facts that
/// went missing are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredApplied {
    place: StoredPlace,
    seq: u64,
    chain: [u8; 32],
}

impl StoredApplied {
    pub(super) fn new(place: Place, seq: u64, chain: Chain) -> Self {
        Self { place: place.into(), seq, chain: *chain.as_bytes() }
    }

    pub(super) fn place(&self) -> Place {
        self.place.into()
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn chain(&self) -> Chain {
        Chain::from_bytes(self.chain)
    }
}

/// Up to where facts were taken over from another member, which may be beyond what is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredTaken {
    seq: u64,
    chain: [u8; 32],
}

impl StoredTaken {
    pub(super) fn new(seq: u64, chain: Chain) -> Self {
        Self { seq, chain: *chain.as_bytes() }
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn chain(&self) -> Chain {
        Chain::from_bytes(self.chain)
    }
}

/// Who counts. More than one set of voters only while they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredMembers {
    voters: Vec<BTreeSet<u64>>,
    members: BTreeSet<u64>,
}

impl From<&openraft::Membership<u64, EmptyNode>> for StoredMembers {
    fn from(members: &openraft::Membership<u64, EmptyNode>) -> Self {
        Self {
            voters: members.get_joint_config().clone(),
            members: members.nodes().map(|(id, _)| *id).collect(),
        }
    }
}

impl From<StoredMembers> for openraft::Membership<u64, EmptyNode> {
    fn from(stored: StoredMembers) -> Self {
        Self::new(stored.voters, stored.members)
    }
}

/// Who counts, and since which entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredMembership {
    since: Option<StoredPlace>,
    members: StoredMembers,
}

impl From<&Membership> for StoredMembership {
    fn from(membership: &Membership) -> Self {
        Self { since: membership.log_id().map(Into::into), members: membership.membership().into() }
    }
}

impl From<StoredMembership> for Membership {
    fn from(stored: StoredMembership) -> Self {
        Self::new(stored.since.map(Into::into), stored.members.into())
    }
}

/// What an entry carries: read with appends and overlays of its own, written with borrowed ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum StoredPayload<A = Vec<Append>, O = Vec<Blob>> {
    Blank,
    Batch(StoredBatch<A>),
    Members(StoredMembers),
    /// A batch with overlays.
    OverlayBatch(StoredBatch<A>, O),
}

/// Appends and their stamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredBatch<A> {
    stamp: Timestamp,
    appends: A,
}

impl Batch {
    /// Puts appends together and writes them, once for all members.
    pub(super) fn new(
        stamp: Timestamp,
        appends: Arc<Vec<Append>>,
        overlays: Arc<Vec<Blob>>,
    ) -> Result<Self, EncodeError> {
        let batch = StoredBatch { stamp, appends: appends.as_slice() };
        let payload = if overlays.is_empty() {
            StoredPayload::Batch(batch)
        } else {
            StoredPayload::OverlayBatch(batch, overlays.as_slice())
        };
        let written = write(&payload)?.into();
        Ok(Self { stamp, appends, overlays, written })
    }
}

impl StoredBatch<Vec<Append>> {
    fn with(self, overlays: Vec<Blob>, written: &[u8]) -> EntryPayload<TypeConfig> {
        let Self { stamp, appends } = self;
        let (appends, overlays) = (Arc::new(appends), Arc::new(overlays));
        EntryPayload::Normal(Batch { stamp, appends, overlays, written: written.into() })
    }
}

impl From<Batch> for Blob {
    fn from(batch: Batch) -> Self {
        Self(batch.written.to_vec())
    }
}

impl TryFrom<Blob> for Batch {
    type Error = DecodeError;

    fn try_from(written: Blob) -> Result<Self, DecodeError> {
        match read_payload(&written.0)? {
            EntryPayload::Normal(batch) => Ok(batch),
            EntryPayload::Blank | EntryPayload::Membership(_) => Err(DecodeError::Misplaced),
        }
    }
}

/// The place of an entry in front of its payload: term, leader, index (u64 each, big-endian).
const PLACE: usize = 24;

/// Writes an entry: its place, so that it can be told without reading the rest, then its payload behind the format.
pub(super) fn write_entry(entry: &Entry) -> Result<Vec<u8>, EncodeError> {
    let Place { leader_id, index } = entry.log_id;
    let place = [leader_id.term, leader_id.node_id, index].map(u64::to_be_bytes);
    let written;
    let payload = match &entry.payload {
        EntryPayload::Normal(batch) => &*batch.written,
        EntryPayload::Blank => {
            written = write(&StoredPayload::<(), ()>::Blank)?;
            &written
        }
        EntryPayload::Membership(members) => {
            written = write(&StoredPayload::<(), ()>::Members(members.into()))?;
            &written
        }
    };
    Ok([place.as_flattened(), payload].concat())
}

/// The place of a stored entry.
pub(super) fn read_place(bytes: &[u8]) -> Result<Place, DecodeError> {
    let (place, _) = bytes.split_first_chunk::<PLACE>().ok_or(DecodeError::Truncated)?;
    let (words, _) = place.as_chunks::<8>();
    match words.iter().copied().map(u64::from_be_bytes).collect::<Vec<_>>()[..] {
        [term, leader, index] => Ok(Place::new(CommittedLeaderId::new(term, leader), index)),
        _ => Err(DecodeError::Truncated),
    }
}

/// A stored entry, if all of it is understood here.
pub(super) fn read_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    let log_id = read_place(bytes)?;
    let payload = read_payload(bytes.get(PLACE..).ok_or(DecodeError::Truncated)?)?;
    if let EntryPayload::Normal(batch) = &payload {
        let mut facts = batch.appends.iter().flat_map(|append| &append.facts);
        facts.try_for_each(|fact| level::legible(fact, READS)).map_err(DecodeError::AboveLevel)?;
    }
    Ok(Entry { log_id, payload })
}

fn read_payload(bytes: &[u8]) -> Result<EntryPayload<TypeConfig>, DecodeError> {
    Ok(match read(bytes)? {
        StoredPayload::Blank => EntryPayload::Blank,
        StoredPayload::Batch(batch) => batch.with(vec![], bytes),
        StoredPayload::OverlayBatch(batch, overlays) => batch.with(overlays, bytes),
        StoredPayload::Members(members) => EntryPayload::Membership(members.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_the_first_format_stay_as_they_are() {
        let place = Place::new(CommittedLeaderId::new(2, 1), 300);
        let blank = Entry { log_id: place, payload: EntryPayload::Blank };
        let bytes = write_entry(&blank).unwrap();
        let place_bytes = [2, 1, 300_u64].map(u64::to_be_bytes);
        assert_eq!(bytes, [place_bytes.as_flattened(), &[1, 0]].concat());
        assert_eq!(read_entry(&bytes).unwrap().log_id, place);
        assert_eq!(write(&StoredPlace::from(place)).unwrap(), [1, 2, 1, 251, 44, 1]);
        assert_eq!(write(&StoredVote::from(&Vote::new_committed(2, 1))).unwrap(), [1, 2, 1, 1]);
        let members = openraft::Membership::new(vec![BTreeSet::from([1])], BTreeSet::from([1]));
        let membership = Membership::new(Some(place), members);
        let bytes = write(&StoredMembership::from(&membership)).unwrap();
        assert_eq!(bytes, [1, 1, 2, 1, 251, 44, 1, 1, 1, 1, 1, 1]);
        assert_eq!(Membership::from(read::<StoredMembership>(&bytes).unwrap()), membership);
    }

    #[test]
    fn a_later_format_is_refused() {
        assert!(matches!(read::<StoredPlace>(&[2, 0, 0, 0]), Err(DecodeError::UnknownFormat { format: 2 })));
    }
}
