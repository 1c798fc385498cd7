//! Operators, status, authorities and events against a real journal.
//!
//! Not here, on purpose: which role may do what to nodes (`journal`'s tests of who may call).

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{done, fails, is_time, journal::Journal, keys, pact, text};

const MAC: &str = "aa:bb:cc:dd:ee:01";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn create(journal: &Journal, name: &str, role: &str, out: &Path) -> Output {
    pact(journal, &["operator", "create", name, "--role", role, "--out", out.to_str().unwrap()])
}

/// `pact … -o json` with another credential.
fn pact_as(journal: &Journal, credential: &Path, line: &[&str]) -> Output {
    let mut pact = journal.pact();
    pact.env("PACT_CREDENTIAL", credential).args(line).args(["-o", "json"]).output().expect("pact runs")
}

#[test]
fn an_operator_is_created_acts_and_is_revoked() {
    let (journal, folder) = (Journal::start("alps"), Folder::new());
    let alice = folder.file("alice.pem");

    // when
    let created = done(&create(&journal, "alice", "pact-platform-admin", &alice));

    // then
    assert_eq!(keys(&created), ["operator_id", "role", "state", "certificate"].into());
    assert_eq!((&created["operator_id"], &created["state"]), (&json!("alice"), &json!("active")));
    assert!(is_time(&created["certificate"]["not_after"]), "{created}");
    assert_eq!(fs::metadata(&alice).unwrap().permissions().mode() & 0o777, 0o600);
    let enrolled = done(&pact_as(&journal, &alice, &["node", "enroll", "n1", "--mac", MAC]));
    assert_eq!(enrolled["registered_by"], "operator:alice");

    // when
    let revoked = done(&pact(&journal, &["operator", "revoke", "alice", "--reason", "left"]));

    // then
    assert_eq!((&revoked["state"], &revoked["certificate"]), (&json!("revoked"), &Value::Null));
    let refused = pact_as(&journal, &alice, &["node", "list"]);
    fails(&refused, 4, "CERTIFICATE_REVOKED");
    assert_eq!(done(&pact(&journal, &["operator", "revoke", "alice"])), revoked);
    fails(
        &create(&journal, "alice", "pact-viewer-prod", &folder.file("2.pem")),
        1,
        "OPERATOR_ALREADY_EXISTS",
    );
    assert!(!folder.file("2.pem").exists());
}

#[test]
fn the_last_administrator_stays_and_an_unknown_operator_is_told() {
    let (journal, folder) = (Journal::start("alps"), Folder::new());
    fails(&pact(&journal, &["operator", "revoke", "admin"]), 1, "LAST_ADMIN");
    fails(&pact(&journal, &["operator", "revoke", "nobody"]), 1, "OPERATOR_NOT_FOUND");
    done(&create(&journal, "viewer", "pact-viewer-prod", &folder.file("viewer.pem")));
    fails(&pact(&journal, &["operator", "revoke", "admin"]), 1, "LAST_ADMIN");
    let alice = folder.file("alice.pem");
    done(&create(&journal, "alice", "pact-platform-admin", &alice));
    done(&pact(&journal, &["operator", "revoke", "admin"]));
    fails(&pact_as(&journal, &alice, &["operator", "revoke", "alice"]), 1, "LAST_ADMIN");
}

#[test]
fn a_renewed_credential_replaces_its_file_and_the_former_one_may_ask_again_if_the_answer_was_lost() {
    let (journal, folder) = (Journal::start("alps"), Folder::new());
    let (bob, former) = (folder.file("bob.pem"), folder.file("former.pem"));
    let created = done(&create(&journal, "bob", "pact-viewer-prod", &bob));
    fs::copy(&bob, &former).unwrap();

    let line = ["operator", "renew", "--out", bob.to_str().unwrap()];
    let renewed = done(&pact_as(&journal, &bob, &line));

    assert_ne!(renewed["certificate"]["serial"], created["certificate"]["serial"]);
    assert_eq!(renewed["role"], "pact-viewer-prod");
    done(&pact_as(&journal, &bob, &["node", "list"]));
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2);

    // when the answer was lost, within 5 minutes
    let line = ["operator", "renew", "--out", former.to_str().unwrap()];
    let again = done(&pact_as(&journal, &former, &line));

    // then the lost one is over
    assert_ne!(again["certificate"]["serial"], renewed["certificate"]["serial"]);
    done(&pact_as(&journal, &former, &["node", "list"]));
    fails(&pact_as(&journal, &bob, &["node", "list"]), 4, "CERTIFICATE_REVOKED");
}

