//! The gate (design §3, step 3): whom a request is about, by a look-up, before any cryptography on the request.
//!
//! Called by `grpc::enrollment`. Not here: whether the node may have a certificate (`events::node::decide`).

use events::node::Rejection;
use events::views::{Identified, Registry};
use events::vocabulary::{HardwareIdentity, NodeId};

/// Finds the node that a machine says it is, or refuses (R13).
pub fn pass(registry: &Registry, presented: &HardwareIdentity) -> Result<NodeId, Rejection> {
    match registry.identify(presented) {
        Identified::Node(id) => Ok(id),
        Identified::Nobody => Err(Rejection::NotEnrolled),
        Identified::Mismatch { candidate } => {
            tracing::debug!(node = %candidate, "a machine resembles the node but does not match it");
            Err(Rejection::HardwareMismatch)
        }
    }
}
