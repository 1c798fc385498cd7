//! All views at a point of the log: what is shown, where, and always by the same bytes.

use events::vocabulary::Digest;
use serde_json::{Value, json};

use crate::binary::{code, json, path, run, text};
use crate::story::{assigned, default_set, enroll, goodbye, overlay_set, preface, renewed, serial, sound};
use crate::written_log::{Closed, WrittenLog};

/// The state at a point, as the binary prints it.
fn state(log: &Closed, point: &[&str]) -> Value {
    let output = run(&[&["state", path(log.path()), "-o", "json"], point].concat());
    assert_eq!(code(&output), 0, "{output:?}");
    json(&output)
}

/// Reason and exit code of a refusal.
fn refused(log: &Closed, point: &[&str]) -> (String, i32) {
    let output = run(&[&["state", path(log.path()), "-o", "json"], point].concat());
    (json(&output)["error"]["reason"].as_str().unwrap().to_owned(), code(&output))
}

/// A log with an item in every part that has any, and its facts from 4 on about node 1.
fn full() -> Closed {
    let mut log = WrittenLog::create();
    preface(&mut log);
    enroll(&mut log, 1, 4);
    log.append(overlay_set("prod", b"overlay"), &[]);
    log.append(assigned(1, "prod"), &[]);
    log.append(default_set(b""), &[]);
    log.append(goodbye(1), &[]);
    log.close()
}

#[test]
fn a_state_has_the_parts_of_the_contract_and_no_others() {
    let document = state(&sound().close(), &[]);
    let names: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let parts =
        ["authorities", "digest", "head", "members", "nodes", "revocations", "seq", "tokens", "vclusters"];
    assert_eq!(names, parts);
    assert_eq!((&document["seq"], &document["tokens"]), (&json!(10), &json!([])));
}

#[test]
fn a_node_is_shown_as_operators_see_it() {
    let node = &state(&full(), &[])["nodes"][0];
    let own = ["certificate", "registered_at", "renew_after"];
    let shown: Value = node
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let expected = json!({
        "node_id": "compute-000001", "domain_id": "site-a", "state": "inactive", "confirmed": true, "epoch": 1,
        "contested": false, "draining": false, "vcluster": "prod",
        "hardware": {"macs": ["02:00:00:00:00:01"], "bmc_serial": "SN1", "uuid": null},
        "assurance": null, "last_seen": null, "registered_by": "operator:admin", "labels": {}, "version": 5,
    });
    assert_eq!(shown, expected);
    assert_eq!(node["registered_at"], "2026-01-01T00:00:04.000Z");
    let certificate = &node["certificate"];
    assert_eq!(certificate["serial"], serial(1).to_string());
    assert_eq!(certificate["not_after"], "2026-01-04T00:00:05.000Z");
}

#[test]
fn a_renewal_does_not_take_the_confirmation_back() {
    let mut log = WrittenLog::create();
    preface(&mut log);
    enroll(&mut log, 1, 4);
    log.append(renewed(1, 11, 7), &[]);
    let log = log.close();
    let confirmed = |seq| state(&log, &["--seq", seq])["nodes"][0]["confirmed"].clone();
    assert_eq!(["4", "5", "6", "7"].map(confirmed), [false, false, true, true].map(Value::Bool));
}

