//! Serves accepted connections: HTTP/2 by hyper, one task a connection and all its calls, until the journal stops.
//!
//! In place of tonic's own server, which looks at each connection whether it is HTTP/1, clones a stack of layers for every
//! request and routes by a table: two connections and three calls a boot paid for that (docs/performance.md).
//!
//! Here are the deadline of a call, the peer in its extensions, and the two services of a storm by their names. All else
//! goes through tonic's routes. An agent's calls are not spawned, as hyper's examples do: the task of its connection polls
//! them too, so that an answer needs no other thread and leaves in one segment with what else the connection has to say.
//! An operator's calls have tasks of their own: a list of 100,000 nodes must not hold up a revocation beside it.
//!
//! **Invariant:** a server ends when all its connections have ended. A connection takes the calls that it polls with it,
//! each polled at least once; a call that panics ends alone.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::Service as HyperService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{mpsc, watch};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::Connected;
use tower::Service;

use super::access::no_certificate;
use super::connection::{Connection, Peer};
use super::connections::Shown;
use super::{CALL_DEADLINE, KEEPALIVE};

/// The answer to come of a call.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// HTTP/2 on one connection.
type Protocol<S> = hyper::server::conn::http2::Connection<TokioIo<Connection>, Calls<S>, Begun>;

/// A call, with its answer and all that hyper does for it.
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a listener offers. Cloned for every call, so it must be cheap to clone.
pub trait Services: Clone + Send + Sync + 'static {
    /// Answers a call.
    fn call(&self, request: Request<Body>) -> Answering;
}

/// Services that are called rarely, found by their paths.
#[derive(Clone)]
pub struct Routed(pub Routes);

impl Services for Routed {
    fn call(&self, request: Request<Body>) -> Answering {
        // Before a body is read, which may have megabytes here: strangers have no use for it.
        let stranger = request.extensions().get::<Peer>().is_none_or(|peer| peer.shown == Shown::Nothing);
        if stranger && service_of(request.uri().path()).starts_with("pact.") {
            return Box::pin(async { Ok(Status::from(no_certificate()).into_http()) });
        }
        Box::pin(self.0.clone().call(request))
    }
}

/// The services of agents: two that every boot calls, found by a comparison, and the rest.
#[derive(Clone)]
pub struct AgentServices<E, B> {
    /// `pact.v1.EnrollmentService`
    pub enrollment: E,
    /// `pact.v1.BootConfigService`
    pub boot_config: B,
    /// All others.
    pub others: Routes,
}

impl<E, B> Services for AgentServices<E, B>
where
    E: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn call(&self, request: Request<Body>) -> Answering {
        match service_of(request.uri().path()) {
            "pact.v1.EnrollmentService" => self.enrollment.clone().call(request),
            "pact.v1.BootConfigService" => self.boot_config.clone().call(request),
            _ => Box::pin(self.others.clone().call(request)),
        }
    }
}

/// `/SERVICE/METHOD` -> `SERVICE` (gRPC over HTTP/2, Requests).
fn service_of(path: &str) -> &str {
    let name = path.strip_prefix('/').unwrap_or_default();
    name.split_once('/').map_or("", |(service, _)| service)
}

/// How a listener serves its connections.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// HTTP/2 streams on one connection; each may hold a request's memory.
    pub streams: u32,
    /// Whether each call has a task of its own.
    pub spawns: bool,
}

/// Serves what is accepted, until the journal stops and all connections have ended.
pub async fn serve(
    mut accepted: mpsc::Receiver<io::Result<Connection>>,
    services: impl Services,
    manner: Manner,
    mut stopping: watch::Receiver<bool>,
) {
    // Each connection holds the sender; the receiver hears when the last one is gone.
    let (open, mut ended) = mpsc::channel::<Infallible>(1);
    loop {
        let connection = tokio::select! {
            () = stopped(&mut stopping) => break,
            connection = accepted.recv() => connection,
        };
        match connection {
            Some(Ok(connection)) => {
                let serving = Serving::new(connection, services.clone(), manner);
                tokio::spawn(serve_one(serving, stopping.clone(), open.clone()));
            }
            Some(Err(error)) => tracing::warn!(%error, "a connection could not be accepted"),
            None => break,
        }
    }
    drop((accepted, open));
    ended.recv().await;
}

/// `open` is held until the connection has ended.
async fn serve_one<S: Services>(
    mut serving: Serving<S>,
    mut stopping: watch::Receiver<bool>,
    open: mpsc::Sender<Infallible>,
) {
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stopped(&mut stopping) => {
            serving.protocol.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "the connection ended");
    }
    drop(open);
}

/// One connection at work: its protocol and its calls.
struct Serving<S: Services> {
    protocol: Pin<Box<Protocol<S>>>,
    begun: Begun,
    /// One to three, so that looking at each is cheaper than to remember who was woken.
    running: Vec<Running>,
}