#[test]
fn roles_are_kept_to() {
    let (journal, folder) = (Journal::start("alps"), Folder::new());
    let carol = folder.file("carol.pem");
    done(&create(&journal, "carol", "pact-viewer-prod", &carol));
    let other = folder.file("other.pem");
    let line = ["operator", "create", "x", "--role", "pact-platform-admin", "--out", other.to_str().unwrap()];
    fails(&pact_as(&journal, &carol, &line), 4, "ROLE_NOT_ALLOWED");
    fails(&pact_as(&journal, &carol, &["operator", "list"]), 4, "ROLE_NOT_ALLOWED");
    fails(&pact_as(&journal, &carol, &["node", "deactivate", "n1"]), 4, "ROLE_NOT_ALLOWED");
    fails(&pact_as(&journal, &carol, &["node", "resolve", "n1"]), 4, "ROLE_NOT_ALLOWED");
    let replace = ["node", "replace-hardware", "n1", "--mac", MAC];
    fails(&pact_as(&journal, &carol, &replace), 4, "ROLE_NOT_ALLOWED");
    let told = create(&journal, "x", "king", &other);
    assert_eq!(told.status.code(), Some(2), "{told:?}");
    fails(
        &pact(
            &journal,
            &[
                "operator",
                "create",
                "dave",
                "--role",
                "pact-ops-a",
                "--expires",
                "30s",
                "--out",
                other.to_str().unwrap(),
            ],
        ),
        1,
        "FIELD_INVALID",
    );
}

#[test]
fn the_operators_are_listed_by_name() {
    let (journal, folder) = (Journal::start("alps"), Folder::new());
    done(&create(&journal, "zoe", "pact-ops-prod", &folder.file("zoe.pem")));
    let list = done(&pact(&journal, &["operator", "list"]));
    assert_eq!(keys(&list), ["operators", "seq"].into());
    let names: Vec<&Value> =
        list["operators"].as_array().unwrap().iter().map(|one| &one["operator_id"]).collect();
    assert_eq!(names, ["admin", "zoe"]);
    let table = journal.pact().args(["operator", "list"]).output().unwrap();
    assert!(text(&table.stdout).contains("zoe") && text(&table.stdout).contains("pact-ops-prod"));
}

#[test]
fn the_status_counts_nodes_and_names_the_leader() {
    let journal = Journal::start("alps");
    done(&pact(&journal, &["node", "enroll", "n1", "--mac", MAC]));
    let status = done(&pact(&journal, &["status"]));
    let fields = ["domain_id", "leader", "journals", "nodes", "last_seq", "authorities", "warnings"];
    assert_eq!(keys(&status), fields.into());
    assert_eq!((&status["domain_id"], &status["leader"]), (&json!("alps"), &json!("j1")));
    assert_eq!(status["journals"], json!(["j1"]));
    assert_eq!(status["nodes"], json!({"registered": 1, "active": 0, "inactive": 0, "revoked": 0}));
    assert_eq!(status["warnings"], json!([]));
    assert_eq!(status["authorities"], 2);
}