#[test]
fn authorities_revocations_and_vclusters_are_shown() {
    let document = state(&full(), &[]);
    assert_eq!(document["authorities"][0]["journal_id"], "j1");
    assert_eq!(document["authorities"][0]["retired"], false);
    let pem = document["authorities"][0]["certificate_pem"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n"), "{pem}");
    let vclusters = &document["vclusters"];
    assert_eq!((&vclusters[0]["vcluster"], &vclusters[0]["nodes"]), (&Value::Null, &json!(0)));
    let prod = json!({
        "vcluster": "prod", "revision": 7, "overlay_sha256": Digest::of(b"overlay"), "overlay_size": 7,
        "set_at": "2026-01-01T00:00:07.000Z", "set_by": "operator:admin", "nodes": 1,
    });
    assert_eq!(vclusters[1], prod);
    let revocation = json!({
        "serial": serial(1), "holder": "node:compute-000001", "revoked_at": "2026-01-01T00:00:10.000Z",
        "not_after": "2026-01-04T00:00:05.000Z", "seq": 10,
    });
    assert_eq!(state(&sound().close(), &[])["revocations"], json!([revocation]));
}

#[test]
fn a_state_is_that_of_its_point() {
    let log = sound().close();
    let at = |point: &[&str]| state(&log, point)["nodes"][0]["state"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        ["3", "4", "5", "9", "10"].map(|seq| at(&["--seq", seq])),
        ["", "registered", "active", "active", "revoked"]
    );
    // Each fact is recorded at the second of its place.
    let seq = |time: &str| state(&log, &["--at", time])["seq"].clone();
    assert_eq!(seq("2026-01-01T00:00:05Z"), 5);
    assert_eq!(seq("2026-01-01T00:00:05.999Z"), 5);
    assert_eq!(seq("2026-01-01T01:00:06+01:00"), 6);
    assert_eq!(seq("2030-01-01T00:00:00Z"), 10, "later than the end is the end");
    assert_eq!(state(&log, &["--seq", "10"]), state(&log, &[]));
}

#[test]
fn a_point_outside_of_the_log_is_exit_code_2() {
    let log = sound().close();
    for point in [&["--seq", "11"], &["--seq", "0"], &["--at", "2026-01-01T00:00:00.999Z"]] {
        assert_eq!(refused(&log, point), ("OUT_OF_RANGE".to_owned(), 2), "{point:?}");
    }
    assert_eq!(refused(&WrittenLog::create().close(), &[]), ("OUT_OF_RANGE".to_owned(), 2));
    let told = text(&run(&["state", path(log.path()), "--seq", "11"]).stderr);
    assert_eq!(told, "error: OUT_OF_RANGE: there is no fact 11: the facts of the log are 1 to 10\n");
}

#[test]
fn the_document_is_canonical_and_its_digest_is_that_of_the_rest() {
    for log in [sound().close(), full()] {
        let printed = text(&run(&["state", path(log.path()), "-o", "json"]).stdout);
        // serde_json sorts here, and writes no white space.
        let mut document: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed, format!("{document}\n"));
        let rest = document.as_object_mut().unwrap();
        let (digest, head) = (rest.remove("digest").unwrap(), rest.remove("head").unwrap());
        assert_eq!(digest, json!(Digest::of(document.to_string().as_bytes())));
        assert_eq!(head.as_str().map(str::len), Some(64));
    }
}

/// Auditors compare digests: what changes this one changes an interface.
#[test]
fn the_same_facts_have_the_same_digest() {
    let digest = state(&full(), &[])["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest, "3bc6eb8709e9d31f1e7e57a0c9d176b64729e0c7267f4e57fc8154042cfba179");
}

#[test]
fn a_state_for_people_begins_with_its_place_and_has_a_table_a_part() {
    let printed = text(&run(&["state", path(full().path())]).stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..2], ["seq          10", "recorded at  2026-01-01T00:00:10.000Z"]);
    assert!(lines[2].starts_with("head  ") && lines[3].starts_with("digest  "), "{printed}");
    let line = |start: &str| lines.iter().find(|line| line.starts_with(start)).copied().unwrap_or_default();
    assert!(line("NODE ").contains("CERTIFICATE SERIAL"), "{printed}");
    assert!(line("compute-000001  inactive").contains(&serial(1).to_string()), "{printed}");
    assert!(line("prod ").ends_with("operator:admin  1"), "{printed}");
    assert!(line("AUTHORITY ").contains("RETIRED") && !printed.contains("REVOKED SERIAL"), "{printed}");
}
