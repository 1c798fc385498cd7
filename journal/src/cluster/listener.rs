//! The cluster listener: TLS with a journal's certificate, or none for the way in; HTTP/2 by hyper; services by name.
//!
//! Not here: what is answered ([`super::service`], [`super::door`]).
//!
//! **Invariant:** a peer is who its verified certificate says. One that is evicted in this journal's view (design §7) hears
//! only that, unless Raft still counts it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use events::vocabulary::JournalId;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use proto::reason::Reason;
use proto::refusal::Refusal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use super::recovery::{Rescuer, WAY_BACK};
use super::service::EVICTED;
use super::{Standpoint, tls};
use crate::log::Log;

/// Handshakes at once; who comes beyond that is sent away, to come again: nobody waits behind strangers.
const HANDSHAKES: usize = 256;
/// A handshake that is not done by then is given up.
const HANDSHAKE: Duration = Duration::from_secs(2);
/// Connections without a certificate. Members need no place: they are few, and each is known.
const VISITORS: usize = 16;
/// A connection without a certificate is there for one call.
const VISIT: Duration = Duration::from_secs(30);
/// A journal that does not answer pings for so long is gone.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// What may be on its way on a connection: an entry at once, without a word in between.
const WINDOW: u32 = 8 << 20;

/// The largest frame: an entry of a storm in one piece instead of a dozen.
const FRAME: u32 = 1 << 20;
/// Messages of a member under way.
const STREAMS: u32 = 64;
/// What strangers may call.
const WAY_IN: &str = "/pact.v1.JoinService/";

/// Whether a journal may speak here: not once it is evicted, but for as long as it has a seat in Raft, which takes it away
/// by the votes of all who have one.
pub fn may_speak(log: &Log, journal: &JournalId) -> bool {
    let evicted = {
        let views = log.views();
        let row = views.members.get(journal);
        row.filter(|_| views.members.is_evicted(journal)).and_then(|row| row.state.raft_id())
    };
    let Some(raft_id) = evicted else { return true };
    let seats = log.seats();
    seats.voters.contains(&raft_id) || seats.learners.contains(&raft_id)
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Peer(pub Option<JournalId>);

/// The verified certificate that a journal shows.
#[derive(Debug, Clone)]
pub struct Shown(pub Arc<[u8]>);

/// Accepts until the journal stops.
pub async fn serve(
    listener: TcpListener,
    standpoint: Standpoint,
    log: Log,
    routes: Routes,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Places {
        handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
        visitors: Arc::new(Semaphore::new(VISITORS)),
    };
    loop {
        let accepted = tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(handshaking) = Arc::clone(&places.handshakes).try_acquire_owned() else { continue };
        let (standpoint, log, routes) = (standpoint.clone(), log.clone(), routes.clone());
        let visitors = Arc::clone(&places.visitors);
        let mut stopping = stopping.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => {}
                served = converse((stream, address.ip()), (handshaking, visitors), &standpoint, &log, routes) => {
                    if let Err(reason) = served {
                        tracing::debug!(%address, reason, "a connection of the cluster ended");
                    }
                }
            }
        });
    }
}

/// Who showed a certificate that the domain CA signed: a journal, or somebody with a pass.
fn caller(
    certificate: &[u8],
    standpoint: &Standpoint,
    log: &Log,
    from: IpAddr,
) -> Result<(Peer, Option<Rescuer>), String> {
    let domain = &standpoint.domain_id;
    if let Some(pass) = tls::pass_of(certificate, domain) {
        return Ok((Peer(None), Some(Rescuer { pass, from })));
    }
    let journal = tls::journal_of(certificate, domain);
    let journal = journal.ok_or("the certificate names no journal of this domain")?;
    if is_of_before(log, &journal, certificate) {
        return Err(format!("{journal} is of before the domain was restored"));
    }
    Ok((Peer(Some(journal)), None))
}

/// Whether a journal that is not known here got its certificate before the domain was restored (R27): the facts that let it
/// in may be lost, and it never belongs to the quorum again. One that is not known yet has a newer one.
fn is_of_before(log: &Log, journal: &JournalId, certificate: &[u8]) -> bool {
    let views = log.views();
    let (known, restored) = (views.members.get(journal).is_some(), views.members.restored());
    drop(views);
    let Some(restored) = restored.filter(|_| !known) else { return false };
    tls::signed_at(certificate).is_none_or(|signed_at| signed_at < restored.at.whole_second())
}

/// Who may be under way at once.
struct Places {
    handshakes: Arc<Semaphore>,
    visitors: Arc<Semaphore>,
}

async fn converse(
    (stream, from): (TcpStream, IpAddr),
    (handshaking, visitors): (OwnedSemaphorePermit, Arc<Semaphore>),
    standpoint: &Standpoint,
    log: &Log,
    routes: Routes,
) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    stream.set_nodelay(true).map_err(|error| told(&error))?;
    let config = tls::server(&standpoint.credential.load(), standpoint.domain_ca.as_bytes());
    let acceptor = TlsAcceptor::from(Arc::new(config.map_err(|error| told(&error))?));
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
    let stream = stream.map_err(|_| "the handshake took too long")?.map_err(|error| told(&error))?;
    drop(handshaking);
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = certificate.map(|certificate| Shown(Arc::from(certificate.to_vec())));
    let (peer, rescuer) = match certificate {
        Some(certificate) => caller(certificate, standpoint, log, from)?,
        None => (Peer(None), None),
    };
    // An evicted journal comes no further than to hear that it was, and has no better place than a stranger.
    let visitor = peer.0.as_ref().is_none_or(|journal| !may_speak(log, journal));
    let place = visitor.then(|| visitors.try_acquire_owned()).transpose();
    let _place = place.map_err(|_| "there are too many visitors".to_owned())?;
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut routes = routes.clone();
        // Before a body is read, which may have megabytes here: strangers have no use for it.
        let way = if rescuer.is_some() { WAY_BACK } else { WAY_IN };
        let stranger = peer.0.is_none() && !request.uri().path().starts_with(way);
        let evicted = visitor && peer.0.is_some();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        rescuer.clone().map(|rescuer| request.extensions_mut().insert(rescuer));
        shown.clone().map(|shown| request.extensions_mut().insert(shown));
        async move {
            if evicted {
                return Ok(Status::from(Refusal::new(Reason::JournalEvicted, EVICTED)).into_http());
            }
            if stranger {
                return Ok(Status::unauthenticated("a journal's certificate is required").into_http());
            }
            Ok::<_, Infallible>(routes.call(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let streams = if visitor { 1 } else { STREAMS };
    let connection = Builder::new(TokioExecutor::new())
        .max_concurrent_streams(streams)
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .serve_connection(TokioIo::new(stream), service);
    if visitor {
        let ended = tokio::time::timeout(VISIT, connection).await;
        return ended.map_err(|_| "the visit is over".to_owned())?.map_err(|error| told(&error));
    }
    connection.await.map_err(|error| told(&error))
}
