//! One fact in full, in words, and what became of its certificates.

use serde_json::{Value, json};

use crate::binary::{code, json, path, run, text};
use crate::story::{
    confirmed, contested, enroll, goodbye, preface, refused, renewed, replaced, resolved, serial, sound, used,
};
use crate::written_log::{Closed, WrittenLog};

fn explain(log: &Closed, which: &[&str]) -> Value {
    let output = run(&[&["explain", path(log.path()), "-o", "json"], which].concat());
    assert_eq!(code(&output), 0, "{output:?}");
    json(&output)
}

/// What the certificate opens at the end of a log: (opens, until, not since, ended by, because).
fn fate(log: &Closed, number: u64) -> [Value; 5] {
    let explained = explain(log, &["--serial", &serial(number).to_string()]);
    let certificates = explained["certificates"].as_array().unwrap();
    let own = certificates.iter().find(|fate| fate["serial"] == serial(number).to_string()).unwrap();
    ["opens", "until", "not_since", "ended_by", "because"].map(|field| own[field].clone())
}

/// Node 1 is enrolled (facts 4 to 6), renews in second 100 (fact 7), and uses the new certificate in second 200.
fn renewal() -> WrittenLog {
    let mut log = WrittenLog::create();
    preface(&mut log);
    enroll(&mut log, 1, 4);
    log.append_at(100, renewed(1, 11, 100));
    log.append_at(200, used(1, 11));
    log
}

const FIRST_ENDS: &str = "2026-01-04T00:00:05.000Z";

#[test]
fn a_fact_is_told_whole_and_in_words() {
    let log = sound().close();
    let explained = explain(&log, &["--seq", "10"]);
    assert_eq!((&explained["fact"]["type"], &explained["fact"]["seq"]), (&json!("NodeRevoked"), &json!(10)));
    let sentence = format!(
        "The enrollment ended for good, node compute-000001 was revoked: certificate {} opens nothing from here on; \
         addresses 02:00:00:00:00:01 are free. Requested by operator admin from 10.0.0.8; decided by journal j1 at \
         2026-01-01T00:00:10.000Z, recorded at 2026-01-01T00:00:10.000Z. The reason given: stolen.",
        serial(1)
    );
    assert_eq!(explained["sentence"], sentence);
    assert_eq!(explained["certificate_pem"], Value::Null);
    assert_eq!(explained["certificates"][0]["issued_seq"], 5);
    assert_eq!(explained["end"]["seq"], 10);
}

#[test]
fn an_issuance_shows_its_certificate_as_text() {
    let log = sound().close();
    let explained = explain(&log, &["--serial", &serial(2).to_string()]);
    assert_eq!(explained["fact"]["seq"], 8);
    assert_eq!(explained, explain(&log, &["--seq", "8"]));
    let pem = explained["certificate_pem"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && pem.ends_with("-----END CERTIFICATE-----\n"));
}

#[test]
fn every_fact_can_be_told_in_words() {
    let log = sound().close();
    for seq in 1..=10 {
        let explained = explain(&log, &["--seq", &seq.to_string()]);
        let sentence = explained["sentence"].as_str().unwrap();
        assert!(
            sentence.contains(". Requested by ") && sentence.contains("; decided by journal j1 at "),
            "{sentence}"
        );
    }
}

/// Node 1 is contested (fact 7) and settled (8), machines are refused (9), its hardware is replaced (10).
fn strange_machines() -> WrittenLog {
    let mut log = WrittenLog::create();
    preface(&mut log);
    enroll(&mut log, 1, 4);
    log.append_at(100, contested(1));
    log.append_at(110, resolved(1));
    log.append_at(160, refused(1, 160));
    log.append_at(200, replaced(1));
    log
}

#[test]
fn strange_machines_are_told_in_words() {
    let log = strange_machines().close();
    assert_eq!(code(&run(&["verify", path(log.path())])), 0);
    for (seq, words) in [
        (7, format!("Two machines claim to be node compute-000001: one with certificate {} was there and answered, and another \
                     with the addresses 02:00:00:00:00:01, 02:00:00:00:03:e9 had asked with the key ", serial(1))),
        (8, "An operator has settled which machine is node compute-000001. Requested by operator admin".to_owned()),
        (9, "Machines that asked to be node compute-000001 were refused 3 times from 2026-01-01T00:01:50.000Z to \
             2026-01-01T00:02:40.000Z, HARDWARE_MISMATCH; what was presented had another BMC serial or none. ".to_owned()),
        (10, format!("A machine with one of the addresses 02:00:00:00:01:f5 is node compute-000001 from here on: certificate {} \
                      opens nothing from here on; addresses 02:00:00:00:00:01 are free. ", serial(1))),
    ] {
        let explained = explain(&log, &["--seq", &seq.to_string()]);
        let sentence = explained["sentence"].as_str().unwrap();
        assert!(sentence.starts_with(&words), "{sentence}");
    }
    let history = text(&run(&["history", path(log.path()), "compute-000001"]).stdout);
    for words in
        ["by 02:00:00:00:00:01 02:00:00:00:03:e9", "3 HARDWARE_MISMATCH since 2026", "02:00:00:00:01:f5"]
    {
        assert!(history.contains(words), "{history}");
    }
}

