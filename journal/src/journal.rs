//! A journal at work: opens the log, starts the actors, announces an authority, serves; and stops in the reverse order.
//!
//! Everything is checked before anything is changed: a refusal to start leaves the data directory as it was.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use events::append::MAX_SKEW;
use events::domain::Created;
use events::member;
use events::vocabulary::{CertificateHash, Der, DomainId, LogId, Timestamp};
use proto::pem_file::Credential;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use crate::actors::{ActorSystem, Executor, Nodes, SystemError};
use crate::admission::Admission;
use crate::agent_endpoints::AgentEndpoints;
use crate::announcement::Announcement;
use crate::attempts::Attempts;
use crate::clock;
use crate::cluster::{Cluster, Dialer, Standpoint};
use crate::config::Config;
use crate::data_dir::{DataDir, DataDirError, Endpoints, Identity};
use crate::grpc::{Acceptor, AcceptorError, Connections, Edge, EdgeError, Limits, Listeners};
use crate::hardening;
use crate::http::{self, Condition, ProbeListener};
use crate::log::{Inspected, Log, OpenError, Settings};
use crate::operators::Operators;
use crate::overlays::Overlays;
use crate::presence::reports::Reports;
use crate::presence::{Streams, contests::Contests, timers::Timers, updates::Updates};
use crate::random::{self, RandomError};
use crate::server_credential::{self, DomainCaFiles, ServerCredentialError};
use crate::succession::{Succession, SuccessionError};

/// Connections that wait in the kernel while handshakes are under way (R21). A storm overflowed 1,024: clients then
/// waited seconds for a retransmission. The kernel takes the smaller of this and `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// A clock so far ahead of the last fact is wrong, or the domain was asleep: certificates of nodes have ended.
const LONG_SILENCE: Duration = Duration::from_secs(4 * 24 * 3600);
/// A leader is asked for so long before it is told that there is none.
const FOUND: Duration = Duration::from_secs(2);
/// And told again after so many times.
const TELL_EVERY: u32 = 15;

/// Files that are not connections of agents or operators: the database keeps at most 256 open.
const OWN_FILES: usize = 400 + http::CONNECTIONS;

/// See the module.
pub struct Journal {
    data_dir: DataDir,
    log: Log,
    cluster: Cluster,
    system: ActorSystem,
    listeners: Listeners,
    succession: JoinHandle<()>,
    /// The timers of nodes, who tells them of changes, who puts their actors to sleep, and who has strange machines
    /// recorded.
    presence: Vec<JoinHandle<()>>,
    endpoints: Endpoints,
    probes: ProbeListener,
}

/// What is bound before anything is changed, and what listens already.
struct Bound {
    agents: TcpListener,
    operators: TcpListener,
    cluster: SocketAddr,
    probes: (SocketAddr, ProbeListener),
}

/// Why a journal cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The log cannot be written any more; what happened.
    Log(String),
    /// Nobody replaces the authority any more; certificates would get shorter and shorter.
    Succession,
    /// Nobody watches over the nodes any more; the silent ones would stay active.
    Presence,
}

