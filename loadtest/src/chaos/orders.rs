//! The operator's calls of a run, each noted with what came of it.
//!
//! [`super::machines`] has nodes registered, revoked and deactivated by it; its own [`run`] changes operators and overlays.
//!
//! **Invariant:** every call that was begun is noted once.

use std::{sync::Arc, time::Duration};

use agent::key::NodeKey;
use events::vocabulary::{HardwareIdentity, OverlayHash};
use fastrand::Rng;
use proto::{
    channel::{Channel, Connection},
    outcome::Failure,
    pb::{
        self, AssignNodeRequest, CreateOperatorRequest, DeactivateNodeRequest, InspectNodeRequest,
        MoveNodeRequest, RegisterNodeRequest, RevokeNodeRequest, RevokeOperatorRequest, SetOverlayRequest,
        node_service_client::NodeServiceClient, operator_service_client::OperatorServiceClient,
        v_cluster_service_client::VClusterServiceClient,
    },
    pem_file::Credential,
};
use rustls::pki_types::CertificateDer;
use tokio::time;

use super::{
    history::{Came, Told, What},
    probes::{Probes, Retired},
    quorum::{ANSWERED_WITHIN, Quorum},
};

/// What is refused now may be taken soon.
const AGAIN: Duration = Duration::from_millis(150);
/// Operators come and go so often.
const CHANGES_EVERY: Duration = Duration::from_millis(700);
/// So many vClusters have overlays.
pub const VCLUSTERS: u64 = 3;

/// A client with connections of its own, one a journal.
pub struct Orders {
    quorum: Arc<Quorum>,
    open: Vec<Option<Connection>>,
}

impl Orders {
    /// Not connected yet.
    pub fn new(quorum: &Arc<Quorum>) -> Self {
        Self { open: vec![None; quorum.members.len()], quorum: Arc::clone(quorum) }
    }

    /// Any journal that may be there.
    pub fn any(&self, rng: &mut Rng) -> usize {
        let seated = self.quorum.seated();
        seated[rng.usize(0..seated.len())]
    }

    async fn connection(&mut self, nth: usize) -> Result<Connection, Failure> {
        if let Some(open) = &self.open[nth] {
            return Ok(open.clone());
        }
        let connection = self.quorum.operator_at(nth).await?;
        self.open[nth] = Some(connection.clone());
        Ok(connection)
    }

    /// Makes a call at one journal and notes it.
    async fn call<A>(
        &mut self,
        nth: usize,
        about: &str,
        what: What,
        call: impl AsyncFnOnce(Channel) -> Result<A, tonic::Status>,
        told: impl FnOnce(&A) -> Told,
    ) -> Result<A, Came> {
        let history = Arc::clone(&self.quorum.history);
        let began = history.now();
        let asked = async {
            let connection = self.connection(nth).await?;
            let answered = time::timeout(ANSWERED_WITHIN, call(connection.channel())).await;
            let answered = answered.map_err(|_| Failure::Deadline("no answer in time".to_owned()))?;
            answered.map_err(|status| connection.failure(&status))
        };
        let answer = asked.await;
        let came = history.note_answer(about, what, Some(nth), began, &answer, told);
        if matches!(came, Came::Unknown(_)) {
            self.open[nth] = None;
        }
        answer.map_err(|_| came)
    }

