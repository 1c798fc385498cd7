//! A node of the registry, as the operators' listener answers it.
//!
//! `journal::grpc` calls it for every node of an answer. [`crate::node_json`] is the other end.
//!
//! Not here, on purpose: who may see the node.

use std::collections::BTreeMap;

use events::{
    certificate::Certificate,
    node::State,
    views,
    vocabulary::{Assurance, DomainId, NodeId, Timestamp},
};

use super::moment;
use crate::pb;

/// Writes a node. `last_seen` is what this journal remembers and no fact tells (R5).
pub fn to_wire(domain: &DomainId, id: &NodeId, node: &views::Node, last_seen: Option<Timestamp>) -> pb::Node {
    let enrollment = node.state.enrollment();
    let current = node.state.current();
    pb::Node {
        node_id: id.to_string(),
        domain_id: domain.to_string(),
        state: state(&node.state).into(),
        confirmed: is_confirmed(&node.state),
        epoch: enrollment.map_or(0, |enrollment| enrollment.epoch),
        contested: node.state.is_contested(),
        draining: node.state.is_draining(),
        vcluster_id: node.state.vcluster().map(ToString::to_string),
        hardware: enrollment.map(|enrollment| (&enrollment.hardware).into()),
        assurance: assurance(current.and_then(|held| held.assurance)).into(),
        certificate: current.map(|held| certificate(&held.certificate)),
        last_seen: last_seen.map(moment::to_wire),
        registered_at: Some(moment::to_wire(node.registered_at)),
        registered_by: node.registered_by.to_string(),
        labels: labels(&node.state),
        version: node.version,
        sessions: None,
        spiffe_id: node.state.bound().map(ToString::to_string),
    }
}

/// The state of a node. `UNSPECIFIED` is one that no fact tells of.
pub fn state(state: &State) -> pb::NodeState {
    match state {
        State::Unknown => pb::NodeState::Unspecified,
        State::Registered { .. } => pb::NodeState::Registered,
        State::Active { .. } => pb::NodeState::Active,
        State::Inactive { .. } => pb::NodeState::Inactive,
        State::Revoked { .. } => pb::NodeState::Revoked,
    }
}

/// Whether a node passes the filter of ListNodes, where `UNSPECIFIED` lets any pass.
pub fn passes(filter: pb::NodeState, node: &State) -> bool {
    filter == pb::NodeState::Unspecified || filter == state(node)
}

/// The enrollment is confirmed by the first use of any of its certificates; one was renewed only over a used one.
fn is_confirmed(state: &State) -> bool {
    match state {
        State::Active { current, overlap, .. } => current.confirmed_at.is_some() || overlap.is_some(),
        State::Inactive { current, .. } => current.as_ref().is_some_and(|held| held.confirmed_at.is_some()),
        State::Unknown | State::Registered { .. } | State::Revoked { .. } => false,
    }
}

fn assurance(assurance: Option<Assurance>) -> pb::Assurance {
    match assurance {
        None => pb::Assurance::Unspecified,
        Some(Assurance::Claimed) => pb::Assurance::Claimed,
        Some(Assurance::Token) => pb::Assurance::Token,
    }
}

fn certificate(certificate: &Certificate) -> pb::NodeCertificate {
    pb::NodeCertificate {
        serial: certificate.serial.to_string(),
        spki_sha256: certificate.spki_sha256.as_bytes().to_vec(),
        not_before: Some(moment::to_wire(certificate.not_before)),
        not_after: Some(moment::to_wire(certificate.not_after)),
        renew_after: Some(moment::to_wire(certificate.renew_after)),
        authority: certificate.authority.to_string(),
    }
}

