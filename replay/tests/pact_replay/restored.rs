//! A log that went on without its journals (R27): what the auditor finds and tells.

use events::domain::{self, Restored};
use events::fact::Fact;
use events::level::Level;
use events::vocabulary::Digest;
use serde_json::{Value, json};

use crate::binary::{code, json, path, run};
use crate::story::sound;
use crate::written_log::{Closed, WrittenLog};

/// The sound story (facts 1 to 10), the level (11), and that the log goes on (12) behind this link of the chain; none:
/// the right one.
fn log(head: Option<Digest>) -> Closed {
    let mut log: WrittenLog = sound();
    log.append(Fact::Domain(domain::Event::LevelRaised { level: Level::SECOND }), &[]);
    let restored_head = head.unwrap_or_else(|| Digest::new(*log.head().as_bytes()));
    let restored = Restored {
        restored_seq: 11,
        restored_head,
        founder: "j1000".parse().expect("an id"),
        raft_id: 1000,
        operator: "admin".parse().expect("an id"),
    };
    log.append(Fact::Domain(domain::Event::Restored(restored)), &[]);
    log.close()
}

fn violations(log: &Closed) -> (i32, Value) {
    let output = run(&["verify", path(log.path()), "-o", "json"]);
    (code(&output), json(&output)["violations"].clone())
}

#[test]
fn rule_27_a_restored_log_is_verified() {
    assert_eq!(violations(&log(None)), (0, json!([])));
}

#[test]
fn rule_27_a_log_that_goes_on_behind_another_chain_is_found() {
    let (code, violations) = violations(&log(Some(Digest::of(b"another"))));
    assert_eq!(
        (code, &violations[0]["seq"], &violations[0]["invariant"]),
        (5, &json!(12), &json!("continuity"))
    );
    assert_eq!(violations.as_array().map(Vec::len), Some(1));
}

#[test]
fn rule_27_what_a_restore_ended_is_told() {
    let log = log(None);
    let state = json(&run(&["state", path(log.path()), "-o", "json"]));
    let nodes: Vec<&Value> = state["nodes"].as_array().unwrap().iter().map(|node| &node["state"]).collect();
    assert_eq!(nodes, ["revoked", "inactive"]);
    assert_eq!(state["nodes"][1]["certificate"], Value::Null);
    let standing = |nth: usize| (&state["members"][nth]["journal_id"], &state["members"][nth]["standing"]);
    assert_eq!(
        (standing(0), standing(1)),
        ((&json!("j1"), &json!("evicted")), (&json!("j1000"), &json!("voter")))
    );
    assert_eq!(state["authorities"][0]["retired"], true);

    let explained = json(&run(&["explain", path(log.path()), "--seq", "12", "-o", "json"]));
    let sentence = explained["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("The domain goes on behind fact 11 (chain "), "{sentence}");
    let issued = json(&run(&["explain", path(log.path()), "--seq", "8", "-o", "json"]));
    let fate = &issued["certificates"][0];
    assert_eq!(
        (&fate["opens"], &fate["ended_by"], &fate["because"]),
        (&json!(false), &json!(12), &json!("DomainRestored"))
    );
}
