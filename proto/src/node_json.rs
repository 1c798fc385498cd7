//! A node as JSON: what `pact node inspect -o json` prints, and each item of `list`.
//!
//! `cli` makes it of a journal's answer. Users script against the fields' names, which are fixed.
//!
//! Not here, on purpose: tables for people, and the JSON of other things.
//!
//! **Invariant:** every field is always there but `sessions`, which only `inspect` tells and only while some run, and `spiffe_id`,
//! which only a node has that one is bound to; what is unknown is `null`. Times are RFC 3339 in UTC with milliseconds.

use std::collections::BTreeMap;

use events::vocabulary::Timestamp;
use serde::Serialize;

use crate::{convert::moment, pb};

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeJson {
    /// Its name.
    pub node_id: String,
    /// The domain it belongs to.
    pub domain_id: String,
    /// `registered`, `active`, `inactive` or `revoked`.
    pub state: &'static str,
    /// Whether it has used its certificate.
    pub confirmed: bool,
    /// Counts the registrations of this name, from 1.
    pub epoch: u32,
    /// Whether two machines claim to be it (R14).
    pub contested: bool,
    /// Whether it takes no new work.
    pub draining: bool,
    /// None in maintenance mode.
    pub vcluster: Option<String>,
    /// What it must present.
    pub hardware: HardwareJson,
    /// How its identity was proved: `claimed` or `token`; none before it enrolls.
    pub assurance: Option<&'static str>,
    /// Its current certificate.
    pub certificate: Option<CertificateJson>,
    /// When the answering journal last heard of it.
    pub last_seen: Option<Timestamp>,
    /// When an operator registered it.
    pub registered_at: Timestamp,
    /// The principal who did.
    pub registered_by: String,
    /// The operators' notes.
    pub labels: BTreeMap<String, String>,
    /// The version of its stream of facts.
    pub version: u64,
    /// How many sessions run on it, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
    /// The workload identity of others that proves it, too (R11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<String>,
}

/// The hardware of a node, in the format that `pact-agent run --hardware` reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HardwareJson {
    /// Lower-case hex with colons.
    pub macs: Vec<String>,
    /// DMI product_serial.
    pub bmc_serial: Option<String>,
    /// DMI product_uuid.
    pub uuid: Option<String>,
}

/// The current certificate of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateJson {
    /// 32 lower-case hex digits.
    pub serial: String,
    /// Of its public key, lower-case hex.
    pub spki_sha256: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// When the node renews it.
    pub renew_after: Timestamp,
    /// The id of the authority that signed it.
    pub authority: String,
}

/// A node in an answer that lacks a field which every node has, or has a value that this release does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal's answer about node `{node_id}` cannot be read: {field} is missing or unknown")]
pub struct UnreadableNode {
    /// As the answer names it.
    pub node_id: String,
    /// The field.
    pub field: &'static str,
}

impl TryFrom<pb::Node> for NodeJson {
    type Error = UnreadableNode;

    fn try_from(node: pb::Node) -> Result<Self, UnreadableNode> {
        let unreadable = |field| UnreadableNode { node_id: node.node_id.clone(), field };
        let state = state(node.state()).ok_or_else(|| unreadable("state"))?;
        let assurance = assurance(node.assurance());
        let certificate = node.certificate.as_ref().map(certificate).transpose().map_err(unreadable)?;
        let last_seen = node.last_seen.as_ref().map(|_| time("last_seen", node.last_seen.as_ref()));
        let last_seen = last_seen.transpose().map_err(unreadable)?;
        let registered_at = time("registered_at", node.registered_at.as_ref()).map_err(unreadable)?;
        Ok(Self {
            node_id: node.node_id,
            domain_id: node.domain_id,
            state,
            confirmed: node.confirmed,
            epoch: node.epoch,
            contested: node.contested,
            draining: node.draining,
            vcluster: node.vcluster_id,
            hardware: node.hardware.unwrap_or_default().into(),
            assurance,
            certificate,
            last_seen,
            registered_at,
            registered_by: node.registered_by,
            labels: node.labels,
            version: node.version,
            sessions: node.sessions,
            spiffe_id: node.spiffe_id,
        })
    }
}

impl From<pb::HardwareIdentity> for HardwareJson {
    fn from(hardware: pb::HardwareIdentity) -> Self {
        let present = |text: String| (!text.is_empty()).then_some(text);
        Self {
            macs: hardware.mac_addresses,
            bmc_serial: present(hardware.bmc_serial),
            uuid: present(hardware.system_uuid),
        }
    }
}

fn state(state: pb::NodeState) -> Option<&'static str> {
    match state {
        pb::NodeState::Unspecified => None,
        pb::NodeState::Registered => Some("registered"),
        pb::NodeState::Active => Some("active"),
        pb::NodeState::Inactive => Some("inactive"),
        pb::NodeState::Revoked => Some("revoked"),
    }
}

