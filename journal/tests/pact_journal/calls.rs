//! Calls to a journal as its clients make them, and their answers as clients understand them.
//!
//! **Invariant:** a refusal that comes back with another code than its reason's fails the test that asked.

use std::time::Duration;

use proto::channel::{Connection, ConnectionRefusal};
use proto::outcome::Failure;
use proto::pb;
use proto::pb::boot_config_service_client::BootConfigServiceClient;
use proto::pb::enrollment_service_client::EnrollmentServiceClient;
use proto::pb::node_service_client::NodeServiceClient;
use proto::pem_file::Credential;
use proto::reason::Reason;
use proto::refusal::Refusal;
use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::journal_process::ANSWERED;
use crate::request::Machine;

/// What came of a call.
pub type Answer<T> = Result<T, Failure>;

/// A connection to the operators' listener.
pub struct Operator(pub Connection);

/// A connection to the agents' listener.
pub struct Agent(pub Connection);

/// An open subscription. It says hello; dropping it ends the stream.
pub struct Subscription {
    to: mpsc::Sender<pb::AgentMessage>,
    from: Streaming<pb::JournalMessage>,
}

impl Operator {
    /// RegisterNode, without labels.
    pub async fn register(&self, node_id: &str, hardware: &pb::HardwareIdentity) -> Answer<pb::Node> {
        let request = pb::RegisterNodeRequest {
            node_id: node_id.to_owned(),
            hardware_identity: Some(hardware.clone()),
            ..Default::default()
        };
        let answered = NodeServiceClient::new(self.0.channel()).register_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    /// InspectNode.
    pub async fn inspect(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::InspectNodeRequest { node_id: node_id.to_owned(), min_seq: None };
        let answered = NodeServiceClient::new(self.0.channel()).inspect_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("a node that exists is shown"))
    }

    /// ListNodes: all of them, and the last fact.
    pub async fn list(&self) -> Answer<pb::ListNodesResponse> {
        let answered =
            NodeServiceClient::new(self.0.channel()).list_nodes(pb::ListNodesRequest::default()).await;
        answer(&self.0, answered)
    }

    /// RevokeNode.
    pub async fn revoke(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::RevokeNodeRequest { node_id: node_id.to_owned(), reason: "stolen".to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).revoke_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    /// DeactivateNode.
    pub async fn deactivate(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::DeactivateNodeRequest { node_id: node_id.to_owned() };
        let answered = NodeServiceClient::new(self.0.channel()).deactivate_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }

    /// DecommissionNode.
    pub async fn decommission(&self, node_id: &str) -> Answer<pb::Node> {
        let request = pb::DecommissionNodeRequest { node_id: node_id.to_owned(), ..Default::default() };
        let answered = NodeServiceClient::new(self.0.channel()).decommission_node(request).await;
        Ok(answer(&self.0, answered)?.node.expect("every change answers with the node"))
    }
}

impl Agent {
    /// Enroll with hardware and a request, nothing else.
    pub async fn enroll(&self, hardware: &pb::HardwareIdentity, csr: &[u8]) -> Answer<pb::EnrollResponse> {
        self.enroll_as(pb::EnrollRequest {
            hardware_identity: Some(hardware.clone()),
            csr: csr.to_vec(),
            protocol: 1,
            ..Default::default()
        })
        .await
    }

    /// [`Agent::enroll`] of a caller that says how long it waits.
    pub async fn enroll_within(&self, machine: &Machine, wait: Duration) -> Answer<pb::EnrollResponse> {
        let mut request = tonic::Request::new(pb::EnrollRequest {
            hardware_identity: Some(machine.hardware.clone()),
            csr: machine.csr(),
            protocol: 1,
            ..Default::default()
        });
        request.set_timeout(wait);
        answer(&self.0, EnrollmentServiceClient::new(self.0.channel()).enroll(request).await)
    }

    /// Enroll.
    pub async fn enroll_as(&self, request: pb::EnrollRequest) -> Answer<pb::EnrollResponse> {
        answer(&self.0, EnrollmentServiceClient::new(self.0.channel()).enroll(request).await)
    }

    /// RenewCert.
    pub async fn renew(&self, current_serial: &str, csr: &[u8]) -> Answer<pb::EnrollResponse> {
        let request = pb::RenewCertRequest { current_serial: current_serial.to_owned(), csr: csr.to_vec() };
        answer(&self.0, EnrollmentServiceClient::new(self.0.channel()).renew_cert(request).await)
    }