fn labels(state: &State) -> BTreeMap<String, String> {
    let labels = state.enrollment().into_iter().flat_map(|enrollment| enrollment.labels.iter());
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use events::{
        node::{Enrollment, Held},
        vocabulary::{AuthorityId, CertificateHash, HardwareIdentity, KeyHash, Labels, Principal, Serial},
    };

    use super::*;
    use crate::node_json::NodeJson;

    fn enrollment() -> Enrollment {
        let macs = ["aa:bb:cc:dd:ee:01".to_owned()];
        Enrollment {
            epoch: 2,
            hardware: HardwareIdentity::registered(&macs, "SN1", "").unwrap(),
            labels: "rack=r12".parse::<Labels>().unwrap(),
            vcluster: Some("prod".parse().unwrap()),
            contested: false,
            draining: true,
            boot_id: None,
            warm_reboot: None,
            bound: None,
        }
    }

    fn held() -> Held {
        let at = Timestamp::from_millis;
        let certificate = Certificate {
            serial: Serial::from_random([7; 16]),
            spki_sha256: KeyHash::of(b"key"),
            sha256: CertificateHash::of(b"certificate"),
            not_before: at(1_000_000),
            not_after: at(9_000_000),
            renew_after: at(6_000_000),
            authority: AuthorityId::new(at(0), 1),
        };
        Held { certificate, assurance: Some(Assurance::Claimed), confirmed_at: Some(at(2_000_000)) }
    }

    fn shown(state: State) -> NodeJson {
        let node = views::Node {
            state,
            version: 5,
            registered_at: Timestamp::from_millis(500_000),
            registered_by: Principal::Operator("admin".parse().unwrap()),
            issued_seq: 7,
            active_since: Timestamp::from_millis(1_000_000),
            grouped_seq: 3,
        };
        let (domain, id) = ("alps".parse().unwrap(), "compute-042".parse().unwrap());
        to_wire(&domain, &id, &node, None).try_into().unwrap()
    }

    #[test]
    fn an_active_node_arrives_with_all_that_is_known() {
        let node = shown(State::Active { enrollment: enrollment(), current: held(), overlap: None });
        assert_eq!((node.node_id.as_str(), node.domain_id.as_str()), ("compute-042", "alps"));
        assert_eq!(node.vcluster.as_deref(), Some("prod"));
        assert_eq!((node.state, node.confirmed, node.epoch, node.version), ("active", true, 2, 5));
        assert_eq!(node.hardware.macs, ["aa:bb:cc:dd:ee:01"]);
        assert_eq!(node.hardware.bmc_serial.as_deref(), Some("SN1"));
        assert_eq!(node.assurance, Some("claimed"));
        assert_eq!(node.registered_by, "operator:admin");
        assert_eq!(node.labels, BTreeMap::from([("rack".to_owned(), "r12".to_owned())]));
        let certificate = node.certificate.unwrap();
        assert_eq!(certificate.serial, Serial::from_random([7; 16]).to_string());
        assert_eq!(certificate.spki_sha256, KeyHash::of(b"key").to_string());
        assert_eq!(certificate.renew_after, Timestamp::from_millis(6_000_000));
    }

    #[test]
    fn a_renewal_does_not_take_the_confirmation_back() {
        let unused = Held { confirmed_at: None, ..held() };
        let renewed =
            State::Active { enrollment: enrollment(), current: unused.clone(), overlap: Some(held()) };
        assert!(shown(renewed).confirmed);
        let fresh = State::Active { enrollment: enrollment(), current: unused, overlap: None };
        assert!(!shown(fresh).confirmed);
    }

    #[test]
    fn without_a_current_certificate_there_is_none_to_show() {
        for state in [
            State::Registered { enrollment: enrollment() },
            State::Inactive { enrollment: enrollment(), current: None },
            State::Revoked { enrollment: enrollment() },
        ] {
            let node = shown(state);
            assert_eq!((node.certificate, node.assurance, node.confirmed), (None, None, false));
        }
    }

    #[test]
    fn a_filter_without_a_state_lets_any_node_pass() {
        let revoked = State::Revoked { enrollment: enrollment() };
        assert!(passes(pb::NodeState::Unspecified, &revoked));
        assert!(passes(pb::NodeState::Revoked, &revoked));
        assert!(!passes(pb::NodeState::Active, &revoked));
    }
}
