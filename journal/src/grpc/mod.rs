//! The edge: two listeners, their TLS, their services. Wire to domain, ask, domain to wire; no rule lives here.
//!
//! ```text
//! acceptor     TCP and TLS; registers connections          design §3 step 2, R10
//! verifier     looks client certificates up                R10
//! serve        HTTP/2 on accepted connections
//! connection   a stream on a leash; connections: all of them, to be cut   R17
//! closing      of a stale journal's connections
//! access       who may call what                           design §7
//! enrollment   Enroll, RenewCert; measured: what becomes of each Enroll
//! boot_config  StreamBootConfig, SubscribeConfigUpdates; subscription: one open stream
//! node         what operators order and see; walk: of very many nodes
//! vcluster     what nodes are configured by
//! operator, member, status, event: those who command, the quorum, how the domain is, what happened
//! refusal      an order without answer -> gRPC status
//! current      waits for what was recorded elsewhere   R22
//! deadline     how long a caller waits
//! ```
//!
//! tonic is used here only.

mod acceptor;
mod access;
mod boot_config;
mod closing;
mod confirmation;
mod connection;
mod connections;
mod current;
mod deadline;
mod enrollment;
mod event;
mod measured;
mod member;
mod node;
mod operator;
mod refusal;
mod serve;
mod status;
mod subscription;
mod vcluster;
mod verifier;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use events::vocabulary::{DomainId, JournalId};
use proto::pb::boot_config_service_server::BootConfigServiceServer;
use proto::pb::enrollment_service_server::EnrollmentServiceServer;
use proto::pb::event_service_server::EventServiceServer;
use proto::pb::member_service_server::MemberServiceServer;
use proto::pb::node_service_server::NodeServiceServer;
use proto::pb::operator_service_server::OperatorServiceServer;
use proto::pb::status_service_server::StatusServiceServer;
use proto::pb::v_cluster_service_server::VClusterServiceServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::service::Routes;

use crate::actors::Nodes;
use crate::admission::Admission;
use crate::agent_endpoints::AgentEndpoints;
use crate::attempts::Attempts;
use crate::distrust::Distrust;
use crate::log::Log;
use crate::membership::Membership;
use crate::operators::Operators;
use crate::overlays::Overlays;
use crate::presence::{
    Streams, contests::Contests, sessions::Sessions, soundings::Soundings, updates::Updates,
};
use crate::renewal::Outlook;
use crate::workloads::Workloads;

pub use acceptor::{Acceptor, AcceptorError, Limits};
pub use closing::cut_off;
pub use connections::Connections;
pub(crate) use operator::status as operator_status;

use access::Access;
use boot_config::BootConfigEdge;
use confirmation::Confirmation;
use enrollment::EnrollmentEdge;
use event::EventEdge;
use measured::Measured;
use member::MemberEdge;
use node::NodeEdge;
use operator::OperatorEdge;
use serve::{AgentServices, Manner, Routed, Services, serve};
use status::StatusEdge;
use vcluster::VClusterEdge;

/// The largest request; a CSR of 64 KB must get a clear refusal, more is cut off.
const LARGEST_REQUEST: usize = 96 * 1024;
/// The largest request about nodes: a batch of 1,000 rows, each with all that a row may have.
const LARGEST_BATCH: usize = 4 << 20;
/// The largest request with an overlay: one that is somewhat too large must get a clear refusal.
const LARGEST_OVERLAY: usize = 16 << 20;
/// Connections of agents: two or three calls each.
const OF_AGENTS: Manner = Manner { streams: 8, spawns: false };
/// Connections of operators' tools.
const OF_OPERATORS: Manner = Manner { streams: 128, spawns: true };
/// A call must be read and answered by then; a stream must be opened. A body that never ends holds its memory so long.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// A client that does not answer pings for so long is gone: its connection must not keep its memory.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Calls that are under way when the journal stops get so much time to end.
const DRAIN: Duration = Duration::from_secs(3);
/// And connections that are cut then so much to notice it.
const CUT: Duration = Duration::from_secs(1);

