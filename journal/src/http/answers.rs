//! What is asked, and the answer: three paths, two methods, no state of its own.
//!
//! **Invariant:** whether the journal lives and is ready is answered without waiting for anything.

use std::convert::Infallible;
use std::sync::OnceLock;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::log::Log;
use crate::metrics::{self, Scraper};

use super::readiness::{Condition, Readiness};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// What is answered is true for a moment only.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const READING: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// What the answers are made of.
#[derive(Default)]
pub(super) struct Sources {
    pub readiness: Readiness,
    /// None while the log is not open.
    pub scraper: OnceLock<Scraper>,
    /// The same.
    pub log: OnceLock<Log>,
}

impl Sources {
    fn condition(&self) -> Condition {
        let condition = self.readiness.condition();
        self.log.get().map_or(condition, |log| condition.amid(log.fitness()))
    }
}

/// What somebody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Alive,
    Ready,
    Metrics,
    /// There is no such path.
    Nothing,
    /// There is, but it is for reading.
    Change,
}

impl Asked {
    fn of(method: &Method, path: &str) -> Self {
        let asked = match path {
            "/livez" => Self::Alive,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            _ => return Self::Nothing,
        };
        // What HEAD leaves out is hyper's business.
        if method == Method::GET || method == Method::HEAD { asked } else { Self::Change }
    }
}

/// Answers a request. Its body is not read.
pub(super) async fn answer<B>(
    request: Request<B>,
    sources: &Sources,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let asked = Asked::of(request.method(), request.uri().path());
    Ok(match asked {
        Asked::Alive => said(StatusCode::OK, "alive"),
        Asked::Ready => ready(sources.condition()),
        Asked::Metrics => response(StatusCode::OK, PROMETHEUS, text(sources.scraper.get()).await),
        Asked::Nothing => said(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics"),
        Asked::Change => {
            let mut refused = said(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            refused.headers_mut().insert(ALLOW, READING);
            refused
        }
    })
}

fn ready(condition: Condition) -> Response<Full<Bytes>> {
    let ready = condition == Condition::Ready;
    said(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, condition.as_str())
}

async fn text(scraper: Option<&Scraper>) -> String {
    match scraper {
        Some(scraper) => scraper.text().await,
        None => metrics::text(),
    }
}

fn said(status: StatusCode, line: &str) -> Response<Full<Bytes>> {
    response(status, TEXT, format!("{line}\n"))
}

fn response(status: StatusCode, content_type: HeaderValue, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_paths_are_answered_and_only_read() {
        for (method, path, asked) in [
            (Method::GET, "/livez", Asked::Alive),
            (Method::HEAD, "/readyz", Asked::Ready),
            (Method::GET, "/metrics", Asked::Metrics),
            (Method::POST, "/metrics", Asked::Change),
            (Method::OPTIONS, "/livez", Asked::Change),
            (Method::GET, "/", Asked::Nothing),
            (Method::GET, "/metrics/", Asked::Nothing),
            (Method::GET, "/livez/../metrics", Asked::Nothing),
            (Method::DELETE, "/nodes", Asked::Nothing),
        ] {
            assert_eq!(Asked::of(&method, path), asked, "{method} {path}");
        }
    }

    #[test]
    fn whoever_is_not_ready_is_unavailable() {
        assert_eq!(ready(Condition::Ready).status(), StatusCode::OK);
        for condition in [
            Condition::Starting,
            Condition::Stopping,
            Condition::LogUnwritable,
            Condition::AuthorityStuck,
            Condition::Stale,
            Condition::ClockSkewed,
        ] {
            assert_eq!(ready(condition).status(), StatusCode::SERVICE_UNAVAILABLE, "{}", condition.as_str());
        }
    }
}
