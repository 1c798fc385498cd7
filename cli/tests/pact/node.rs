//! The real `pact` against a real journal: each verb, each refusal, and who may ask.
//!
//! The journal's binary lies in `PACT_BIN_DIR`, or beside the folder of this test's executable.
//!
//! Not here, on purpose: what agents see of it, and what needs no journal (`connection.rs`).

use std::{collections::BTreeSet, net::TcpListener, process::Output};

use serde_json::json;

use crate::{
    done, fails, is_time,
    journal::{Domain, Journal},
    keys, pact, text,
};

const NODE_KEYS: &str = "node_id domain_id state confirmed epoch contested draining vcluster hardware assurance \
                         certificate last_seen registered_at registered_by labels version";

fn enroll(journal: &Journal, node: &str, mac: &str) -> Output {
    pact(journal, &["node", "enroll", node, "--mac", mac])
}

#[test]
fn an_enrolled_node_is_printed_whole() {
    let journal = Journal::start("alps");
    let line = "node enroll compute-042 --mac AA-BB-CC-DD-EE-01 --mac aa:bb:cc:dd:ee:02 --bmc-serial SN1 \
                --uuid 4C4C4544-0042-3510-8052-B4C04F4E3732 --label rack=r12 --label row=3";
    let node = done(&pact(&journal, &line.split_whitespace().collect::<Vec<_>>()));
    assert_eq!(keys(&node), NODE_KEYS.split_whitespace().collect());
    assert_eq!(keys(&node["hardware"]), BTreeSet::from(["bmc_serial", "macs", "uuid"]));
    for (key, expected) in [
        ("node_id", json!("compute-042")),
        ("domain_id", json!("alps")),
        ("state", json!("registered")),
        ("confirmed", json!(false)),
        ("epoch", json!(1)),
        ("contested", json!(false)),
        ("draining", json!(false)),
        ("vcluster", json!(null)),
        ("assurance", json!(null)),
        ("certificate", json!(null)),
        ("last_seen", json!(null)),
        ("labels", json!({"rack": "r12", "row": "3"})),
        ("version", json!(1)),
    ] {
        assert_eq!(node[key], expected, "{key}");
    }
    assert_eq!(node["hardware"]["macs"], json!(["aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02"]));
    assert_eq!(node["hardware"]["bmc_serial"], "SN1");
    assert!(node["registered_by"].as_str().unwrap().starts_with("operator:"), "{node}");
    assert!(is_time(&node["registered_at"]), "{node}");

    assert_eq!(done(&pact(&journal, &["node", "inspect", "compute-042"])), node);
}

#[test]
fn a_list_is_ordered_by_name_and_filtered_by_state() {
    let journal = Journal::start("alps");
    let empty = done(&pact(&journal, &["node", "list"]));
    assert_eq!((keys(&empty), &empty["nodes"]), (BTreeSet::from(["nodes", "seq"]), &json!([])));
    let b = done(&enroll(&journal, "b", "aa:bb:cc:dd:ee:0b"));
    let a = done(&enroll(&journal, "a", "aa:bb:cc:dd:ee:0a"));
    let revoked = done(&pact(&journal, &["node", "revoke", "b", "--reason", "gone"]));
    assert_ne!(revoked, b);

    let all = done(&pact(&journal, &["node", "list"]));
    assert_eq!(all["nodes"], json!([a, revoked]));
    assert!(all["seq"].as_u64() > empty["seq"].as_u64(), "{all}");
    for (state, nodes) in [("registered", json!([a])), ("revoked", json!([revoked])), ("active", json!([]))] {
        assert_eq!(done(&pact(&journal, &["node", "list", "--state", state]))["nodes"], nodes, "{state}");
    }
}

#[test]
fn tables_are_plain_text() {
    let journal = Journal::start("alps");
    let enrolled =
        journal.pact().args("node enroll compute-042 --mac aa:bb:cc:dd:ee:01".split(' ')).output().unwrap();
    assert!(text(&enrolled.stdout).starts_with("NODE         compute-042\n"), "{enrolled:?}");

    let listed = journal.pact().args(["node", "list"]).output().unwrap();
    let lines: Vec<&str> = text(&listed.stdout).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("NODE "), "{lines:?}");
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(cells[..3], ["compute-042", "registered", "maintenance"]);
    assert!(!listed.stdout.contains(&0x1b));
}

#[test]
fn what_the_registry_cannot_take_is_refused_with_its_reason() {
    let journal = Journal::start("alps");
    done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    let placeholder =
        ["node", "enroll", "n2", "--mac", "aa:bb:cc:dd:ee:02", "--bmc-serial", "To be filled by O.E.M."];
    fails(&pact(&journal, &placeholder), 1, "HARDWARE_INVALID");
    for (node, mac, reason) in [
        ("n1", "aa:bb:cc:dd:ee:09", "NODE_ALREADY_ENROLLED"),
        ("n2", "aa:bb:cc:dd:ee:01", "HARDWARE_IDENTITY_CONFLICT"),
        ("n2", "aa:bb:cc:dd:ee", "HARDWARE_INVALID"),
        ("n2", "01:00:5e:00:00:01", "HARDWARE_INVALID"),
        ("n2", "00:00:00:00:00:00", "HARDWARE_INVALID"),
        ("N2", "aa:bb:cc:dd:ee:02", "NODE_ID_INVALID"),
        ("", "aa:bb:cc:dd:ee:02", "NODE_ID_INVALID"),
    ] {
        fails(&enroll(&journal, node, mac), 1, reason);
    }
    let label = ["node", "enroll", "n2", "--mac", "aa:bb:cc:dd:ee:02", "--label", "a b=c"];
    fails(&pact(&journal, &label), 1, "FIELD_INVALID");

    let nodes = done(&pact(&journal, &["node", "list"]));
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 1, "{nodes}");
}