    /// Registers a node.
    pub async fn register(&mut self, nth: usize, node: &str, hardware: &HardwareIdentity) -> Came {
        let request = RegisterNodeRequest {
            node_id: node.to_owned(),
            hardware_identity: Some(hardware.into()),
            ..Default::default()
        };
        let call = async |channel| {
            NodeServiceClient::new(channel).register_node(request).await.map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::RegisterNodeResponse| of_node(answer.seq, answer.node.as_ref());
        done(self.call(nth, node, What::Register, call, told).await, |answer| {
            of_node(answer.seq, answer.node.as_ref())
        })
    }

    /// Revokes a node.
    pub async fn revoke(&mut self, nth: usize, node: &str) -> Came {
        let request = RevokeNodeRequest { node_id: node.to_owned(), reason: "chaos".to_owned() };
        let call = async |channel| {
            NodeServiceClient::new(channel).revoke_node(request).await.map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::RevokeNodeResponse| of_node(answer.seq, answer.node.as_ref());
        done(self.call(nth, node, What::Revoke, call, told).await, |answer| {
            of_node(answer.seq, answer.node.as_ref())
        })
    }

    /// Deactivates a node.
    pub async fn deactivate(&mut self, nth: usize, node: &str) -> Came {
        let request = DeactivateNodeRequest { node_id: node.to_owned() };
        let call = async |channel| {
            NodeServiceClient::new(channel).deactivate_node(request).await.map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::DeactivateNodeResponse| of_node(answer.seq, answer.node.as_ref());
        done(self.call(nth, node, What::Deactivate, call, told).await, |answer| {
            of_node(answer.seq, answer.node.as_ref())
        })
    }

    /// Looks at a node, as it is after all that was acknowledged to anybody.
    pub async fn inspect(&mut self, nth: usize, node: &str) -> Came {
        let min_seq = self.quorum.history.acknowledged();
        let request = InspectNodeRequest { node_id: node.to_owned(), min_seq: Some(min_seq) };
        let call = async |channel| {
            NodeServiceClient::new(channel).inspect_node(request).await.map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::InspectNodeResponse| of_node(answer.seq, answer.node.as_ref());
        done(self.call(nth, node, What::Inspect { min_seq }, call, told).await, |answer| {
            of_node(answer.seq, answer.node.as_ref())
        })
    }

    /// Puts a node into a vCluster, from wherever it is.
    pub async fn place(&mut self, nth: usize, node: &str, vcluster: &str) {
        let what = || What::Place { vcluster: vcluster.to_owned() };
        let request = AssignNodeRequest { node_id: node.to_owned(), vcluster_id: vcluster.to_owned() };
        let call = async |channel| {
            NodeServiceClient::new(channel).assign_node(request).await.map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::AssignNodeResponse| of_node(answer.seq, answer.node.as_ref());
        if self.call(nth, node, what(), call, told).await.is_ok() {
            return;
        }
        let request = MoveNodeRequest { node_id: node.to_owned(), to_vcluster_id: vcluster.to_owned() };
        let call = async |channel| {
            NodeServiceClient::new(channel).move_node(request).await.map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::MoveNodeResponse| of_node(answer.seq, answer.node.as_ref());
        self.call(nth, node, what(), call, told).await.ok();
    }

    /// Sets an overlay; whether that was done.
    pub async fn set_overlay(&mut self, nth: usize, vcluster: &str, overlay: Vec<u8>) -> bool {
        let what = What::SetOverlay { sha256: OverlayHash::of(&overlay) };
        let request = SetOverlayRequest { vcluster_id: vcluster.to_owned(), overlay };
        let call = async |channel| {
            VClusterServiceClient::new(channel).set_overlay(request).await.map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::SetOverlayResponse| of_seq(answer.seq);
        self.call(nth, vcluster, what, call, told).await.is_ok()
    }

    /// Creates an operator, and answers what it proves itself with.
    async fn create_operator(&mut self, nth: usize, name: &str) -> Option<(String, Credential)> {
        let key = NodeKey::generate().ok()?;
        let request = CreateOperatorRequest {
            operator_id: name.to_owned(),
            role: "pact-platform-admin".to_owned(),
            csr: key.csr().to_vec(),
            lifetime_secs: None,
        };
        let call = async |channel| {
            OperatorServiceClient::new(channel)
                .create_operator(request)
                .await
                .map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::CreateOperatorResponse| Told {
            serial: answer.operator.as_ref().map(|operator| operator.serial.clone()),
            ..of_seq(answer.seq)
        };
        let answer = self.call(nth, name, What::CreateOperator, call, told).await.ok()?;
        let credential = key.credential(vec![CertificateDer::from(answer.certificate)]).ok()?;
        Some((answer.operator?.serial, credential))
    }

    async fn revoke_operator(&mut self, nth: usize, name: &str) -> bool {
        let request = RevokeOperatorRequest { operator_id: name.to_owned(), reason: String::new() };
        let call = async |channel| {
            OperatorServiceClient::new(channel)
                .revoke_operator(request)
                .await
                .map(tonic::Response::into_inner)
        };
        let told = |answer: &pb::RevokeOperatorResponse| of_seq(answer.seq);
        self.call(nth, name, What::RevokeOperator, call, told).await.is_ok()
    }
}

fn done<A>(answer: Result<A, Came>, told: impl FnOnce(&A) -> Told) -> Came {
    match answer {
        Ok(answer) => Came::Done(told(&answer)),
        Err(came) => came,
    }
}

fn of_seq(seq: u64) -> Told {
    Told { seq: Some(seq), ..Told::default() }
}

fn of_node(seq: u64, node: Option<&pb::Node>) -> Told {
    Told { node: node.map(Into::into), ..of_seq(seq) }
}

/// Creates operators and revokes them, and sets overlays, until `stop` is told.
pub async fn run(quorum: Arc<Quorum>, probes: Arc<Probes>, mut rng: Rng, stop: super::Stop) {
    let mut orders = Orders::new(&quorum);
    let mut number = 0_u64;
    while !stop.is_told() {
        number += 1;
        let vcluster = format!("group-{}", rng.u64(0..VCLUSTERS));
        let nth = orders.any(&mut rng);
        orders.set_overlay(nth, &vcluster, format!("overlay {number}").into_bytes()).await;
        let name = format!("person-{number}");
        let nth = orders.any(&mut rng);
        if let Some((serial, credential)) = orders.create_operator(nth, &name).await {
            let mut revoked = false;
            while !revoked && !stop.is_told() {
                let nth = orders.any(&mut rng);
                revoked = orders.revoke_operator(nth, &name).await;
                if !revoked {
                    time::sleep(AGAIN).await;
                }
            }
            if revoked {
                probes.add(Retired::operator(&name, &serial, credential, quorum.history.now()));
            }
        }
        time::sleep(CHANGES_EVERY).await;
    }
}