    /// SubscribeConfigUpdates. Done when the journal's first message is there.
    pub async fn subscribe(&self) -> Answer<Subscription> {
        self.subscribe_from(0).await
    }

    /// The same, by a node that has its configuration up to this fact.
    pub async fn subscribe_from(&self, from_seq: u64) -> Answer<Subscription> {
        use pb::agent_message::{Hello, Message};
        let (to, messages) = mpsc::channel(4);
        let hello = Hello { from_seq, boot_id: String::new(), agent_version: "test".to_owned() };
        to.try_send(pb::AgentMessage { message: Some(Message::Hello(hello)) }).expect("there is room");
        let mut client = BootConfigServiceClient::new(self.0.channel());
        let answered = client.subscribe_config_updates(ReceiverStream::new(messages)).await;
        let mut from = answer(&self.0, answered)?;
        let first = from.message().await.map_err(|status| self.0.failure(&status))?;
        assert!(first.is_some(), "the journal welcomes a subscriber");
        Ok(Subscription { to, from })
    }
}

impl Subscription {
    /// The next message; none when the stream is over.
    pub async fn next(&mut self) -> Option<pb::journal_message::Message> {
        self.from.message().await.ok().flatten().and_then(|message| message.message)
    }

    /// Waits until the stream ends, for whatever reason.
    pub async fn ended(&mut self) {
        while let Ok(Some(_)) = self.from.message().await {}
    }

    /// Says how many sessions run on it.
    pub async fn say_sessions(&mut self, count: u32) {
        use pb::agent_message::{Message, Sessions};
        let message = pb::AgentMessage { message: Some(Message::Sessions(Sessions { count })) };
        self.to.send(message).await.expect("the stream is open");
    }

    /// Says goodbye and waits until that is recorded.
    pub async fn goodbye(mut self) {
        use pb::agent_message::{Goodbye, Message};
        let message = pb::AgentMessage { message: Some(Message::Goodbye(Goodbye {})) };
        self.to.send(message).await.expect("the stream is open");
        timeout(ANSWERED, self.ended()).await.expect("the end of the stream is the answer");
    }
}

/// Whether a connection works at all: a call that needs no role.
pub async fn health(connection: &Connection) -> Answer<()> {
    let answered = HealthClient::new(connection.channel()).check(HealthCheckRequest::default()).await;
    assert_eq!(answer(connection, answered)?.status, i32::from(ServingStatus::Serving));
    Ok(())
}

/// Why the journal does not let a client in; none if it does.
pub async fn turned_away(opened: Answer<&Connection>) -> Option<ConnectionRefusal> {
    let worked = match opened {
        Ok(connection) => health(connection).await,
        Err(failure) => Err(failure),
    };
    let failure = worked.err()?;
    let Failure::ConnectionRefused(refusal) = failure else {
        panic!("no refusal of the certificate: {failure:?}")
    };
    Some(refusal)
}

/// The refusal in an answer.
pub fn refusal<T: std::fmt::Debug>(answered: Answer<T>) -> Refusal {
    let Err(Failure::Refused(refusal)) = answered else { panic!("no refusal: {answered:?}") };
    refusal
}

/// The reason in an answer.
pub fn reason<T: std::fmt::Debug>(answered: Answer<T>) -> Reason {
    refusal(answered).reason
}

/// What a node connects with after its enrollment.
pub fn credential(issued: &pb::EnrollResponse, key: &KeyPair) -> Credential {
    let chain = [&issued.certificate].into_iter().chain(&issued.ca_chain);
    let chain = chain.map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("rcgen writes PKCS #8");
    Credential::new(chain, key).expect("the certificate is for this key")
}

/// An answer as the client understands it.
pub fn answer<T>(connection: &Connection, answered: Result<Response<T>, Status>) -> Answer<T> {
    answered.map(Response::into_inner).map_err(|status| {
        let failure = connection.failure(&status);
        if let Failure::Refused(refusal) = &failure {
            assert_eq!(status.code(), refusal.reason.code(), "{refusal}");
            assert!(!refusal.message.is_empty(), "every refusal has a sentence");
        }
        failure
    })
}
