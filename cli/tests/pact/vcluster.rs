//! vClusters against a real journal: set, shown, listed, and what nodes are assigned to.
//!
//! Not here, on purpose: what nodes receive of it (`agent`), and journals that answer oddly (`odd_answers.rs`).

use std::{fs, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{done, fails, is_time, journal::Journal, keys, pact, text};

const KEYS: [&str; 7] =
    ["vcluster", "revision", "overlay_sha256", "overlay_size", "set_at", "set_by", "nodes"];
/// SHA-256 of `one`.
const ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
/// SHA-256 of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Overlays(TempDir);

impl Overlays {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// The path of a file that holds this.
    fn file(&self, bytes: &[u8]) -> String {
        let path = self.0.path().join("overlay");
        fs::write(&path, bytes).expect("it can be written");
        path.to_str().expect("its path is text").to_owned()
    }
}

fn set(journal: &Journal, name: &str, overlay: &[u8]) -> Output {
    let overlays = Overlays::new();
    pact(journal, &["vcluster", "set", name, "--overlay", &overlays.file(overlay)])
}

#[test]
fn a_vcluster_exists_from_its_first_overlay_on_and_is_printed_whole() {
    let journal = Journal::start("alps");
    fails(&pact(&journal, &["vcluster", "show", "prod"]), 1, "VCLUSTER_NOT_FOUND");
    let prod = done(&set(&journal, "prod", b"one"));
    assert_eq!(keys(&prod), KEYS.into());
    assert_eq!((&prod["vcluster"], &prod["overlay_sha256"]), (&json!("prod"), &json!(ONE)));
    assert_eq!((&prod["overlay_size"], &prod["nodes"]), (&json!(3), &json!(0)));
    assert!(is_time(&prod["set_at"]) && prod["set_by"] == "operator:admin", "{prod}");
    assert_eq!(done(&pact(&journal, &["vcluster", "show", "prod"])), prod);
}

#[test]
fn the_overlay_that_it_has_already_changes_nothing_and_another_one_does() {
    let journal = Journal::start("alps");
    let first = done(&set(&journal, "prod", b"one"));
    assert_eq!(done(&set(&journal, "prod", b"one")), first);
    let second = done(&set(&journal, "prod", b""));
    assert_eq!((&second["overlay_sha256"], &second["overlay_size"]), (&json!(NOTHING), &json!(0)));
    assert!(second["revision"].as_u64() > first["revision"].as_u64(), "{second}");
}

#[test]
fn an_overlay_comes_back_byte_for_byte_also_the_largest() {
    let journal = Journal::start("alps");
    let overlay: Vec<u8> = (0..10 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 4]).collect();
    done(&set(&journal, "prod", &overlay));
    let shown = journal.pact().args(["vcluster", "show", "prod", "--out", "-"]).output().unwrap();
    assert!(shown.status.code() == Some(0) && shown.stdout == overlay, "{}", shown.stdout.len());
}

#[test]
fn the_list_holds_all_vclusters_in_their_order_and_the_default() {
    let journal = Journal::start("alps");
    let empty = done(&pact(&journal, &["vcluster", "list"]));
    assert_eq!(keys(&empty), ["vclusters", "domain_default", "seq"].into());
    assert_eq!((&empty["vclusters"], &empty["domain_default"]), (&json!([]), &json!(null)));

    let b = done(&set(&journal, "b", b"one"));
    let a = done(&set(&journal, "a", b"one"));
    let overlays = Overlays::new();
    let line = ["vcluster", "set-default", "--overlay", &overlays.file(b"one")];
    let default = done(&pact(&journal, &line));
    assert_eq!((keys(&default), &default["vcluster"]), (KEYS.into(), &json!(null)));
    let list = done(&pact(&journal, &["vcluster", "list"]));
    assert_eq!((&list["vclusters"], &list["domain_default"]), (&json!([a, b]), &default));
    assert_eq!(list["seq"], default["revision"]);
    assert_eq!(done(&pact(&journal, &["vcluster", "show", "--default"])), default);
}

#[test]
fn nodes_are_counted_where_they_are() {
    let journal = Journal::start("alps");
    let overlays = Overlays::new();
    done(&set(&journal, "prod", b"one"));
    done(&pact(&journal, &["vcluster", "set-default", "--overlay", &overlays.file(b"two")]));
    let node = |name: &str, mac: &str, more: &[&str]| {
        pact(&journal, &[&["node", "enroll", name, "--mac", mac], more].concat())
    };
    let assigned = done(&node("n1", "aa:bb:cc:dd:ee:01", &["--vcluster", "prod"]));
    assert_eq!(assigned["vcluster"], "prod");
    assert_eq!(done(&node("n2", "aa:bb:cc:dd:ee:02", &["--vcluster", "prod"]))["vcluster"], "prod");
    assert_eq!(done(&node("n3", "aa:bb:cc:dd:ee:03", &[]))["vcluster"], json!(null));
    fails(&node("n4", "aa:bb:cc:dd:ee:04", &["--vcluster", "test"]), 1, "VCLUSTER_NOT_FOUND");
    fails(&node("n4", "aa:bb:cc:dd:ee:04", &["--vcluster", "Test"]), 1, "FIELD_INVALID");

    let nodes = |line: &[&str]| done(&pact(&journal, line))["nodes"].clone();
    assert_eq!(nodes(&["vcluster", "show", "prod"]), 2);
    assert_eq!(nodes(&["vcluster", "show", "--default"]), 1);
    done(&pact(&journal, &["node", "revoke", "n2", "--reason", "gone"]));
    assert_eq!(nodes(&["vcluster", "show", "prod"]), 1);
}

#[test]
fn tables_of_vclusters_are_plain_text() {
    let journal = Journal::start("alps");
    done(&set(&journal, "prod", b"one"));
    let listed = journal.pact().args(["vcluster", "list"]).output().unwrap();
    let lines: Vec<&str> = text(&listed.stdout).lines().collect();
    assert!(lines[0].starts_with("VCLUSTER ") && lines[1].starts_with("prod "), "{lines:?}");
    assert!(lines[1].contains(&ONE[..12]), "{lines:?}");
    let shown = journal.pact().args(["vcluster", "show", "prod"]).output().unwrap();
    assert!(text(&shown.stdout).starts_with("VCLUSTER         prod\n"), "{shown:?}");
}

#[test]
fn a_vcluster_that_is_not_there_has_no_overlay_to_fetch() {
    let journal = Journal::start("alps");
    let folder = Overlays::new();
    let file = folder.0.path().join("none");
    let out = file.to_str().unwrap();
    fails(&pact(&journal, &["vcluster", "show", "prod", "--out", out]), 1, "VCLUSTER_NOT_FOUND");
    fails(&pact(&journal, &["vcluster", "show", "--default", "--out", out]), 1, "VCLUSTER_NOT_FOUND");
    assert!(!file.exists());
    let list: Value = done(&pact(&journal, &["vcluster", "list"]));
    assert_eq!(list["vclusters"], json!([]));
}
