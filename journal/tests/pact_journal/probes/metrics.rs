//! What `/metrics` tells: sound for Prometheus, complete, true, and without any name or secret.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use events::vocabulary::CertificateHash;
use proto::channel::ConnectionRefusal;
use proto::reason::Reason;

use crate::calls::{credential, reason, turned_away};
use crate::journal_process::{DataDirectory, Journal, shared, until};
use crate::openssl::judge;
use crate::request::Machine;

use super::SOON;
use super::client::get;

/// Every metric of a journal alone.
const NAMES: [&str; 18] = [
    "pact_enroll_requests_total",
    "pact_enroll_stage_seconds",
    "pact_tls_handshakes_total",
    "pact_nodes",
    "pact_subscriptions",
    "pact_queue_depth",
    "pact_log_appends_total",
    "pact_log_entries_total",
    "pact_log_fsync_seconds",
    "pact_log_last_seq",
    "pact_authority_not_after_timestamp_seconds",
    "pact_revocations",
    "pact_contested_total",
    "pact_raft_is_leader",
    "pact_raft_term",
    "pact_raft_applied_index",
    "pact_certificates_expiring",
    "pact_server_certificate_not_after_timestamp_seconds",
];

/// One scrape.
struct Scrape(String);

impl Scrape {
    fn of(journal: &Journal) -> Self {
        let answer = get(journal.probes_address(), "/metrics").unwrap();
        assert_eq!(answer.status, 200);
        Self(answer.body)
    }

    /// The value of a series, as it stands in the text.
    fn value(&self, series: &str) -> f64 {
        let found = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{series} in\n{}", self.0))
    }
}

/// The value of a series without labels.
pub fn metric(journal: &Journal, name: &str) -> f64 {
    Scrape::of(journal).value(name)
}

/// Scrapes until a series has a value: what hangs on the end of a connection takes a moment, and nodes are counted once
/// a second.
async fn becomes(journal: &Journal, series: &str, value: f64) {
    let look = async || (Scrape::of(journal).value(series) == value).then_some(());
    until(&format!("{series} {value}"), SOON, look).await;
}

#[test]
fn promtool_finds_nothing_and_every_metric_is_there() {
    let Scrape(text) = Scrape::of(&shared());
    for name in NAMES {
        for line in [format!("# HELP {name} "), format!("# TYPE {name} ")] {
            assert_eq!(text.lines().filter(|found| found.starts_with(&line)).count(), 1, "{line}");
        }
    }
    let described = text.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(described, NAMES.len(), "each is in the list above: {text}");

    let mut promtool = Command::new(judge("promtool"));
    let promtool = promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let judged = promtool.wait_with_output().unwrap();
    assert!(judged.status.success() && judged.stdout.is_empty() && judged.stderr.is_empty(), "{judged:?}");
}

#[tokio::test]
async fn an_enrollment_is_seen_from_the_handshake_to_the_log() {
    let dir = DataDirectory::init("test");
    dir.configure("certificate_ttl_secs", 1800);
    let journal = Journal::serve(dir);
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let (machine, stranger) = (Machine::registered(&operator).await, Machine::new());
    let before = Scrape::of(&journal);

    let issued = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    assert_eq!(reason(agent.enroll(&stranger.hardware, &stranger.csr()).await), Reason::NodeNotEnrolled);
    let own = journal.agent(Some(&credential(&issued, &machine.key))).await.unwrap();
    let subscription = own.subscribe().await.unwrap();

    becomes(&journal, "pact_nodes{state=\"active\"}", 1.0).await;
    let after = Scrape::of(&journal);
    for (series, value) in [
        ("pact_enroll_requests_total{result=\"issued\",reason=\"none\"}", 1.0),
        ("pact_enroll_requests_total{result=\"refused\",reason=\"NODE_NOT_ENROLLED\"}", 1.0),
        ("pact_enroll_requests_total{result=\"failed\",reason=\"none\"}", 0.0),
        ("pact_enroll_requests_total{result=\"abandoned\",reason=\"none\"}", 0.0),
        ("pact_enroll_stage_seconds_count{stage=\"gate\"}", 2.0),
        ("pact_enroll_stage_seconds_count{stage=\"queue\"}", 1.0),
        ("pact_enroll_stage_seconds_count{stage=\"sign\"}", 1.0),
        ("pact_enroll_stage_seconds_count{stage=\"commit\"}", 1.0),
        ("pact_enroll_stage_seconds_count{stage=\"total\"}", 2.0),
        ("pact_tls_handshakes_total{client=\"none\",result=\"ok\"}", 1.0),
        ("pact_tls_handshakes_total{client=\"node\",result=\"ok\"}", 1.0),
        ("pact_tls_handshakes_total{client=\"operator\",result=\"ok\"}", 1.0),
        ("pact_nodes{state=\"registered\"}", 0.0),
        ("pact_certificates_expiring{within=\"1h\"}", 1.0),
        ("pact_certificates_expiring{within=\"1d\"}", 1.0),
        ("pact_subscriptions", 1.0),
        ("pact_queue_depth", 0.0),
        ("pact_raft_is_leader", 1.0),
        ("pact_log_last_seq", operator.list().await.unwrap().seq as f64),
    ] {
        assert_eq!(after.value(series), value, "{series}");
    }
    let grew = |series: &str| after.value(series) - before.value(series);
    // The certificate, and its confirmation.
    assert_eq!(grew("pact_log_appends_total"), 2.0);
    assert_eq!(grew("pact_log_entries_total"), 2.0);
    assert_eq!(grew("pact_raft_applied_index"), 2.0);
    assert_eq!(grew("pact_log_fsync_seconds_count"), 2.0, "one sync an entry");

    subscription.goodbye().await;
    becomes(&journal, "pact_subscriptions", 0.0).await;
    becomes(&journal, "pact_nodes{state=\"inactive\"}", 1.0).await;
    becomes(&journal, "pact_certificates_expiring{within=\"1h\"}", 0.0).await;
    no_name_is_told(&journal, &machine, &issued);
}

/// Nothing that tells nodes apart is a label.
fn no_name_is_told(journal: &Journal, machine: &Machine, issued: &proto::pb::EnrollResponse) {
    let Scrape(text) = Scrape::of(journal);
    let hash = CertificateHash::of(&issued.certificate).to_string();
    for told in [&machine.node_id, &machine.hardware.mac_addresses[0], &issued.serial, &hash] {
        assert!(!text.contains(told.as_str()), "{told} in\n{text}");
    }
}

#[tokio::test]
async fn refused_certificates_and_revocations_are_counted() {
    let journal = Journal::start();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::registered(&operator).await;
    let issued = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    operator.revoke(&machine.node_id).await.unwrap();
    let opened = journal.agent(Some(&credential(&issued, &machine.key))).await;
    let refused = turned_away(opened.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await;
    assert_eq!(refused, Some(ConnectionRefusal::Revoked));
    becomes(&journal, "pact_tls_handshakes_total{client=\"none\",result=\"revoked\"}", 1.0).await;
    becomes(&journal, "pact_revocations", 1.0).await;
    becomes(&journal, "pact_nodes{state=\"revoked\"}", 1.0).await;

    let agents = journal.agents_address();
    let mut plain = TcpStream::connect((agents.host(), agents.port())).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    becomes(&journal, "pact_tls_handshakes_total{client=\"none\",result=\"failed\"}", 1.0).await;
}
