//! What Raft carries here: one entry is a batch of appends, one answer has an outcome for each of them.
//!
//! Used by everything under `log`. Not here: how it lies on disk ([`super::stored`]).

use std::fmt;
use std::sync::Arc;

use events::append::{Append, Outcome};
use events::codec::Chain;
use events::vocabulary::Timestamp;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The number of the founding member in Raft. A later member gets a number of its own and never an old one (R27).
pub(super) const FOUNDER: u64 = 1;

/// One Raft entry: all appends that waited together. Clones share it.
///
/// It keeps the bytes that it has on disk ([`super::stored`] makes them, and it of them): they are written once by the
/// leader, and by nobody again for another member or another disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Blob", try_from = "Blob")]
pub(super) struct Batch {
    /// When the leader took it (R24): apply reads no clock.
    pub stamp: Timestamp,
    /// In the order in which they came; the first wins (R1).
    pub appends: Arc<Vec<Append>>,
    /// The bytes of the overlays that their facts name: they go the way of the facts, so that every member has them.
    pub overlays: Arc<Vec<Blob>>,
    /// All of this behind its format.
    pub written: Arc<[u8]>,
}

/// Bytes that nobody here looks into: an overlay, an entry on its way. Written as they are, not number by number.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({})", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}

/// What became of an entry: one outcome per append; none for entries of Raft's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reply(pub Vec<Outcome>);

/// How far the facts go, and the chain up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// The last fact; 0: none.
    pub seq: u64,
    /// The link that it added.
    pub chain: Chain,
}

openraft::declare_raft_types!(
    /// Raft as it is used here.
    pub(super) TypeConfig:
        D = Batch,
        R = Reply,
        NodeId = u64,
        Node = openraft::EmptyNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Position,
        AsyncRuntime = openraft::TokioRuntime,
);

/// The place of an entry in the Raft log.
pub(super) type Place = openraft::LogId<u64>;
/// One entry.
pub(super) type Entry = openraft::Entry<TypeConfig>;
/// Which members count, and since which entry.
pub(super) type Membership = openraft::StoredMembership<u64, openraft::EmptyNode>;
/// How it stands with Raft, as it tells it after each step.
pub(super) type RaftMetrics = openraft::RaftMetrics<u64, openraft::EmptyNode>;
/// The running Raft.
pub(super) type Raft = openraft::Raft<TypeConfig>;
/// How a store tells Raft that it failed.
pub(super) type Failure = openraft::StorageError<u64>;