/// Why a journal did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The log has no domain.
    #[error("the log has no domain; it was not made by `pact-journal init`")]
    NoDomain,
    /// The clock is behind the log.
    #[error(
        "this machine's clock says {now}, but the log's last fact is of {last_fact}: set the clock; if the clock was \
         ahead then, wait or go back to a copy of the data directory"
    )]
    Clock {
        /// The clock.
        now: Timestamp,
        /// The last fact.
        last_fact: Timestamp,
    },
    /// Directory and log do not belong together.
    #[error("the data directory belongs to {expected}, but the log in it to {found}")]
    OtherDomain {
        /// What the directory says.
        expected: String,
        /// What the log says.
        found: String,
    },
    /// The server certificate cannot be used.
    #[error(transparent)]
    Server(#[from] ServerCredentialError),
    /// The server certificate cannot be used for TLS.
    #[error(transparent)]
    Tls(#[from] AcceptorError),
    /// An address cannot be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No actors.
    #[error(transparent)]
    Actors(#[from] SystemError),
    /// No authority.
    #[error("no authority could be announced")]
    Authority(#[from] SuccessionError),
    /// The log broke while the other journals were looked for.
    #[error("{reason}")]
    Broken {
        /// Why.
        reason: String,
    },
    /// No random numbers.
    #[error(transparent)]
    Random(RandomError),
    /// No services.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// No runtime for the other journals.
    #[error("the other journals cannot be served")]
    Cluster(#[source] io::Error),
    /// No thread for probes.
    #[error("probes and metrics cannot be served")]
    Probes(#[source] io::Error),
}

impl Journal {
    /// Starts a journal on an initialised data directory; returns when it is ready.
    pub async fn start(path: &Path, config: &Config) -> Result<Self, StartError> {
        let data_dir = DataDir::lock(path)?;
        let identity = data_dir.identity()?;
        // First, because to read a long log takes a while: the process lives and is not ready.
        let probes = bind(config.http_listen)?;
        let probes = (local(&probes)?, ProbeListener::start(probes).map_err(StartError::Probes)?);
        let inspected = Log::inspect(path, &identity.journal_id)?;
        let domain_ca = domain_ca(path, &identity, &inspected)?;
        let now = clock::now();
        if inspected.views().seq > 0 {
            check_clock(now, inspected.views().recorded_at)?;
        }
        let credential = server_credential::read(path, &domain_ca, &config.advertise, now)?;
        let (agents, operators) = (bind(config.agent_listen)?, bind(config.operator_listen)?);
        let (others, domain_id) = (bind(config.cluster_listen)?, identity.domain_id.clone());
        let bound = Bound { agents, operators, cluster: local(&others)?, probes };
        let standpoint = Standpoint {
            credential: Arc::new(ArcSwap::from_pointee(credential.clone())),
            domain_ca,
            domain_id,
        };
        let cluster = Cluster::start(standpoint, identity.log_id).map_err(StartError::Cluster)?;
        // From here on the directory is changed.
        let settings = Settings { peers: Arc::new(cluster.dialer()), ..Settings::default() };
        let log = inspected.open_with(settings).await?;
        let files = DomainCaFiles::of(path);
        let served = cluster.serve(others, &log, &identity.journal_id, files).map_err(StartError::Cluster);
        let started = match served {
            Ok(()) => Self::start_on(data_dir, (&log, cluster), config, &identity, &credential, bound).await,
            Err(error) => Err(error),
        };
        if started.is_err() {
            log.stop().await;
        }
        started
    }

    async fn start_on(
        data_dir: DataDir,
        (log, cluster): (&Log, Cluster),
        config: &Config,
        identity: &Identity,
        credential: &Credential,
        bound: Bound,
    ) -> Result<Self, StartError> {
        let Bound { agents, operators, cluster: others, probes: (http, probes) } = bound;
        data_dir.sign_lock()?;
        probes.observe(log.clone());
        find_the_others(log).await?;
        check_domain(identity, log.views().domain.created().ok_or(StartError::NoDomain)?)?;
        let system = ActorSystem::start()?;
        let succession = succession(log, config, identity);
        system.pool().install(succession.announce().await?);
        let (connections, streams) = (Arc::new(Connections::default()), Streams::new(clock::now()));
        cluster.hear(&streams);
        let updates = Updates::new(log.clone(), streams.clone());
        tell_changes(log, &connections, &streams, &updates);
        let endpoints = endpoints(&agents, &operators, others, http)?;
        let edge = Edge {
            log: log.clone(),
            nodes: Nodes::new(executor(log, &system, config, identity), system.arbiters()),
            streams: streams.clone(),
            updates,
            overlays: Overlays::new(log.clone(), identity.journal_id.clone()),
            admission: Admission::new(config.unknown_per_minute),
            attempts: Attempts::default(),
            contests: Contests::new(log.clone(), streams),
            operators: Operators {
                log: log.clone(),
                pool: system.pool().clone(),
                domain_id: identity.domain_id.clone(),
                journal_id: identity.journal_id.clone(),
            },
            domain_id: identity.domain_id.clone(),
            journal_id: identity.journal_id.clone(),
            endpoints: follow_members(log, config.endpoint(endpoints.agent.unwrap_or(config.agent_listen))),
            reflection: config.reflection,
            unconfirmed_alert: Duration::from_secs(config.unconfirmed_alert_secs),
        };
        let (for_agents, for_operators) = limits(hardening::raise_open_files());
        let acceptor = |limits| Acceptor::new(credential, log.clone(), Arc::clone(&connections), limits);
        let acceptors = (acceptor(for_agents)?, acceptor(for_operators)?);
        let listeners = Listeners::start(&edge, acceptors, connections, agents, operators).await?;
        let succession = tokio::spawn(succession.run(system.pool().clone()));
        let announcement = Announcement {
            log: log.clone(),
            journal_id: identity.journal_id.clone(),
            endpoints: told(config, &endpoints),
            certificate: certificate_of(credential),
        };
        let reports = reports(&edge, &cluster)?;
        let mut presence = watch(edge, &system, Duration::from_secs(config.grace_period_secs));
        presence.extend([tokio::spawn(announcement.run()), tokio::spawn(reports.run())]);
        data_dir.write_endpoints(&endpoints)?;
        probes.readiness().turn(Condition::Ready);
        Ok(Self {
            data_dir,
            log: log.clone(),
            cluster,
            system,
            listeners,
            succession,
            presence,
            endpoints,
            probes,
        })
    }

    /// Where it listens.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Resolves when the journal cannot go on: the process must end (R3).
    pub async fn broken(&mut self) -> Broken {
        let (broken, condition) = tokio::select! {
            message = self.log.broken() => (Broken::Log(message), Condition::LogUnwritable),
            _ = &mut self.succession => (Broken::Succession, Condition::AuthorityStuck),
            _ = futures_util::future::select_all(&mut self.presence) => {
                (Broken::Presence, Condition::PresenceStuck)
            }
        };
        self.probes.readiness().turn(condition);
        broken
    }

    /// Stops: no new calls, those under way end, the log is closed.
    pub async fn stop(self) {
        self.probes.readiness().turn(Condition::Stopping);
        self.data_dir.remove_endpoints();
        self.listeners.stop().await;
        self.succession.abort();
        self.presence.iter().for_each(JoinHandle::abort);
        self.system.stop();
        self.cluster.stop();
        self.log.stop().await;
        self.probes.stop();
    }
}

fn succession(log: &Log, config: &Config, identity: &Identity) -> Succession {
    Succession {
        log: log.clone(),
        domain_id: identity.domain_id.clone(),
        journal_id: identity.journal_id.clone(),
        lifetime: Duration::from_secs(config.authority_ttl_secs),
    }
}

fn executor(log: &Log, system: &ActorSystem, config: &Config, identity: &Identity) -> Executor {
    Executor {
        log: log.clone(),
        pool: system.pool().clone(),
        domain_id: identity.domain_id.clone(),
        journal_id: identity.journal_id.clone(),
        certificate_ttl: Duration::from_secs(config.certificate_ttl_secs),
    }
}

/// What this journal reports to the leader.
fn reports(edge: &Edge, cluster: &Cluster) -> Result<Reports<Dialer>, StartError> {
    Ok(Reports {
        log: edge.log.clone(),
        streams: edge.streams.clone(),
        way: cluster.dialer(),
        incarnation: u64::from_le_bytes(random::bytes().map_err(StartError::Random)?),
    })
}

/// The timers of nodes, who tells them of changes, who puts their actors to sleep, and who notes what was refused.
fn watch(edge: Edge, system: &ActorSystem, grace: Duration) -> Vec<JoinHandle<()>> {
    let Edge { log, nodes, streams, updates, attempts, contests, journal_id, .. } = edge;
    let timers = Timers { log, streams, nodes: nodes.clone(), journal_id: journal_id.clone(), grace };
    vec![
        tokio::spawn(timers.run()),
        tokio::spawn(updates.run()),
        tokio::spawn(nodes.clone().sweep()),
        tokio::spawn(attempts.run(nodes.clone(), journal_id.clone())),
        tokio::spawn(contests.run(nodes, system.pool().clone(), journal_id)),
    ]
}

/// Where agents are told to go: wherever the facts say that journals are.
fn follow_members(log: &Log, own: String) -> Arc<AgentEndpoints> {
    let endpoints = Arc::new(AgentEndpoints::new(own, &log.views()));
    let (followed, views_of) = (Arc::clone(&endpoints), log.clone());
    log.on_change(move |changed| {
        if changed.members {
            followed.follow(&views_of.views());
        }
    });
    endpoints
}

/// Whom the log tells of what a fold changed. All of it is quick: it runs on the log's thread.
fn tell_changes(log: &Log, connections: &Arc<Connections>, streams: &Streams, updates: &Updates) {
    let (connections, streams, updates) = (Arc::clone(connections), streams.clone(), updates.clone());
    let views_of = log.clone();
    log.on_change(move |changed| {
        if !changed.certificates.is_empty() {
            connections.review(&views_of.views(), &changed.certificates, clock::now());
        }
        streams.look_at(&changed.nodes);
        if changed.configurations {
            updates.wake();
        }
    });
}

/// A member of several waits until a leader told it all that is recorded; until then it is not ready. For as long as it
/// takes: without a quorum there is nothing that it could do instead.
async fn find_the_others(log: &Log) -> Result<(), StartError> {
    let mut waited = 0;
    loop {
        let broken = log.broken();
        let found = tokio::select! {
            reason = broken => return Err(StartError::Broken { reason }),
            found = log.read_index(FOUND) => found,
        };
        match found {
            Ok(seq) if seq > 0 => return Ok(()),
            Ok(_) => {}
            Err(error) if waited % TELL_EVERY == 0 => {
                tracing::warn!(%error, seats = ?log.seats(), "waiting for a quorum of journals");
            }
            Err(_) => {}
        }
        waited += 1;
    }
}

/// Where others reach this journal, with the ports that the system chose.
fn told(config: &Config, endpoints: &Endpoints) -> member::Endpoints {
    let url = |listens: Option<SocketAddr>| listens.map(|at| config.endpoint(at)).unwrap_or_default();
    member::Endpoints {
        cluster: url(endpoints.cluster).trim_start_matches("https://").to_owned(),
        agent: url(endpoints.agent),
        operator: url(endpoints.operator),
    }
}

fn certificate_of(credential: &Credential) -> CertificateHash {
    credential.chain().first().map(|der| CertificateHash::of(der)).unwrap_or_else(|| CertificateHash::of(b""))
}

/// Whom everybody trusts: by the log; before there are facts, by the token with which this journal joined.
fn domain_ca(path: &Path, identity: &Identity, inspected: &Inspected) -> Result<Der, StartError> {
    if let Some(created) = inspected.views().domain.created() {
        check_domain(identity, created)?;
        return Ok(created.domain_ca.clone());
    }
    Ok(server_credential::domain_ca_beside(path, &inspected.founding().domain_ca_sha256)?)
}

/// The log's time never runs back: behind its last fact nothing can be recorded (R24).
fn check_clock(now: Timestamp, last_fact: Timestamp) -> Result<(), StartError> {
    if now.plus(MAX_SKEW) < last_fact {
        return Err(StartError::Clock { now, last_fact });
    }
    if now.since(last_fact) > LONG_SILENCE {
        tracing::warn!(%now, %last_fact, "the clock is far ahead of the last fact: is it right?");
    }
    Ok(())
}

/// Shares the open files: the log, threads and listeners first, then operators, who must get in when agents are too
/// many.
fn limits(open_files: u64) -> (Limits, Limits) {
    let files = usize::try_from(open_files).unwrap_or(usize::MAX).min(1 << 20);
    let operators = (files / 16).clamp(8, 256);
    let agents = files.saturating_sub(OWN_FILES + operators).max(8);
    let agents = Limits { open: agents, anonymous: (agents / 2).min(2048) };
    (agents, Limits { open: operators, anonymous: operators / 4 })
}

/// Directory and log must be halves of one journal.
fn check_domain(identity: &Identity, created: &Created) -> Result<(), StartError> {
    let tell = |domain: &DomainId, log: &LogId| format!("the domain {domain} with the log {log}");
    if (&identity.domain_id, identity.log_id) == (&created.domain_id, created.log_id) {
        return Ok(());
    }
    Err(StartError::OtherDomain {
        expected: tell(&identity.domain_id, &identity.log_id),
        found: tell(&created.domain_id, &created.log_id),
    })
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A journal that was just stopped leaves connections behind that would hold the port for a minute.
        socket.set_reuseaddr(true)?;
        // Accepted sockets inherit it.
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

/// What others read of a journal that serves.
fn endpoints(
    agents: &TcpListener,
    operators: &TcpListener,
    cluster: SocketAddr,
    http: SocketAddr,
) -> Result<Endpoints, StartError> {
    Ok(Endpoints {
        pid: std::process::id(),
        agent: Some(local(agents)?),
        operator: Some(local(operators)?),
        cluster: Some(cluster),
        http: Some(http),
    })
}

/// Where it listens: the port may have been the system's choice.
fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    let address = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| StartError::Listen { address, source })
}
