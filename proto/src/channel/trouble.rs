//! What went wrong below HTTP/2 on one connection, kept from the moment it happened.
//!
//! hyper and tonic tell callers of a lost connection in words of their own, and after a failed write they do not read
//! the alert that explains it. [`Watched`] stands between them and TLS and notes the first error in a [`Trouble`].
//!
//! [`super::Connection`] makes one of each; nobody else.
//!
//! **Invariant:** once noted, trouble stays; only an alert takes the place of another error.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_refusal::{ConnectionRefusal, explain};

/// Reads after a failed write, to find the alert behind what came before it; more than the largest window holds.
const READS_FOR_THE_ALERT: usize = 256;
/// Bytes of one such read: a TLS record holds at most this much.
const SCRATCH_BYTES: usize = 16 * 1024;

/// The first error of a connection, shared by its two ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<Noted>>>);

/// What is kept of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Noted {
    /// The journal refused the client's certificate.
    Refused(ConnectionRefusal),
    /// Another error, in words.
    Lost(String),
}

impl Trouble {
    /// What went wrong, if anything did.
    pub(super) fn noted(&self) -> Option<Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, error: &io::Error) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (explain(error), &*slot) {
            (Some(_), Some(Noted::Refused(_))) | (None, Some(_)) => {}
            (Some(refusal), _) => *slot = Some(Noted::Refused(refusal)),
            (None, None) => *slot = Some(Noted::Lost(in_words(error))),
        }
    }
}

/// By this alert a journal that is cut off from its quorum believes no certificate, good or bad (R17).
fn in_words(error: &io::Error) -> String {
    let alert = error.get_ref().and_then(|error| error.downcast_ref());
    if matches!(alert, Some(rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure))) {
        return format!("it lets nobody in, as a journal does that is cut off from its quorum ({error})");
    }
    error.to_string()
}

/// A TLS stream whose errors are noted.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    trouble: Trouble,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    pub(super) fn new(stream: S, trouble: Trouble) -> Self {
        Self { stream, trouble }
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, result: io::Result<T>) -> Poll<io::Result<T>> {
        if let Err(error) = &result {
            self.trouble.note(error);
            self.read_the_alert(cx);
        }
        Poll::Ready(result)
    }

    /// The peer has closed, the connection is lost; what it said last may still lie in the socket.
    fn read_the_alert(&mut self, cx: &mut Context<'_>) {
        let mut scratch = vec![0; SCRATCH_BYTES];
        for _ in 0..READS_FOR_THE_ALERT {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(Err(error)) => return self.trouble.note(&error),
                Poll::Ready(Ok(())) | Poll::Pending => return,
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if let Err(error) = &result {
            self.trouble.note(error);
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.watch_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.watch_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.watch_write(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        self.watch_write(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// A peer that takes no more bytes and whose last words still wait to be read.
    struct Closed {
        words: Vec<io::Result<usize>>,
    }

    impl AsyncRead for Closed {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(self.words.remove(0).map(|length| buffer.advance(length)))
        }
    }

    impl AsyncWrite for Closed {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn alert() -> io::Error {
        let alert = rustls::AlertDescription::CertificateRevoked;
        io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert))
    }

    #[tokio::test]
    async fn a_failed_write_still_finds_the_alert_that_explains_it() {
        let trouble = Trouble::default();
        let peer = Closed { words: vec![Ok(5), Ok(7), Err(alert())] };
        let mut stream = Watched::new(peer, trouble.clone());

        let written = stream.write_all(b"request").await;

        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(trouble.noted(), Some(Noted::Refused(ConnectionRefusal::Revoked)));
    }

    #[test]
    fn rule_17_a_journal_that_lets_nobody_in_is_told_from_one_that_refuses_a_certificate() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
        let trouble = Trouble::default();
        trouble.note(&io::Error::new(io::ErrorKind::InvalidData, alert));
        let Some(Noted::Lost(words)) = trouble.noted() else { panic!("no refusal of the certificate") };
        assert!(words.contains("cut off from its quorum"), "{words}");
    }

    #[test]
    fn the_first_error_stays_and_only_an_alert_outranks_it() {
        let trouble = Trouble::default();
        assert_eq!(trouble.noted(), None);
        trouble.note(&io::Error::other("first"));
        trouble.note(&io::Error::other("second"));
        assert_eq!(trouble.noted(), Some(Noted::Lost("first".to_owned())));
        trouble.note(&alert());
        trouble.note(&io::Error::other("third"));
        assert_eq!(trouble.noted(), Some(Noted::Refused(ConnectionRefusal::Revoked)));
    }
}
