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
use events::vocabulary::{Der, DomainId, LogId, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::actors::{ActorSystem, Executor, Nodes, SystemError};
use crate::admission::Admission;
use crate::agent_endpoints::AgentEndpoints;
use crate::announcement::Announcement;
use crate::attempts::Attempts;
use crate::clock;
use crate::cluster::{Cluster, Dialer, Hearers, Standpoint};
use crate::config::{Config, WarmReboot};
use crate::data_dir::{DataDir, DataDirError, Endpoints, Identity};
use crate::eviction::Eviction;
use crate::grpc::{self, Acceptor, AcceptorError, Connections, Edge, EdgeError, Listeners};
use crate::hardening;
use crate::http::{Condition, ProbeListener};
use crate::log::{Inspected, Log, OpenError, Settings};
use crate::muster::muster;
use crate::open_files;
use crate::operators::Operators;
use crate::overlays::Overlays;
use crate::presence::{
    Streams, contests::Contests, reports::Reports, sessions::Sessions, soundings::Soundings, timers::Timers,
    updates::Updates,
};
use crate::random::{self, RandomError};
use crate::renewal::{Current, Keeper, Outlook};
use crate::server_credential::{self, DomainCaFiles, Purpose, ServerCredentialError};
use crate::sockets::{bind, endpoints, local};
use crate::succession::{Succession, SuccessionError};
use crate::workloads::{self, BundleError, Workloads};

/// A clock so far ahead of the last fact is wrong, or the domain was asleep: certificates of nodes have ended.
const LONG_SILENCE: Duration = Duration::from_secs(4 * 24 * 3600);

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
    eviction: Eviction,
    probes: ProbeListener,
}

/// By what a journal proves who it is.
struct Proof {
    /// Its certificate and key, replaced in time.
    current: Current,
    /// What is told of it.
    outlook: Outlook,
    /// Whom all trust.
    domain_ca: Der,
}

/// What is bound and read before anything is changed, and what listens already.
struct Bound {
    agents: TcpListener,
    operators: TcpListener,
    cluster: SocketAddr,
    probes: (SocketAddr, ProbeListener),
    workloads: Option<Arc<Workloads>>,
}

