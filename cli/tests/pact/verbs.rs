//! Each verb of `pact node` against each kind of node that it is not made for: one that nobody knows, one that was revoked, one
//! that two machines claim to be, and one of another vCluster than the operator's. Each ends in what design §5 says, or in
//! one sentence with a reason.
//!
//! Not here, on purpose: the verbs on nodes that they are made for (`node.rs`, `groups.rs`).

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    done, fails,
    journal::{Journal, Machine},
    pact,
};

/// Two machines show within some seconds that both live; a busy machine takes longer.
const SHOWN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A domain with the vClusters prod and test.
struct Domain {
    journal: Journal,
    folder: TempDir,
}

impl Domain {
    fn start() -> Self {
        let domain = Self { journal: Journal::start("alps"), folder: tempfile::tempdir().expect("a folder") };
        let overlay = domain.folder.path().join("overlay");
        fs::write(&overlay, "x").expect("it can be written");
        for vcluster in ["prod", "test"] {
            done(&domain.pact(&format!("vcluster set {vcluster} --overlay {}", overlay.display())));
        }
        domain
    }

    fn pact(&self, line: &str) -> std::process::Output {
        pact(&self.journal, &line.split(' ').collect::<Vec<_>>())
    }

    fn pact_as(&self, credential: &PathBuf, line: &str) -> std::process::Output {
        let mut pact = self.journal.pact();
        let line = format!("{line} -o json");
        pact.env("PACT_CREDENTIAL", credential).args(line.split(' ')).output().expect("pact runs")
    }

    fn enroll(&self, node: &str, mac: &str) -> Value {
        done(&self.pact(&format!("node enroll {node} --mac {mac} --vcluster prod")))
    }

    /// Waits until the node is as it should be.
    #[track_caller]
    fn shows(&self, node: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + SHOWN;
        loop {
            let told = done(&self.pact(&format!("node inspect {node}")));
            if is(&told) {
                return told;
            }
            assert!(Instant::now() < deadline, "{node} is not {what}: {told}");
            thread::sleep(LOOK);
        }
    }

    /// Nodes that two machines each claim to be, which all live.
    fn contested<'n>(&self, nodes: impl IntoIterator<Item = &'n (String, String)> + Clone) -> Vec<Machine> {
        let mut machines = vec![];
        for (node, mac) in nodes.clone() {
            self.enroll(node, mac);
            machines.push(self.journal.machine(mac));
        }
        for (node, mac) in nodes.clone() {
            self.shows(node, "confirmed", |node| node["confirmed"] == true);
            machines.push(self.journal.machine(mac));
        }
        for (node, _) in nodes {
            self.shows(node, "contested", |node| node["contested"] == true);
        }
        machines
    }

    fn last_seq(&self) -> Value {
        done(&self.pact("status"))["last_seq"].clone()
    }
}

/// The verbs that name one node, with what they need beside it; enroll is not among them.
const VERBS: [&str; 11] = [
    "inspect",
    "assign --vcluster prod",
    "move --to-vcluster test",
    "unassign",
    "drain",
    "undrain",
    "resolve",
    "deactivate",
    "replace-hardware --mac aa:bb:cc:dd:ee:77",
    "decommission",
    "revoke --reason gone",
];

/// A line of `pact` that uses the verb on the node.
fn line(verb: &str, node: &str) -> String {
    let (verb, more) = verb.split_once(' ').unwrap_or((verb, ""));
    format!("node {verb} {node} {more}").trim_end().to_owned()
}

#[test]
fn a_node_that_nobody_knows_is_not_found_by_any_verb_and_nothing_is_recorded() {
    let domain = Domain::start();
    let before = domain.last_seq();
    for verb in VERBS {
        fails(&domain.pact(&line(verb, "n9")), 1, "NODE_NOT_FOUND");
    }
    assert_eq!(domain.last_seq(), before);
}

#[test]
fn a_revoked_node_stays_as_it_is_whatever_the_verb_and_is_enrolled_anew_in_a_new_epoch() {
    let domain = Domain::start();
    domain.enroll("gone", "aa:bb:cc:dd:ee:01");
    let gone = done(&domain.pact("node revoke gone --reason stolen"));
    let before = domain.last_seq();
    for verb in VERBS {
        let told = domain.pact(&line(verb, "gone"));
        // What is so already is answered as it is (§5: no-op); what cannot be any more is refused.
        match verb.split(' ').next().unwrap() {
            "inspect" | "resolve" | "deactivate" | "decommission" | "revoke" => {
                assert_eq!(done(&told), gone, "{verb}");
            }
            _ => fails(&told, 1, "NODE_REVOKED"),
        }
    }
    assert_eq!(domain.last_seq(), before);
    let anew = domain.enroll("gone", "aa:bb:cc:dd:ee:01");
    assert_eq!((&anew["state"], &anew["epoch"]), (&json!("registered"), &json!(2)));
}

