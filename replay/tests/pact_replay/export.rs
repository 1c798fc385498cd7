//! Facts as lines of JSON.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::binary::{code, json, path, run, text};
use crate::story::sound;
use crate::written_log::{files, put, value};

/// What an export to stdout prints, line by line.
fn lines(more: &[&str]) -> Vec<Value> {
    let output = run(&[&["export", path(sound().close().path())], more].concat());
    assert_eq!(code(&output), 0, "{output:?}");
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn places(more: &[&str]) -> Vec<u64> {
    lines(&[&["--format", "jsonl"], more].concat()).iter().map(|fact| fact["seq"].as_u64().unwrap()).collect()
}

#[test]
fn jsonl_has_the_facts_as_a_history_prints_them() {
    let mut lines = lines(&["--format", "jsonl"]);
    assert_eq!(lines.len(), 10);
    for line in &mut lines {
        assert!(line.as_object_mut().unwrap().remove("stored").is_some_and(|stored| stored.is_string()));
    }
    let history = json(&run(&["history", path(sound().close().path()), "compute-000002", "-o", "json"]));
    assert_eq!(history["facts"].as_array().unwrap()[..], lines[6..9]);
}

#[test]
fn both_ends_of_a_range_belong_to_it() {
    assert_eq!(places(&["--from", "9"]), [9, 10]);
    assert_eq!(places(&["--to", "2"]), [1, 2]);
    assert_eq!(places(&["--from", "3", "--to", "2026-01-01T00:00:05.5Z"]), [3, 4, 5]);
    assert_eq!(places(&["--from", "2026-01-01T00:00:05Z", "--to", "5"]), [5]);
    assert_eq!(places(&["--from", "2027-01-01T00:00:00Z"]), [] as [u64; 0]);
    assert_eq!(places(&["--from", "11"]), [] as [u64; 0], "whoever follows a log is not refused at its end");
}

#[test]
fn a_range_outside_of_the_log_is_exit_code_2() {
    let log = sound().close();
    for range in [["--from", "12"], ["--to", "11"], ["--from", "0"], ["--to", "0"]] {
        let output = run(&[&["export", path(log.path()), "--format", "jsonl"], &range[..]].concat());
        assert_eq!(code(&output), 2, "{range:?}: {output:?}");
        assert!(text(&output.stderr).starts_with("error: OUT_OF_RANGE: "), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_cloud_event_has_the_required_attributes_and_the_fact_as_data() {
    let events = lines(&["--format", "cloudevents", "--from", "10"]);
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let mut event = event.clone();
    let data = event.as_object_mut().unwrap().remove("data").unwrap();
    let expected = json!({
        "specversion": "1.0",
        "id": "10",
        "source": format!("pact://site-a/log/{}", "01".repeat(16)),
        "type": "pact.v1.NodeRevoked",
        "subject": "node/compute-000001",
        "time": "2026-01-01T00:00:10.000Z",
        "datacontenttype": "application/json",
    });
    assert_eq!(event, expected);
    let mut line = lines(&["--format", "jsonl", "--from", "10"]).remove(0);
    line.as_object_mut().unwrap().remove("stored");
    assert_eq!(data, line);
}

#[test]
fn a_file_is_written_whole_for_its_owner_only_and_none_is_overwritten() {
    let (log, folder) = (sound().close(), tempfile::tempdir().unwrap());
    let out = folder.path().join("facts.jsonl");
    let export = |more: &[&str]| {
        run(&[&["export", path(log.path()), "--format", "jsonl", "--out", path(&out)], more].concat())
    };
    let output = export(&["-o", "json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let told = json(&output);
    assert_eq!((&told["facts"], &told["first"], &told["last"]), (&json!(10), &json!(1), &json!(10)));
    let written = fs::read(&out).unwrap();
    assert_eq!(written, run(&["export", path(log.path()), "--format", "jsonl"]).stdout);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let again = export(&["--from", "10"]);
    assert_eq!(code(&again), 1);
    assert!(text(&again.stderr).starts_with("error: OUT_EXISTS: "), "{again:?}");
    assert_eq!(fs::read(&out).unwrap(), written);
    assert_eq!(files(folder.path()).len(), 1, "nothing is left beside it");
}

#[test]
fn nothing_is_written_of_a_damaged_log() {
    let (log, folder) = (sound().close(), tempfile::tempdir().unwrap());
    let store = log.reopen();
    let mut changed = value(&store, 10);
    changed[0] ^= 1;
    put(&store, 10, &changed);
    drop(store);
    let out = folder.path().join("facts.jsonl");
    let output = run(&["export", path(log.path()), "--format", "jsonl", "--to", "3", "--out", path(&out)]);
    assert_eq!(code(&output), 5, "{output:?}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_file_that_cannot_be_made_is_exit_code_1() {
    let output =
        run(&["export", path(sound().close().path()), "--format", "jsonl", "--out", "/no/such/folder/f"]);
    assert_eq!(code(&output), 1);
    assert!(
        text(&output.stderr).starts_with("error: OUTPUT_FAILED: /no/such/folder/f cannot be written"),
        "{output:?}"
    );
}

#[test]
fn json_output_without_a_file_is_wrong_usage() {
    let output = run(&["export", path(sound().close().path()), "--format", "jsonl", "-o", "json"]);
    assert_eq!(code(&output), 2);
    assert_eq!(json(&output)["error"]["reason"], "USAGE");
}