fn assurance(assurance: pb::Assurance) -> Option<&'static str> {
    match assurance {
        pb::Assurance::Unspecified => None,
        pb::Assurance::Claimed => Some("claimed"),
        pb::Assurance::Token => Some("token"),
    }
}

fn certificate(certificate: &pb::NodeCertificate) -> Result<CertificateJson, &'static str> {
    Ok(CertificateJson {
        serial: certificate.serial.clone(),
        spki_sha256: certificate.spki_sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        not_before: time("not_before", certificate.not_before.as_ref())?,
        not_after: time("not_after", certificate.not_after.as_ref())?,
        renew_after: time("renew_after", certificate.renew_after.as_ref())?,
        authority: certificate.authority.clone(),
    })
}

/// A time that must be there.
fn time(field: &'static str, wire: Option<&prost_types::Timestamp>) -> Result<Timestamp, &'static str> {
    wire.and_then(|wire| moment::from_wire(wire).ok()).ok_or(field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Option<prost_types::Timestamp> {
        Some(moment::to_wire(text.parse().unwrap()))
    }

    fn registered() -> pb::Node {
        pb::Node {
            node_id: "compute-042".to_owned(),
            domain_id: "alps".to_owned(),
            state: pb::NodeState::Registered.into(),
            epoch: 1,
            hardware: Some(pb::HardwareIdentity {
                mac_addresses: vec!["aa:bb:cc:dd:ee:01".to_owned()],
                ..pb::HardwareIdentity::default()
            }),
            registered_at: at("2026-01-31T12:00:00.5Z"),
            registered_by: "operator:admin".to_owned(),
            labels: BTreeMap::from([("rack".to_owned(), "r12".to_owned())]),
            version: 1,
            ..pb::Node::default()
        }
    }

    #[test]
    fn a_registered_node_has_every_field() {
        let node = NodeJson::try_from(registered()).unwrap();
        let expected = json!({
            "node_id": "compute-042", "domain_id": "alps", "state": "registered", "confirmed": false, "epoch": 1,
            "contested": false, "draining": false, "vcluster": null,
            "hardware": {"macs": ["aa:bb:cc:dd:ee:01"], "bmc_serial": null, "uuid": null},
            "assurance": null, "certificate": null, "last_seen": null,
            "registered_at": "2026-01-31T12:00:00.500Z", "registered_by": "operator:admin",
            "labels": {"rack": "r12"}, "version": 1
        });
        assert_eq!(serde_json::to_value(node).unwrap(), expected);
    }

    #[test]
    fn sessions_are_told_only_where_some_are_known_of() {
        let shown = |sessions| {
            let node = NodeJson::try_from(pb::Node { sessions, ..registered() }).unwrap();
            serde_json::to_value(node).unwrap()
        };
        assert_eq!((shown(Some(2))["sessions"].as_u64(), shown(None).get("sessions")), (Some(2), None));
    }

    #[test]
    fn an_active_node_shows_its_certificate() {
        let node = pb::Node {
            state: pb::NodeState::Active.into(),
            assurance: pb::Assurance::Claimed.into(),
            last_seen: at("2026-01-31T12:00:02Z"),
            certificate: Some(pb::NodeCertificate {
                serial: "4f".repeat(16),
                spki_sha256: vec![0xab; 32],
                not_before: at("2026-01-31T11:55:00Z"),
                not_after: at("2026-02-03T12:00:00Z"),
                renew_after: at("2026-02-02T12:00:00Z"),
                authority: "01J".to_owned(),
            }),
            ..registered()
        };
        let shown = serde_json::to_value(NodeJson::try_from(node).unwrap()).unwrap();
        let expected = json!({
            "serial": "4f".repeat(16), "spki_sha256": "ab".repeat(32), "not_before": "2026-01-31T11:55:00.000Z",
            "not_after": "2026-02-03T12:00:00.000Z", "renew_after": "2026-02-02T12:00:00.000Z", "authority": "01J"
        });
        assert_eq!(shown["certificate"], expected);
        assert_eq!(shown["state"], "active");
        assert_eq!(shown["assurance"], "claimed");
        assert_eq!(shown["last_seen"], "2026-01-31T12:00:02.000Z");
    }

    #[test]
    fn an_answer_without_a_state_or_a_time_is_unreadable() {
        let stateless = pb::Node { state: 99, ..registered() };
        assert_eq!(NodeJson::try_from(stateless).unwrap_err().field, "state");
        let timeless = pb::Node { registered_at: None, ..registered() };
        assert_eq!(NodeJson::try_from(timeless).unwrap_err().field, "registered_at");
    }
}
