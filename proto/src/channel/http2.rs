//! HTTP/2 over one stream, as the generated clients want it: a [`Channel`].
//!
//! hyper does the work. tonic's own channel is made for many connections that come and go: it puts a queue, a worker
//! task and a reconnecting layer before each, which a connection that is opened for one call pays for and never uses.
//!
//! [`super::Connection`] makes one; whoever calls over it clones it.
//!
//! Not here, on purpose: reconnecting. A connection that is lost stays lost.
//!
//! **Invariant:** the connection closes when the last clone is dropped and no call is under way.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Request, Response, Uri, header::USER_AGENT, uri::PathAndQuery};
use http_body::{Frame, SizeHint};
use hyper::{
    body::{Body, Bytes, Incoming},
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::Status;
use tower::Service;

/// Sent as `user-agent`.
const PACT: HeaderValue = HeaderValue::from_static(concat!("pact/", env!("CARGO_PKG_VERSION")));
/// A ping after this much silence, so that a dead journal's subscribers notice and go elsewhere.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long a ping may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the generated clients call over. Cheap to clone.
#[derive(Clone)]
pub struct Channel {
    requests: SendRequest<Unbroken>,
    origin: Uri,
}

impl Channel {
    /// Speaks HTTP/2 over a stream that is open. A task reads and writes until all clones are dropped.
    pub(super) async fn open(
        origin: &Uri,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> hyper::Result<Self> {
        let (requests, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection ended");
            }
        });
        Ok(Self { requests, origin: origin.clone() })
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.origin)
    }
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    /// Always: the call itself says why it failed, and the generated clients drop the reason of this.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        head.uri = absolute(&self.origin, head.uri);
        head.headers.insert(USER_AGENT, PACT);
        Box::pin(self.requests.send_request(Request::from_parts(head, Unbroken::new(body))))
    }
}

/// The address of the method: HTTP/2 sends scheme and authority with every request (RFC 9113, 8.3.1).
fn absolute(origin: &Uri, method: Uri) -> Uri {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = method.into_parts().path_and_query.or(Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).expect("scheme, authority and path are a URI")
}

/// A request's body that says with its last frame that it is the last. Otherwise the end of every unary request would be
/// a frame, a segment and a read of its own.
struct Unbroken {
    body: tonic::body::Body,
    /// A frame that was looked at too early.
    next: Option<Result<Frame<Bytes>, Status>>,
    ended: bool,
}

impl Unbroken {
    fn new(body: tonic::body::Body) -> Self {
        Self { body, next: None, ended: false }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.ended = true;
        }
        polled
    }
}

impl Body for Unbroken {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match self.next.take() {
            Some(frame) => Some(frame),
            None if self.ended => None,
            None => ready!(self.poll_body(cx)),
        };
        if frame.is_some() && !self.ended {
            // Pending: the body wakes the task, which is about to ask again.
            if let Poll::Ready(next) = self.poll_body(cx) {
                self.next = next;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, task::Waker};

    use super::*;

    /// Frames that come when they are asked for; `None` lets the asker wait once.
    struct Scripted(VecDeque<Option<&'static str>>);

    impl Body for Scripted {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match self.0.pop_front() {
                Some(Some(text)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))),
                Some(None) => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    /// Each frame with whether it said to be the last; `wait` for each time that there was none yet.
    fn asked(script: &[Option<&'static str>]) -> Vec<String> {
        let mut body = Unbroken::new(tonic::body::Body::new(Scripted(script.iter().copied().collect())));
        let mut cx = Context::from_waker(Waker::noop());
        let mut told = Vec::new();
        while !body.is_end_stream() {
            told.push(match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(Some(frame)) => {
                    String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap()
                }
                Poll::Ready(None) => "end".to_owned(),
                Poll::Pending => "wait".to_owned(),
            });
        }
        told
    }

    #[test]
    fn the_last_frame_of_a_unary_request_says_so() {
        assert_eq!(asked(&[Some("request")]), ["request"]);
        assert_eq!(asked(&[Some("one"), Some("two")]), ["one", "two"]);
    }

    #[test]
    fn a_stream_that_goes_on_is_not_ended() {
        assert_eq!(asked(&[Some("hello"), None, Some("goodbye")]), ["hello", "goodbye"]);
        assert_eq!(asked(&[None, Some("late"), None, None]), ["wait", "late", "wait", "end"]);
    }

    #[test]
    fn a_method_is_called_at_the_origin() {
        let origin = Uri::from_static("https://127.0.0.1:9443");
        let called = absolute(&origin, Uri::from_static("/pact.v1.EnrollmentService/Enroll"));
        assert_eq!(called.to_string(), "https://127.0.0.1:9443/pact.v1.EnrollmentService/Enroll");
    }
}
