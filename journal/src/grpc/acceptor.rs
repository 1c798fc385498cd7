//! Accepts connections: TCP, TLS 1.3, the client's certificate if it has one (design §3, step 2; R10).
//!
//! In front of tonic, because tonic's own TLS cannot register a connection before its certificate is looked up.
//! No resumption: rustls would not ask the verifier again, and a revoked client would come back.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use events::views::{Identity, Standing};
use events::vocabulary::{CertificateHash, Principal, Timestamp};
use proto::corked::Corked;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::actors::{Nodes, Order, Request};
use crate::admission::{Doorstep, Lobby, Sources};
use crate::clock;
use crate::http;
use crate::log::{KNOWN, Log};
use crate::metrics::{Handshake, handshake};
use crate::renewal::Current;
use crate::source_remark;
use crate::workloads::{Workload, Workloads};

use super::connection::{Connection, Hold};
use super::connections::{self, Connections, Leash, Shown};
use super::verifier::{Verifier, counted};

/// Handshakes under way at once; the rest waits (R21). More only adds memory: two cores finish fewer than this in a
/// millisecond.
const HANDSHAKES: usize = 32;
/// A handshake that is not done by then is given up (R21): its place belongs to somebody else.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Connections that were accepted and are not served yet; the rest waits in the kernel's backlog. Whoever says nothing
/// at all holds one of these places, not one of the handshakes.
const PENDING: usize = 512;
/// A client speaks first, and at once.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// A connection without a certificate serves one enrollment or some probes; whoever wants more connects again.
const ANONYMOUS_LIFE: Duration = Duration::from_secs(60);
/// A refused client closes as soon as it has read its alert; one that does not has had its chance.
const LINGER: Duration = Duration::from_secs(1);
/// Reads of what it still sends, 4 KB each.
const LINGER_READS: usize = 64;
/// Certificates whose facts are waited for at once (R10, R14).
const UNKNOWN: usize = 256;
/// The same of workload identities that no fact binds here.
const UNBOUND: usize = 64;
/// Files that are not connections of agents or operators: the database keeps at most 256 open.
const OWN_FILES: usize = 400 + http::CONNECTIONS;
/// Accepted connections that tonic has not taken yet.
const READY: usize = 64;

/// Every handshake shows the server certificate of its moment; what it was before goes on (design §7).
struct Renewed(Current);

impl fmt::Debug for Renewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewed(..)")
    }
}

impl ResolvesServerCert for Renewed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().certified_key())
    }
}

/// How many connections a listener has open at most: each is a file, and the log needs files too.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// All of them.
    pub open: usize,
    /// Those without a certificate among them: anybody can make them.
    pub anonymous: usize,
}

impl Limits {
    /// Shares the open files: the log, threads and listeners first, then operators, who must get in when agents are too
    /// many. Answers the limits of agents and of operators.
    pub fn shared(open_files: u64) -> (Self, Self) {
        let files = usize::try_from(open_files).unwrap_or(usize::MAX).min(1 << 20);
        let operators = (files / 16).clamp(8, 256);
        let agents = files.saturating_sub(OWN_FILES + operators).max(8);
        let agents = Self { open: agents, anonymous: (agents / 2).min(2048) };
        (agents, Self { open: operators, anonymous: operators / 4 })
    }
}

/// One listener's TLS and its connections. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    log: Log,
    connections: Arc<Connections>,
    handshakes: Arc<Semaphore>,
    pending: Arc<Semaphore>,
    open: Arc<Semaphore>,
    sources: Arc<Sources>,
    lobby: Arc<Lobby<Arc<Leash>>>,
    unknown: Arc<Semaphore>,
    unbound: Arc<Semaphore>,
    nodes: Nodes,
    workloads: Option<Arc<Workloads>>,
}

