//! The way to the other journals: one connection to each, opened when it is needed, found by what the facts say of where
//! they listen. The log sends its messages through it ([`crate::log::Peers`]).
//!
//! **Invariant:** at most one attempt to connect to a journal is under way; whoever comes meanwhile is told that it
//! cannot be reached, and Raft asks again.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use events::vocabulary::{JournalId, LogId, NodeId, Timestamp};
use parking_lot::Mutex;
use proto::channel::{Connection, JournalAddress};
use proto::convert::moment;
use proto::outcome::Failure;
use proto::pb::cluster_service_client::ClusterServiceClient;
use proto::pb::{
    AskCertificateRequest, CertifyRequest, Connected, CountSessionsRequest, ExchangeRequest, ReportRequest,
    SoundRequest, SuspectRequest,
};
use proto::reason::Reason;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic::Status;

use super::{LARGEST_MESSAGE, Standpoint, tls};
use crate::log::{Exchange, Log, PeerError, Peers};
use crate::presence::contests::{Heard, Rival, ToMembers, Told};
use crate::presence::elsewhere::{Report, Seen};
use crate::presence::reports::ToLeader;
use crate::presence::sessions::{Counted, ToCounter};
use crate::presence::soundings::{Sounded, Sounding, ToHolder};

/// TCP and TLS to another journal: both are idle but for this.
const CONNECT: Duration = Duration::from_secs(1);
/// A report that takes longer is late: the next one tells everything. Shorter than an election, so that a new leader hears
/// who is here before it could miss anybody.
const REPORTED: Duration = Duration::from_secs(1);
/// A certificate is answered once its fact is recorded.
const CERTIFIED: Duration = Duration::from_secs(5);
/// A machine waits for its refusal meanwhile, and is told the end of the certificate then.
const SUSPECTED: Duration = Duration::from_secs(1);
/// Whoever holds a stream waits some tenths of a second for a sign of life, behind a leader that asks it.
const SOUNDED: Duration = Duration::from_secs(2);
/// A message that has no answer by then never gets one: the connection is given up.
const ANSWER: Duration = Duration::from_secs(15);

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Dialer {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    standpoint: Standpoint,
    log_id: LogId,
    log: OnceLock<Log>,
    links: Mutex<HashMap<u64, Link>>,
    /// Whether another journal said that this one was evicted and has no seat any more.
    cast_out: watch::Sender<bool>,
}

/// A connection that stands; to where, so that a journal that moved is found.
struct Open {
    endpoint: String,
    connection: Connection,
}

/// A connection that is being made, until this is dropped.
struct Connecting<'a> {
    links: &'a Mutex<HashMap<u64, Link>>,
    member: u64,
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        let mut links = self.links.lock();
        if matches!(links.get(&self.member), Some(Link::Connecting)) {
            links.remove(&self.member);
        }
    }
}

/// The way to one journal.
enum Link {
    /// Somebody is about to connect.
    Connecting,
    /// It stands.
    Open(Box<Open>),
}

impl Dialer {
    pub(super) fn new(runtime: Handle, standpoint: Standpoint, log_id: LogId) -> Self {
        let (log, links) = (OnceLock::new(), Mutex::default());
        let (cast_out, _) = watch::channel(false);
        Self { shared: Arc::new(Shared { runtime, standpoint, log_id, log, links, cast_out }) }
    }

    /// The log whose facts say where the others are.
    pub(super) fn learn(&self, log: Log) {
        // Set once, by whoever opened the log.
        self.shared.log.set(log).ok();
    }

    /// Becomes true when another journal says that this one was evicted and has no seat any more.
    pub(super) fn cast_out(&self) -> watch::Receiver<bool> {
        self.shared.cast_out.subscribe()
    }

    /// Has another member sign this journal's next server certificate, if it holds the domain CA's key.
    ///
    /// # Errors
    /// Why it did not.
    pub async fn certify(&self, member: u64, csr: Vec<u8>) -> Result<Vec<u8>, String> {
        let shared = Arc::clone(&self.shared);
        let task = self.shared.runtime.spawn(async move { shared.certify(member, csr).await });
        task.await.map_err(|error| error.to_string())?
    }

    /// Asks a member until when its server certificate lasts, and whether it is in trouble about it.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn ask_certificate(&self, member: u64) -> Result<Option<(Timestamp, bool)>, String> {
        let shared = Arc::clone(&self.shared);
        let task = self.shared.runtime.spawn(async move { shared.ask_certificate(member).await });
        task.await.map_err(|error| error.to_string())?
    }

    /// Closes all connections and forgets the log, so that it can be closed.
    pub(super) fn hang_up(&self) {
        self.shared.links.lock().clear();
    }
}

impl Peers for Dialer {
    fn exchange(&self, member: u64, question: Vec<u8>) -> Exchange {
        let shared = Arc::clone(&self.shared);
        // Connections live on the cluster's runtime, wherever they are asked for.
        let task = self.shared.runtime.spawn(async move { shared.exchange(member, question).await });
        Box::pin(async move {
            let ended = |_| PeerError::Broken { member, reason: "the journal is stopping".to_owned() };
            task.await.map_err(ended)?
        })
    }
}

