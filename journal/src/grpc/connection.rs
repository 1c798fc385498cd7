//! One accepted TLS connection, on a leash: rustls cannot end an open connection, so the stream itself does.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use events::vocabulary::Timestamp;
use proto::corked::Corked;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::admission::{Activity, Visit};
use crate::clock;
use crate::presence::Pulse;
use crate::workloads::Workload;

use super::connections::{Connections, Leash, Parting, Shown};

/// A timer is set at most this far ahead: the wall clock may be set meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Who is at the other end, as far as the handshake proved it. Handlers find it in the request's extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// What the peer showed and proved to hold the key of.
    pub shown: Shown,
    /// Of a workload identity: whose, and until when its certificate proves it.
    pub workload: Option<Arc<Workload>>,
    /// What a connection without a certificate is doing.
    activity: Option<Arc<Activity>>,
    leash: Arc<Leash>,
}

impl Peer {
    /// It orders what may end its own certificate; its connection lives until the answer has left.
    pub fn part(&self) -> Parting {
        self.leash.part()
    }

    /// A sign of life of the machine at the other end.
    pub fn pulse(&self) -> Pulse {
        self.leash.pulse().clone()
    }

    /// A call of it is under way until this is dropped: its connection is not idle. None with a certificate, whose
    /// connection may be.
    pub fn call(&self) -> Option<CallUnderWay> {
        let activity = Arc::clone(self.activity.as_ref()?);
        activity.begin();
        Some(CallUnderWay(activity))
    }
}

/// A call under way.
pub struct CallUnderWay(Arc<Activity>);

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.0.end(std::time::Instant::now());
    }
}

/// See the module.
pub struct Connection {
    stream: TlsStream<Corked<TcpStream>>,
    peer: Peer,
    hold: Hold,
    peer_is_gone: bool,
    /// Bytes of a ping that are still to be written.
    pinging: &'static [u8],
}

/// A PING frame of HTTP/2 (RFC 9113, 6.7), with eight bytes of our own. hyper pings too, but only by its own clock.
const PING: [u8; 17] = *b"\0\0\x08\x06\0\0\0\0\0pactping";

/// What holds a connection.
pub struct Hold {
    leash: Arc<Leash>,
    connections: Arc<Connections>,
    shown: Shown,
    workload: Option<Arc<Workload>>,
    timer: Pin<Box<Sleep>>,
    armed_for: Option<Timestamp>,
    /// Its place among the open connections, given back when it closes.
    place: Option<OwnedSemaphorePermit>,
    /// And among those without a certificate.
    visit: Option<Visit<Arc<Leash>>>,
}

impl Connection {
    /// A connection of a peer that is held so.
    pub fn new(stream: TlsStream<Corked<TcpStream>>, address: SocketAddr, hold: Hold) -> Self {
        let activity = hold.visit.as_ref().map(|visit| Arc::clone(visit.activity()));
        let leash = Arc::clone(&hold.leash);
        let (shown, workload) = (hold.shown, hold.workload.clone());
        let peer = Peer { address, shown, workload, activity, leash };
        Self { stream, peer, hold, peer_is_gone: false, pinging: &[] }
    }

    /// An answer that was given before the end may still be held back beneath: a renewal supersedes the certificate of the
    /// connection that it leaves by. The second flush sends what the first one held.
    fn send_what_is_held(&mut self, context: &mut Context<'_>) {
        for _ in 0..2 {
            // Whether it leaves or not: the connection ends.
            let _ = Pin::new(&mut self.stream).poll_flush(context);
        }
    }

    /// Pings the peer, if that was asked for. To be called between two frames only, and until it is ready nothing else is
    /// written.
    fn poll_ping(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pinging.is_empty() && self.hold.leash.pulse().take_asked(context.waker()) {
            self.pinging = &PING;
        }
        self.poll_rest_of_ping(context)
    }

    fn poll_rest_of_ping(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pinging.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, self.pinging))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.pinging = self.pinging.get(written..).unwrap_or_default(),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps a place until it closes.
    pub fn keep(&mut self, place: OwnedSemaphorePermit) {
        self.hold.place = Some(place);
    }
}

impl Hold {
    /// Registers a connection, before what it showed is looked up.
    pub fn register(connections: &Arc<Connections>, shown: Shown) -> Self {
        Self {
            leash: connections.register(shown),
            connections: Arc::clone(connections),
            shown,
            workload: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            armed_for: None,
            place: None,
            visit: None,
        }
    }

    /// It is a workload's, and ends with the certificate of that.
    pub fn of_workload(&mut self, workload: Workload) {
        self.end_at(workload.not_after);
        self.workload = Some(Arc::new(workload));
    }

    /// Whether it is a workload's.
    pub fn is_of_workload(&self) -> bool {
        self.workload.is_some()
    }

    /// When it ends by itself.
    pub fn end_at(&self, moment: Timestamp) {
        self.leash.end_at(moment);
    }

    /// By what it is cut.
    pub fn leash(&self) -> &Arc<Leash> {
        &self.leash
    }

    /// Keeps a place among those without a certificate until it closes, and ends it when it is idle.
    pub fn welcome(&mut self, visit: Visit<Arc<Leash>>) {
        self.visit = Some(visit);
    }

    /// Ready once the connection must end. The clock on the wall decides, not the timer: certificates end by it.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.leash.register(context.waker());
        while !self.leash.is_cut() {
            let Some(end) = self.leash.ends_at() else { return Poll::Pending };
            let idle = self.visit.as_ref().map_or(Duration::MAX, Visit::left);
            let left = end.since(clock::now()).min(idle);
            if left.is_zero() {
                return Poll::Ready(());
            }
            if self.armed_for != Some(end) || self.timer.is_elapsed() {
                self.armed_for = Some(end);
                self.timer.as_mut().reset(Instant::now() + left.min(LONGEST_WAIT));
            }
            ready!(self.timer.as_mut().poll(context));
        }
        Poll::Ready(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.connections.release(self.shown, &self.leash);
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection opens nothing any more")
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.hold.poll_end(context).is_ready() {
            this.send_what_is_held(context);
            return Poll::Ready(Err(ended()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            if buffer.filled().len() > before {
                this.hold.leash.pulse().beat();
            } else {
                this.peer_is_gone = true;
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.hold.poll_end(context).is_ready() {
            return Poll::Ready(Err(ended()));
        }
        ready!(this.poll_rest_of_ping(context))?;
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Also of a peer that never reads: its socket is full, and nothing else would look at the end.
        if this.hold.poll_end(context).is_ready() {
            this.send_what_is_held(context);
            return Poll::Ready(Err(ended()));
        }
        // h2 flushes when it has handed over whole frames, and at the end of each of its rounds.
        ready!(this.poll_ping(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A peer that has closed reads no farewell: to write one would only make the kernel answer for it.
        if this.peer_is_gone || this.hold.poll_end(context).is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Pin::new(&mut this.stream).poll_shutdown(context)
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.hold.poll_end(context).is_ready() {
            return Poll::Ready(Err(ended()));
        }
        ready!(this.poll_rest_of_ping(context))?;
        Pin::new(&mut this.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}
