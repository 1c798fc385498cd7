//! The real binary: exit codes, JSON, and what it prints for people.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::story::sound;
use crate::written_log::{files, put, value};

pub fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pact-replay")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_sound_log_ends_with_log_verified_and_exit_code_0() {
    let log = sound().close();
    let output = run(&["verify", path(log.path())]);
    assert_eq!(code(&output), 0, "{output:?}");
    let printed = text(&output.stdout);
    assert_eq!(printed.lines().last(), Some("log verified"));
    assert_eq!(printed.lines().next(), Some("facts       10"));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn verify_prints_one_json_document() {
    let log = sound().close();
    let report = json(&run(&["verify", path(log.path()), "-o", "json"]));
    assert_eq!((&report["ok"], &report["facts"]), (&Value::Bool(true), &Value::from(10)));
    assert_eq!(report["head"].as_str().map(str::len), Some(64));
    assert!(report["seconds"].is_f64());
    assert_eq!(report["violations"], Value::Array(vec![]));
}

#[test]
fn a_violation_is_exit_code_5_and_named_in_both_outputs() {
    let log = sound().close();
    let store = log.reopen();
    let mut changed = value(&store, 10);
    changed[0] ^= 1;
    put(&store, 10, &changed);
    drop(store);
    let table = run(&["verify", path(log.path())]);
    assert_eq!(code(&table), 5);
    assert!(text(&table.stdout).contains("fact 10 breaks chain"), "{table:?}");
    assert!(!text(&table.stdout).contains("log verified"));
    assert!(text(&table.stderr).starts_with("error: LOG_DAMAGED: "));
    let output = run(&["verify", path(log.path()), "-o", "json"]);
    assert_eq!(code(&output), 5);
    let report = json(&output);
    assert_eq!(report["ok"], false);
    assert_eq!(report["violations"][0]["seq"], 10);
    assert_eq!(report["violations"][0]["invariant"], "chain");
    assert!(report["violations"][0]["message"].is_string());
    for verb in [
        &["history", "compute-000001"][..],
        &["history", "--serial", &crate::story::serial(1).to_string()],
        &["state"],
        &["diff", "--from", "1", "--to", "10"],
        &["explain", "--seq", "5"],
        &["export", "--format", "jsonl"],
    ] {
        let output = run(&[&verb[..1], &[path(log.path())], &verb[1..]].concat());
        assert_eq!(code(&output), 5, "{output:?}");
        assert!(
            output.stdout.is_empty() && text(&output.stderr).starts_with("error: LOG_DAMAGED: "),
            "{output:?}"
        );
    }
}

#[test]
fn a_directory_without_a_log_is_exit_code_1_and_stays_as_it_is() {
    let empty = tempfile::tempdir().unwrap();
    for arguments in [&["verify", path(empty.path())][..], &["history", path(empty.path()), "n"]] {
        let output = run(arguments);
        assert_eq!(code(&output), 1);
        assert!(text(&output.stderr).starts_with("error: LOG_NOT_FOUND: "), "{output:?}");
    }
    assert!(files(empty.path()).is_empty());
    let missing = empty.path().join("missing");
    let output = run(&["verify", path(&missing), "-o", "json"]);
    assert_eq!(code(&output), 1);
    assert_eq!(json(&output)["error"]["reason"], "LOG_NOT_FOUND");
    assert!(!missing.exists());
}

#[test]
fn a_log_of_garbage_is_exit_code_1() {
    let log = sound().close();
    std::fs::write(log.path().join("log/CURRENT"), "MANIFEST-999999\n").unwrap();
    let output = run(&["verify", path(log.path())]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(text(&output.stderr).starts_with("error: LOG_UNREADABLE: "), "{output:?}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let log = sound().close();
    for arguments in [
        &[][..],
        &["verify"],
        &["verify", path(log.path()), "-o", "xml"],
        &["history", path(log.path())],
        &["history", path(log.path()), "n", "--serial", &"4f".repeat(16)],
        &["history", path(log.path()), "--serial", "12"],
        &["state", path(log.path()), "--seq", "1", "--at", "2026-01-01T00:00:01Z"],
        &["state", path(log.path()), "--at", "yesterday"],
        &["diff", path(log.path()), "--from", "1"],
        &["explain", path(log.path())],
        &["explain", path(log.path()), "--seq", "1", "--serial", &"4f".repeat(16)],
        &["export", path(log.path())],
        &["export", path(log.path()), "--format", "csv"],
        &["export", path(log.path()), "--format", "jsonl", "--from", "9", "--to", "8"],
        &["history", path(log.path()), "NOT_A_NODE"],
        &["verify", path(log.path()), "--against"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_history_has_all_facts_of_its_node_as_json() {
    let log = sound().close();
    let output = run(&["history", path(log.path()), "compute-000001", "-o", "json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let document = json(&output);
    let facts = document["facts"].as_array().unwrap();
    let types: Vec<&str> = facts.iter().map(|fact| fact["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["NodeRegistered", "CertificateIssued", "EnrollmentConfirmed", "NodeRevoked"]);
    assert_eq!(facts[0]["source"], "10.0.0.9");
    assert_eq!(facts[3]["reason"], "stolen");
    assert_eq!(facts[3]["source"], "10.0.0.8");
    assert_eq!(facts[3]["node_id"], "compute-000001");
    assert_eq!(facts[3]["principal"], "operator:admin");
}

#[test]
fn a_history_for_people_is_one_line_a_fact() {
    let log = sound().close();
    let printed = text(&run(&["history", path(log.path()), "compute-000001"]).stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("TIME "), "{printed}");
    assert!(lines[4].starts_with("2026-01-01T00:00:10.000Z  10   NodeRevoked "), "{printed}");
    assert!(lines[4].contains("revoked: stolen") && lines[4].ends_with("operator:admin"), "{printed}");
}

#[test]
fn an_unknown_node_is_not_found_in_both_outputs() {
    let log = sound().close();
    let table = run(&["history", path(log.path()), "compute-7"]);
    assert_eq!(code(&table), 1);
    assert!(text(&table.stderr).starts_with("error: NODE_NOT_FOUND: "));
    assert!(table.stdout.is_empty());
    let output = run(&["history", path(log.path()), "compute-7", "-o", "json"]);
    assert_eq!(code(&output), 1);
    let document = json(&output);
    assert_eq!(document["error"]["reason"], "NODE_NOT_FOUND");
    assert!(document["error"]["message"].is_string());
}

#[test]
fn help_and_version_are_answered() {
    let help = text(&run(&["--help"]).stdout);
    assert!(help.contains("pact-replay verify /var/lib/pact/j1"), "{help}");
    for verb in ["verify", "state", "history", "diff", "explain", "export"] {
        let help = text(&run(&[verb, "--help"]).stdout);
        assert!(help.contains(&format!("Examples:\n  pact-replay {verb} ")), "{help}");
    }
    assert!(text(&run(&["--version"]).stdout).starts_with("pact-replay "));
}

#[test]
fn the_binary_changes_no_file_of_the_log() {
    let log = sound().close();
    let before = files(log.path());
    run(&["verify", path(log.path())]);
    run(&["history", path(log.path()), "compute-000001"]);
    run(&["state", path(log.path())]);
    run(&["diff", path(log.path()), "--from", "1", "--to", "10"]);
    run(&["explain", path(log.path()), "--seq", "5"]);
    run(&["export", path(log.path()), "--format", "jsonl"]);
    assert!(files(log.path()) == before, "a file was changed, created or deleted");
}