/// Why a listener has no TLS.
#[derive(Debug, thiserror::Error)]
#[error("the server certificate cannot be used")]
pub struct AcceptorError(#[source] rustls::Error);

impl Acceptor {
    /// An acceptor that proves itself with the journal's credential, whichever that is at the time. `nodes`: who has it recorded
    /// when a former machine of a node comes back. `workloads`: whose workload identities may prove nodes here (R11).
    pub fn new(
        credential: Current,
        (log, nodes): (Log, Nodes),
        connections: Arc<Connections>,
        limits: Limits,
        workloads: Option<Arc<Workloads>>,
    ) -> Result<Self, AcceptorError> {
        let provider = proto::tls::provider();
        let verifier = Arc::new(Verifier::new(log.clone(), Arc::clone(&provider), workloads.clone()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(proto::tls::VERSIONS)
            .map_err(AcceptorError)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(Renewed(credential)));
        config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let places = |count| Arc::new(Semaphore::new(count));
        Ok(Self {
            tls: TlsAcceptor::from(Arc::new(config)),
            log,
            connections,
            handshakes: places(HANDSHAKES),
            pending: places(PENDING),
            open: places(limits.open),
            sources: Sources::new(PENDING, HANDSHAKES),
            lobby: Lobby::new(limits.anonymous),
            unknown: places(UNKNOWN),
            unbound: places(UNBOUND),
            nodes,
            workloads,
        })
    }

    /// Accepts on the listener until the receiver is dropped.
    pub fn accept(self, listener: TcpListener) -> mpsc::Receiver<io::Result<Connection>> {
        let (ready, accepted) = mpsc::channel(READY);
        tokio::spawn(async move {
            while !ready.is_closed() {
                let Ok(open) = Arc::clone(&self.open).acquire_owned().await else { return };
                let Ok(pending) = Arc::clone(&self.pending).acquire_owned().await else { return };
                let (stream, address) = tokio::select! {
                    () = ready.closed() => return,
                    accepted = listener.accept() => match accepted {
                        Ok(accepted) => accepted,
                        Err(error) => {
                            // No file descriptors left: others close some; to spin would hinder them.
                            tracing::warn!(%error, "could not accept a connection");
                            tokio::time::sleep(Duration::from_millis(20)).await;
                            continue;
                        }
                    },
                };
                let Some(doorstep) = self.sources.enter(address.ip().into()).await else { continue };
                let (acceptor, ready) = (self.clone(), ready.clone());
                tokio::spawn(async move {
                    // Boxed: a task would be moved with room for all of a handshake, more than once.
                    if let Some(mut connection) = Box::pin(acceptor.admit(stream, address, &doorstep)).await {
                        connection.keep(open);
                        ready.send(Ok(connection)).await.ok();
                    }
                    // Only now: connections that tonic does not take hold back new ones.
                    drop((doorstep, pending));
                });
            }
        });
        accepted
    }

    async fn admit(&self, stream: TcpStream, address: SocketAddr, doorstep: &Doorstep) -> Option<Connection> {
        // Not `readable`, which may be wrong.
        match tokio::time::timeout(FIRST_WORD, stream.peek(&mut [0])).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return None,
            Err(_) => {
                doorstep.kept_waiting();
                return None;
            }
        }
        let places = (doorstep.turn().await?, self.handshakes.acquire().await.ok()?);
        // Whoever gave up while it waited needs no handshake: in an overload that would be most of them.
        if stream.ready(Interest::READABLE).await.ok()?.is_read_closed() {
            return None;
        }
        let shaken = self.handshake(stream, address, doorstep).await;
        // Before a refused client is waited for.
        drop(places);
        let stream = match shaken {
            Ok(stream) => stream,
            Err(refused) => {
                linger(refused?).await;
                return None;
            }
        };
        let edition = self.workloads.as_ref().map(|workloads| workloads.edition());
        let (shown, workload) = self.shown(stream.get_ref().1.peer_certificates())?;
        // First register, then look up: a revocation in between finds the connection, or is found.
        let mut hold = Hold::register(&self.connections, shown);
        if edition != self.workloads.as_ref().map(|workloads| workloads.edition()) && workload.is_some() {
            return None;
        }
        let now = clock::now();
        let standing = match shown {
            Shown::Nothing => None,
            Shown::Certificate(_) | Shown::Workload(_) => Some(self.proved(shown, address, now).await),
        };
        workload.into_iter().for_each(|workload| hold.of_workload(workload));
        // Since the verifier looked.
        if standing.is_some() && !self.log.is_fresh() {
            handshake(Handshake::Stale);
            return None;
        }
        match standing {
            Some(Standing::Valid { identity, until }) => {
                handshake(let_in(&identity));
                hold.end_at(until);
            }
            // It hears from its calls that it is bound to no node, and takes a place as one who shows nothing.
            Some(Standing::Unknown) if hold.is_of_workload() => {
                self.welcome(&mut hold, doorstep, now).await?;
            }
            // Since the verifier looked.
            Some(Standing::Unknown | Standing::Expired | Standing::Revoked | Standing::Replaced { .. }) => {
                handshake(Handshake::Revoked);
                return None;
            }
            None => self.welcome(&mut hold, doorstep, now).await?,
        }
        Some(Connection::new(stream, address, hold))
    }

    /// What opens what the peer showed, whose key it holds. One that a warm reboot replaced opens nothing before it is recorded
    /// that there are two machines, and that this one stands (R14 c).
    async fn proved(&self, shown: Shown, from: SocketAddr, now: Timestamp) -> Standing {
        let standing = self.standing(shown, now).await;
        let Standing::Replaced { node_id, serial } = &standing else { return standing };
        let Ok(_place) = self.unknown.try_acquire() else { return standing };
        let order = Order::ProveFormer { serial: *serial };
        let (principal, source) = (Principal::Node(node_id.clone()), source_remark::of(from.ip()));
        match self.nodes.ask(node_id, Request { order, principal, source }).await {
            Ok(_) => {
                tracing::warn!(node = %node_id, "a former machine of the node came back: two machines claim to be it");
            }
            Err(error) => {
                tracing::warn!(node = %node_id, %error, "that a former machine of the node came back was not recorded");
            }
        }
        connections::standing(&self.log.views(), shown, now)
    }

    /// What the peer of a handshake showed. None: the bundle changed since the verifier looked.
    fn shown(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<(Shown, Option<Workload>)> {
        let Some([leaf, intermediates @ ..]) = chain else { return Some((Shown::Nothing, None)) };
        match self.workloads.as_ref().filter(|workloads| workloads.named_by(leaf)) {
            Some(workloads) => {
                let workload = workloads.recognize(leaf, intermediates, UnixTime::now()).ok()?;
                Some((Shown::Workload(workload.id), Some(workload)))
            }
            None => Some((Shown::Certificate(CertificateHash::of(leaf)), None)),
        }
    }

    /// Gives a connection that opens nothing yet a place for a while. None: there is none.
    async fn welcome(&self, hold: &mut Hold, doorstep: &Doorstep, now: Timestamp) -> Option<()> {
        let Some((visit, idlest)) = self.lobby.enter(doorstep.source(), Arc::clone(hold.leash())).await
        else {
            handshake(Handshake::Full);
            return None;
        };
        handshake(Handshake::Anonymous);
        idlest.iter().for_each(|idlest| idlest.cut());
        hold.welcome(visit);
        hold.end_at(now.plus(ANONYMOUS_LIFE));
        Some(())
    }

    /// What a certificate or a workload opens. One that no fact records yet, though an announced authority signed it, waits until all
    /// that was recorded elsewhere is known here (R10).
    async fn standing(&self, shown: Shown, now: Timestamp) -> Standing {
        let standing = connections::standing(&self.log.views(), shown, now);
        if standing != Standing::Unknown || self.log.is_alone() {
            return standing;
        }
        // Whoever signs workloads elsewhere can sign any number: those take no place of a certificate that waits for its fact.
        let places = match shown {
            Shown::Workload(_) => &self.unbound,
            Shown::Certificate(_) | Shown::Nothing => &self.unknown,
        };
        let Ok(_place) = places.try_acquire() else { return standing };
        // Known by then or not: the look-up says.
        self.log.read_index(KNOWN).await.ok();
        connections::standing(&self.log.views(), shown, now)
    }

    /// `Err`: the stream of a client that is to read its alert; none, if it does not even listen.
    async fn handshake(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        doorstep: &Doorstep,
    ) -> Result<TlsStream<Corked<TcpStream>>, Option<Corked<TcpStream>>> {
        // Below TLS, so that what one round of a connection says goes out in one segment.
        let accepting = self.tls.accept(Corked::new(stream)).into_fallible();
        match tokio::time::timeout(HANDSHAKE_DEADLINE, accepting).await {
            Ok(Ok(mut stream)) => {
                stream.get_mut().0.shook_hands();
                Ok(stream)
            }
            Ok(Err((error, stream))) => {
                tracing::debug!(%address, %error, "the handshake failed");
                handshake(counted(&error));
                Err(Some(stream))
            }
            Err(_) => {
                tracing::debug!(%address, "the handshake took too long");
                handshake(Handshake::TimedOut);
                doorstep.kept_waiting();
                Err(None)
            }
        }
    }
}

/// How the handshake of a client that is let in is counted.
fn let_in(identity: &Identity) -> Handshake {
    match identity {
        Identity::Node { .. } => Handshake::Node,
        Identity::Operator { .. } => Handshake::Operator,
    }
}

/// Lets a refused client read its alert. A TLS 1.3 client has sent its first request by then; to close with that
/// unread would make the kernel throw away the alert on its way.
async fn linger(mut stream: Corked<TcpStream>) {
    let drain = async {
        stream.shutdown().await?;
        let (mut unread, mut left) = ([0; 4096], LINGER_READS);
        while left > 0 && stream.read(&mut unread).await? > 0 {
            left -= 1;
        }
        Ok::<_, io::Error>(())
    };
    // Told or not: there is nobody to report to.
    tokio::time::timeout(LINGER, drain).await.ok();
}