/// Why a journal cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The log cannot be written any more; what happened.
    Log(String),
    /// A later release wrote what comes next, and this one does not understand it (R26); what it is.
    Upgrade(String),
    /// Nobody replaces the authority any more; certificates would get shorter and shorter.
    Succession,
    /// Nobody watches over the nodes any more; the silent ones would stay active.
    Presence,
    /// The quorum goes on without it, for good (R27).
    Evicted,
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
    /// No workload identities of others.
    #[error(transparent)]
    Workloads(#[from] BundleError),
    /// No actors.
    #[error(transparent)]
    Actors(#[from] SystemError),
    /// No authority.
    #[error("no authority could be announced")]
    Authority(#[from] SuccessionError),
    /// The quorum goes on without it, for good (R27).
    #[error("{}", crate::eviction::EVICTED)]
    Evicted,
    /// The log broke while the other journals were looked for.
    #[error("{reason}")]
    Broken {
        /// Why.
        reason: String,
        /// A later release wrote what comes next (R26).
        needs_upgrade: bool,
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
        let credential = {
            let Identity { domain_id, journal_id, .. } = &identity;
            let (domain_ca, advertise) = (&domain_ca, config.advertise.as_slice());
            server_credential::read(path, Purpose { domain_ca, domain_id, journal_id, advertise }, now)?
        };
        let (agents, operators) = (bind(config.agent_listen)?, bind(config.operator_listen)?);
        let (others, domain_id) = (bind(config.cluster_listen)?, identity.domain_id.clone());
        let workloads = workloads::configured(config, identity.domain_id.as_str(), now)?;
        let bound = Bound { agents, operators, cluster: local(&others)?, probes, workloads };
        let current: Current = Arc::new(ArcSwap::from_pointee(credential));
        let outlook = Outlook::new(identity.journal_id.clone(), path.to_owned(), Arc::clone(&current));
        let proof = Proof { current, outlook, domain_ca };
        let (credential, domain_ca) = (Arc::clone(&proof.current), proof.domain_ca.clone());
        let standpoint = Standpoint { credential, domain_ca, domain_id };
        let cluster = Cluster::start(standpoint, identity.log_id).map_err(StartError::Cluster)?;
        // From here on the directory is changed.
        let settings = Settings {
            peers: Arc::new(cluster.dialer()),
            stale_after: Duration::from_secs(config.stale_after_secs),
            disk_reserve: config.disk_reserve_bytes,
            ..Settings::default()
        };
        let log = inspected.open_with(settings).await?;
        let (files, told) = (DomainCaFiles::of(path), proof.outlook.clone());
        let served = cluster.serve(others, &log, &identity.journal_id, files, told);
        let started = match served.map_err(StartError::Cluster) {
            Ok(()) => Self::start_on(data_dir, (&log, cluster), config, &identity, proof, bound).await,
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
        proof: Proof,
        bound: Bound,
    ) -> Result<Self, StartError> {
        let Bound { agents, operators, cluster: others, probes: (http, probes), workloads } = bound;
        data_dir.sign_lock()?;
        probes.observe(log.clone(), proof.outlook.clone());
        let eviction = Eviction::new(log.clone(), identity.journal_id.clone(), &cluster);
        muster(log, &eviction).await?;
        check_domain(identity, log.views().domain.created().ok_or(StartError::NoDomain)?)?;
        let system = ActorSystem::start()?;
        let succession = succession(log, config, identity);
        system.pool().install(succession.announce().await?);
        let (connections, streams) = (Arc::new(Connections::default()), Streams::new(clock::now()));
        let grace = Duration::from_secs(config.grace_period_secs);
        let contests = Contests::new(log.clone(), streams.clone(), grace, Arc::new(cluster.dialer()));
        let cut_off = grpc::cut_off(Duration::from_secs(config.stale_after_secs));
        let (sessions, soundings) = questions(log, &streams, identity, &cluster, cut_off);
        let hearers = Hearers { streams: streams.clone(), contests: contests.clone(), sessions, soundings };
        cluster.hear(hearers.clone());
        let endpoints = endpoints(&agents, &operators, others, http)?;
        let own = config.endpoint(endpoints.agent.unwrap_or(config.agent_listen));
        let (journals, updates) = tell_changes(log, &connections, &streams, own);
        let edge = Edge {
            log: log.clone(),
            nodes: Nodes::new(executor(log, &system, config, identity), system.arbiters()),
            streams,
            updates,
            overlays: Overlays::new(log.clone(), identity.journal_id.clone()),
            admission: Admission::new(config.unknown_per_minute),
            attempts: Attempts::default(),
            contests,
            warm_reboot: (config.warm_reboot == WarmReboot::Claimed).then_some(hearers.soundings),
            sessions: hearers.sessions,
            operators: Operators::of(log, system.pool(), identity),
            domain_id: identity.domain_id.clone(),
            journal_id: identity.journal_id.clone(),
            endpoints: journals,
            reflection: config.reflection,
            outlook: proof.outlook.clone(),
            unconfirmed_alert: Duration::from_secs(config.unconfirmed_alert_secs),
            workloads: workloads.clone(),
        };
        cluster.recover(edge.operators.clone());
        let (for_agents, for_operators) = open_files::shared(hardening::raise_open_files());
        let acceptor = |limits, workloads| {
            let (credential, connections) = (Arc::clone(&proof.current), Arc::clone(&connections));
            Acceptor::new(credential, (log.clone(), edge.nodes.clone()), connections, limits, workloads)
        };
        // Whoever operates is known by pact's own certificates alone (R11).
        let acceptors = (acceptor(for_agents, workloads.clone())?, acceptor(for_operators, None)?);
        let following = workloads.map(|workloads| tokio::spawn(workloads.follow(Arc::clone(&connections))));
        let listeners = Listeners::start(&edge, acceptors, connections, agents, operators).await?;
        let succession = tokio::spawn(succession.run(system.pool().clone()));
        let of_itself = speak_of_itself(&edge, &cluster, proof, config, &data_dir, &endpoints)?;
        let mut presence = watch(edge, &system, grace);
        presence.extend(of_itself.into_iter().chain(following));
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
            eviction,
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
            said = self.log.broken() => match self.log.needs_upgrade() {
                true => (Broken::Upgrade(said), Condition::UpgradeNeeded),
                false => (Broken::Log(said), Condition::LogUnwritable),
            },
            () = self.eviction.comes() => (Broken::Evicted, Condition::Evicted),
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

/// Who asks the other journals about the streams that these hold.
fn questions(
    log: &Log,
    streams: &Streams,
    identity: &Identity,
    cluster: &Cluster,
    cut_off: Duration,
) -> (Sessions, Soundings) {
    let (own, way) = (&identity.journal_id, || Arc::new(cluster.dialer()));
    let sessions = Sessions::new(log.clone(), streams.clone(), own.clone(), cut_off, way());
    (sessions, Soundings::new(log.clone(), streams.clone(), own.clone(), cut_off, way()))
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

/// Who announces where it listens, reports who is here, and keeps the server certificate alive.
fn speak_of_itself(
    edge: &Edge,
    cluster: &Cluster,
    proof: Proof,
    config: &Config,
    data_dir: &DataDir,
    endpoints: &Endpoints,
) -> Result<[JoinHandle<()>; 3], StartError> {
    let (log, journal_id) = (edge.log.clone(), edge.journal_id.clone());
    let Proof { current, outlook, domain_ca } = proof;
    let (credential, endpoints) = (Arc::clone(&current), told(config, endpoints));
    let announcement =
        Announcement { log: log.clone(), journal_id: journal_id.clone(), endpoints, credential };
    let keeper = Keeper {
        log,
        domain_id: edge.domain_id.clone(),
        journal_id,
        data_dir: data_dir.path().to_owned(),
        advertise: config.advertise.clone(),
        domain_ca,
        current,
        outlook,
        dialer: cluster.dialer(),
    };
    let reports = reports(edge, cluster)?;
    Ok([tokio::spawn(announcement.run()), tokio::spawn(reports.run()), tokio::spawn(keeper.run())])
}

/// The timers of nodes, who tells them of changes, who puts their actors to sleep, and who notes what was refused.
fn watch(edge: Edge, system: &ActorSystem, grace: Duration) -> Vec<JoinHandle<()>> {
    let Edge { log, nodes, streams, updates, attempts, contests, journal_id, .. } = edge;
    let timers =
        Timers { log: log.clone(), streams, nodes: nodes.clone(), journal_id: journal_id.clone(), grace };
    vec![
        tokio::spawn(timers.run()),
        tokio::spawn(updates.run()),
        tokio::spawn(nodes.clone().sweep()),
        tokio::spawn(attempts.run(nodes.clone(), log, journal_id.clone())),
        tokio::spawn(contests.run(nodes, system.pool().clone(), journal_id)),
    ]
}

/// Whom the log tells of what a fold changed. All of it is quick: it runs on the log's thread. Answers where agents are told
/// to go, wherever the facts say that journals are, and who tells them of changes.
fn tell_changes(
    log: &Log,
    connections: &Arc<Connections>,
    streams: &Streams,
    own: String,
) -> (Arc<AgentEndpoints>, Updates) {
    let journals = Arc::new(AgentEndpoints::new(own, &log.views()));
    let updates = Updates::new(log.clone(), streams.clone(), Arc::clone(&journals));
    let told = (Arc::clone(&journals), updates.clone());
    let (connections, streams, views_of) = (Arc::clone(connections), streams.clone(), log.clone());
    log.on_change(move |changed| {
        if !changed.certificates.is_empty() || !changed.workloads.is_empty() {
            connections.review(&views_of.views(), changed, clock::now());
        }
        streams.look_at(&changed.nodes);
        let moved = changed.members && journals.follow(&views_of.views());
        if changed.configurations || moved {
            updates.wake();
        }
    });
    // What was folded before that.
    told.0.follow(&log.views());
    told
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
