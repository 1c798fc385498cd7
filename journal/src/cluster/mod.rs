//! The journals among each other (design §7): the cluster listener, the connections to the others, the way in for new
//! ones, and the leader's care that Raft's members are those that the facts name.
//!
//! ```text
//! tls         who is at the other end: by a certificate of the domain CA, by its URI
//! dialer      connections to the others; the log sends through it
//! listener    accepts the others; service: hands their messages to the log
//! door        lets a new journal in by a token; pin: how that journal knows the right door
//! recovery    makes an administrator for whoever holds the domain CA key
//! notary      signs the next server certificates of members; hosts: for which names
//! caretaker   Raft's members follow the facts; timekeeper: no leader has a wrong clock
//! ```
//!
//! It has a runtime of its own, so that heartbeats and votes do not wait behind a storm of nodes.
//!
//! Not here: what the messages say (`crate::log`), and which journal shall be a member (`events::member`).

mod caretaker;
mod dialer;
mod door;
mod hosts;
mod listener;
mod notary;
pub mod pin;
mod recovery;
mod service;
mod sounding;
mod timekeeper;
pub mod tls;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use events::vocabulary::{Der, DomainId, JournalId, LogId};
use proto::pb::cluster_service_server::ClusterServiceServer;
use proto::pb::join_service_server::JoinServiceServer;
use proto::pb::recovery_service_server::RecoveryServiceServer;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::service::Routes;

use crate::log::Log;
use crate::operators::Operators;
use crate::renewal::{Current, Outlook};
use crate::server_credential::DomainCaFiles;
use caretaker::Caretaker;
use door::Door;
use notary::Notary;
use recovery::Recovery;
use service::ClusterEdge;
use timekeeper::Timekeeper;

pub use dialer::Dialer;
pub use hosts::{hosts_of, names_of};
pub use service::Hearers;
pub use tls::TlsError;

/// The largest message: one of the log's, in its envelope.
pub(crate) const LARGEST_MESSAGE: usize = 64 << 20;
/// The largest request to join: a CSR and some names.
const LARGEST_JOIN: usize = 64 << 10;
/// Tasks of the cluster that are under way when the journal stops get so much time to end.
const END: Duration = Duration::from_millis(500);

/// From where a journal speaks with the others.
#[derive(Clone)]
pub struct Standpoint {
    /// Its certificate and key; replaced when it is renewed.
    pub credential: Current,
    /// Whom all trust.
    pub domain_ca: Der,
    /// The domain.
    pub domain_id: DomainId,
}

/// The cluster's part of a journal.
pub struct Cluster {
    runtime: Option<Runtime>,
    standpoint: Standpoint,
    log_id: LogId,
    dialer: Dialer,
    hearers: Arc<OnceLock<Hearers>>,
    operators: Arc<OnceLock<Operators>>,
    stop: watch::Sender<bool>,
}

impl Cluster {
    /// Makes its runtime; nothing listens or dials yet.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(standpoint: Standpoint, log_id: LogId) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pact-cluster")
            .enable_all()
            .build()?;
        let dialer = Dialer::new(runtime.handle().clone(), standpoint.clone(), log_id);
        let (stop, _) = watch::channel(false);
        let (hearers, operators) = (Arc::default(), Arc::default());
        Ok(Self { runtime: Some(runtime), standpoint, log_id, dialer, hearers, operators, stop })
    }

    /// From now on what other journals tell of their nodes is taken in.
    pub fn hear(&self, hearers: Hearers) {
        // Set once, by whoever started the journal.
        self.hearers.set(hearers).ok();
    }

    /// From now on whoever holds the domain CA key may make an administrator.
    pub fn recover(&self, operators: Operators) {
        // Set once, by whoever started the journal.
        self.operators.set(operators).ok();
    }

    /// Resolves when another journal says that this one was evicted and has no seat any more.
    pub fn cast_out(&self) -> impl Future<Output = ()> + use<> {
        let mut evicted = self.dialer.cast_out();
        async move {
            // The dialler outlives whoever waits here; if not, nobody says anything any more.
            if evicted.wait_for(|evicted| *evicted).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The way to the other journals.
    pub fn dialer(&self) -> Dialer {
        self.dialer.clone()
    }

    /// Serves the others, lets new ones in, and cares for the members while this journal leads.
    ///
    /// # Errors
    /// If the listener cannot be moved to the cluster's runtime.
    pub fn serve(
        &self,
        listener: TcpListener,
        log: &Log,
        journal_id: &JournalId,
        domain_ca: DomainCaFiles,
        outlook: Outlook,
    ) -> io::Result<()> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        self.dialer.learn(log.clone());
        // It was made on another runtime.
        let listener = listener.into_std()?;
        let _inside = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        let (log_id, hearers) = (self.log_id, Arc::clone(&self.hearers));
        let (operators, own) = (Arc::clone(&self.operators), journal_id.clone());
        let recovery = Recovery { operators, log_id, journal_id: own };
        let notary =
            Notary { log: log.clone(), journal_id: journal_id.clone(), domain_ca: domain_ca.clone() };
        let edge = ClusterEdge { log: log.clone(), log_id, hearers, notary, outlook };
        let door = Door::new(log.clone(), journal_id.clone(), self.log_id, domain_ca);
        let routes = Routes::new(
            ClusterServiceServer::new(edge)
                .max_decoding_message_size(LARGEST_MESSAGE)
                .max_encoding_message_size(LARGEST_MESSAGE),
        )
        .add_service(JoinServiceServer::new(door).max_decoding_message_size(LARGEST_JOIN))
        .add_service(RecoveryServiceServer::new(recovery).max_decoding_message_size(LARGEST_JOIN))
        .prepare();
        let stopping = self.stop.subscribe();
        runtime.spawn(listener::serve(
            listener,
            self.standpoint.clone(),
            log.clone(),
            routes,
            stopping.clone(),
        ));
        let caretaker = Caretaker { log: log.clone(), journal_id: journal_id.clone() };
        runtime.spawn(caretaker.run(stopping.clone()));
        runtime.spawn(Timekeeper { log: log.clone() }.run(stopping));
        Ok(())
    }

    /// No more messages, in or out.
    pub fn stop(mut self) {
        self.stop.send_replace(true);
        self.dialer.hang_up();
        if let Some(runtime) = self.runtime.take() {
            // From another thread: to wait for it here would hold up the runtime that asks.
            std::thread::spawn(move || runtime.shutdown_timeout(END));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A journal that did not start.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
