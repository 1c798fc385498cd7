//! A node of the registry as JSON (contract: JSON of a node). `pact node inspect -o json` prints the same.
//!
//! `last_seen` is null: what a journal remembers is no fact (R5).
//!
//! **Invariant:** every field is always there but `spiffe_id`, which only a node has that one is bound to.

use events::node::State;
use events::views::{Node, Views};
use events::vocabulary::{Assurance, NodeId};
use serde_json::{Value, json};

/// All nodes, by name.
pub(super) fn nodes(views: &Views) -> impl Iterator<Item = (String, Value)> + '_ {
    let domain = views.domain.created().map(|created| created.domain_id.to_string());
    views.registry.nodes().map(move |(id, node)| (id.to_string(), to_json(domain.as_deref(), id, node)))
}

fn to_json(domain: Option<&str>, id: &NodeId, node: &Node) -> Value {
    let enrollment = node.state.enrollment();
    let current = node.state.current();
    let certificate = current.map(|held| &held.certificate).map(|certificate| {
        json!({
            "serial": certificate.serial,
            "spki_sha256": certificate.spki_sha256,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "renew_after": certificate.renew_after,
            "authority": certificate.authority,
        })
    });
    let mut shown = json!({
        "node_id": id,
        "domain_id": domain,
        "state": state(&node.state),
        "confirmed": is_confirmed(&node.state),
        "epoch": enrollment.map_or(0, |enrollment| enrollment.epoch),
        "contested": node.state.is_contested(),
        "draining": node.state.is_draining(),
        "vcluster": node.state.vcluster(),
        "hardware": enrollment.map(|enrollment| &enrollment.hardware),
        "assurance": current.and_then(|held| held.assurance).as_ref().map(Assurance::to_string),
        "certificate": certificate,
        "last_seen": null,
        "registered_at": node.registered_at,
        "registered_by": node.registered_by,
        "labels": enrollment.map(|enrollment| &enrollment.labels),
        "version": node.version,
    });
    if let (Some(spiffe_id), Some(fields)) = (node.state.bound(), shown.as_object_mut()) {
        fields.insert("spiffe_id".to_owned(), json!(spiffe_id));
    }
    shown
}

fn state(state: &State) -> Option<&'static str> {
    match state {
        State::Unknown => None,
        State::Registered { .. } => Some("registered"),
        State::Active { .. } => Some("active"),
        State::Inactive { .. } => Some("inactive"),
        State::Revoked { .. } => Some("revoked"),
    }
}

/// The enrollment is confirmed by the first use of any of its certificates; one was renewed only over a used one.
fn is_confirmed(state: &State) -> bool {
    match state {
        State::Active { current, overlap, .. } => current.confirmed_at.is_some() || overlap.is_some(),
        State::Inactive { current, .. } => current.as_ref().is_some_and(|held| held.confirmed_at.is_some()),
        State::Unknown | State::Registered { .. } | State::Revoked { .. } => false,
    }
}
