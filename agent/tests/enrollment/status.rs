//! `pact-agent status` of an agent that runs.

use std::{os::unix::fs::PermissionsExt, path::Path, process::Output};

use rustix::process::Signal;
use tokio::process::Command;

use super::{
    agent_process::{RunningAgent, assert_refused, run_at},
    boot_config::set,
    journal_under_test::JournalUnderTest,
    services::overlay,
};

fn asked(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pact-agent"));
    command.args(["status", "-o", "json", "--state-dir"]).arg(state);
    command
}

/// How it is with the agent of a state directory.
pub async fn status(state: &Path) -> serde_json::Value {
    let Output { status, stdout, stderr } = asked(state).output().await.expect("it is a program");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).expect("it is a document")
}

#[tokio::test]
async fn a_running_agent_says_how_it_is_and_one_that_is_gone_does_not() {
    // given
    let journal = JournalUnderTest::start().await;
    let state = journal.file("state");
    let services = overlay(&[("a", "exec sleep 1000", ""), ("b", "exit 3", "restart = \"never\"")]);
    set(&journal, "ml", &services).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut command = run_at(&journal, &journal.hardware(1));
    let mut agent = RunningAgent::start(command.arg("--services").arg("--state-dir").arg(&state));
    let enrolled = agent.tells("enrolled").await;
    let configured = agent.tells("configured").await;
    let exited = agent.tells("service-exited").await;
    assert_eq!((&exited["exit"]["code"], &exited["restart_in_ms"]), (&3.into(), &serde_json::Value::Null));

    // when
    let told = status(&state).await;

    // then
    assert_eq!(told["phase"], "active");
    for field in ["node_id", "domain_id", "serial", "not_after", "renew_after", "journal"] {
        assert_eq!(told[field], enrolled[field], "{field}");
    }
    assert_eq!((&told["vcluster"], &told["overlay_sha256"]), (&"ml".into(), &configured["overlay_sha256"]));
    let service = |at: usize, field: &str| told["services"][at][field].clone();
    assert_eq!((service(0, "name"), service(0, "state")), ("a".into(), "running".into()));
    assert_eq!((service(1, "name"), service(1, "state")), ("b".into(), "ended".into()));
    assert_eq!(service(1, "last_exit")["code"], 3);
    let mode = std::fs::metadata(state.join("agent.sock")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    agent.signal(Signal::TERM);
    agent.end().await;
    assert_refused(&asked(&state).output().await.unwrap(), 3, "UNREACHABLE");
}

#[tokio::test]
async fn an_overlay_whose_services_cannot_be_read_is_told() {
    let journal = JournalUnderTest::start().await;
    let state = journal.file("state");
    set(&journal, "ml", b"pact_services = 1\n[[service]]\nnaem = \"a\"\n").await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut command = run_at(&journal, &journal.hardware(1));
    let mut agent = RunningAgent::start(command.arg("--services").arg("--state-dir").arg(&state));
    agent.tells("configured").await;
    let told = status(&state).await;
    assert_eq!(
        (&told["phase"], &told["last_failure"]["reason"]),
        (&"active".into(), &"SERVICES_INVALID".into())
    );
    assert_eq!(told["last_failure"]["message"], "line 3: unknown field `naem`");
}
