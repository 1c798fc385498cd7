//! Names of the SPIFFE kind: those that pact writes into its certificates (R8), for people and for other systems, and those
//! that others write into theirs (R11). pact never decides by the text of its own certificates (R10).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DomainId, NodeId, OperatorId, SpiffeHash, reading};

/// A common name has at most this many characters (RFC 5280, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

/// The scheme of every such name.
const SCHEME: &str = "spiffe://";
/// The SPIFFE-ID specification: a reader takes up to so many bytes, and none writes more.
const MAX_ID: usize = 2048;
/// The same, of a trust domain.
const MAX_TRUST_DOMAIN: usize = 255;

/// The common name of a node's certificate: `pact-service-agent/{node}@{domain}`, at most 64 characters.
pub fn common_name(node: &NodeId, domain: &DomainId) -> String {
    format!("pact-service-agent/{node}@{domain}")
}

/// The common name of an operator's certificate: `pact-operator/{operator}@{domain}`.
pub fn operator_common_name(operator: &OperatorId, domain: &DomainId) -> String {
    format!("pact-operator/{operator}@{domain}")
}

/// The URI SAN `spiffe://{domain}/{kind}/{name}`; kinds are `agent`, `operator` and `journal`.
pub fn spiffe_uri(domain: &DomainId, kind: &str, name: &str) -> String {
    format!("spiffe://{domain}/{kind}/{name}")
}

/// A text that is no SPIFFE ID of a workload, or no trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpiffeId {
    /// No workload's name.
    #[error(
        "expected a SPIFFE ID such as spiffe://example.org/pact/compute-042: a trust domain in lower case and a path, at most \
         2048 bytes"
    )]
    Id,
    /// No trust domain's.
    #[error(
        "expected a trust domain such as example.org: lower-case letters, digits, '.', '-' and '_', at most 255 bytes"
    )]
    TrustDomain,
}

/// The name of a workload that another trust authority gave it (R11): `spiffe://TRUST-DOMAIN/PATH`, as the SPIFFE-ID
/// specification writes it. It has one spelling only: texts are equal or name different workloads.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId(Box<str>);

impl SpiffeId {
    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who vouches for it.
    pub fn trust_domain(&self) -> &str {
        let rest = &self.0[SCHEME.len()..];
        rest.split_once('/').map_or(rest, |(domain, _)| domain)
    }

    /// What its claim stream is named by (R2).
    pub fn hash(&self) -> SpiffeHash {
        SpiffeHash::of(self.0.as_bytes())
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, InvalidSpiffeId> {
        let parts = text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/'));
        let valid = parts.is_some_and(|(domain, path)| {
            is_trust_domain(domain) && path.split('/').all(is_segment) && text.len() <= MAX_ID
        });
        if valid { Ok(Self(text.into())) } else { Err(InvalidSpiffeId::Id) }
    }
}

fn is_trust_domain(text: &str) -> bool {
    let inside = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    (1..=MAX_TRUST_DOMAIN).contains(&text.len()) && text.bytes().all(inside)
}

fn is_segment(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(text, "" | "." | "..") && text.bytes().all(inside)
}

/// Another authority of names: whose workloads a journal may take for nodes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// As it stands in its workloads' names.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = InvalidSpiffeId;

    fn from_str(text: &str) -> Result<Self, InvalidSpiffeId> {
        if is_trust_domain(text) { Ok(Self(text.into())) } else { Err(InvalidSpiffeId::TrustDomain) }
    }
}

macro_rules! text {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($type), self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                reading::parsed(from)
            }
        }
    };
}

text!(SpiffeId);
text!(TrustDomain);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workloads_name_is_read_as_the_specification_writes_it() {
        for text in ["spiffe://example.org/a", "spiffe://a_b-c.1/ns/Default/sa/x..y", "spiffe://x/9"] {
            let id: SpiffeId = text.parse().unwrap();
            assert_eq!(id.as_str(), text);
            assert!(text.starts_with(&format!("spiffe://{}/", id.trust_domain())));
        }
        let longest = format!("spiffe://x/{}", "a".repeat(MAX_ID - 11));
        assert!(longest.parse::<SpiffeId>().is_ok());
        assert!(format!("{longest}a").parse::<SpiffeId>().is_err());
    }

    #[test]
    fn no_other_spelling_is_a_workloads_name() {
        for text in [
            "",
            "spiffe://",
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe:///a",
            "spiffe://Example.org/a",
            "SPIFFE://example.org/a",
            "spiffe://example.org:443/a",
            "spiffe://u@example.org/a",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/./a",
            "spiffe://example.org/a/..",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org/%61",
            "spiffe://example.org/ä",
            "spiffe://example.org/a\0",
            " spiffe://example.org/a",
            "https://example.org/a",
        ] {
            assert_eq!(text.parse::<SpiffeId>(), Err(InvalidSpiffeId::Id), "{text:?}");
        }
        for text in ["", "Example.org", "example.org/", "spiffe://example.org", &"a".repeat(256)] {
            assert_eq!(text.parse::<TrustDomain>(), Err(InvalidSpiffeId::TrustDomain), "{text:?}");
        }
    }
}
