//! The names inside certificates (R8): for people and for other systems. pact itself never decides by them (R10).

use super::{DomainId, NodeId, OperatorId};

/// A common name has at most this many characters (RFC 5280, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

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
