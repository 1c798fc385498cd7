//! What the journal counts itself, read from its `/metrics`: one plain HTTP request, one text.
//!
//! [`crate::storm`] reads the counters of the log before and after a storm, [`crate::chaos`] looks who leads.
//!
//! Not here, on purpose: what a metric means, and HTTP beyond one answer that ends with the
//! connection.

use std::{io, net::SocketAddr, time::Duration};

use proto::outcome::Failure;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};

/// It must be answered also in a storm; this is far beyond.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// No answer is longer: there is no metric for each node.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;

/// The counters of a journal's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCounters {
    /// Raft entries written.
    pub entries: u64,
    /// Appends in them.
    pub appends: u64,
    /// Syncs of the disk.
    pub fsyncs: u64,
}

impl LogCounters {
    /// Reads them from a journal's HTTP listener.
    ///
    /// # Errors
    /// If it does not answer, or lacks one of them.
    pub async fn read(http: SocketAddr) -> Result<Self, Failure> {
        let failed = |why: String| Failure::other(format!("http://{http}/metrics: {why}"));
        let answer = time::timeout(ANSWERED_WITHIN, get(http, "/metrics"))
            .await
            .map_err(|_| failed("no answer in time".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        let text = body(&answer).ok_or_else(|| failed("it is not answered with 200".to_owned()))?;
        Self::parse(&text).map_err(|missing| failed(format!("there is no {missing}")))
    }

    /// An error is the name of the metric that is missing.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let count = |name: &'static str| counter(text, name).ok_or(name);
        Ok(Self {
            entries: count("pact_log_entries_total")?,
            appends: count("pact_log_appends_total")?,
            fsyncs: count("pact_log_fsync_seconds_count")?,
        })
    }

    /// What two journals counted together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            appends: self.appends + other.appends,
            fsyncs: self.fsyncs + other.fsyncs,
        }
    }

    /// What was counted since another reading.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            entries: self.entries.saturating_sub(before.entries),
            appends: self.appends.saturating_sub(before.appends),
            fsyncs: self.fsyncs.saturating_sub(before.fsyncs),
        }
    }
}

/// All metrics of a journal, as text.
///
/// # Errors
/// If it does not answer with them. It is waited for without an end.
pub async fn text(http: SocketAddr) -> io::Result<String> {
    let answer = get(http, "/metrics").await?;
    body(&answer).ok_or_else(|| io::Error::other("it is not answered with 200"))
}

/// Whether a journal says that it is ready.
///
/// # Errors
/// If it does not answer. It is waited for without an end.
pub async fn readiness(http: SocketAddr) -> io::Result<bool> {
    Ok(get(http, "/readyz").await?.split(' ').nth(1) == Some("200"))
}

/// A whole number in the text of all metrics; of a name with labels the sum.
pub fn value(text: &str, name: &str) -> Option<u64> {
    counter(text, name)
}

async fn get(http: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(http).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    String::from_utf8(answer).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text"))
}

/// What follows the head of an answer 200. Chunks, if it comes in chunks, stay in it: their sizes are lines of their
/// own, unless one splits a line, so that they are taken out.
fn body(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?;
    if status != "200" {
        return None;
    }
    let chunked = lines.any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("transfer-encoding:") && line.contains("chunked")
    });
    if chunked { joined(body) } else { Some(body.to_owned()) }
}

/// Chunks put together (RFC 9112, 7.1).
fn joined(mut chunks: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(text);
        }
        text.push_str(rest.get(..size)?);
        chunks = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// The sum of all series of one name, as Prometheus writes them; none if there is no such name.
fn counter(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split_ascii_whitespace().next()?.parse::<f64>().ok()
    });
    // Counters are whole numbers; as floating-point text they are exact up to 2^53.
    let sum = values.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value))?;
    (sum >= 0.0 && sum.is_finite()).then_some(sum as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    use super::*;

    const METRICS: &str = "# HELP pact_log_entries_total Raft entries.\n# TYPE pact_log_entries_total counter\n\
        pact_log_entries_total 12\n\npact_log_appends_total{kind=\"a}b\"} 100\npact_log_appends_total{kind=\"b\"} 50\n\
        pact_log_fsync_seconds_bucket{le=\"+Inf\"} 13\npact_log_fsync_seconds_sum 0.5\npact_log_fsync_seconds_count 13\n";

    /// Answers one request, and says what was asked.
    async fn answers(answer: String) -> (SocketAddr, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1024];
            let read = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        (address, asked)
    }

    #[tokio::test]
    async fn the_counters_of_the_log_are_read() {
        let (http, asked) = answers(format!("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{METRICS}")).await;
        let counters = LogCounters::read(http).await.unwrap();
        assert_eq!(counters, LogCounters { entries: 12, appends: 150, fsyncs: 13 });
        assert!(asked.await.unwrap().starts_with("GET /metrics HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn chunks_are_put_together() {
        let (one, two) = METRICS.split_at(200);
        let chunks = format!("{:x}\r\n{one}\r\n{:X};x=y\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
        let (http, _) =
            answers(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")).await;
        assert_eq!(LogCounters::read(http).await.unwrap().entries, 12);
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let (http, _) = answers("HTTP/1.1 200 OK\r\n\r\npact_log_entries_total 1\n".to_owned()).await;
        let told = LogCounters::read(http).await.unwrap_err().to_string();
        assert_eq!(told, format!("http://{http}/metrics: there is no pact_log_appends_total"));
        let (http, _) = answers("HTTP/1.1 503 No\r\n\r\n".to_owned()).await;
        assert!(LogCounters::read(http).await.is_err());
    }

    #[test]
    fn what_came_between_two_readings_is_counted() {
        let (before, after) = (
            LogCounters { entries: 1, appends: 10, fsyncs: 2 },
            LogCounters { entries: 4, appends: 300, fsyncs: 6 },
        );
        assert_eq!(after.since(before), LogCounters { entries: 3, appends: 290, fsyncs: 4 });
    }

    proptest! {
        #[test]
        fn no_answer_makes_reading_panic(answer in ".{0,200}", size in "[0-9a-f]{0,17}") {
            body(&answer);
            counter(&answer, "a");
            body(&format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{size}\r\n{answer}"));
        }
    }
}
