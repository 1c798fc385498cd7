//! `pact journal …`: against a real journal as far as one alone can answer, else against one that answers for three.

use std::{path::Path, process::Output};

use events::vocabulary::{CertificateHash, SecretHash, Timestamp};
use proto::{convert::moment, pb, pem_file::Trust};
use serde_json::{Value, json};

use crate::{done, fails, fake::Fake, is_time, journal::Journal, keys, pact, text};

const FIELDS: [&str; 13] = [
    "journal_id",
    "raft_id",
    "standing",
    "leader",
    "cluster",
    "agent",
    "operator",
    "applied_seq",
    "lag",
    "certificate_not_after",
    "last_heard_ms",
    "version",
    "format_level",
];

fn three() -> Fake {
    let member = |name: &str, raft_id, standing: &str| pb::Member {
        journal_id: name.to_owned(),
        raft_id,
        standing: standing.to_owned(),
        ..pb::Member::default()
    };
    let not_after: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    let leader = pb::Member {
        leader: true,
        cluster_endpoint: "h1:9444".to_owned(),
        agent_endpoint: "https://h1:9443".to_owned(),
        operator_endpoint: "https://h1:9446".to_owned(),
        applied_seq: Some(900),
        lag: Some(0),
        certificate_not_after: Some(moment::to_wire(not_after)),
        last_heard_ms: Some(12),
        version: Some("0.1.0".to_owned()),
        format_level: Some(1),
        ..member("j1", 1, "voter")
    };
    Fake::of_quorum(vec![leader, member("j2", 2, "learner"), member("j3", 3, "evicted")])
}

/// The certificate that `pact` is told to trust.
fn domain_ca(journal: &Journal) -> Vec<u8> {
    let pact = journal.pact();
    let told = pact.get_envs().find(|(name, _)| *name == "PACT_CA").and_then(|(_, file)| file);
    let trust = Trust::read(Path::new(told.expect("a file"))).expect("the CA");
    trust.certificates()[0].as_ref().to_vec()
}

fn ask(fake: &Fake, line: &[&str]) -> Output {
    fake.pact().arg("journal").args(line).output().expect("pact runs")
}

fn ask_json(fake: &Fake, line: &[&str]) -> Value {
    done(&ask(fake, &[line, &["-o", "json"]].concat()))
}

#[test]
fn the_members_are_shown_with_all_that_is_known_of_them() {
    let fake = three();
    let answer = ask_json(&fake, &["members"]);
    assert_eq!(keys(&answer), ["members", "seq"].into());
    let expected = json!({
        "journal_id": "j1", "raft_id": 1, "standing": "voter", "leader": true, "cluster": "h1:9444",
        "agent": "https://h1:9443", "operator": "https://h1:9446", "applied_seq": 900, "lag": 0,
        "certificate_not_after": "2026-01-31T12:00:00.000Z", "last_heard_ms": 12, "version": "0.1.0",
        "format_level": 1,
    });
    assert_eq!(answer["members"][0], expected);
    let unknown = &answer["members"][1];
    assert_eq!(keys(unknown), FIELDS.into());
    assert_eq!((&unknown["standing"], &unknown["lag"]), (&json!("learner"), &Value::Null));
}

#[test]
fn the_members_are_a_table_for_people() {
    let output = ask(&three(), &["members"]);
    let lines: Vec<Vec<&str>> =
        text(&output.stdout).lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..2], ["JOURNAL", "RAFT"]);
    assert_eq!(lines[1][..7], ["j1", "1", "voter", "yes", "h1:9444", "900", "0"]);
    assert_eq!(lines[2], ["j2", "2", "learner", "-", "-", "-", "-", "-", "-", "-", "-"]);
}

#[test]
fn an_eviction_says_why_and_answers_with_the_journal() {
    let evicted = ask_json(&three(), &["evict", "j2", "--reason", "burnt"]);
    assert_eq!(keys(&evicted), FIELDS.into());
    assert_eq!((&evicted["journal_id"], &evicted["standing"]), (&json!("j2"), &json!("evicted")));
    assert_eq!(evicted["version"], "burnt", "the reason that the fake was given");
}

