//! The real `pact-loadtest` with the real journal: small storms, and what they leave behind.
//!
//! The other binaries are looked for in `PACT_BIN_DIR`, or beside the one under test.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use loadtest::{journal_process::JournalProcess, siblings};
use serde_json::Value;
use tempfile::TempDir;

/// Runs a storm whose temporary files lie in a directory of the test.
fn storm(place: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pact-loadtest"))
        .arg("storm")
        .args(arguments)
        .env("TMPDIR", place.path())
        .output()
        .expect("pact-loadtest is a program")
}

/// The document of a storm that went well.
fn told(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("stdout is one JSON document")
}

fn is_empty(place: &TempDir) -> bool {
    fs::read_dir(place.path()).expect("it is ours").next().is_none()
}

#[test]
fn every_node_of_a_small_storm_comes_up_and_the_log_is_sound() {
    let place = tempfile::tempdir().unwrap();

    let told = told(&storm(&place, &["--nodes", "40", "--concurrency", "20", "-o", "json"]));

    assert_eq!((&told["nodes"], &told["succeeded"], &told["failed"]), (&40.into(), &40.into(), &0.into()));
    assert_eq!(
        (&told["failures"], &told["log_verified"]),
        (&Value::Object([].into_iter().collect()), &true.into())
    );
    for measured in [
        "seconds",
        "nodes_per_second",
        "client_cpu_us_per_node",
        "crypto_floor_us_per_node",
        "raft_entries",
        "fsyncs",
    ] {
        assert!(told[measured].as_f64().is_some_and(|number| number > 0.0), "{measured}: {told}");
    }
    // The journal's processor time comes in ticks of 10 ms, and 40 nodes may take less.
    for measured in ["journal_cpu_us_per_node", "floor_ratio", "rss_per_subscription_bytes"] {
        assert!(told[measured].is_number(), "{measured}: {told}");
    }
    for quantile in ["p50", "p95", "p99", "max"] {
        assert!(told["latency_ms"][quantile].as_f64().unwrap() > 0.0, "{quantile}: {told}");
    }
    // Each enrollment is an append, and so is each confirmation, unless several are taken together.
    let appends = told["appends_per_entry"].as_f64().unwrap() * told["raft_entries"].as_f64().unwrap();
    assert!(appends > 40.0, "{told}");
    assert!(told["journal_rss_bytes"][0].as_u64().unwrap() > 1_000_000, "{told}");
    assert!(told["log_facts"].as_u64().unwrap() > 4 * 40, "registered, issued, confirmed, left: {told}");
    assert!(is_empty(&place));
}

#[test]
fn for_people_it_ends_with_failed_0_and_log_verified() {
    let place = tempfile::tempdir().unwrap();
    let output = storm(&place, &["--nodes", "3"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines.starts_with(&["nodes 3", "succeeded 3", "failed 0"]), "{stdout}");
    for begins in
        ["seconds ", "nodes/s ", "latency ms p50 ", "journal CPU ", "floor ratio ", "journal memory "]
    {
        assert!(lines.iter().any(|line| line.starts_with(begins)), "{begins}: {stdout}");
    }
    assert_eq!(lines.last(), Some(&"log verified"));
}

#[test]
fn a_warm_storm_boots_the_same_nodes_twice() {
    let place = tempfile::tempdir().unwrap();
    let told = told(&storm(&place, &["--nodes", "20", "--warm", "-o", "json"]));
    assert_eq!((&told["nodes"], &told["succeeded"], &told["failed"]), (&20.into(), &20.into(), &0.into()));
    // Registered once; issued, confirmed and left twice.
    assert!(told["log_facts"].as_u64().unwrap() > 7 * 20, "{told}");
}

#[test]
fn an_overload_is_a_second_storm_beside_the_first() {
    let place = tempfile::tempdir().unwrap();
    let arguments = ["--nodes", "30", "--concurrency", "5", "--overload", "4", "-o", "json"];
    let told = told(&storm(&place, &arguments));
    let overload = &told["overload"];
    assert_eq!((&overload["factor"], &overload["concurrency"]), (&4.into(), &20.into()));
    assert_eq!((&overload["succeeded"], &overload["failed"]), (&30.into(), &0.into()));
    assert!(overload["goodput_ratio"].is_number(), "{told}");
    assert!(told["log_facts"].as_u64().unwrap() > 2 * 4 * 30, "other nodes than before: {told}");
}

#[tokio::test]
async fn a_foreign_journal_is_loaded_measured_if_it_is_near_and_left_running() {
    let (place, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut journal = JournalProcess::start(theirs.path()).await.unwrap();
    let (ca, operator) =
        (theirs.path().join("j1/bootstrap/domain-ca.pem"), theirs.path().join("j1/bootstrap/operator.pem"));
    let (endpoint, agents) = (journal.operators.to_string(), journal.agents.to_string());
    let text = |path: &Path| path.display().to_string();
    let (ca, operator, data_dir) = (text(&ca), text(&operator), text(journal.data_dir()));
    let foreign =
        ["--nodes", "10", "--endpoint", &endpoint, "--ca", &ca, "--credential", &operator, "-o", "json"];

    let near = told(&storm(&place, &[&foreign[..], &["--data-dir", &data_dir]].concat()));
    // The same nodes again: they are registered already.
    let far = told(&storm(&place, &[&foreign[..], &["--agent-endpoint", &agents]].concat()));

    assert_eq!((&near["failed"], &near["log_verified"]), (&0.into(), &true.into()));
    assert!(near["raft_entries"].as_u64().unwrap() > 0, "{near}");
    assert_eq!((&far["succeeded"], &far["failed"]), (&10.into(), &0.into()));
    for unknown in
        ["journal_cpu_us_per_node", "floor_ratio", "raft_entries", "journal_rss_bytes", "log_verified"]
    {
        assert_eq!(far.get(unknown), None, "{unknown}");
    }
    assert!(is_empty(&place));
    journal.stop().await.expect("it still serves");
}

#[test]
fn more_nodes_than_open_files_are_refused_before_anything_begins() {
    let place = tempfile::tempdir().unwrap();
    let limited = format!("ulimit -n 600; exec {} storm --nodes 500", env!("CARGO_BIN_EXE_pact-loadtest"));
    let output = Command::new("bash").args(["-c", &limited]).env("TMPDIR", place.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("the limit is 600; boot fewer, or raise it with ulimit -Hn"), "{stderr}");
    assert!(is_empty(&place));
}

#[test]
fn without_the_journal_s_binary_the_usage_is_wrong_and_says_what_to_do() {
    let (place, nothing) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_pact-loadtest"))
        .args(["storm", "--nodes", "1"])
        .envs([("PACT_BIN_DIR", nothing.path()), ("TMPDIR", place.path())])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("there is no pact-journal in"), "{stderr}");
    assert!(stderr.contains("`make build` puts it there, or set PACT_BIN_DIR"), "{stderr}");
    assert!(is_empty(&place));
}

#[test]
fn the_other_binaries_are_found() {
    assert!(siblings::find("pact-journal").is_ok() && siblings::find("pact-replay").is_ok());
}