/// What the services need of the journal.
#[derive(Clone)]
pub struct Edge {
    /// The log and its views.
    pub log: Log,
    /// The nodes' actors.
    pub nodes: Nodes,
    /// Which nodes are here.
    pub streams: Streams,
    /// Tells them of changes.
    pub updates: Updates,
    /// What they are configured by.
    pub overlays: Overlays,
    /// Who may go on to them.
    pub admission: Arc<Admission>,
    /// What is noted of those who are refused.
    pub attempts: Attempts,
    /// Who is told of machines that may be a second one.
    pub contests: Contests,
    /// Who finds out whether machines are still there, if another boot of theirs may be let in (R14 c).
    pub warm_reboot: Option<Soundings>,
    /// How many sessions run on nodes.
    pub sessions: Sessions,
    /// Those who command.
    pub operators: Operators,
    /// The domain.
    pub domain_id: DomainId,
    /// This journal.
    pub journal_id: JournalId,
    /// The agents' listeners of all journals, as agents are told.
    pub endpoints: Arc<AgentEndpoints>,
    /// Whether server reflection is answered.
    pub reflection: bool,
    /// Until when server certificates last.
    pub outlook: Outlook,
    /// Who has not used a certificate for longer needs a look.
    pub unconfirmed_alert: Duration,
    /// Whose workload identities may be bound to nodes; none: nobody's (R11).
    pub workloads: Option<Arc<Workloads>>,
}

/// The listeners at work.
pub struct Listeners {
    stop: watch::Sender<bool>,
    connections: Arc<Connections>,
    servers: Vec<JoinHandle<()>>,
}

/// Why the services did not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The description of the services cannot be served.
    #[error("server reflection cannot be offered")]
    Reflection(#[source] tonic_reflection::server::Error),
}

impl Listeners {
    /// Serves agents and operators on listeners that are bound already.
    pub async fn start(
        edge: &Edge,
        acceptor: (Acceptor, Acceptor),
        connections: Arc<Connections>,
        agents: TcpListener,
        operators: TcpListener,
    ) -> Result<Self, EdgeError> {
        let (stop, stopping) = watch::channel(false);
        let for_agents = agent_services(edge, stopping.clone()).await?;
        let for_operators = operator_services(edge, stopping.clone()).await?;
        let (agents, operators) = (acceptor.0.accept(agents), acceptor.1.accept(operators));
        let servers = vec![
            tokio::spawn(serve(agents, for_agents, OF_AGENTS, stopping.clone())),
            tokio::spawn(serve(operators, for_operators, OF_OPERATORS, stopping.clone())),
            tokio::spawn(closing::run(edge.log.clone(), Arc::clone(&connections), stopping)),
        ];
        Ok(Self { stop, connections, servers })
    }

    /// Takes no new calls, lets those under way end, then cuts what is left.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let aborters: Vec<_> = self.servers.iter().map(JoinHandle::abort_handle).collect();
        let mut ended = Box::pin(futures_util::future::join_all(self.servers));
        if tokio::time::timeout(DRAIN, &mut ended).await.is_err() {
            self.connections.cut_all();
            if tokio::time::timeout(CUT, ended).await.is_err() {
                aborters.iter().for_each(tokio::task::AbortHandle::abort);
            }
        }
    }
}

