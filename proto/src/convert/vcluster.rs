//! A vCluster and its overlay, as the operators' listener answers it.
//!
//! `journal::grpc` calls it. Not here, on purpose: who may see it, and the overlay's bytes.

use events::{views::Configured, vocabulary::VClusterId};

use super::moment;
use crate::pb;

/// Writes a vCluster, or the domain's default (`None`), which so many nodes are configured by.
pub fn to_wire(id: Option<&VClusterId>, configured: &Configured, nodes: u64) -> pb::VCluster {
    pb::VCluster {
        vcluster_id: id.map(ToString::to_string).unwrap_or_default(),
        revision: configured.revision,
        sha256: configured.overlay.sha256.as_bytes().to_vec(),
        size: configured.overlay.size.into(),
        set_at: Some(moment::to_wire(configured.set_at)),
        set_by: configured.set_by.to_string(),
        nodes,
    }
}
