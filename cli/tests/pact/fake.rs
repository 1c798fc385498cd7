//! A journal that answers what a test wants, over real TLS: for answers that a sound journal does not give.
//!
//! Not here, on purpose: rules. What a journal decides is tested with a real one.

use std::{
    fs, io,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use proto::{
    pb::{
        self,
        member_service_server::{MemberService, MemberServiceServer},
        node_service_server::{NodeService, NodeServiceServer},
        v_cluster_service_server::{VClusterService, VClusterServiceServer},
    },
    refusal::Refusal,
    tls,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tempfile::TempDir;
use tokio::{
    io::{DuplexStream, copy_bidirectional, duplex},
    net::TcpListener,
    runtime::{self, Runtime},
    sync::{Notify, mpsc},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, transport::Server};

/// What the fake does with a part of a batch.
pub enum Reply {
    /// Answers with these rows.
    Rows(Vec<pb::BatchRow>),
    /// Refuses the whole.
    Refuse(Refusal),
    /// Ends the connection without a word.
    Die,
    /// Never answers.
    Silence,
}

/// Decides a part; they are counted from 0.
pub type Decide = Box<dyn Fn(u32, pb::BatchRegisterNodesRequest) -> Reply + Send + Sync>;

/// The fake and its files. It ends when this is dropped.
pub struct Fake {
    _runtime: Runtime,
    folder: TempDir,
    address: SocketAddr,
}

struct Answers {
    decide: Decide,
    parts: AtomicU32,
    evictions: AtomicU32,
    vcluster: pb::GetVClusterResponse,
    members: Vec<pb::Member>,
    died: Arc<Notify>,
}

/// The service of the answers that a test chose.
#[derive(Clone)]
struct Service(Arc<Answers>);

impl Fake {
    /// Starts to answer batches and one vCluster so.
    pub fn start(decide: Decide, vcluster: pb::GetVClusterResponse) -> Self {
        Self::start_with(decide, vcluster, vec![])
    }

    /// Starts to answer for a quorum of these journals.
    pub fn of_quorum(members: Vec<pb::Member>) -> Self {
        Self::start_with(Box::new(|_, _| Reply::Die), pb::GetVClusterResponse::default(), members)
    }

    fn start_with(decide: Decide, vcluster: pb::GetVClusterResponse, members: Vec<pb::Member>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = make_files(&folder);
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let died = Arc::new(Notify::new());
        let (parts, evictions) = (AtomicU32::new(0), AtomicU32::new(0));
        let answers = Answers { decide, parts, evictions, vcluster, members, died: Arc::clone(&died) };
        runtime.spawn(serve(listener, config, Service(Arc::new(answers)), died));
        Self { _runtime: runtime, folder, address }
    }

    /// `pact` as an operator, all told by the environment.
    pub fn pact(&self) -> Command {
        let mut pact = Command::new(env!("CARGO_BIN_EXE_pact"));
        pact.env_remove("RUST_LOG")
            .env("XDG_CONFIG_HOME", "/no/such/folder")
            .env("PACT_ENDPOINTS", format!("https://{}", self.address))
            .env("PACT_CA", self.folder.path().join("ca.pem"))
            .env("PACT_CREDENTIAL", self.folder.path().join("operator.pem"));
        pact
    }
}

/// Writes the files of an operator; answers with the server's side.
fn make_files(folder: &TempDir) -> ServerConfig {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a certificate");
    let issuer = Issuer::new(params, key);
    let issue = |names: &[&str]| {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("names");
        (params.signed_by(&key, &issuer).expect("a certificate"), key)
    };
    let (operator, operator_key) = issue(&[]);
    let operator = format!("{}{}", operator.pem(), operator_key.serialize_pem());
    for (file, text) in [("ca.pem", ca.pem()), ("operator.pem", operator)] {
        fs::write(folder.path().join(file), text).expect("it can be written");
    }
    let (server, server_key) = issue(&["127.0.0.1"]);
    let server_key = PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], server_key)
        .expect("key and certificate fit");
    config.alpn_protocols = vec![tls::ALPN_H2.to_vec()];
    config
}

async fn serve(listener: TcpListener, config: ServerConfig, service: Service, died: Arc<Notify>) {
    let (connections, incoming) = mpsc::unbounded_channel::<Result<DuplexStream, io::Error>>();
    let grpc = Server::builder()
        .add_service(NodeServiceServer::new(service.clone()))
        .add_service(MemberServiceServer::new(service.clone()))
        .add_service(VClusterServiceServer::new(service).max_decoding_message_size(11 << 20));
    tokio::spawn(grpc.serve_with_incoming(UnboundedReceiverStream::new(incoming)));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((tcp, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
        let (mut outer, inner) = duplex(1 << 20);
        connections.send(Ok(inner)).expect("the server serves");
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut outer) => {}
            () = died.notified() => {}
        }
    }
}

type Answered<T> = Result<Response<T>, Status>;

fn absent<T>() -> Answered<T> {
    Err(Status::unimplemented("the fake does not answer this"))
}

#[tonic::async_trait]
impl NodeService for Service {
    async fn batch_register_nodes(
        &self,
        request: Request<pb::BatchRegisterNodesRequest>,
    ) -> Answered<pb::BatchRegisterNodesResponse> {
        let part = self.0.parts.fetch_add(1, Ordering::SeqCst);
        match (self.0.decide)(part, request.into_inner()) {
            Reply::Rows(rows) => Ok(Response::new(pb::BatchRegisterNodesResponse { rows, seq: 1 })),
            Reply::Refuse(refusal) => Err(refusal.into()),
            Reply::Die => {
                self.0.died.notify_one();
                std::future::pending().await
            }
            Reply::Silence => std::future::pending().await,
        }
    }