#[test]
fn a_node_of_another_vcluster_is_as_unknown_to_ops_and_viewers_as_one_that_does_not_exist() {
    let domain = Domain::start();
    domain.enroll("far", "aa:bb:cc:dd:ee:02");
    let credentials = ["pact-ops-test", "pact-viewer-test"].map(|role| {
        let out = domain.folder.path().join(format!("{role}.pem"));
        let name = role.trim_start_matches("pact-");
        done(&domain.pact(&format!("operator create {name} --role {role} --out {}", out.display())));
        (role, out)
    });
    let before = domain.last_seq();
    for (role, credential) in &credentials {
        for verb in VERBS {
            // The same answer for both: whoever may not see a node cannot tell whether it is there.
            let [far, unknown] = ["far", "n9"].map(|node| domain.pact_as(credential, &line(verb, node)));
            let same = |output: &std::process::Output, node: &str| {
                String::from_utf8_lossy(&output.stdout).replace(node, "NODE")
            };
            assert_eq!(same(&far, "far"), same(&unknown, "n9"), "{role}: {verb}");
            assert_ne!(far.status.code(), Some(0), "{role}: {verb}");
            if verb == "inspect" {
                fails(&far, 1, "NODE_NOT_FOUND");
            }
        }
        fails(&domain.pact_as(credential, "node enroll far --mac aa:bb:cc:dd:ee:03"), 4, "ROLE_NOT_ALLOWED");
    }
    assert_eq!(domain.last_seq(), before);
}

#[test]
fn rule_14_a_contested_node_can_be_operated_and_stays_contested_until_it_is_settled() {
    let domain = Domain::start();
    let mac = "aa:bb:cc:dd:ee:11";
    let _machines = domain.contested(&[("two".to_owned(), mac.to_owned())]);
    fails(&domain.pact(&format!("node enroll two --mac {mac}")), 1, "NODE_ALREADY_ENROLLED");
    for (verb, key, value) in [
        ("inspect", "vcluster", json!("prod")),
        ("assign --vcluster prod", "vcluster", json!("prod")),
        ("move --to-vcluster test", "vcluster", json!("test")),
        ("unassign", "vcluster", json!(null)),
        ("assign --vcluster prod", "vcluster", json!("prod")),
        ("drain", "draining", json!(true)),
        ("undrain", "draining", json!(false)),
    ] {
        let told = done(&domain.pact(&line(verb, "two")));
        assert_eq!(
            (&told[key], &told["contested"], &told["state"]),
            (&value, &json!(true), &json!("active")),
            "{verb}"
        );
    }
    let listed = done(&domain.pact("node list --contested"));
    assert_eq!(listed["nodes"][0]["node_id"], "two", "{listed}");
    let resolved = done(&domain.pact("node resolve two"));
    assert_eq!((&resolved["contested"], &resolved["state"]), (&json!(false), &json!("active")));
}

#[test]
fn rule_14_a_contested_node_is_deactivated_gets_other_hardware_is_decommissioned_or_revoked_like_any_other() {
    let domain = Domain::start();
    let verbs =
        ["deactivate", "replace-hardware --mac aa:bb:cc:dd:ee:77", "decommission", "revoke --reason cloned"];
    let states = ["inactive", "inactive", "revoked", "revoked"];
    let nodes = [0, 1, 2, 3].map(|number| (format!("two{number}"), format!("aa:bb:cc:dd:ee:2{number}")));
    let machines = domain.contested(&nodes);
    // Nobody comes back before the answer is looked at.
    drop(machines);
    for ((verb, state), (node, _)) in verbs.into_iter().zip(states).zip(&nodes) {
        let told = done(&domain.pact(&line(verb, node)));
        assert_eq!((&told["state"], &told["certificate"]), (&json!(state), &json!(null)), "{verb}");
        // A new epoch settles it, and so does its end; else an operator does.
        assert_eq!(told["contested"], json!(state == "inactive"), "{verb}");
        let resolved = done(&domain.pact(&line("resolve", node)));
        assert_eq!((&resolved["contested"], &resolved["state"]), (&json!(false), &json!(state)), "{verb}");
    }
}
