//! Batches against a real journal: decided row by row, recorded once, told line by line.
//!
//! Not here, on purpose: files that cannot be read (`cli/src/node/batch`) and journals that answer oddly
//! (`odd_answers.rs`).

use std::{fmt::Write, fs, process::Output, time::Instant};

use serde_json::{Value, json};

use crate::{done, fails, journal::Journal, keys, pact, text};

fn enroll(journal: &Journal, file: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("nodes.csv");
    fs::write(&path, file).expect("it can be written");
    let path = path.to_str().expect("its path is text");
    pact(journal, &[&["node", "enroll", "--batch", path], more].concat())
}

fn counts(report: &Value) -> [u64; 3] {
    ["registered", "unchanged", "failed"].map(|count| report[count].as_u64().expect("a count"))
}

/// The report of a batch of which some rows failed.
#[track_caller]
fn partly(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("stdout holds one JSON document");
    let told = format!("error: ROWS_FAILED: {} of ", report["failed"]);
    assert!(text(&output.stderr).contains(&told), "{output:?}");
    report
}

type Row<'r> = (u64, &'r str, Option<&'r str>);

/// Line, name and reason of each row.
fn reasons(report: &Value) -> Vec<Row<'_>> {
    let rows = report["rows"].as_array().expect("rows");
    rows.iter().map(|row| reason(row).unwrap_or_else(|| panic!("{row}"))).collect()
}

fn reason(row: &Value) -> Option<Row<'_>> {
    Some((row["line"].as_u64()?, row["node_id"].as_str()?, row["reason"].as_str()))
}

const TWO: &str = "\
uuid,mac,node_id,bmc_serial
,AA-BB-CC-DD-EE-01;aa:bb:cc:dd:ee:02,n1,SN1
4c4c4544-0042-3510-8052-b4c04f4e3732,aa:bb:cc:dd:ee:03,n2,
";

#[test]
fn a_batch_registers_each_row_and_a_second_run_changes_nothing() {
    let journal = Journal::start("alps");
    let first = done(&enroll(&journal, TWO, &[]));
    assert_eq!(counts(&first), [2, 0, 0]);
    assert_eq!(reasons(&first), [(2, "n1", None), (3, "n2", None)]);
    let nodes = done(&pact(&journal, &["node", "list"]));
    assert_eq!(nodes["nodes"][0]["hardware"]["macs"], json!(["aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02"]));
    assert_eq!(nodes["nodes"][0]["hardware"]["bmc_serial"], "SN1");
    assert_eq!(nodes["nodes"][1]["hardware"]["uuid"], "4c4c4544-0042-3510-8052-b4c04f4e3732");

    assert_eq!(counts(&done(&enroll(&journal, TWO, &[]))), [0, 2, 0]);
    assert_eq!(done(&pact(&journal, &["node", "list"])), nodes);
}

#[test]
fn a_row_that_fails_leaves_the_others_alone() {
    let journal = Journal::start("alps");
    done(&pact(&journal, &["node", "enroll", "old", "--mac", "aa:bb:cc:dd:ee:01"]));
    let file = "node_id,mac\nold,aa:bb:cc:dd:ee:09\nn1,aa:bb:cc:dd:ee:01\n\nN2,aa:bb:cc:dd:ee:02\nn3,aa:bb\n\
                n4,aa:bb:cc:dd:ee:04,x\nn5,aa:bb:cc:dd:ee:05\nn5,aa:bb:cc:dd:ee:06\nold,aa:bb:cc:dd:ee:01\n";
    let report = partly(&enroll(&journal, file, &[]));
    assert_eq!(keys(&report), ["registered", "unchanged", "failed", "rows"].into());
    let expected = [
        (2, "old", Some("NODE_ALREADY_ENROLLED")),
        (3, "n1", Some("HARDWARE_IDENTITY_CONFLICT")),
        (5, "N2", Some("NODE_ID_INVALID")),
        (6, "n3", Some("HARDWARE_INVALID")),
        (7, "n4", Some("FIELD_INVALID")),
        (8, "n5", None),
        (9, "n5", Some("NODE_ALREADY_ENROLLED")),
        (10, "old", Some("NODE_ALREADY_ENROLLED")),
    ];
    assert_eq!(reasons(&report), expected);
    let nodes = done(&pact(&journal, &["node", "list"]));
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(2), "{nodes}");
}

#[test]
fn a_dry_run_decides_every_row_and_records_nothing() {
    let journal = Journal::start("alps");
    done(&pact(&journal, &["node", "enroll", "n1", "--mac", "aa:bb:cc:dd:ee:09"]));
    let before = done(&pact(&journal, &["node", "list"]));
    let report = partly(&enroll(&journal, TWO, &["--dry-run"]));
    assert_eq!(reasons(&report), [(2, "n1", Some("NODE_ALREADY_ENROLLED")), (3, "n2", None)]);
    assert_eq!(counts(&report), [1, 0, 1]);
    assert_eq!(done(&pact(&journal, &["node", "list"])), before);
}

#[test]
fn a_row_puts_its_node_into_a_vcluster_that_exists() {
    let journal = Journal::start("alps");
    done(&pact(&journal, &["vcluster", "set", "prod", "--overlay", "/dev/null"]));
    let file =
        "node_id,vcluster,mac\nn1,prod,aa:bb:cc:dd:ee:01\nn2,,aa:bb:cc:dd:ee:02\nn3,none,aa:bb:cc:dd:ee:03\n";
    let report = partly(&enroll(&journal, file, &[]));
    let expected = [(2, "n1", None), (3, "n2", None), (4, "n3", Some("VCLUSTER_NOT_FOUND"))];
    assert_eq!(reasons(&report), expected);
    let node = |name: &str| done(&pact(&journal, &["node", "inspect", name]))["vcluster"].clone();
    assert_eq!((node("n1"), node("n2")), (json!("prod"), json!(null)));
}

#[test]
fn ten_thousand_rows_take_at_most_three_seconds_also_again() {
    let journal = Journal::start("alps");
    let mut file = "node_id,mac,bmc_serial\n".to_owned();
    for node in 0..10_000_u32 {
        let [_, _, a, b] = node.to_be_bytes();
        writeln!(file, "compute-{node:05},02:00:00:00:{a:02x}:{b:02x},SN{node}").unwrap();
    }
    for expected in [[10_000, 0, 0], [0, 10_000, 0]] {
        let began = Instant::now();
        let report = done(&enroll(&journal, &file, &[]));
        let took = began.elapsed();
        assert_eq!(counts(&report), expected);
        assert!(took.as_secs_f64() <= 3.0, "{took:?}");
    }
}

#[test]
fn a_header_alone_registers_nobody() {
    let journal = Journal::start("alps");
    let report = done(&enroll(&journal, "node_id,mac\n", &[]));
    assert_eq!(report, json!({"registered": 0, "unchanged": 0, "failed": 0, "rows": []}));
}

#[test]
fn a_journal_that_is_gone_registers_nobody() {
    let mut journal = Journal::start("alps");
    journal.kill();
    fails(&enroll(&journal, TWO, &[]), 3, "UNREACHABLE");
}
