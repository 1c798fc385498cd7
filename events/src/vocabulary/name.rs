//! Names that people choose: of domains, nodes, operators, journals and vClusters.
//!
//! One grammar for all: `[a-z0-9]([a-z0-9._-]*[a-z0-9])?`. They end up in certificates, where a common name has 64
//! characters (RFC 5280, ub-common-name), hence the limits (design §8).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reading;

/// A node's (or journal's) name and its domain's may have this many characters together: with
/// `pact-service-agent/` and `@` they fill the 64 of a common name.
pub const MAX_NAMES_TOGETHER: usize = 44;

const MAX_DOMAIN: usize = 40;
const MAX_NAME: usize = MAX_NAMES_TOGETHER - 1;

/// A name in place has this many bytes.
pub(crate) const NAME_BYTES: usize = MAX_NAME;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing was given.
    #[error("the {what} is empty")]
    Empty {
        /// The kind of name.
        what: &'static str,
    },
    /// Too many characters.
    #[error("the {what} has {length} characters; at most {limit} are allowed")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// Characters given.
        length: usize,
        /// Characters allowed.
        limit: usize,
    },
    /// A character, or a first or last one, that the grammar excludes.
    #[error(
        "the {what} may only have lower-case letters, digits, '.', '_' and '-', and begins and ends with a letter or digit"
    )]
    Grammar {
        /// The kind of name.
        what: &'static str,
    },
}

/// What may stand inside a name, by byte; a letter or digit may stand at its ends too.
const INNER: [bool; 256] = {
    let mut inner = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        inner[byte] = matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        byte += 1;
    }
    inner
};

fn check(what: &'static str, bytes: &[u8], limit: usize) -> Result<(), InvalidName> {
    let alphanumeric = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return Err(InvalidName::Empty { what });
    };
    if bytes.len() > limit {
        let length = String::from_utf8_lossy(bytes).chars().count();
        return Err(InvalidName::TooLong { what, length, limit });
    }
    if alphanumeric(*first) && alphanumeric(*last) && bytes.iter().all(|byte| INNER[usize::from(*byte)]) {
        Ok(())
    } else {
        Err(InvalidName::Grammar { what })
    }
}

/// The text of a name, in place: a fact has four names, and years of facts are read at a start.
///
/// The bytes behind the text are zero, which no name contains, so that they compare as texts do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Text {
    bytes: [u8; MAX_NAME],
    length: u8,
}

impl Text {
    /// Of a text that was checked: it has at most [`MAX_NAME`] bytes.
    fn new(checked: &[u8]) -> Self {
        let mut bytes = [0; MAX_NAME];
        bytes[..checked.len()].copy_from_slice(checked);
        let length = u8::try_from(checked.len()).expect("the limits are below 256");
        Self { bytes, length }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("the grammar is ASCII")
    }
}

/// Whether a name and its domain fit into one common name together (design §8).
pub fn names_fit_together(name: &str, domain: &DomainId) -> bool {
    name.len() + domain.as_str().len() <= MAX_NAMES_TOGETHER
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $limit:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Text);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidName> {
                check($what, bytes, $limit)?;
                Ok(Self(Text::new(bytes)))
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::from_bytes(text.as_bytes())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                reading::checked(from, Self::from_bytes)
            }
        }
    };
}

name!(
    /// The name of a node, unique in its domain; at most 43 characters.
    NodeId,
    "node id",
    MAX_NAME
);
name!(
    /// The name of a trust domain; at most 40 characters.
    DomainId,
    "domain",
    MAX_DOMAIN
);
name!(
    /// The name of a journal, a member of the quorum; at most 43 characters.
    JournalId,
    "journal id",
    MAX_NAME
);
name!(
    /// The name of an operator; at most 43 characters.
    OperatorId,
    "operator id",
    MAX_NAME
);
name!(
    /// The name of a vCluster; at most 43 characters.
    VClusterId,
    "vcluster",
    MAX_NAME
);

impl NodeId {
    /// The bytes of the text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0.bytes[..usize::from(self.0.length)]
    }

    /// The bytes of the text and zeros behind it: no other name has the same.
    pub(crate) const fn as_padded(&self) -> &[u8; NAME_BYTES] {
        &self.0.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_inside_the_grammar_are_taken() {
        for text in ["a", "7", "compute-042", "rack1.node_2", "a--b", &"x".repeat(43)] {
            assert_eq!(text.parse::<NodeId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn names_outside_the_grammar_are_refused() {
        for text in ["", "-a", "a-", ".a", "a_", "A", "a b", "a/b", "a@b", "ä", "a\n", "a\0"] {
            assert!(text.parse::<NodeId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_domain_has_at_most_40_characters_and_44_with_its_node() {
        let domain: DomainId = "d".repeat(40).parse().unwrap();
        assert!("d".repeat(41).parse::<DomainId>().is_err());
        assert!(names_fit_together("node", &domain));
        assert!(!names_fit_together("node1", &domain));
    }
}