async fn agent_services(
    edge: &Edge,
    stopping: watch::Receiver<bool>,
) -> Result<impl Services + use<>, EdgeError> {
    let access = Access::new(edge.log.clone());
    let confirmation = Confirmation { log: edge.log.clone(), nodes: edge.nodes.clone() };
    let enrollment = EnrollmentServiceServer::new(Measured(EnrollmentEdge {
        access: access.clone(),
        log: edge.log.clone(),
        nodes: edge.nodes.clone(),
        admission: Arc::clone(&edge.admission),
        attempts: edge.attempts.clone(),
        contests: edge.contests.clone(),
        warm_reboot: edge.warm_reboot.clone(),
        confirmation: confirmation.clone(),
        domain_id: edge.domain_id.clone(),
        endpoints: Arc::clone(&edge.endpoints),
        workloads: edge.workloads.clone(),
    }));
    let boot_config = BootConfigServiceServer::new(BootConfigEdge {
        access,
        log: edge.log.clone(),
        nodes: edge.nodes.clone(),
        confirmation,
        overlays: edge.overlays.clone(),
        streams: edge.streams.clone(),
        updates: edge.updates.clone(),
        endpoints: Arc::clone(&edge.endpoints),
        stopping,
    });
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<EnrollmentServiceServer<EnrollmentEdge>>().await;
    health.set_serving::<BootConfigServiceServer<BootConfigEdge>>().await;
    let others = with_reflection(Routes::new(health_service), edge.reflection)?;
    Ok(AgentServices {
        enrollment: enrollment.max_decoding_message_size(LARGEST_REQUEST),
        boot_config: boot_config.max_decoding_message_size(LARGEST_REQUEST),
        others: others.prepare(),
    })
}

async fn operator_services(edge: &Edge, stopping: watch::Receiver<bool>) -> Result<Routed, EdgeError> {
    let nodes = NodeServiceServer::new(NodeEdge {
        access: Access::new(edge.log.clone()),
        log: edge.log.clone(),
        nodes: edge.nodes.clone(),
        streams: edge.streams.clone(),
        sessions: edge.sessions.clone(),
        domain_id: edge.domain_id.clone(),
        unconfirmed_alert: edge.unconfirmed_alert,
        workloads: edge.workloads.clone(),
    });
    let vclusters = VClusterServiceServer::new(VClusterEdge {
        access: Access::new(edge.log.clone()),
        log: edge.log.clone(),
        overlays: edge.overlays.clone(),
    });
    let access = Access::new(edge.log.clone());
    let operators = OperatorServiceServer::new(OperatorEdge {
        access: access.clone(),
        log: edge.log.clone(),
        operators: edge.operators.clone(),
    });
    let status = StatusServiceServer::new(StatusEdge {
        access: access.clone(),
        log: edge.log.clone(),
        domain_id: edge.domain_id.clone(),
        outlook: edge.outlook.clone(),
        journal_id: edge.journal_id.clone(),
        unconfirmed_alert: edge.unconfirmed_alert,
    });
    let members = MemberServiceServer::new(MemberEdge {
        access: access.clone(),
        log: edge.log.clone(),
        membership: Membership {
            log: edge.log.clone(),
            journal_id: edge.journal_id.clone(),
            outlook: edge.outlook.clone(),
        },
        distrust: Distrust {
            log: edge.log.clone(),
            nodes: edge.nodes.clone(),
            operators: edge.operators.clone(),
        },
    });
    let events = EventServiceServer::new(EventEdge { access, log: edge.log.clone(), stopping });
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<NodeServiceServer<NodeEdge>>().await;
    health.set_serving::<OperatorServiceServer<OperatorEdge>>().await;
    health.set_serving::<StatusServiceServer<StatusEdge>>().await;
    health.set_serving::<EventServiceServer<EventEdge>>().await;
    health.set_serving::<VClusterServiceServer<VClusterEdge>>().await;
    health.set_serving::<MemberServiceServer<MemberEdge>>().await;
    let routes = Routes::new(health_service)
        .add_service(nodes.max_decoding_message_size(LARGEST_BATCH))
        .add_service(vclusters.max_decoding_message_size(LARGEST_OVERLAY))
        .add_service(operators.max_decoding_message_size(LARGEST_REQUEST))
        .add_service(members.max_decoding_message_size(LARGEST_REQUEST))
        .add_service(status)
        .add_service(events);
    Ok(Routed(with_reflection(routes, edge.reflection)?.prepare()))
}

/// Both versions of the protocol: most tools still ask for the older one.
fn with_reflection(routes: Routes, offered: bool) -> Result<Routes, EdgeError> {
    if !offered {
        return Ok(routes);
    }
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(described().build_v1().map_err(EdgeError::Reflection)?)
        .add_service(described().build_v1alpha().map_err(EdgeError::Reflection)?))
}
