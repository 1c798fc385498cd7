//! A TCP stream that sends what is written in few segments: each costs a system call, a wake-up and a read on either
//! side, which together are dearer than what most of them carry.
//!
//! What is written waits for the writer's flush. While TLS shakes hands a flush does not send either, so that the last
//! flight of the handshake travels with the first bytes of HTTP/2.
//!
//! [`super::Connection`] puts one between TCP and TLS; nobody else.
//!
//! **Invariant:** nobody waits for the peer's answer to something that was held back: a read that finds nothing sends
//! it first.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More than this is not held back: the handshake and a usual request are far smaller, and large bodies gain nothing.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Corked<S> {
    stream: S,
    held: Vec<u8>,
    /// Bytes of `held` that the stream has taken already.
    sent: usize,
    shaking_hands: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Corked<S> {
    /// A stream on which the handshake begins.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), sent: 0, shaking_hands: true }
    }

    /// The handshake is over: from here on a flush sends.
    pub(super) fn shook_hands(&mut self) {
        self.shaking_hands = false;
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.held.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        self.held.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() {
            // Pending or done: the read has left its waker, and a stream that takes no more will wake the task too.
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() >= HELD_BYTES_MAX {
            ready!(self.poll_send(cx))?;
        }
        let taken = bytes.len().min(HELD_BYTES_MAX);
        self.held.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shaking_hands {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;

    /// Reads what has been sent so far.
    async fn sent(peer: &mut DuplexStream) -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        // A duplex stream has its bytes at once, or not at all.
        match timeout(Duration::ZERO, peer.read(&mut bytes)).await {
            Ok(read) => bytes.truncate(read.unwrap()),
            Err(_) => bytes.clear(),
        }
        bytes
    }

    #[tokio::test]
    async fn after_the_handshake_a_flush_sends_all_at_once() {
        let (stream, mut peer) = duplex(64 * 1024);
        let mut corked = Corked::new(stream);
        corked.write_all(b"finished ").await.unwrap();
        corked.flush().await.unwrap();
        assert_eq!(sent(&mut peer).await, b"");

        corked.shook_hands();
        corked.write_all(b"preface").await.unwrap();
        assert_eq!(sent(&mut peer).await, b"");
        corked.flush().await.unwrap();

        assert_eq!(sent(&mut peer).await, b"finished preface");
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_has_asked() {
        let (stream, mut peer) = duplex(1024);
        let mut corked = Corked::new(stream);
        corked.write_all(b"hello").await.unwrap();

        let mut answer = [0; 2];
        let (read, ()) = tokio::join!(corked.read_exact(&mut answer), async {
            let mut heard = [0; 5];
            peer.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"hello");
            peer.write_all(b"hi").await.unwrap();
        });

        read.unwrap();
        assert_eq!(&answer, b"hi");
    }

    #[tokio::test]
    async fn large_bodies_pass_through_a_small_stream() {
        let (stream, mut peer) = duplex(1000);
        let mut corked = Corked::new(stream);
        corked.shook_hands();
        let body: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        let (written, heard) = tokio::join!(
            async {
                corked.write_all(&body).await?;
                corked.shutdown().await
            },
            async {
                let mut heard = Vec::new();
                peer.read_to_end(&mut heard).await.map(|_| heard)
            }
        );
        written.unwrap();
        assert!(heard.unwrap() == body);
        assert!(corked.held.capacity() <= 4 * HELD_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_told_by_the_flush() {
        let (stream, peer) = duplex(1024);
        let mut corked = Corked::new(stream);
        corked.shook_hands();
        drop(peer);
        corked.write_all(b"hello").await.unwrap();
        assert!(corked.flush().await.is_err());
    }
}
