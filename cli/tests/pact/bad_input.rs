//! What people get wrong, each against the real `pact` and the real journal as far as there is one: every verb about nodes
//! that are none, revoked or somebody else's; files as spreadsheets write them, and very long ones; listeners that break off
//! or speak something else; credentials whose time is over.
//!
//! Each ends in one sentence that says what to do, with the right exit code, in time.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use proto::{
    convert::batch::RowOutcome,
    pb::{self, BatchRow},
};
use serde_json::Value;

use crate::{
    connection::{Files, ends},
    done, fails,
    fake::{Fake, Reply},
    journal::Journal,
    pact, text,
};

/// Each verb that names a node, about this one.
fn verbs(node: &str) -> [Vec<&str>; 6] {
    [
        vec!["node", "inspect", node],
        vec!["node", "revoke", node, "--reason", "x"],
        vec!["node", "decommission", node],
        vec!["node", "deactivate", node],
        vec!["node", "resolve", node],
        vec!["node", "replace-hardware", node, "--mac", "aa:bb:cc:dd:ee:99"],
    ]
}

fn create(journal: &Journal, folder: &Path, name: &str, role: &str, more: &[&str]) -> String {
    let file = folder.join(format!("{name}.pem")).to_str().expect("its path is text").to_owned();
    let line = ["operator", "create", name, "--role", role, "--out", &file];
    done(&pact(journal, &[&line, more].concat()));
    file
}

fn pact_as(journal: &Journal, credential: &str, line: &[&str]) -> Output {
    let mut pact = journal.pact();
    pact.env("PACT_CREDENTIAL", credential).args(line).args(["-o", "json"]).output().expect("pact runs")
}

#[test]
fn every_verb_says_that_a_node_is_none_and_that_a_name_is_none() {
    let journal = Journal::start("alps");
    for verb in verbs("nobody") {
        fails(&pact(&journal, &verb), 1, "NODE_NOT_FOUND");
    }
    for verb in verbs("Not A Name") {
        fails(&pact(&journal, &verb), 1, "NODE_ID_INVALID");
    }
    let tail = |node| pact(&journal, &["events", "tail", "--node", node]);
    fails(&tail("nobody"), 1, "NODE_NOT_FOUND");
    fails(&tail("Not A Name"), 1, "NODE_ID_INVALID");
    assert_eq!(done(&pact(&journal, &["node", "list"]))["nodes"], Value::Array(vec![]), "nothing came of it");
}

#[test]
fn every_verb_leaves_a_revoked_node_revoked_and_only_another_enrollment_begins_anew() {
    let journal = Journal::start("alps");
    done(&pact(&journal, &["node", "enroll", "n1", "--mac", "aa:bb:cc:dd:ee:01"]));
    let revoked = done(&pact(&journal, &["node", "revoke", "n1", "--reason", "stolen"]));
    for verb in verbs("n1") {
        let output = pact(&journal, &verb);
        if verb[1] == "replace-hardware" {
            fails(&output, 1, "NODE_REVOKED");
        } else {
            assert_eq!(done(&output), revoked, "{verb:?}");
        }
    }
    assert_eq!(done(&pact(&journal, &["node", "inspect", "n1"])), revoked);
    let anew = done(&pact(&journal, &["node", "enroll", "n1", "--mac", "aa:bb:cc:dd:ee:01"]));
    assert_eq!((&anew["state"], &anew["epoch"]), (&"registered".into(), &2.into()));
}

#[test]
fn to_whom_a_node_is_foreign_it_looks_like_none_and_stays_as_it_is() {
    let (journal, folder) = (Journal::start("alps"), tempfile::tempdir().unwrap());
    let overlay = folder.path().join("overlay");
    fs::write(&overlay, "x").unwrap();
    for vcluster in ["prod", "test"] {
        done(&pact(&journal, &["vcluster", "set", vcluster, "--overlay", overlay.to_str().unwrap()]));
    }
    done(&pact(&journal, &["node", "enroll", "n1", "--mac", "aa:bb:cc:dd:ee:01", "--vcluster", "prod"]));
    let before = done(&pact(&journal, &["node", "inspect", "n1"]));
    for role in ["pact-viewer-test", "pact-ops-test"] {
        let stranger = create(&journal, folder.path(), role, role, &[]);
        let as_none = pact_as(&journal, &stranger, &["node", "inspect", "nobody"]);
        let foreign = pact_as(&journal, &stranger, &["node", "inspect", "n1"]);
        fails(&foreign, 1, "NODE_NOT_FOUND");
        assert_eq!(text(&foreign.stderr), text(&as_none.stderr).replace("nobody", "n1"), "the same answer");
        for verb in &verbs("n1")[1..] {
            fails(&pact_as(&journal, &stranger, verb), 4, "ROLE_NOT_ALLOWED");
        }
        assert_eq!(done(&pact_as(&journal, &stranger, &["node", "list"]))["nodes"], Value::Array(vec![]));
        fails(&pact_as(&journal, &stranger, &["events", "tail", "--node", "n1"]), 1, "NODE_NOT_FOUND");
    }
    assert_eq!(done(&pact(&journal, &["node", "inspect", "n1"])), before);
}