#[test]
fn the_leader_is_moved_by_name() {
    let moved = ask_json(&three(), &["transfer-leader", "j2"]);
    assert_eq!((&moved["journal_id"], &moved["leader"]), (&json!("j2"), &json!(true)));
}

#[test]
fn what_does_not_work_yet_is_not_in_the_help() {
    let output = ask(&three(), &["--help"]);
    let help = text(&output.stdout);
    assert!(help.contains("join-token") && help.contains("transfer-leader"), "{help}");
}

#[test]
fn what_an_evicted_journal_had_signed_ends_step_by_step_until_nothing_is_left() {
    let output = ask(&three(), &["evict", "j2", "--revoke-issued", "-o", "json"]);
    let evicted = done(&output);
    assert_eq!((&evicted["standing"], &evicted["revoked"]), (&json!("evicted"), &json!(3)));
    let told: Vec<&str> = text(&output.stderr).lines().collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("2 revoked, 1 left; it still has its seat"), "{told:?}");
    assert!(told[2].ends_with("3 revoked, 0 left"), "{told:?}");
}

#[test]
fn the_founder_is_the_only_member_and_stays() {
    let journal = Journal::start("alps");
    let members = done(&pact(&journal, &["journal", "members"]))["members"].clone();
    assert_eq!(members.as_array().map(Vec::len), Some(1));
    let founder = &members[0];
    assert_eq!(keys(founder), FIELDS.into());
    assert_eq!(
        (&founder["journal_id"], &founder["raft_id"], &founder["standing"], &founder["leader"]),
        (&json!("j1"), &json!(1), &json!("voter"), &json!(true))
    );
    assert_eq!((&founder["lag"], &founder["version"]), (&json!(0), &json!(env!("CARGO_PKG_VERSION"))));
    fails(&pact(&journal, &["journal", "evict", "j1"]), 1, "LAST_JOURNAL");
    fails(&pact(&journal, &["journal", "evict", "j9"]), 1, "JOURNAL_NOT_FOUND");
    fails(&pact(&journal, &["journal", "evict", "Not A Name"]), 1, "FIELD_INVALID");
    assert_eq!(done(&pact(&journal, &["journal", "transfer-leader", "j1"]))["journal_id"], "j1");
}

#[test]
fn rule_23_a_join_token_is_told_once_and_only_its_hash_is_a_fact() {
    let journal = Journal::start("alps");

    // when
    let made = done(&pact(&journal, &["journal", "join-token", "create", "--expires", "10m"]));

    // then
    assert_eq!(keys(&made), ["expires_at", "token", "token_id"].into());
    assert!(is_time(&made["expires_at"]), "{made}");
    let (secret, pin) = made["token"].as_str().unwrap().split_once(':').expect("a secret and a pin");
    assert_eq!(secret.len(), 64);
    assert_eq!(pin, CertificateHash::of(&domain_ca(&journal)).to_string());
    let tailed = pact(&journal, &["events", "tail", "--from", "1"]);
    let facts = text(&tailed.stdout);
    let fact =
        facts.lines().find(|line| line.contains(made["token_id"].as_str().unwrap())).expect("its fact");
    assert!(fact.contains(&SecretHash::of(secret.as_bytes()).to_string()), "{fact}");
    assert!(fact.contains("operator:admin"), "{fact}");
    assert!(!facts.contains(secret), "the secret is in no fact");
}

#[test]
fn a_join_token_lives_from_a_minute_to_a_day() {
    let journal = Journal::start("alps");
    for (time, works) in [("59s", false), ("1m", true), ("24h", true), ("25h", false)] {
        let output = pact(&journal, &["journal", "join-token", "create", "--expires", time]);
        if works {
            done(&output);
        } else {
            fails(&output, 1, "FIELD_INVALID");
        }
    }
}
