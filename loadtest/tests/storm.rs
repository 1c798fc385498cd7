//! The real `pact-loadtest` with the real journal: a small storm, and what it leaves behind.
//!
//! The other binaries are looked for in `PACT_BIN_DIR`, or beside the one under test.

use std::{
    fs,
    process::{Command, Output},
};

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

fn is_empty(place: &TempDir) -> bool {
    fs::read_dir(place.path()).expect("it is ours").next().is_none()
}

#[test]
fn every_node_of_a_small_storm_comes_up_and_the_log_is_sound() {
    let place = tempfile::tempdir().unwrap();

    let output = storm(&place, &["--nodes", "40", "--concurrency", "20", "-o", "json"]);

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["nodes"], &told["succeeded"], &told["failed"]), (&40.into(), &40.into(), &0.into()));
    assert_eq!(told["log_verified"], true);
    assert!(told["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert!(is_empty(&place));
}

#[test]
fn for_people_it_ends_with_failed_0_and_log_verified() {
    let place = tempfile::tempdir().unwrap();
    let output = storm(&place, &["--nodes", "3"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.lines().any(|line| line == "failed 0"), "{stdout}");
    assert_eq!(stdout.lines().last(), Some("log verified"));
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