    async fn register_node(&self, _: Request<pb::RegisterNodeRequest>) -> Answered<pb::RegisterNodeResponse> {
        absent()
    }

    async fn list_nodes(&self, _: Request<pb::ListNodesRequest>) -> Answered<pb::ListNodesResponse> {
        absent()
    }

    async fn inspect_node(&self, _: Request<pb::InspectNodeRequest>) -> Answered<pb::InspectNodeResponse> {
        absent()
    }

    async fn revoke_node(&self, _: Request<pb::RevokeNodeRequest>) -> Answered<pb::RevokeNodeResponse> {
        absent()
    }

    async fn deactivate_node(
        &self,
        _: Request<pb::DeactivateNodeRequest>,
    ) -> Answered<pb::DeactivateNodeResponse> {
        absent()
    }

    async fn decommission_node(
        &self,
        _: Request<pb::DecommissionNodeRequest>,
    ) -> Answered<pb::DecommissionNodeResponse> {
        absent()
    }

    async fn replace_hardware(
        &self,
        _: Request<pb::ReplaceHardwareRequest>,
    ) -> Answered<pb::ReplaceHardwareResponse> {
        absent()
    }

    async fn assign_node(&self, _: Request<pb::AssignNodeRequest>) -> Answered<pb::AssignNodeResponse> {
        absent()
    }

    async fn unassign_node(&self, _: Request<pb::UnassignNodeRequest>) -> Answered<pb::UnassignNodeResponse> {
        absent()
    }

    async fn move_node(&self, _: Request<pb::MoveNodeRequest>) -> Answered<pb::MoveNodeResponse> {
        absent()
    }

    async fn drain_node(&self, _: Request<pb::DrainNodeRequest>) -> Answered<pb::DrainNodeResponse> {
        absent()
    }

    async fn undrain_node(&self, _: Request<pb::UndrainNodeRequest>) -> Answered<pb::UndrainNodeResponse> {
        absent()
    }

    async fn resolve_node(&self, _: Request<pb::ResolveNodeRequest>) -> Answered<pb::ResolveNodeResponse> {
        absent()
    }

    async fn bind_node_identity(
        &self,
        _: Request<pb::BindNodeIdentityRequest>,
    ) -> Answered<pb::BindNodeIdentityResponse> {
        absent()
    }
}

#[tonic::async_trait]
impl MemberService for Service {
    async fn members(&self, _: Request<pb::MembersRequest>) -> Answered<pb::MembersResponse> {
        Ok(Response::new(pb::MembersResponse { members: self.0.members.clone(), seq: 1 }))
    }

    async fn evict(&self, request: Request<pb::EvictRequest>) -> Answered<pb::EvictResponse> {
        let asked = request.into_inner();
        let member = self.0.members.iter().find(|member| member.journal_id == asked.journal_id);
        // What was asked comes back, so that a test sees it.
        let evicted = |member: &pb::Member| pb::Member {
            standing: "evicted".to_owned(),
            version: Some(asked.reason.clone()),
            ..member.clone()
        };
        // Half of what is left at each question, as if there were three.
        let asked_before = self.0.evictions.fetch_add(1, Ordering::SeqCst);
        let (revoked, left) = match (asked.revoke_issued, asked_before) {
            (true, 0) => (2, 1),
            (true, 1) => (1, 0),
            (true, _) | (false, _) => (0, 0),
        };
        let seated = asked.revoke_issued && asked_before < 2;
        Ok(Response::new(pb::EvictResponse { member: member.map(evicted), seq: 1, revoked, left, seated }))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Answered<pb::TransferLeaderResponse> {
        let asked = request.into_inner();
        let member = self.0.members.iter().find(|member| member.journal_id == asked.journal_id);
        let leads = |member: &pb::Member| pb::Member { leader: true, ..member.clone() };
        Ok(Response::new(pb::TransferLeaderResponse { member: member.map(leads), seq: 1 }))
    }

    async fn create_join_token(
        &self,
        _: Request<pb::CreateJoinTokenRequest>,
    ) -> Answered<pb::CreateJoinTokenResponse> {
        absent()
    }
}

#[tonic::async_trait]
impl VClusterService for Service {
    async fn get_v_cluster(&self, _: Request<pb::GetVClusterRequest>) -> Answered<pb::GetVClusterResponse> {
        Ok(Response::new(self.0.vcluster.clone()))
    }

    async fn set_overlay(&self, request: Request<pb::SetOverlayRequest>) -> Answered<pb::SetOverlayResponse> {
        let asked = request.into_inner();
        let size = asked.overlay.len() as u64;
        let set = pb::VCluster {
            vcluster_id: asked.vcluster_id,
            size,
            ..self.0.vcluster.vcluster.clone().unwrap_or_default()
        };
        Ok(Response::new(pb::SetOverlayResponse { vcluster: Some(set), seq: 1 }))
    }

    async fn list_v_clusters(
        &self,
        _: Request<pb::ListVClustersRequest>,
    ) -> Answered<pb::ListVClustersResponse> {
        absent()
    }

    async fn set_domain_default(
        &self,
        _: Request<pb::SetDomainDefaultRequest>,
    ) -> Answered<pb::SetDomainDefaultResponse> {
        absent()
    }
}
