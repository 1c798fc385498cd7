//! Who asked: the principal of a fact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{JournalId, NodeId, OperatorId, reading};

/// Who is answerable for a fact (design §8). The identity comes from an issuance fact, never from text in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A caller without a certificate, known by its hardware only.
    Anonymous,
    /// An operator, by its certificate.
    Operator(OperatorId),
    /// A node, by its certificate.
    Node(NodeId),
    /// A journal itself: timers, announcements.
    Journal(JournalId),
}

/// A text that is no principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected operator:ID, node:ID, journal:ID or anonymous")]
pub struct InvalidPrincipal;

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Operator(id) => write!(f, "operator:{id}"),
            Self::Node(id) => write!(f, "node:{id}"),
            Self::Journal(id) => write!(f, "journal:{id}"),
        }
    }
}

impl Principal {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPrincipal> {
        let parsed = if bytes == b"anonymous" {
            Ok(Self::Anonymous)
        } else if let Some(id) = bytes.strip_prefix(b"node:") {
            NodeId::from_bytes(id).map(Self::Node)
        } else if let Some(id) = bytes.strip_prefix(b"operator:") {
            OperatorId::from_bytes(id).map(Self::Operator)
        } else if let Some(id) = bytes.strip_prefix(b"journal:") {
            JournalId::from_bytes(id).map(Self::Journal)
        } else {
            return Err(InvalidPrincipal);
        };
        parsed.map_err(|_| InvalidPrincipal)
    }
}

impl FromStr for Principal {
    type Err = InvalidPrincipal;

    fn from_str(text: &str) -> Result<Self, InvalidPrincipal> {
        Self::from_bytes(text.as_bytes())
    }
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        reading::checked(from, Self::from_bytes)
    }
}
