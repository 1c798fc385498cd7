//! What changed between two points.

use serde_json::{Value, json};

use crate::binary::{code, json, path, run, text};
use crate::story::{overlay_set, serial, sound};

fn diff(from: &str, to: &str) -> Value {
    let output = run(&["diff", path(sound().close().path()), "--from", from, "--to", to, "-o", "json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    json(&output)
}

fn names(items: &Value, key: &str) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_added_is_shown_whole() {
    let diff = diff("1", "9");
    assert_eq!((&diff["from"]["seq"], &diff["to"]["seq"]), (&json!(1), &json!(9)));
    assert_eq!(names(&diff["nodes"]["added"], "node_id"), ["compute-000001", "compute-000002"]);
    assert_eq!(diff["authorities"]["added"][0]["journal_id"], "j1");
    assert_eq!((&diff["nodes"]["changed"], &diff["nodes"]["removed"]), (&json!([]), &json!([])));
}

#[test]
fn what_changed_is_shown_field_by_field() {
    let diff = diff("2026-01-01T00:00:09Z", "10");
    assert_eq!(names(&diff["nodes"]["changed"], "node_id"), ["compute-000001"]);
    let fields = &diff["nodes"]["changed"][0]["changes"];
    assert_eq!(names(fields, "field"), ["certificate", "confirmed", "state", "version"]);
    assert_eq!(fields[2], json!({"field": "state", "from": "active", "to": "revoked"}));
    assert_eq!(fields[0]["to"], Value::Null);
    assert_eq!(names(&diff["revocations"]["added"], "serial"), [serial(1).to_string()]);
}

#[test]
fn a_vcluster_with_another_overlay_has_changed() {
    let mut log = sound();
    log.append(overlay_set("prod", b"one"), &[]);
    log.append(overlay_set("prod", b"other"), &[]);
    let log = log.close();
    let document = json(&run(&["diff", path(log.path()), "--from", "11", "--to", "12", "-o", "json"]));
    let changed = &document["vclusters"]["changed"][0];
    assert_eq!(changed["vcluster"], "prod");
    assert_eq!(names(&changed["changes"], "field"), ["overlay_sha256", "overlay_size", "revision", "set_at"]);
}

#[test]
fn between_a_point_and_itself_nothing_changed() {
    let document = diff("7", "2026-01-01T00:00:07Z");
    for part in ["nodes", "revocations", "authorities", "vclusters", "members"] {
        assert_eq!(document[part], json!({"added": [], "changed": [], "removed": []}));
    }
    let printed = text(&run(&["diff", path(sound().close().path()), "--from", "7", "--to", "7"]).stdout);
    assert!(printed.ends_with("\nnothing changed\n"), "{printed}");
}

#[test]
fn points_the_wrong_way_round_and_outside_of_the_log_are_exit_code_2() {
    let log = sound().close();
    for (from, to, reason) in [
        ("8", "7", "USAGE"),
        ("8", "2026-01-01T00:00:07Z", "USAGE"),
        ("2026-01-01T00:00:08Z", "7", "USAGE"),
        ("2031-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "USAGE"),
        ("7", "11", "OUT_OF_RANGE"),
        ("2025-01-01T00:00:00Z", "7", "OUT_OF_RANGE"),
        ("0", "7", "OUT_OF_RANGE"),
    ] {
        let output = run(&["diff", path(log.path()), "--from", from, "--to", to, "-o", "json"]);
        assert_eq!(code(&output), 2, "{from} {to}");
        assert_eq!(json(&output)["error"]["reason"], reason, "{from} {to}: {output:?}");
    }
}

#[test]
fn a_diff_for_people_marks_what_came_and_what_is_another() {
    let printed = text(&run(&["diff", path(sound().close().path()), "--from", "6", "--to", "10"]).stdout);
    for line in
        ["  + compute-000002 (active)", "  ~ compute-000001", "      state: active -> revoked", "revocations"]
    {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
}