#[test]
fn a_file_as_a_spreadsheet_writes_it_is_read_and_what_stands_twice_is_told_with_its_line() {
    let (journal, folder) = (Journal::start("alps"), tempfile::tempdir().unwrap());
    let file = folder.path().join("nodes.csv");
    let rows = "\u{feff}\"mac\",\"node_id\",\"bmc_serial\"\r\n\
                \"aa:bb:cc:dd:ee:01;aa:bb:cc:dd:ee:02\",\"n1\",\"S, \"\"1\"\"\"\r\n\
                AA-BB-CC-DD-EE-03,n2,\r\n\
                aa:bb:cc:dd:ee:03,n3,\r\n\
                aa:bb:cc:dd:ee:04,n1,\r\n";
    fs::write(&file, rows).unwrap();
    let output = pact(&journal, &["node", "enroll", "--batch", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["registered"], &report["failed"]), (&2.into(), &2.into()), "{report}");
    let row = |nth: usize| (report["rows"][nth]["line"].as_u64(), report["rows"][nth]["reason"].as_str());
    assert_eq!(row(2), (Some(4), Some("HARDWARE_IDENTITY_CONFLICT")));
    assert_eq!(row(3), (Some(5), Some("NODE_ALREADY_ENROLLED")));
    let node = done(&pact(&journal, &["node", "inspect", "n1"]));
    assert_eq!(node["hardware"]["bmc_serial"], "S, \"1\"");
}

/// With a real journal this takes minutes, and shows nothing else of `pact`.
#[test]
fn a_million_rows_are_one_batch() {
    const ROWS: u32 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::start(
        Box::new(|_, request| {
            Reply::Rows(
                request
                    .rows
                    .iter()
                    .map(|_| BatchRow::from(RowOutcome::Registered { warnings: vec![] }))
                    .collect(),
            )
        }),
        pb::GetVClusterResponse::default(),
    );
    let mut rows = "node_id,mac\n".to_owned();
    for node in 0..ROWS {
        let [a, b, c, d] = node.to_be_bytes();
        writeln!(rows, "n{node},02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}").unwrap();
    }
    rows += "n0,02:01:00:00:00:00\n";
    let file = folder.path().join("nodes.csv");
    fs::write(&file, rows).unwrap();
    let output = fake.pact().args(["node", "enroll", "--batch"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told: Vec<Vec<&str>> =
        text(&output.stdout).lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(told.contains(&vec!["REGISTERED", "1000000"]) && told.contains(&vec!["FAILED", "1"]), "{told:?}");
    assert!(
        told.iter().any(|line| line.starts_with(&["1000002", "n0", "NODE_ALREADY_ENROLLED"])),
        "{told:?}"
    );
}

/// A listener that treats whoever connects so, one after another.
fn listener(treat: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(treat));
    address
}

#[test]
fn a_listener_that_breaks_off_or_speaks_something_else_is_told_in_time() {
    let files = Files::new();
    let closed = listener(drop);
    let hello_and_gone = listener(|mut stream| {
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).ok();
    });
    let plain = listener(|mut stream| {
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).ok();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").ok();
    });
    for address in [closed, hello_and_gone, plain] {
        let began = Instant::now();
        let mut pact = files.pact(&format!("https://{address}"));
        let output = pact.args(["node", "list", "--timeout", "2s"]).output().unwrap();
        ends(&output, 3, "error: ");
        assert!(text(&output.stderr).contains(&address.to_string()), "{output:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{output:?}");
    }
}

#[test]
fn a_journal_that_says_nothing_after_the_handshake_meets_the_timeout() {
    let fake = Fake::start(Box::new(|_, _| Reply::Silence), pb::GetVClusterResponse::default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nodes.csv");
    fs::write(&file, "node_id,mac\nn1,aa:bb:cc:dd:ee:01\n").unwrap();
    let began = Instant::now();
    let mut pact: Command = fake.pact();
    let output = pact.args(["node", "enroll", "--timeout", "1s", "--batch"]).arg(&file).output().unwrap();
    ends(&output, 3, "error: DEADLINE: ");
    assert!(began.elapsed() < Duration::from_secs(10), "{output:?}");
}

#[test]
fn a_credential_whose_time_is_over_is_told_as_such() {
    let (journal, folder) = (Journal::start("alps"), tempfile::tempdir().unwrap());
    // No certificate of an operator lives shorter.
    let carol = create(&journal, folder.path(), "carol", "pact-viewer-prod", &["--expires", "1m"]);
    done(&pact_as(&journal, &carol, &["node", "list"]));
    let until = Instant::now() + Duration::from_secs(120);
    let over = loop {
        let output = pact_as(&journal, &carol, &["node", "list"]);
        if output.status.code() != Some(0) {
            break output;
        }
        assert!(Instant::now() < until, "it opens still");
        thread::sleep(Duration::from_secs(1));
    };
    fails(&over, 4, "CERTIFICATE_EXPIRED");
}
