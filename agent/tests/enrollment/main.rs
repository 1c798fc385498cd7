//! The real agent against a real journal: what the user is promised of `pact-agent run`.

mod agent_process;
mod bad_journals;
mod boot_config;
mod bootstrap;
mod config_file;
mod degraded;
mod diskless;
mod first_process;
mod hardened;
mod journal_under_test;
mod probed;
mod renewal;
mod services;
#[cfg(test)]
mod spire;
mod status;
mod two_machines;
#[cfg(test)]
mod warm_reboot;
#[cfg(test)]
mod workload;

use std::{fs, process::Command};

use agent_process::{RunningAgent, assert_refused, ended, run, run_at};
use journal_under_test::JournalUnderTest;
use proto::pb::NodeState;
use rustix::process::Signal;

#[tokio::test]
async fn once_prints_a_certificate_that_openssl_accepts_and_leaves_the_node_inactive() {
    // given
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;

    // when
    let output = ended(run_at(&journal, &journal.hardware(1)).arg("--once")).await;

    // then
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["node_id"], &told["domain_id"]), (&"compute-042".into(), &"test".into()));
    assert_eq!(told["journal"], journal.agents);
    let [leaf, chain] = ["certificate_pem", "ca_chain_pem"].map(|field| {
        let path = journal.file(field);
        fs::write(&path, told[field].as_str().unwrap()).unwrap();
        path
    });
    let openssl = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"])
        .args([&chain, &leaf])
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{}", String::from_utf8_lossy(&openssl.stderr));

    let node = journal.sees("compute-042", NodeState::Inactive).await;
    assert_eq!(node.certificate.map(|certificate| certificate.serial).as_deref(), told["serial"].as_str());
}

#[tokio::test]
async fn hardware_that_nobody_registered_is_told_so() {
    let journal = JournalUnderTest::start().await;
    let output = ended(run_at(&journal, &journal.hardware(1)).arg("--once")).await;
    assert_refused(&output, 1, "NODE_NOT_ENROLLED");
}

#[tokio::test]
async fn rule_14_a_second_machine_with_the_same_hardware_is_refused_while_the_first_is_active() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let mut first = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    first.tells("subscribed").await;

    let second = ended(run_at(&journal, &journal.hardware(1)).arg("--once")).await;

    assert_refused(&second, 1, "ALREADY_ACTIVE");
}

#[tokio::test]
async fn a_journal_of_another_domain_is_not_trusted() {
    let journal = JournalUnderTest::start().await;
    let other = journal.file("other-ca.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(&other, rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()).unwrap();

    let mut command = run();
    command.args(["--once", "-o", "json", "--journal", &journal.agents, "--ca"]).arg(&other);
    let output = ended(command.arg("--hardware").arg(journal.hardware(1))).await;

    assert_refused(&output, 3, "SERVER_NOT_TRUSTED");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("its certificate is not signed by the domain CA given with --ca"), "{stderr}");
}

#[tokio::test]
async fn sigterm_is_a_goodbye_and_the_node_is_inactive() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    let enrolled = agent.tells("enrolled").await;
    // The last that it tells before it only listens.
    agent.tells("configured").await;
    journal.sees_that("compute-042", |node| node.state() == NodeState::Active && node.confirmed).await;
    assert_eq!(enrolled["node_id"], "compute-042");

    agent.signal(Signal::TERM);

    let output = agent.end().await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let last: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&last["change"], &last["goodbye"]), (&"stopped".into(), &true.into()));
    journal.sees("compute-042", NodeState::Inactive).await;
}

#[tokio::test]
async fn rule_17_a_revoked_agent_is_cut_and_ends_with_4() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    agent.tells("subscribed").await;

    journal.revoke("compute-042").await;

    assert_refused(&agent.end().await, 4, "CERTIFICATE_REVOKED");
}

#[tokio::test]
async fn without_a_journal_once_ends_in_time() {
    // given: a port at which nobody listens any more
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let [ca, hardware] = ["ca.pem", "node.json"].map(|name| directory.path().join(name));
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(&ca, rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&hardware, r#"{"macs":["02:00:00:00:00:01"],"bmc_serial":null,"uuid":null}"#).unwrap();

    // when
    let mut command = run();
    command.env("PACT_JOURNALS", format!("https://127.0.0.1:{port}")).env("PACT_CA", &ca);
    let output =
        ended(command.args(["--once", "--timeout", "1s", "-o", "json", "--hardware"]).arg(&hardware)).await;

    // then
    assert_refused(&output, 3, "UNREACHABLE");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&format!("no journal answers at https://127.0.0.1:{port}")), "{stderr}");
}

#[tokio::test]
async fn a_hardware_file_that_is_wrong_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let [ca, hardware] = ["ca.pem", "node.json"].map(|name| directory.path().join(name));
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(&ca, rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&hardware, r#"{"macs":["02:00:00:00:00:01"],"serial":"SN1"}"#).unwrap();

    let mut command = run();
    command.args(["--once", "-o", "json", "--journal", "https://127.0.0.1:9443", "--ca"]).arg(&ca);
    let output = ended(command.arg("--hardware").arg(&hardware)).await;

    assert_refused(&output, 2, "USAGE");
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown field `serial`"));
}
