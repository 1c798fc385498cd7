//! Nodes and vClusters against a real journal: assign, unassign, move, drain, and who may.
//!
//! Not here, on purpose: what nodes hear of it (`journal`'s tests of boot configuration).

use std::{fs, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{done, fails, journal::Journal, pact};

/// A domain with the vClusters prod and test, and the nodes n1 (in none), n2 (in prod) and n3 (in test).
struct Domain {
    journal: Journal,
    folder: TempDir,
}

impl Domain {
    fn start() -> Self {
        let (journal, folder) = (Journal::start("alps"), tempfile::tempdir().expect("a temporary folder"));
        let overlay = folder.path().join("overlay");
        fs::write(&overlay, "x").expect("it can be written");
        for vcluster in ["prod", "test"] {
            done(&pact(&journal, &["vcluster", "set", vcluster, "--overlay", overlay.to_str().unwrap()]));
        }
        for (node, more) in
            [("n1", &[][..]), ("n2", &["--vcluster", "prod"]), ("n3", &["--vcluster", "test"])]
        {
            let mac = format!("aa:bb:cc:dd:ee:0{}", &node[1..]);
            done(&pact(&journal, &[&["node", "enroll", node, "--mac", &mac], more].concat()));
        }
        Self { journal, folder }
    }

    fn pact(&self, line: &str) -> Output {
        pact(&self.journal, &line.split(' ').collect::<Vec<_>>())
    }

    /// A new operator's credential.
    fn operator(&self, role: &str) -> PathBuf {
        let out = self.folder.path().join(format!("{role}.pem"));
        let name = role.trim_start_matches("pact-");
        done(&self.pact(&format!("operator create {name} --role {role} --out {}", out.display())));
        out
    }

    fn pact_as(&self, credential: &PathBuf, line: &str) -> Output {
        let mut pact = self.journal.pact();
        let line = format!("{line} -o json");
        pact.env("PACT_CREDENTIAL", credential).args(line.split(' ')).output().expect("pact runs")
    }

    fn types(&self, node: &str) -> Vec<Value> {
        let told = self.pact(&format!("events tail --node {node}"));
        let facts = String::from_utf8(told.stdout).expect("text");
        facts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone()).collect()
    }
}

#[test]
fn a_node_is_assigned_moved_and_unassigned_and_each_prints_it() {
    let domain = Domain::start();
    let assigned = done(&domain.pact("node assign n1 --vcluster prod"));
    assert_eq!((&assigned["node_id"], &assigned["vcluster"]), (&json!("n1"), &json!("prod")));
    assert_eq!(done(&domain.pact("node assign n1 --vcluster prod")), assigned);
    let moved = done(&domain.pact("node move n1 --to-vcluster test"));
    assert_eq!(moved["vcluster"], "test");
    assert_eq!(done(&domain.pact("node move n1 --to-vcluster test")), moved);
    let unassigned = done(&domain.pact("node unassign n1"));
    assert_eq!(unassigned["vcluster"], json!(null));
    assert_eq!(done(&domain.pact("node unassign n1")), unassigned);
    assert_eq!(done(&domain.pact("node inspect n1")), unassigned);
    assert_eq!(domain.types("n1"), ["NodeRegistered", "NodeAssigned", "NodeMoved", "NodeUnassigned"]);
}

