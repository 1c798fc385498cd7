//! Streams: the facts about one subject, and the claims by which a thing belongs to one subject only (R2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::vocabulary::{
    AuthorityId, JournalId, KeyHash, Mac, NodeId, OperatorId, SecretHash, SpiffeHash, VClusterId,
};

/// A fact lies in at most this many streams (R2).
pub const MAX_STREAMS: usize = 32;

/// The name of a stream. Its facts have versions 1, 2, 3…; version 0 is the empty stream. **Stored** (R6): variants
/// are only ever added, at the end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub enum StreamName {
    /// The domain itself.
    Domain,
    /// A node.
    Node(NodeId),
    /// An authority.
    Authority(AuthorityId),
    /// An operator.
    Operator(OperatorId),
    /// The claim to a MAC address.
    Mac(Mac),
    /// The claim to a public key.
    Key(KeyHash),
    /// The claim to a join token.
    Join(SecretHash),
    /// A vCluster.
    VCluster(VClusterId),
    /// A journal, as a member of the quorum.
    Journal(JournalId),
    /// The claim to a workload identity of others (R11).
    Spiffe(SpiffeHash),
}

/// A text that names no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a stream such as node/compute-042")]
pub struct InvalidStreamName;

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain => f.write_str("domain"),
            Self::Node(id) => write!(f, "node/{id}"),
            Self::Authority(id) => write!(f, "authority/{id}"),
            Self::Operator(id) => write!(f, "operator/{id}"),
            Self::Mac(mac) => write!(f, "mac/{mac}"),
            Self::Key(key) => write!(f, "key/{key}"),
            Self::Join(hash) => write!(f, "join/{hash}"),
            Self::VCluster(id) => write!(f, "vcluster/{id}"),
            Self::Journal(id) => write!(f, "journal/{id}"),
            Self::Spiffe(id) => write!(f, "spiffe/{id}"),
        }
    }
}

impl FromStr for StreamName {
    type Err = InvalidStreamName;

    fn from_str(text: &str) -> Result<Self, InvalidStreamName> {
        fn part<T: FromStr>(text: &str, make: fn(T) -> StreamName) -> Result<StreamName, InvalidStreamName> {
            text.parse().map(make).map_err(|_| InvalidStreamName)
        }
        match text.split_once('/') {
            None if text == "domain" => Ok(Self::Domain),
            Some(("node", id)) => part(id, Self::Node),
            Some(("authority", id)) => part(id, Self::Authority),
            Some(("operator", id)) => part(id, Self::Operator),
            Some(("mac", mac)) => part(mac, Self::Mac),
            Some(("key", key)) => part(key, Self::Key),
            Some(("join", hash)) => part(hash, Self::Join),
            Some(("vcluster", id)) => part(id, Self::VCluster),
            Some(("journal", id)) => part(id, Self::Journal),
            Some(("spiffe", id)) => part(id, Self::Spiffe),
            None | Some(_) => Err(InvalidStreamName),
        }
    }
}

impl Serialize for StreamName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { Self::serialize(self, to) }
    }
}

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            String::deserialize(from)?.parse().map_err(de::Error::custom)
        } else {
            Self::deserialize(from)
        }
    }
}

/// One version of one stream: where a fact lies, or what an append expects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamVersion {
    /// The stream.
    pub name: StreamName,
    /// The number of facts in it, up to this one.
    pub version: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_kind_and_subject() {
        let key = format!("key/{}", KeyHash::of(b"k"));
        let join = format!("join/{}", SecretHash::of(b"s"));
        let workload = format!("spiffe/{}", SpiffeHash::of(b"spiffe://a/b"));
        for text in [
            "domain",
            "node/compute-042",
            "operator/admin",
            "mac/aa:bb:cc:dd:ee:01",
            "journal/j1",
            &key,
            &join,
            &workload,
        ] {
            assert_eq!(text.parse::<StreamName>().map(|name| name.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "node", "node/", "node/A", "nodes/a", "domain/x", "mac/00:00:00:00:00:00"] {
            assert_eq!(text.parse::<StreamName>(), Err(InvalidStreamName), "{text}");
        }
    }
}
