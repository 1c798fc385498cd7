//! The listener for probes and metrics: when the journal is ready, what it tells, and that nobody can hinder it.

pub mod client;
mod hostile;
mod metrics;

use std::net::TcpListener;
use std::time::{Duration, Instant};
use std::{fs, io};

use proto::outcome::Exit;

use crate::journal_process::{DataDirectory, Journal, READY, free_port, shared};

use client::ask;
pub use client::get;
pub use metrics::metric;

/// A start and a stop take some ten milliseconds each; a busy machine may look only afterwards.
const ROUNDS: usize = 20;

/// Looks for at most this long.
const SOON: Duration = Duration::from_secs(20);

/// What `/readyz` said, one after the other, without repetitions.
#[derive(Default)]
struct Said(Vec<(u16, String)>);

impl Said {
    /// Asks until there is an answer for which `is_last` holds, or nobody answers.
    fn listen(&mut self, port: u16, is_last: impl Fn(io::Result<u16>) -> bool) {
        let deadline = Instant::now() + READY;
        loop {
            let answer = get(([127, 0, 0, 1], port).into(), "/readyz");
            if let Ok(answer) = &answer
                && self.0.last().is_none_or(|(status, _)| *status != answer.status)
            {
                self.0.push((answer.status, answer.body.clone()));
            }
            if is_last(answer.map(|answer| answer.status)) {
                return;
            }
            assert!(Instant::now() < deadline, "{:?}", self.0);
        }
    }
}

#[test]
fn a_journal_is_ready_after_its_start_and_before_its_stop_only() {
    let dir = DataDirectory::init("test");
    let port = free_port().port();
    dir.configure("http_listen", format!("\"127.0.0.1:{port}\""));
    let mut journal = Journal::serve(dir);
    let endpoints = journal.dir.path().join("endpoints.json");
    let (mut saw_start, mut saw_stop) = (false, false);
    for _ in 0..ROUNDS {
        let mut stop = Said::default();
        let stopped = journal.terminate_and(|| stop.listen(port, |answer| answer.is_err()));
        assert_eq!(stopped, Some(0));
        let mut start = Said::default();
        journal.start_again_and(|| {
            start.listen(port, |answer| answer.is_ok_and(|status| status == 200));
            assert!(endpoints.exists(), "who is ready has said where it listens");
        });

        let (ready, starting, stopping) =
            ((200, "ready\n".to_owned()), (503, "starting\n".to_owned()), (503, "stopping\n".to_owned()));
        assert!(
            [&[ready.clone()][..], &[starting.clone(), ready.clone()]].contains(&&start.0[..]),
            "{:?}",
            start.0
        );
        assert!(stop.0.iter().all(|said| [&ready, &stopping].contains(&said)), "{:?}", stop.0);
        assert!(stop.0.iter().skip(1).all(|said| *said == stopping), "never ready again: {:?}", stop.0);
        saw_start |= start.0.contains(&starting);
        saw_stop |= stop.0.contains(&stopping);
        if saw_start && saw_stop {
            return;
        }
    }
    panic!("in {ROUNDS} rounds nobody said that it starts ({saw_start}) and that it stops ({saw_stop})");
}

#[test]
fn endpoints_json_tells_where_probes_are_answered() {
    let journal = shared();
    let text = fs::read_to_string(journal.dir.path().join("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(endpoints["http"], journal.probes_address().to_string());
    let answer = get(journal.probes_address(), "/livez").unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "alive\n"));
}

#[test]
fn other_paths_are_not_found_and_other_methods_not_allowed() {
    let journal = shared();
    let status = |method: &str, path: &str| ask(journal.probes_address(), method, path).unwrap().status;
    for path in ["/", "/livez/", "/metrics/x", "/../etc/passwd", "/LIVEZ"] {
        assert_eq!(status("GET", path), 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        assert_eq!(status(method, "/metrics"), 405, "{method}");
    }
    assert_eq!(status("GET", "/readyz?verbose"), 200);
    let head = ask(journal.probes_address(), "HEAD", "/metrics").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn a_port_in_use_is_refused_before_anything_is_changed() {
    let dir = DataDirectory::init("test");
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    dir.configure("http_listen", format!("\"{address}\""));
    let before = dir.snapshot();
    let (exit, told) = dir.refused();
    assert_eq!(exit, Exit::Failed as i32, "{told}");
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: LISTEN_FAILED: ") && last.contains(&address.to_string()), "{told}");
    assert_eq!(dir.snapshot(), before);
}