#[test]
fn a_node_that_does_not_exist_is_not_found() {
    let journal = Journal::start("alps");
    fails(&pact(&journal, &["node", "inspect", "n1"]), 1, "NODE_NOT_FOUND");
    fails(&pact(&journal, &["node", "revoke", "n1", "--reason", "gone"]), 1, "NODE_NOT_FOUND");
    fails(&pact(&journal, &["node", "decommission", "n1"]), 1, "NODE_NOT_FOUND");
}

#[test]
fn a_second_revocation_answers_the_same() {
    let journal = Journal::start("alps");
    done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    let revoke = ["node", "revoke", "n1", "--reason", "gone"];
    let first = done(&pact(&journal, &revoke));
    assert_eq!((&first["state"], keys(&first)), (&json!("revoked"), NODE_KEYS.split_whitespace().collect()));
    assert_eq!(done(&pact(&journal, &revoke)), first);
    assert_eq!(done(&pact(&journal, &["node", "decommission", "n1"])), first);
}

#[test]
fn a_decommissioned_node_is_revoked_and_its_mac_is_free() {
    let journal = Journal::start("alps");
    done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    let gone = done(&pact(&journal, &["node", "decommission", "n1", "--force", "--reason", "sold"]));
    assert_eq!(gone["state"], "revoked");
    assert_eq!(done(&enroll(&journal, "n2", "aa:bb:cc:dd:ee:01"))["state"], "registered");
}

#[test]
fn rule_16_an_enrollment_after_a_revocation_begins_a_new_epoch() {
    let journal = Journal::start("alps");
    done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    let revoked = done(&pact(&journal, &["node", "revoke", "n1", "--reason", "gone"]));
    let again = done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    assert_eq!((&again["state"], &again["epoch"]), (&json!("registered"), &json!(2)));
    assert!(again["version"].as_u64() > revoked["version"].as_u64(), "{again}");
}

#[test]
fn hardware_is_replaced_and_its_former_address_is_free() {
    let journal = Journal::start("alps");
    done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    let replace = [
        "node",
        "replace-hardware",
        "n1",
        "--mac",
        "aa:bb:cc:dd:ee:02",
        "aa:bb:cc:dd:ee:03",
        "--bmc-serial",
        "SN2",
    ];
    let replaced = done(&pact(&journal, &replace));
    assert_eq!(keys(&replaced), NODE_KEYS.split_whitespace().collect());
    let hardware =
        json!({"macs": ["aa:bb:cc:dd:ee:02", "aa:bb:cc:dd:ee:03"], "bmc_serial": "SN2", "uuid": null});
    assert_eq!((&replaced["hardware"], &replaced["epoch"]), (&hardware, &json!(1)));
    assert_eq!(done(&pact(&journal, &replace)), replaced, "the same again changes nothing");
    assert_eq!(done(&enroll(&journal, "n2", "aa:bb:cc:dd:ee:01"))["state"], "registered");

    let to = |node: &'static str, mac: &'static str| ["node", "replace-hardware", node, "--mac", mac];
    fails(&pact(&journal, &to("n2", "aa:bb:cc:dd:ee:02")), 1, "HARDWARE_IDENTITY_CONFLICT");
    fails(&pact(&journal, &to("n2", "00:00:00:00:00:00")), 1, "HARDWARE_INVALID");
    fails(&pact(&journal, &to("n9", "aa:bb:cc:dd:ee:09")), 1, "NODE_NOT_FOUND");
    done(&pact(&journal, &["node", "revoke", "n2", "--reason", "gone"]));
    fails(&pact(&journal, &to("n2", "aa:bb:cc:dd:ee:09")), 1, "NODE_REVOKED");
}

#[test]
fn a_node_that_nobody_contests_is_settled_already() {
    let journal = Journal::start("alps");
    let node = done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    assert_eq!(node["contested"], false);
    assert_eq!(done(&pact(&journal, &["node", "resolve", "n1"])), node);
    assert_eq!(done(&pact(&journal, &["node", "list", "--contested"]))["nodes"], json!([]));
    fails(&pact(&journal, &["node", "resolve", "n9"]), 1, "NODE_NOT_FOUND");
}

#[test]
fn a_journal_of_another_domain_is_not_trusted() {
    let (journal, other) = (Journal::start("alps"), Domain::init("pyrenees"));
    let mut pact = journal.pact();
    let output = pact.args(["node", "list", "-o", "json"]).env("PACT_CA", other.ca()).output().unwrap();
    fails(&output, 3, "SERVER_NOT_TRUSTED");
}

#[test]
fn rule_10_an_operator_of_another_domain_is_unknown() {
    let (journal, other) = (Journal::start("alps"), Domain::init("pyrenees"));
    let mut pact = journal.pact();
    let output =
        pact.args(["node", "list", "-o", "json"]).env("PACT_CREDENTIAL", other.operator()).output().unwrap();
    fails(&output, 4, "CERTIFICATE_UNKNOWN");
}

#[test]
fn a_journal_that_is_gone_is_unreachable() {
    let mut journal = Journal::start("alps");
    done(&enroll(&journal, "n1", "aa:bb:cc:dd:ee:01"));
    journal.kill();
    fails(&pact(&journal, &["node", "list"]), 3, "UNREACHABLE");
}

#[test]
fn the_next_journal_is_asked_when_one_says_nothing() {
    let journal = Journal::start("alps");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = format!("https://{},{}", silent.local_addr().unwrap(), journal.operator_endpoint());
    let mut pact = journal.pact();
    let output = pact.args(["node", "list", "-o", "json"]).env("PACT_ENDPOINTS", endpoints).output().unwrap();
    assert_eq!(done(&output)["nodes"], json!([]));
}
