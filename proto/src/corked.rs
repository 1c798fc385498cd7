//! A TCP stream below TLS and HTTP/2 that sends what is written in few segments. Each segment costs a system call, a
//! wake-up and a read on the other side, which together are dearer than what most of them carry.
//!
//! While TLS shakes hands, what is written waits until the writer wants to hear an answer, so that the last flight of
//! the handshake travels with the first bytes of HTTP/2. Afterwards a flush does not send at once either: it wakes its
//! task for another round and sends when that round adds nothing. What the other tasks of the connection have to say
//! in between (the headers of a call, its body, its end) goes the same way.
//!
//! [`crate::channel`] puts one between TCP and TLS.
//!
//! Not here, on purpose: clocks. Nothing waits longer than the tasks that are ready already.
//!
//! **Invariant:** nobody waits for the peer's answer to something that stays held back: whoever holds something back has
//! been woken, and sends it in one of the next few rounds.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More than this is not held back: a handshake and a usual request are far smaller, and large bodies gain nothing.
const HELD_BYTES_MAX: usize = 16 * 1024;
/// Room for what is held back at first: a flight of a handshake and an answer fit, so that it seldom grows.
const HELD_BYTES_USUAL: usize = 1500;
/// Rounds that may add something before all is sent. A call adds in three: settings, headers, body.
const ROUNDS_MAX: u8 = 4;
/// Reads without a flush that may wait before all is sent. HTTP/2 reads twice in its first round.
const READS_MAX: u8 = 2;

/// See the module.
#[derive(Debug)]
pub struct Corked<S> {
    stream: S,
    shaking_hands: bool,
    held: Vec<u8>,
    /// Bytes of `held` that the stream has taken already.
    sent: usize,
    /// Something was written since the last flush.
    fresh: bool,
    /// Flushes that have waited for another round.
    rounds: u8,
    /// Reads that have waited since the last flush: who only reads must not wait for a flush.
    reads: u8,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Corked<S> {
    /// A stream on which the handshake begins.
    pub fn new(stream: S) -> Self {
        Self { stream, shaking_hands: true, held: Vec::new(), sent: 0, fresh: false, rounds: 0, reads: 0 }
    }

    /// The handshake is over.
    pub fn shook_hands(&mut self) {
        self.shaking_hands = false;
    }

    /// The stream beneath.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.held.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        if self.shaking_hands {
            self.held.clear();
        } else {
            // Thousands of connections are idle; none of them keeps room for what it might say.
            self.held = Vec::new();
        }
        (self.sent, self.rounds, self.fresh, self.reads) = (0, 0, false, 0);
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
        if read.is_ready() || self.held.is_empty() {
            return read;
        }
        if self.shaking_hands || self.reads == READS_MAX {
            // Pending or done: the read has left its waker, and a stream that takes no more wakes the task too.
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
        } else {
            self.reads += 1;
            cx.waker().wake_by_ref();
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
        if self.held.capacity() == 0 {
            self.held.reserve_exact(taken.max(HELD_BYTES_USUAL));
        }
        self.held.extend_from_slice(&bytes[..taken]);
        self.fresh = true;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shaking_hands {
            return Poll::Ready(Ok(()));
        }
        self.reads = 0;
        if self.fresh && self.rounds < ROUNDS_MAX {
            self.fresh = false;
            self.rounds += 1;
            cx.waker().wake_by_ref();
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
    use std::{future::poll_fn, time::Duration};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;

    /// Reads what has been sent so far.
    async fn sent(peer: &mut DuplexStream) -> String {
        let mut bytes = vec![0; 64 * 1024];
        // A duplex stream has its bytes at once, or not at all.
        match timeout(Duration::ZERO, peer.read(&mut bytes)).await {
            Ok(read) => bytes.truncate(read.unwrap()),
            Err(_) => bytes.clear(),
        }
        String::from_utf8(bytes).unwrap()
    }

    /// A round of HTTP/2: what there is to hear, what there is to say, and a flush.
    async fn round(corked: &mut Corked<DuplexStream>, says: &str) {
        poll_fn(|cx| {
            let mut bytes = [0; 64];
            let heard = Pin::new(&mut *corked).poll_read(cx, &mut ReadBuf::new(&mut bytes));
            assert!(heard.is_pending());
            for said in says.split_terminator(' ') {
                assert!(Pin::new(&mut *corked).poll_write(cx, said.as_bytes()).is_ready());
            }
            Pin::new(&mut *corked).poll_flush(cx)
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn what_a_call_says_in_its_first_rounds_goes_with_the_end_of_the_handshake() {
        let (stream, mut peer) = duplex(64 * 1024);
        let mut corked = Corked::new(stream);
        corked.write_all(b"finished,").await.unwrap();
        corked.flush().await.unwrap();
        corked.shook_hands();
        for says in ["settings,", "headers,", "body"] {
            round(&mut corked, says).await;
            assert_eq!(sent(&mut peer).await, "");
        }

        round(&mut corked, "").await;

        assert_eq!(sent(&mut peer).await, "finished,settings,headers,body");
    }

    #[tokio::test]
    async fn who_always_has_more_to_say_is_sent_all_the_same() {
        let (stream, mut peer) = duplex(64 * 1024);
        let mut corked = Corked::new(stream);
        corked.shook_hands();
        for _ in 0..=ROUNDS_MAX {
            assert_eq!(sent(&mut peer).await, "");
            round(&mut corked, "more").await;
        }
        assert_eq!(sent(&mut peer).await, "more".repeat(usize::from(ROUNDS_MAX) + 1));
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_has_asked() {
        for shakes_hands in [true, false] {
            let (stream, mut peer) = duplex(1024);
            let mut corked = Corked::new(stream);
            if !shakes_hands {
                corked.shook_hands();
            }
            corked.write_all(b"hello").await.unwrap();

            // when it reads, and flushes or not
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
    }

    #[tokio::test]
    async fn large_bodies_pass_through_a_small_stream_and_leave_no_room_behind() {
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
        assert_eq!(corked.held.capacity(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_told_by_a_flush() {
        let (stream, peer) = duplex(1024);
        let mut corked = Corked::new(stream);
        corked.shook_hands();
        drop(peer);
        corked.write_all(b"hello").await.unwrap();
        corked.flush().await.unwrap();
        assert!(corked.flush().await.is_err());
    }
}
