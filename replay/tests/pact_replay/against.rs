//! Two logs held against each other: data directories and exported files.

use serde_json::{Value, json};

use crate::binary::{code, json, path, run, text};
use crate::story::{registered, sound};
use crate::written_log::{Closed, put, value};

fn compare(log: &Closed, against: &Closed) -> (i32, Value) {
    let output = run(&["verify", path(log.path()), "--against", path(against.path()), "-o", "json"]);
    (code(&output), json(&output))
}

/// The sound story and one fact more.
fn longer(number: u64) -> Closed {
    let mut log = sound();
    log.append(registered(number), &[]);
    log.close()
}

#[test]
fn equal_logs_part_nowhere() {
    let (code, report) = compare(&sound().close(), &sound().close());
    assert_eq!(code, 0, "{report}");
    let against = &report["against"];
    assert_eq!((&against["common"], &against["facts"]), (&json!(10), &json!(10)));
    assert_eq!((&against["longer"], &against["parting"]), (&Value::Null, &Value::Null));
    assert_eq!(against["head"], report["head"]);
}

#[test]
fn a_log_that_is_only_longer_is_no_violation_and_is_named() {
    let (short, long) = (sound().close(), longer(9));
    let (code, report) = compare(&short, &long);
    assert_eq!((code, &report["against"]["longer"]), (0, &json!("against")), "{report}");
    let (code, report) = compare(&long, &short);
    assert_eq!((code, &report["against"]["longer"]), (0, &json!("log")), "{report}");
    assert_eq!(report["against"]["common"], 10);
}

#[test]
fn logs_that_part_are_told_where_with_both_chains_and_exit_code_5() {
    let (one, other) = (longer(9), longer(8));
    let (code, report) = compare(&one, &other);
    assert_eq!(code, 5, "{report}");
    let parting = &report["against"]["parting"];
    assert_eq!(parting["seq"], 11);
    assert_eq!(parting["chain"], report["head"]);
    assert_eq!(parting["against_chain"], report["against"]["head"]);
    assert_ne!(parting["chain"], parting["against_chain"]);
    assert_eq!(report["violations"][0]["invariant"], "against");
    let table = run(&["verify", path(one.path()), "--against", path(other.path())]);
    assert!(text(&table.stdout).contains("they part   at fact 11"), "{table:?}");
}

#[test]
fn a_changed_byte_of_the_other_log_is_a_difference() {
    let (log, changed) = (sound().close(), sound().close());
    let store = changed.reopen();
    let mut bytes = value(&store, 7);
    bytes[40] ^= 1;
    put(&store, 7, &bytes);
    put(&store, 9, b"short");
    drop(store);
    let (code, report) = compare(&log, &changed);
    assert_eq!((code, &report["against"]["parting"]["seq"]), (5, &json!(7)), "{report}");
    assert_eq!(report["violations"].as_array().map(Vec::len), Some(1), "told once");
}

#[test]
fn a_missing_other_log_is_exit_code_1() {
    let output = run(&["verify", path(sound().close().path()), "--against", "/no/such/log"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output.stderr).starts_with("error: LOG_NOT_FOUND: "), "{output:?}");
}