#[test]
fn a_node_drains_in_lists_and_alone_until_it_does_not() {
    let domain = Domain::start();
    let drained = done(&domain.pact("node drain n2"));
    assert_eq!((&drained["draining"], &drained["state"]), (&json!(true), &json!("registered")));
    assert_eq!(done(&domain.pact("node drain n2")), drained);
    let list = done(&domain.pact("node list"));
    let draining: Vec<&Value> =
        list["nodes"].as_array().unwrap().iter().map(|one| &one["draining"]).collect();
    assert_eq!(draining, [false, true, false]);
    let table = domain.journal.pact().args(["node", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&table.stdout).contains("registered (draining)"), "{table:?}");
    assert_eq!(done(&domain.pact("node move n2 --to-vcluster test"))["draining"], true);
    let undrained = done(&domain.pact("node undrain n2"));
    assert_eq!(undrained["draining"], false);
    assert_eq!(done(&domain.pact("node undrain n2")), undrained);
    assert_eq!(done(&domain.pact("node decommission n2"))["state"], "revoked");
    fails(&domain.pact("node drain n2"), 1, "NODE_REVOKED");
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let domain = Domain::start();
    for (line, reason) in [
        ("node assign n9 --vcluster prod", "NODE_NOT_FOUND"),
        ("node assign n1 --vcluster nowhere", "VCLUSTER_NOT_FOUND"),
        ("node assign n2 --vcluster test", "NODE_ASSIGNED"),
        ("node move n1 --to-vcluster prod", "NODE_UNASSIGNED"),
        ("node move n2 --to-vcluster nowhere", "VCLUSTER_NOT_FOUND"),
        ("node unassign n9", "NODE_NOT_FOUND"),
        ("node drain N9", "NODE_ID_INVALID"),
        ("node undrain n9", "NODE_NOT_FOUND"),
    ] {
        fails(&domain.pact(line), 1, reason);
    }
    for line in ["node assign n1", "node move n1", "node assign --vcluster prod", "node drain"] {
        assert_eq!(domain.pact(line).status.code(), Some(2), "{line}");
    }
}

#[test]
fn ops_change_nodes_of_their_own_vcluster_only_and_viewers_none() {
    let domain = Domain::start();
    let (ops, viewer) = (domain.operator("pact-ops-prod"), domain.operator("pact-viewer-prod"));
    // What it does not see does not exist: nodes in another vCluster, and in none.
    for (line, node) in
        [("node drain", "n3"), ("node undrain", "n1"), ("node unassign", "n3"), ("node unassign", "n1")]
    {
        fails(&domain.pact_as(&ops, &format!("{line} {node}")), 1, "NODE_NOT_FOUND");
    }
    fails(&domain.pact_as(&ops, "node assign n1 --vcluster prod"), 1, "NODE_NOT_FOUND");
    fails(&domain.pact_as(&ops, "node move n3 --to-vcluster prod"), 1, "NODE_NOT_FOUND");
    // Where it may not put a node is refused whatever the node is.
    for node in ["n1", "n2", "n3", "n9"] {
        fails(&domain.pact_as(&ops, &format!("node assign {node} --vcluster test")), 4, "ROLE_NOT_ALLOWED");
        fails(&domain.pact_as(&ops, &format!("node move {node} --to-vcluster test")), 4, "ROLE_NOT_ALLOWED");
    }
    for verb in
        ["assign n2 --vcluster prod", "unassign n2", "move n2 --to-vcluster prod", "drain n2", "undrain n2"]
    {
        fails(&domain.pact_as(&viewer, &format!("node {verb}")), 4, "ROLE_NOT_ALLOWED");
    }
    assert_eq!(domain.types("n2"), ["NodeRegistered", "NodeAssigned"], "nothing was recorded");

    assert_eq!(done(&domain.pact_as(&ops, "node drain n2"))["draining"], true);
    assert_eq!(done(&domain.pact_as(&ops, "node undrain n2"))["draining"], false);
    assert_eq!(done(&domain.pact_as(&ops, "node assign n2 --vcluster prod"))["vcluster"], "prod");
    // It is shown once more to whom it was visible until then.
    assert_eq!(done(&domain.pact_as(&ops, "node unassign n2"))["vcluster"], json!(null));
    fails(&domain.pact_as(&ops, "node inspect n2"), 1, "NODE_NOT_FOUND");
    fails(&domain.pact_as(&ops, "node unassign n2"), 1, "NODE_NOT_FOUND");
    let told = done(&domain.pact("node inspect n2"));
    assert_eq!((&told["vcluster"], &told["draining"]), (&json!(null), &json!(false)));
}

#[test]
fn an_operator_revoked_meanwhile_changes_nothing() {
    let domain = Domain::start();
    let ops = domain.operator("pact-ops-prod");
    done(&domain.pact("operator revoke ops-prod"));
    fails(&domain.pact_as(&ops, "node drain n2"), 4, "CERTIFICATE_REVOKED");
    assert_eq!(domain.types("n2"), ["NodeRegistered", "NodeAssigned"]);
}
