//! A node where SPIRE runs, as far as its Workload API goes (R11): the real agent, a real journal, and [`Spire`].

use proto::pb::NodeState;
use rustix::process::Signal;

use super::{
    agent_process::{RunningAgent, assert_refused, ended, run_at},
    journal_under_test::JournalUnderTest,
    spire::{SPIFFE_ID, Spire},
};

async fn journal_with(spire: &Spire, more: &[&str]) -> JournalUnderTest {
    let flags = spire.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let journal = JournalUnderTest::start_with(&flags).await;
    journal.register("compute-042", 1).await;
    journal
}

fn agent(journal: &JournalUnderTest, endpoint: &str) -> RunningAgent {
    let mut command = run_at(journal, &journal.hardware(1));
    RunningAgent::start(
        command.env("SPIFFE_ENDPOINT_SOCKET", endpoint).arg("--state-dir").arg(journal.file("state")),
    )
}

async fn status(journal: &JournalUnderTest) -> serde_json::Value {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pact-agent"));
    let output =
        ended(command.args(["status", "-o", "json", "--state-dir"]).arg(journal.file("state"))).await;
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until the agent goes by the identity, or by its certificate (`None`).
async fn goes_by(agent: &mut RunningAgent, spiffe_id: Option<&str>) -> serde_json::Value {
    loop {
        let told = agent.tells("identity").await;
        if told["spiffe_id"].as_str() == spiffe_id {
            return told;
        }
    }
}

#[tokio::test]
async fn rule_11_spire_appears_late_rotates_and_goes_and_the_node_is_there_all_the_time() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    let mut agent = agent(&journal, &spire.endpoint());
    agent.tells("configured").await;
    let enrolled = journal.sees_that("compute-042", |node| node.confirmed).await;
    assert_eq!(status(&journal).await["identity"], "certificate");

    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let first = goes_by(&mut agent, Some(SPIFFE_ID)).await;
    journal.sees_that("compute-042", |node| node.spiffe_id.as_deref() == Some(SPIFFE_ID)).await;
    let told = status(&journal).await;
    assert_eq!((&told["identity"], &told["spiffe_id"]), (&"workload".into(), &SPIFFE_ID.into()));
    assert_eq!(told["phase"], "active");

    // Rotated: another end, the same name, and nothing is bound again.
    let bound = journal.sees("compute-042", NodeState::Active).await.version;
    spire.issues(SPIFFE_ID, time::Duration::seconds(24));
    let second = goes_by(&mut agent, Some(SPIFFE_ID)).await;
    assert_ne!(first["not_after"], second["not_after"]);

    // SPIRE goes: before the identity ends, the node has a certificate with another key.
    spire.goes();
    goes_by(&mut agent, None).await;
    let node = journal.sees_that("compute-042", |node| node.confirmed && node.version > bound).await;
    assert_ne!(node.certificate.unwrap().serial, enrolled.certificate.unwrap().serial);
    assert_eq!(node.state, i32::from(NodeState::Active));

    // And comes again.
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    goes_by(&mut agent, Some(SPIFFE_ID)).await;

    agent.signal(Signal::TERM);
    let output = agent.end().await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    journal.sees("compute-042", NodeState::Inactive).await;
}

#[tokio::test]
async fn rule_11_a_revoked_node_is_cut_on_its_workload_identity_and_ends_with_4() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let mut agent = agent(&journal, &spire.endpoint());
    goes_by(&mut agent, Some(SPIFFE_ID)).await;
    journal.revoke("compute-042").await;
    assert_refused(&agent.end().await, 4, "CERTIFICATE_REVOKED");
}

#[tokio::test]
async fn rule_20_the_enrollment_is_renewed_over_the_workload_identity_and_the_node_stays_with_that() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &["--certificate-ttl-secs", "30"]).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let mut agent = agent(&journal, &spire.endpoint());
    goes_by(&mut agent, Some(SPIFFE_ID)).await;
    for _ in 0..2 {
        agent.tells("renewed").await;
        agent.tells("subscribed").await;
        assert_eq!(status(&journal).await["identity"], "workload");
        let node = journal.sees_that("compute-042", |node| node.confirmed).await;
        assert_eq!(node.state, i32::from(NodeState::Active));
    }
}

#[tokio::test]
async fn rule_11_an_identity_that_proves_another_node_leaves_the_node_with_its_certificate() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    journal.register("compute-043", 2).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let mut first = agent(&journal, &spire.endpoint());
    goes_by(&mut first, Some(SPIFFE_ID)).await;
    let mut command = run_at(&journal, &journal.hardware(2));
    let mut second = RunningAgent::start(command.env("SPIFFE_ENDPOINT_SOCKET", spire.endpoint()));
    second.tells("configured").await;
    let node = journal.sees_that("compute-043", |node| node.confirmed).await;
    assert_eq!((node.state, node.spiffe_id), (i32::from(NodeState::Active), None));
    second.warns("WORKLOAD_IDENTITY_CONFLICT").await;
    second.signal(Signal::TERM);
    assert_eq!(second.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn rule_11_a_workload_api_that_is_absent_silent_or_nonsense_keeps_the_node_from_nothing() {
    let spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    let silent = spire.file("silent.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&silent).unwrap();
    let nonsense = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nonsense.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write;
        for stream in nonsense.incoming().flatten() {
            (&stream).write_all(&[0xff; 4096]).ok();
        }
    });
    for endpoint in [
        "unix:///no/such/socket".to_owned(),
        format!("unix://{}", silent.display()),
        format!("tcp://127.0.0.1:{port}"),
    ] {
        let mut agent = agent(&journal, &endpoint);
        agent.tells("configured").await;
        assert_eq!(status(&journal).await["identity"], "certificate", "{endpoint}");
        agent.signal(Signal::TERM);
        assert_eq!(agent.end().await.status.code(), Some(0), "{endpoint}");
    }
}

#[tokio::test]
async fn rule_11_a_workload_api_is_spoken_to_over_tcp_too() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    spire.comes_at(&endpoint, |python| std::process::Command::new(python));
    let mut agent = agent(&journal, &endpoint);
    goes_by(&mut agent, Some(SPIFFE_ID)).await;
}