impl<S: Services> Serving<S> {
    fn new(connection: Connection, services: S, manner: Manner) -> Self {
        let begun = Begun { waiting: Arc::default(), spawns: manner.spawns };
        let mut builder = Builder::new(begun.clone());
        builder.timer(TokioTimer::new()).max_concurrent_streams(manner.streams).auto_date_header(false);
        builder.keep_alive_interval(KEEPALIVE).keep_alive_timeout(KEEPALIVE);
        let calls = Calls { services, peer: connection.connect_info() };
        // Boxed before it is spawned: a task would keep room for each place that it was moved from.
        let protocol = Box::pin(builder.serve_connection(TokioIo::new(connection), calls));
        Self { protocol, begun, running: Vec::new() }
    }

    fn poll_calls(&mut self, context: &mut Context<'_>) {
        self.running.retain_mut(|call| call.as_mut().poll(context).is_pending());
    }

    /// Whether the protocol has begun calls since the last time.
    fn take_begun(&mut self) -> bool {
        let begun = self.begun.take();
        let any = !begun.is_empty();
        self.running.extend(begun);
        any
    }
}

impl<S: Services> Future for Serving<S> {
    type Output = hyper::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            // First, so that the protocol sends what they say.
            self.poll_calls(context);
            let ended = self.protocol.as_mut().poll(context);
            let begun = self.take_begun();
            if ended.is_ready() {
                // What came with the end is an order all the same: a goodbye, a revocation.
                self.poll_calls(context);
                return ended;
            }
            if !begun {
                return Poll::Pending;
            }
        }
    }
}

impl<S: Services> Drop for Serving<S> {
    fn drop(&mut self) {
        // A call holds the list that it lies in: what stayed there would keep itself alive for ever.
        drop(self.begun.take());
    }
}

/// The calls that the protocol has begun and nobody has polled yet.
#[derive(Clone)]
struct Begun {
    waiting: Arc<Mutex<Vec<Running>>>,
    spawns: bool,
}

impl Begun {
    /// The lock is given back before a call is dropped, which may take it.
    fn take(&self) -> Vec<Running> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Begun {
    fn execute(&self, call: F) {
        if self.spawns {
            tokio::spawn(call);
            return;
        }
        let call = AssertUnwindSafe(call).catch_unwind().map(|ended| {
            if ended.is_err() {
                tracing::error!("a call panicked");
            }
        });
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(call));
    }
}

/// Resolves when the journal stops; also when nobody is left to say so.
pub async fn stopped(stopping: &mut watch::Receiver<bool>) {
    stopping.wait_for(|stopping| *stopping).await.ok();
}

/// The calls of one connection.
struct Calls<S> {
    services: S,
    peer: Peer,
}

impl<S: Services> HyperService<Request<Incoming>> for Calls<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn call(&self, request: Request<Incoming>) -> Answered {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer.clone());
        Answered {
            answering: self.services.call(request),
            deadline: Box::pin(tokio::time::sleep(CALL_DEADLINE)),
        }
    }
}

/// An answer to come, or that it took too long.
struct Answered {
    answering: Answering,
    deadline: Pin<Box<tokio::time::Sleep>>,
}

impl Future for Answered {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = self.answering.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        let over = self.deadline.as_mut().poll(context);
        over.map(|()| Ok(Status::deadline_exceeded("the call took too long").into_http()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use hyper::rt::Executor;

    use super::*;

    fn begun() -> (Begun, Weak<Mutex<Vec<Running>>>) {
        let begun = Begun { waiting: Arc::default(), spawns: false };
        let list = Arc::downgrade(&begun.waiting);
        (begun, list)
    }

    #[test]
    fn a_call_that_holds_its_own_list_is_freed_once_it_is_taken() {
        let (begun, list) = begun();
        let own = begun.clone();
        begun.execute(async move {
            std::future::pending::<()>().await;
            drop(own);
        });
        drop(begun.take());
        drop(begun);
        assert!(list.upgrade().is_none());
    }

    #[test]
    fn a_call_that_panics_ends_alone() {
        let (begun, _) = begun();
        begun.execute(async { panic!("on purpose") });
        let calls = begun.take();
        let mut context = Context::from_waker(std::task::Waker::noop());
        for mut call in calls {
            assert!(call.as_mut().poll(&mut context).is_ready());
        }
    }

    #[test]
    fn a_service_is_found_by_its_whole_name() {
        assert_eq!(service_of("/pact.v1.EnrollmentService/Enroll"), "pact.v1.EnrollmentService");
        for path in ["", "/", "pact.v1.EnrollmentService/Enroll", "/pact.v1.EnrollmentService", "//x"] {
            assert_eq!(service_of(path), "", "{path}");
        }
    }
}
