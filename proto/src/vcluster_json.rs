//! A vCluster as JSON: what `pact vcluster set` and `show` print with `-o json`, and each item of `list`.
//!
//! `cli` makes it of a journal's answer. Users script against the fields' names, which are fixed.
//!
//! Not here, on purpose: the overlay itself. It is up to 10 MiB of anybody's bytes; its hash says which one it is.
//!
//! **Invariant:** every field is always there. Times are RFC 3339 in UTC with milliseconds, hashes lower-case hex.

use events::vocabulary::{Digest, Timestamp};
use serde::Serialize;

use crate::{convert::moment, pb};

/// A vCluster, or the domain's default, which the nodes in no vCluster get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VClusterJson {
    /// Its name; none is the domain's default.
    pub vcluster: Option<String>,
    /// The seq of the fact that set the overlay.
    pub revision: u64,
    /// Of the overlay, as `pact-agent` prints it on a node.
    pub overlay_sha256: Digest,
    /// Of the overlay, in bytes.
    pub overlay_size: u64,
    /// When the overlay was set.
    pub set_at: Timestamp,
    /// The principal who did.
    pub set_by: String,
    /// How many nodes are configured by it.
    pub nodes: u64,
}

/// A vCluster in an answer that lacks a field which every vCluster has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal's answer about vCluster `{vcluster}` cannot be read: {field} is missing or malformed")]
pub struct UnreadableVCluster {
    /// As the answer names it; empty for the domain's default.
    pub vcluster: String,
    /// The field.
    pub field: &'static str,
}

impl TryFrom<pb::VCluster> for VClusterJson {
    type Error = UnreadableVCluster;

    fn try_from(wire: pb::VCluster) -> Result<Self, UnreadableVCluster> {
        let unreadable = |field| UnreadableVCluster { vcluster: wire.vcluster_id.clone(), field };
        let sha256 = <[u8; 32]>::try_from(wire.sha256.as_slice()).map_err(|_| unreadable("sha256"))?;
        let set_at = wire.set_at.as_ref().and_then(|at| moment::from_wire(at).ok());
        let set_at = set_at.ok_or_else(|| unreadable("set_at"))?;
        Ok(Self {
            vcluster: (!wire.vcluster_id.is_empty()).then_some(wire.vcluster_id),
            revision: wire.revision,
            overlay_sha256: Digest::new(sha256),
            overlay_size: wire.size,
            set_at,
            set_by: wire.set_by,
            nodes: wire.nodes,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wire() -> pb::VCluster {
        pb::VCluster {
            vcluster_id: "prod".to_owned(),
            revision: 42,
            sha256: vec![0xab; 32],
            size: 7,
            set_at: Some(moment::to_wire("2026-01-31T12:00:00.5Z".parse().unwrap())),
            set_by: "operator:admin".to_owned(),
            nodes: 3,
        }
    }

    #[test]
    fn a_vcluster_has_every_field() {
        let expected = json!({
            "vcluster": "prod", "revision": 42, "overlay_sha256": "ab".repeat(32), "overlay_size": 7,
            "set_at": "2026-01-31T12:00:00.500Z", "set_by": "operator:admin", "nodes": 3
        });
        assert_eq!(serde_json::to_value(VClusterJson::try_from(wire()).unwrap()).unwrap(), expected);
    }

    #[test]
    fn the_default_of_the_domain_has_no_name() {
        let default = pb::VCluster { vcluster_id: String::new(), ..wire() };
        assert_eq!(VClusterJson::try_from(default).unwrap().vcluster, None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = |change: fn(&mut pb::VCluster)| {
            let mut wire = wire();
            change(&mut wire);
            VClusterJson::try_from(wire).unwrap_err().to_string()
        };
        for (told, field) in [
            (without(|wire| wire.sha256.truncate(31)), "sha256"),
            (without(|wire| wire.set_at = None), "set_at"),
        ] {
            assert!(told.contains("`prod`") && told.contains(field), "{told}");
        }
    }
}