impl ToLeader for Dialer {
    async fn report(&self, leader: u64, report: Report) -> Result<bool, String> {
        let shared = Arc::clone(&self.shared);
        let task = self.shared.runtime.spawn(async move { shared.report(leader, report).await });
        task.await.map_err(|error| error.to_string())?
    }
}

impl ToMembers for Dialer {
    fn suspect(&self, member: u64, told: Told) -> Heard {
        let shared = Arc::clone(&self.shared);
        let task = self.shared.runtime.spawn(async move { shared.suspect(member, told).await });
        Box::pin(async move { task.await.map_err(|error| error.to_string())? })
    }
}

impl ToCounter for Dialer {
    fn count_sessions(&self, leader: u64, node: NodeId) -> Counted {
        let shared = Arc::clone(&self.shared);
        let task = self.shared.runtime.spawn(async move { shared.count_sessions(leader, node).await });
        Box::pin(async move { task.await.map_err(|error| error.to_string())? })
    }
}

impl ToHolder for Dialer {
    fn sound(&self, member: u64, node: NodeId, passed_on: bool) -> Sounded {
        let shared = Arc::clone(&self.shared);
        let task = self.shared.runtime.spawn(async move { shared.sound(member, node, passed_on).await });
        Box::pin(async move { task.await.map_err(|error| error.to_string())? })
    }
}

impl Shared {
    async fn sound(&self, member: u64, node: NodeId, passed_on: bool) -> Result<Sounding, String> {
        let connection = self.connection(member).await.map_err(|error| error.to_string())?;
        let log_id = self.log_id.as_bytes().to_vec();
        let request = SoundRequest { log_id, node_id: node.to_string(), passed_on };
        let mut client = ClusterServiceClient::new(connection.channel());
        match tokio::time::timeout(SOUNDED, client.sound(request)).await {
            Ok(Ok(answer)) => Ok(super::sounding::of_wire(answer.get_ref())),
            Ok(Err(status)) => Err(self.failed(member, &connection, &status)),
            Err(_) => Err(late(SOUNDED)),
        }
    }

    async fn count_sessions(&self, leader: u64, node: NodeId) -> Result<Option<u32>, String> {
        let connection = self.connection(leader).await.map_err(|error| error.to_string())?;
        let log_id = self.log_id.as_bytes().to_vec();
        let request = CountSessionsRequest { log_id, node_id: node.to_string() };
        let mut client = ClusterServiceClient::new(connection.channel());
        match tokio::time::timeout(REPORTED, client.count_sessions(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().count),
            Ok(Err(status)) => Err(self.failed(leader, &connection, &status)),
            Err(_) => Err(late(REPORTED)),
        }
    }

    async fn suspect(&self, member: u64, told: Told) -> Result<Option<Duration>, String> {
        let connection = self.connection(member).await.map_err(|error| error.to_string())?;
        let Told { node, rival: Rival { request, presented, boot_id, from }, passed_on } = told;
        let request = SuspectRequest {
            log_id: self.log_id.as_bytes().to_vec(),
            node_id: node.to_string(),
            hardware_identity: Some((&presented).into()),
            csr: request,
            boot_id: boot_id.map(|boot_id| boot_id.to_string()).unwrap_or_default(),
            source: from.map(|from| from.to_string()).unwrap_or_default(),
            passed_on,
        };
        let mut client = ClusterServiceClient::new(connection.channel());
        match tokio::time::timeout(SUSPECTED, client.suspect(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().wait_ms.map(Duration::from_millis)),
            Ok(Err(status)) => Err(self.failed(member, &connection, &status)),
            Err(_) => Err(self.late(member, SUSPECTED)),
        }
    }

    async fn report(&self, leader: u64, report: Report) -> Result<bool, String> {
        let connection = self.connection(leader).await.map_err(|error| error.to_string())?;
        let mut client =
            ClusterServiceClient::new(connection.channel()).max_encoding_message_size(LARGEST_MESSAGE);
        let Report { incarnation, number, full, gained, lost } = report;
        let gained = gained.into_iter().map(|(node, Seen { serial, sessions })| Connected {
            node_id: node.to_string(),
            serial: serial.to_string(),
            sessions,
        });
        let request = ReportRequest {
            log_id: self.log_id.as_bytes().to_vec(),
            incarnation,
            number,
            full,
            gained: gained.collect(),
            lost: lost.iter().map(ToString::to_string).collect(),
        };
        match tokio::time::timeout(REPORTED, client.report(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().taken),
            Ok(Err(status)) => Err(self.failed(leader, &connection, &status)),
            Err(_) => Err(late(REPORTED)),
        }
    }

