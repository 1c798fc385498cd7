//! The gate (design §3, step 3): whom a request is about, by a look-up, before any cryptography on the request.
//!
//! Called by `grpc::enrollment`. Not here: whether the node may have a certificate (`events::node::decide`).

use events::node::Rejection;
use events::views::{Identified, Registry};
use events::vocabulary::{HardwareField, HardwareIdentity, NodeId};

/// Why a machine does not pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Stranger {
    /// Nobody registered any part of it.
    Unknown,
    /// It resembles a node and is not the node (R13). For the journal's own records: the caller hears neither.
    Resembling {
        /// Which.
        node: NodeId,
        /// By what it is not.
        differing: Vec<HardwareField>,
    },
}

impl Stranger {
    /// What the caller is told.
    pub fn rejection(&self) -> Rejection {
        match self {
            Self::Unknown => Rejection::NotEnrolled,
            Self::Resembling { .. } => Rejection::HardwareMismatch,
        }
    }
}

/// Finds the node that a machine says it is (R13).
///
/// # Errors
/// If it has no full match.
pub fn pass(registry: &Registry, presented: &HardwareIdentity) -> Result<NodeId, Stranger> {
    match registry.identify(presented) {
        Identified::Node(id) => Ok(id),
        Identified::Nobody => Err(Stranger::Unknown),
        Identified::Mismatch { candidate } => {
            let differing = registry.differing(&candidate, presented);
            Err(Stranger::Resembling { node: candidate, differing })
        }
    }
}
