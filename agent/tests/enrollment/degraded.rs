//! An agent without a journal goes by what it had, and comes back by itself.

use std::fs;

use rustix::process::Signal;
use tokio::time::Instant;

use super::{
    agent_process::{RunningAgent, run_at},
    boot_config::set,
    journal_under_test::{JournalUnderTest, PATIENCE},
    services::overlay,
    status::status,
};

#[tokio::test]
async fn a_restart_without_any_journal_goes_on_with_the_last_boot_configuration() {
    // given: an agent that has gone as in a power cut, and so has its journal
    let grace = ["--grace-period-secs", "1"];
    let mut journal = JournalUnderTest::start_with(&grace).await;
    let state = journal.file("state");
    set(&journal, "ml", &overlay(&[("a", "exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut command = run_at(&journal, &journal.hardware(1));
    command.arg("--services").arg("--state-dir").arg(&state);
    let mut agent = RunningAgent::start(&mut command);
    let configured = agent.tells("configured").await;
    agent.tells("service-started").await;
    agent.signal(Signal::KILL);
    agent.end().await;
    journal.kill();

    // when
    let mut agent = RunningAgent::start(&mut command);

    // then
    let degraded = agent.tells("degraded").await;
    for field in ["vcluster", "revision", "overlay_sha256"] {
        assert_eq!(degraded[field], configured[field], "{field}");
    }
    let started = agent.tells("service-started").await;
    let told = status(&state).await;
    assert_eq!((&told["phase"], &told["node_id"]), (&"degraded".into(), &"compute-042".into()));
    assert_eq!((&told["serial"], &told["vcluster"]), (&serde_json::Value::Null, &"ml".into()));
    assert_eq!(told["last_failure"]["reason"], "UNREACHABLE");

    // and once there is a journal, the service goes on as it is
    journal.serve_again(&grace).await;
    agent.tells("enrolled").await;
    agent.tells("configured").await;
    let told = status(&state).await;
    assert_eq!((&told["phase"], &told["services"][0]["pid"]), (&"active".into(), &started["pid"]));
    assert!(!fs::read(state.join("boot-config")).unwrap().windows(11).any(|bytes| bytes == b"PRIVATE KEY"));
}

#[tokio::test]
async fn a_damaged_cache_is_not_used() {
    let mut journal = JournalUnderTest::start().await;
    let state = journal.file("state");
    set(&journal, "ml", b"an overlay").await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut command = run_at(&journal, &journal.hardware(1));
    command.arg("--state-dir").arg(&state);
    let mut agent = RunningAgent::start(&mut command);
    agent.tells("subscribed").await;
    agent.tells("configured").await;
    agent.signal(Signal::TERM);
    agent.end().await;
    let kept = state.join("boot-config");
    let mut bytes = fs::read(&kept).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&kept, bytes).unwrap();
    journal.kill();

    let agent = RunningAgent::start(&mut command);

    let deadline = Instant::now() + PATIENCE;
    while !state.join("agent.sock").exists() || status(&state).await["last_failure"].is_null() {
        assert!(Instant::now() < deadline, "it never failed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(status(&state).await["phase"], "enrolling");
    agent.signal(Signal::TERM);
    let output = agent.end().await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("its checksum is wrong: it was damaged"), "{stderr}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("degraded"));
}

#[tokio::test]
async fn rule_20_an_agent_whose_certificate_ended_without_a_journal_works_on_and_comes_back() {
    // given: certificates for 30 s
    let flags = ["--certificate-ttl-secs", "30", "--grace-period-secs", "1"];
    let mut journal = JournalUnderTest::start_with(&flags).await;
    set(&journal, "ml", &overlay(&[("a", "exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut agent = RunningAgent::start(run_at(&journal, &journal.hardware(1)).arg("--services"));
    let first = agent.tells("enrolled").await;
    agent.tells("service-started").await;

    // when
    journal.kill();
    let degraded = agent.tells("degraded").await;
    assert!(degraded["time"].as_str() >= first["not_after"].as_str(), "{degraded}");
    journal.serve_again(&flags).await;

    // then
    let second = agent.tells("enrolled").await;
    assert_ne!(first["serial"], second["serial"]);
    agent.tells("configured").await;
    agent.signal(Signal::TERM);
    let told = String::from_utf8(agent.end().await.stdout).unwrap();
    // It was the same service all the time.
    assert_eq!(told.matches("service-started").count(), 0, "{told}");
    assert!(told.contains(r#""goodbye":true"#), "{told}");
}