    async fn exchange(&self, member: u64, question: Vec<u8>) -> Result<Vec<u8>, PeerError> {
        let connection = self.connection(member).await?;
        let mut client = ClusterServiceClient::new(connection.channel())
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        let request = ExchangeRequest { log_id: self.log_id.as_bytes().to_vec(), body: question };
        let broken = |reason: String| PeerError::Broken { member, reason };
        let answer = tokio::time::timeout(ANSWER, client.exchange(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner().body),
            Ok(Err(status)) => Err(broken(self.failed(member, &connection, &status))),
            Err(_) => Err(broken(self.late(member, ANSWER))),
        }
    }

    async fn certify(&self, member: u64, csr: Vec<u8>) -> Result<Vec<u8>, String> {
        let connection = self.connection(member).await.map_err(|error| error.to_string())?;
        let request = CertifyRequest { log_id: self.log_id.as_bytes().to_vec(), csr };
        let mut client = ClusterServiceClient::new(connection.channel());
        match tokio::time::timeout(CERTIFIED, client.certify(request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner().certificate),
            Ok(Err(status)) => Err(self.failed(member, &connection, &status)),
            Err(_) => Err(self.late(member, CERTIFIED)),
        }
    }

    async fn ask_certificate(&self, member: u64) -> Result<Option<(Timestamp, bool)>, String> {
        let connection = self.connection(member).await.map_err(|error| error.to_string())?;
        let request = AskCertificateRequest { log_id: self.log_id.as_bytes().to_vec() };
        let mut client = ClusterServiceClient::new(connection.channel());
        let answer = match tokio::time::timeout(REPORTED, client.ask_certificate(request)).await {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return Err(self.failed(member, &connection, &status)),
            Err(_) => return Err(self.late(member, REPORTED)),
        };
        let not_after = answer.not_after.as_ref().and_then(|at| moment::from_wire(at).ok());
        Ok(not_after.map(|not_after| (not_after, answer.in_trouble)))
    }

    /// Why a call failed. A connection over which nothing comes back is given up; the next call makes another. Whoever hears
    /// that it was evicted has its answer for good: it is true in the log of a journal whose certificate was verified.
    fn failed(&self, member: u64, connection: &Connection, status: &Status) -> String {
        let failure = connection.failure(status);
        if !matches!(failure, Failure::Refused(_)) {
            self.hang_up(member);
        }
        if matches!(&failure, Failure::Refused(refusal) if refusal.reason == Reason::JournalEvicted) {
            self.cast_out.send_replace(true);
        }
        failure.to_string()
    }

    /// There was no answer within this: the other end may be gone without a word.
    fn late(&self, member: u64, within: Duration) -> String {
        self.hang_up(member);
        late(within)
    }

    fn hang_up(&self, member: u64) {
        let mut links = self.links.lock();
        // Another call may be making the next one already.
        if matches!(links.get(&member), Some(Link::Open(_))) {
            links.remove(&member);
        }
    }

    async fn connection(&self, member: u64) -> Result<Connection, PeerError> {
        let unreachable = |reason: String| PeerError::Unreachable { member, reason };
        let (peer, endpoint) = self.whereabouts(member).map_err(unreachable)?;
        {
            let mut links = self.links.lock();
            match links.get(&member) {
                Some(Link::Connecting) => return Err(unreachable("a connection is being made".to_owned())),
                Some(Link::Open(open)) if open.endpoint == endpoint => return Ok(open.connection.clone()),
                Some(Link::Open(_)) | None => links.insert(member, Link::Connecting),
            };
        }
        // Also a caller that is dropped half way leaves nobody waiting for a connection that nobody makes.
        let _connecting = Connecting { links: &self.links, member };
        let connection = self.open(&peer, &endpoint).await.map_err(unreachable)?;
        let open = Open { endpoint, connection: connection.clone() };
        self.links.lock().insert(member, Link::Open(Box::new(open)));
        Ok(connection)
    }

    fn whereabouts(&self, member: u64) -> Result<(JournalId, String), String> {
        let log = self.log.get().ok_or("the log is not open yet")?;
        let views = log.views();
        let (id, endpoints) = views.members.whereabouts(member).ok_or("it has not said where it listens")?;
        Ok((id.clone(), endpoints.cluster.clone()))
    }

    async fn open(&self, peer: &JournalId, endpoint: &str) -> Result<Connection, String> {
        let address: JournalAddress =
            format!("https://{endpoint}").parse().map_err(|_| format!("{endpoint} is no address"))?;
        let config = {
            let Standpoint { credential, domain_ca, domain_id } = &self.standpoint;
            tls::client(&credential.load(), domain_ca.as_bytes(), domain_id, peer)
        };
        let config = config.map_err(|error| error.to_string())?;
        Connection::open_with(&address, config, CONNECT).await.map_err(|error| {
            tracing::debug!(%peer, endpoint, %error, "a journal cannot be reached");
            error.to_string()
        })
    }
}

fn late(within: Duration) -> String {
    format!("no answer within {} s", within.as_secs())
}
