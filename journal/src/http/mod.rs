//! The probes' listener: `/livez`, `/readyz` and `/metrics` over plain HTTP/1.1.
//!
//! [`crate::journal`] starts it first and stops it last, so that it can say how the rest stands. A thread and a runtime
//! of its own: a storm that keeps all workers busy delays its answers by the kernel's scheduling only.
//!
//! Not here, on purpose: TLS and roles. What is told is no secret; who may reach it is a matter of `http_listen`.
//!
//! **Invariant:** nobody can keep others out: a new connection takes the place of the oldest, and none is read from,
//! written to or kept for longer than the constants here say.

mod answers;
mod readiness;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use crate::log::Log;
use crate::metrics::{self, Scraper};
use crate::renewal::Outlook;

use answers::{Sources, answer};

pub use readiness::{Condition, Readiness};

/// Connections at once: probes and scrapers are few. Each holds at most [`REQUEST_BYTES`] and one answer.
pub const CONNECTIONS: usize = 64;
/// A request without its body; what is longer is answered with 431. The least that hyper can do.
const REQUEST_BYTES: usize = 8192;
/// From a connection, or the answer before, to a whole request: also how long a connection may be idle.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// After that a connection takes no further request; clients connect again.
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// And so long the last answer may take: a client that does not read it has had its chance.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// How often the samples of the histograms are sorted: a storm brings some ten thousand a second.
const UPKEEP: Duration = Duration::from_secs(1);

/// See the module. Dropping it ends the thread.
pub struct ProbeListener {
    sources: Arc<Sources>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl ProbeListener {
    /// Answers on a listener that is bound already.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(listener: TcpListener) -> io::Result<Self> {
        // It was made on another runtime.
        let listener = listener.into_std()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sources = Arc::<Sources>::default();
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::clone(&sources);
        let thread = std::thread::Builder::new().name("pact-http".to_owned()).spawn(move || {
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, shared, stopping).await,
                    Err(error) => tracing::error!(%error, "probes and metrics cannot be served"),
                }
            });
        })?;
        Ok(Self { sources, stop, thread })
    }

    /// What `/readyz` says.
    pub fn readiness(&self) -> &Readiness {
        &self.sources.readiness
    }

    /// From now on `/metrics` also tells of this log, and `/readyz` whether it is fresh. Only the first one counts.
    pub fn observe(&self, log: Log, outlook: Outlook) {
        self.sources.log.get_or_init(|| log.clone());
        self.sources.scraper.get_or_init(|| Scraper::new(log, outlook));
    }

    /// Stops; what is under way is cut.
    pub fn stop(self) {
        self.stop.send_replace(true);
        // It was idle or had a few lines to write; a panic of it has said so on stderr.
        self.thread.join().ok();
    }
}

async fn serve(listener: TcpListener, sources: Arc<Sources>, mut stopping: watch::Receiver<bool>) {
    let mut open = Open::default();
    let mut upkeep = tokio::time::interval(UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // An error means that the listener was dropped: also a reason to stop.
            _ = stopping.wait_for(|stopping| *stopping) => return,
            _ = upkeep.tick() => metrics::upkeep(),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => open.take(stream, &sources),
                Err(error) => {
                    // No file descriptors left: others close some; to spin would hinder them.
                    tracing::warn!(%error, "could not accept a probe's connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
        }
    }
}

/// The open connections, the oldest first.
#[derive(Default)]
struct Open(VecDeque<AbortHandle>);

impl Open {
    fn take(&mut self, stream: TcpStream, sources: &Arc<Sources>) {
        self.0.retain(|open| !open.is_finished());
        if self.0.len() >= CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(tokio::spawn(converse(stream, Arc::clone(sources))).abort_handle());
    }
}

async fn converse(stream: TcpStream, sources: Arc<Sources>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| answer(request, &sources));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .max_buf_size(REQUEST_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // However it ends: there is nobody to report to.
    if tokio::time::timeout(CONNECTION_LIFE, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        tokio::time::timeout(LAST_ANSWER, connection).await.ok();
    }
}