#[test]
fn replaced_hardware_ends_the_former_machines_certificate() {
    let log = strange_machines().close();
    let since = json!("2026-01-01T00:03:20.000Z");
    assert_eq!(fate(&log, 1), [json!(false), Value::Null, since, json!(10), json!("HardwareReplaced")]);
    let output = run(&["history", path(log.path()), "--serial", &serial(1).to_string(), "-o", "json"]);
    let types: Vec<Value> =
        json(&output)["facts"].as_array().unwrap().iter().map(|fact| fact["type"].clone()).collect();
    assert_eq!(
        types,
        ["CertificateIssued", "EnrollmentConfirmed", "EnrollmentContested", "HardwareReplaced"]
    );
}

#[test]
fn a_contested_node_is_shown_so_while_it_is() {
    let log = strange_machines().close();
    for (seq, contested) in [("6", false), ("7", true), ("8", false)] {
        let state = json(&run(&["state", path(log.path()), "--seq", seq, "-o", "json"]));
        assert_eq!(state["nodes"][0]["contested"], contested, "{seq}");
    }
    let line = ["diff", path(log.path()), "--from", "6", "--to", "7", "-o", "json"];
    let changes = json(&run(&line))["nodes"]["changed"][0]["changes"].clone();
    assert_eq!(changes[0], json!({"field": "contested", "from": false, "to": true}));
}

#[test]
fn a_certificate_that_is_not_over_opens_something_until_its_end() {
    let end = json!("2026-01-04T00:00:08.000Z");
    assert_eq!(fate(&sound().close(), 2), [json!(true), end, Value::Null, Value::Null, Value::Null]);
}

#[test]
fn a_revoked_certificate_opens_nothing_since_its_revocation() {
    let since = json!("2026-01-01T00:00:10.000Z");
    assert_eq!(
        fate(&sound().close(), 1),
        [json!(false), Value::Null, since, json!(10), json!("NodeRevoked")]
    );
}

#[test]
fn rule_15_a_superseded_certificate_opens_nothing_300_s_after_the_new_ones_first_use() {
    let overlap_ends = json!("2026-01-01T00:08:20.000Z");
    let mut log = renewal();
    log.append_at(499, confirmed(1));
    let before = fate(&log.close(), 1);
    assert_eq!(before, [json!(true), overlap_ends.clone(), Value::Null, Value::Null, Value::Null]);
    let mut log = renewal();
    log.append_at(700, confirmed(1));
    let log = log.close();
    let after = [json!(false), Value::Null, overlap_ends, Value::Null, json!("overlap over")];
    assert_eq!(fate(&log, 1), after);
    let explained = explain(&log, &["--seq", "7"]);
    assert_eq!(explained["supersedes"], json!([{"serial": serial(1), "overlap_secs": 300}]));
    assert_eq!(explained["certificates"].as_array().map(Vec::len), Some(2), "the new one and the old one");
    assert!(explained["sentence"].as_str().unwrap().contains("; it supersedes "), "{explained}");
}

#[test]
fn a_goodbye_ends_the_overlap_and_is_named() {
    let mut log = renewal();
    log.append_at(210, goodbye(1));
    let since = json!("2026-01-01T00:03:30.000Z");
    assert_eq!(fate(&log.close(), 1), [json!(false), Value::Null, since, json!(9), json!("NodeDeactivated")]);
}

#[test]
fn an_expired_certificate_opens_nothing_since_its_end_whatever_comes_later() {
    let mut log = WrittenLog::create();
    preface(&mut log);
    enroll(&mut log, 1, 4);
    log.append_at(4 * 24 * 3600, goodbye(1));
    log.append_at(40 * 24 * 3600, goodbye(1));
    let over = [json!(false), Value::Null, json!(FIRST_ENDS), Value::Null, json!("expired")];
    assert_eq!(fate(&log.close(), 1), over);
}

#[test]
fn an_authoritys_certificate_never_opened_anything() {
    let never = [json!(false), Value::Null, Value::Null, Value::Null, json!("authority")];
    assert_eq!(fate(&sound().close(), u64::MAX), never);
}

#[test]
fn what_is_not_there_is_refused() {
    let log = sound().close();
    for (which, reason, exit) in [
        (["--seq", "11"], "OUT_OF_RANGE", 2),
        (["--seq", "0"], "OUT_OF_RANGE", 2),
        (["--serial", &serial(7).to_string()], "SERIAL_NOT_FOUND", 1),
    ] {
        let output = run(&[&["explain", path(log.path()), "-o", "json"], &which[..]].concat());
        assert_eq!(
            (json(&output)["error"]["reason"].as_str(), code(&output)),
            (Some(reason), exit),
            "{output:?}"
        );
    }
}

#[test]
fn an_explanation_for_people_has_words_fields_fates_and_the_certificate() {
    let log = sound().close();
    let printed = text(&run(&["explain", path(log.path()), "--seq", "5"]).stdout);
    assert!(printed.starts_with("Certificate "), "{printed}");
    assert!(printed.contains("\nassurance ") && !printed.contains("\nder "), "{printed}");
    assert!(
        printed.contains("opens nothing since 2026-01-01T00:00:10.000Z, by fact 10 (NodeRevoked)"),
        "{printed}"
    );
    assert!(printed.ends_with("-----END CERTIFICATE-----\n"), "{printed}");
}
