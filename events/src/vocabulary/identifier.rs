//! ULIDs: ids that pact makes itself, sortable by the time of their making.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Timestamp, reading};

/// A text that is no ULID of 26 Crockford base-32 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of 26 characters such as 01JTZ5E2G0W5Y0Q3M7N8P9R6ST")]
pub struct InvalidUlid;

macro_rules! ulid {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(u128);

        impl $type {
            /// Makes an id of the moment and 80 random bits (the rest of `random` is not used).
            pub fn new(at: Timestamp, random: u128) -> Self {
                Self(ulid::Ulid::from_parts(at.as_millis(), random).0)
            }

            /// An id as it is stored.
            pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&ulid::Ulid(self.0), f)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl FromStr for $type {
            type Err = InvalidUlid;

            fn from_str(text: &str) -> Result<Self, InvalidUlid> {
                ulid::Ulid::from_string(text).map(|id| Self(id.0)).map_err(|_| InvalidUlid)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.to_be_bytes().serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                if from.is_human_readable() {
                    reading::parsed(from)
                } else {
                    reading::bytes(from).map(Self::from_bytes)
                }
            }
        }
    };
}

ulid!(
    /// The id of an authority: the ephemeral CA of one journal process (R9).
    AuthorityId
);
ulid!(
    /// The id of a join token, with which a journal joins the quorum (design §7).
    JoinTokenId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = AuthorityId::new(Timestamp::from_millis(1_767_225_600_000), 7);
        assert_eq!(id.to_string().len(), 26);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("01J".parse::<AuthorityId>(), Err(InvalidUlid));
    }
}