#[test]
fn authorities_are_listed_with_their_certificates() {
    let journal = Journal::start("alps");
    let list = done(&pact(&journal, &["authority", "list"]));
    assert_eq!(keys(&list), ["authorities", "seq"].into());
    let authorities = list["authorities"].as_array().unwrap();
    let fields =
        ["id", "generation", "journal_id", "serial", "not_before", "not_after", "retired", "certificate_pem"];
    assert!(authorities.iter().all(|one| keys(one) == fields.into()), "{list}");
    let generations: Vec<&Value> = authorities.iter().map(|one| &one["generation"]).collect();
    assert_eq!(generations, [1, 2]);
    assert!(authorities[0]["certificate_pem"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE-----\n"));
}

/// The documents of `pact events tail -o json`, one a line.
fn events(journal: &Journal, line: &[&str]) -> Vec<Value> {
    let output = pact(journal, &[&["events", "tail"], line].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_are_told_in_the_order_of_the_log() {
    let journal = Journal::start("alps");
    done(&pact(&journal, &["node", "enroll", "n1", "--mac", MAC]));
    done(&pact(&journal, &["node", "revoke", "n1", "--reason", "stolen"]));
    let all = events(&journal, &["--from", "1"]);
    let seqs: Vec<u64> = all.iter().map(|fact| fact["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all[0]["type"], "DomainCreated");
    let of_node = events(&journal, &["--node", "n1"]);
    let types: Vec<&Value> = of_node.iter().map(|fact| &fact["type"]).collect();
    assert_eq!(types, ["NodeRegistered", "NodeRevoked"]);
    assert_eq!(
        (&of_node[1]["reason"], &of_node[1]["principal"]),
        (&json!("stolen"), &json!("operator:admin"))
    );
    fails(&pact(&journal, &["events", "tail", "--node", "n2"]), 1, "NODE_NOT_FOUND");
    assert_eq!(events(&journal, &["--from", "999"]), [] as [Value; 0]);
}

#[test]
fn who_follows_is_told_what_happens_and_is_cut_when_revoked() {
    let (journal, folder) = (Journal::start("alps"), Folder::new());
    let alice = folder.file("alice.pem");
    done(&create(&journal, "alice", "pact-platform-admin", &alice));
    let mut tail = journal
        .pact()
        .env("PACT_CREDENTIAL", &alice)
        .args(["events", "tail", "--from", "1", "--follow", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut until = |kind: &str| {
        let facts = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        facts.into_iter().any(|fact| fact["type"] == kind)
    };
    assert!(until("OperatorCreated"));
    done(&pact(&journal, &["node", "enroll", "n1", "--mac", MAC]));
    assert!(until("NodeRegistered"));
    done(&pact(&journal, &["operator", "revoke", "alice"]));
    assert_eq!(tail.wait().unwrap().code(), Some(4), "not authorized, and not merely lost");
}

#[test]
fn a_viewer_sees_the_events_and_counts_of_its_vcluster_only() {
    let (journal, folder) = (Journal::start("alps"), Folder::new());
    let (carol, overlay) = (folder.file("carol.pem"), folder.file("overlay"));
    fs::write(&overlay, "x").unwrap();
    done(&pact(&journal, &["vcluster", "set", "prod", "--overlay", overlay.to_str().unwrap()]));
    done(&pact(&journal, &["node", "enroll", "n1", "--mac", MAC]));
    done(&pact(&journal, &["node", "enroll", "n2", "--mac", "aa:bb:cc:dd:ee:02", "--vcluster", "prod"]));
    done(&create(&journal, "carol", "pact-viewer-prod", &carol));

    let seen = pact_as(&journal, &carol, &["events", "tail", "--from", "1"]);
    let types: Vec<Value> = text(&seen.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(types, ["OverlaySet", "NodeRegistered", "NodeAssigned"]);
    assert!(!text(&seen.stdout).contains("127.0.0.1"), "an administrator's address");
    assert_eq!(done(&pact_as(&journal, &carol, &["status"]))["nodes"]["registered"], 1);

    for (line, ids) in [
        (&["--vcluster", "prod"][..], &["n2"][..]),
        (&["--unassigned"][..], &["n1"][..]),
        (&["--vcluster", "test"][..], &[][..]),
        (&["--stuck"][..], &[][..]),
    ] {
        let list = done(&pact(&journal, &[&["node", "list"], line].concat()));
        let names: Vec<&Value> =
            list["nodes"].as_array().unwrap().iter().map(|node| &node["node_id"]).collect();
        assert_eq!(names, ids, "{line:?}");
    }
}
