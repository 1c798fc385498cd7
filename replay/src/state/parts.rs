//! Revocations, authorities, members and vClusters as JSON, under the names by which they are sorted.
//!
//! **Invariant:** every field is always there.

use std::collections::BTreeMap;

use events::authority::State;
use events::member::{self, Standing};
use events::node;
use events::views::{Configured, Holder, Views};
use events::vocabulary::{Principal, VClusterId};
use serde_json::{Value, json};

use crate::pem_text;

/// The certificates that were revoked and are not over for 24 hours (R16), by serial number.
pub(super) fn revocations(views: &Views) -> impl Iterator<Item = (String, Value)> + '_ {
    views.revocations.iter().map(|(serial, revocation)| {
        let holder = views.certificates.by_serial(serial).map(|known| principal(&known.holder));
        let item = json!({
            "serial": serial,
            "holder": holder,
            "revoked_at": revocation.revoked_at,
            "not_after": revocation.not_after,
            "seq": revocation.seq,
        });
        (serial.to_string(), item)
    })
}

fn principal(holder: &Holder) -> Principal {
    match holder {
        Holder::Node(id) => Principal::Node(id.clone()),
        Holder::Operator(id) => Principal::Operator(id.clone()),
    }
}

/// The authorities (R9), by id: oldest first.
pub(super) fn authorities(views: &Views) -> impl Iterator<Item = (String, Value)> + '_ {
    views.authorities.iter().filter_map(|(id, authority)| {
        let retired = matches!(authority.state, State::Retired(_));
        let announced = authority.state.announced()?;
        let item = json!({
            "id": id,
            "generation": announced.generation,
            "journal_id": announced.journal_id,
            "serial": announced.serial,
            "not_before": announced.not_before,
            "not_after": announced.not_after,
            "retired": retired,
            "certificate_pem": pem_text::of(&announced.der),
        });
        Some((id.to_string(), item))
    })
}

/// The journals that are or were in the quorum (§7), by name. What an evicted one had said is not told any more.
pub(super) fn members(views: &Views) -> impl Iterator<Item = (String, Value)> + '_ {
    views.members.iter().map(|(id, row)| {
        let member = row.state.member();
        let endpoints = member.and_then(|member| member.endpoints.as_ref());
        let item = json!({
            "journal_id": id,
            "raft_id": row.state.raft_id(),
            "standing": standing(&row.state),
            "cluster": endpoints.map(|endpoints| &endpoints.cluster),
            "agent": endpoints.map(|endpoints| &endpoints.agent),
            "operator": endpoints.map(|endpoints| &endpoints.operator),
            "certificate_sha256": member.and_then(|member| member.certificate),
            "spki_sha256": member.and_then(|member| member.key),
            "version": row.version,
        });
        (id.to_string(), item)
    })
}

fn standing(state: &member::State) -> Option<&'static str> {
    match state {
        member::State::Unknown => None,
        member::State::Member(member) => Some(match member.standing {
            Standing::Joining { .. } => "joining",
            Standing::Joined => "voter",
        }),
        member::State::Evicted { .. } => Some("evicted"),
    }
}

/// The overlays that were set: the domain's default first, which has no name, then the vClusters by name.
pub(super) fn vclusters(views: &Views) -> impl Iterator<Item = (String, Value)> + '_ {
    let counts = nodes_by_vcluster(views);
    let default = views.vclusters.domain_default().map(|configured| (None, configured));
    let named = views.vclusters.iter().map(|(id, vcluster)| (Some(id), &vcluster.configured));
    default.into_iter().chain(named).map(move |(id, configured)| {
        let nodes = counts.get(&id).copied().unwrap_or(0);
        (id.map(ToString::to_string).unwrap_or_default(), vcluster(id, configured, nodes))
    })
}

fn vcluster(id: Option<&VClusterId>, configured: &Configured, nodes: u64) -> Value {
    json!({
        "vcluster": id,
        "revision": configured.revision,
        "overlay_sha256": configured.overlay.sha256,
        "overlay_size": configured.overlay.size,
        "set_at": configured.set_at,
        "set_by": configured.set_by,
        "nodes": nodes,
    })
}

/// How many nodes are configured by each, revoked ones not counted.
fn nodes_by_vcluster(views: &Views) -> BTreeMap<Option<&VClusterId>, u64> {
    let mut counts = BTreeMap::new();
    for (_, node) in views.registry.nodes() {
        if !matches!(node.state, node::State::Revoked { .. }) {
            *counts.entry(node.state.vcluster()).or_default() += 1;
        }
    }
    counts
}
