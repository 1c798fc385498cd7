//! The real `pact` against a journal that gives odd answers, or none: lost connections, reasons of a newer release,
//! refusals in the middle, overlays with the wrong hash, and files without end.
//!
//! Not here, on purpose: what a sound journal answers (`batch.rs`, `vcluster.rs`).

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use events::vocabulary::{Digest, Timestamp};
use proto::{
    convert::{batch::RowOutcome, moment},
    pb::{self, BatchRegisterNodesRequest, BatchRow},
    reason::Reason,
    refusal::Refusal,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::{Decide, Fake, Reply};

fn fake(decide: impl Fn(u32, BatchRegisterNodesRequest) -> Reply + Send + Sync + 'static) -> Fake {
    let decide: Decide = Box::new(decide);
    Fake::start(decide, pb::GetVClusterResponse::default())
}

fn registered(request: &BatchRegisterNodesRequest) -> Vec<BatchRow> {
    request.rows.iter().map(|_| RowOutcome::Registered { warnings: vec![] }.into()).collect()
}

/// A file of so many nodes.
fn nodes(folder: &TempDir, count: u32) -> PathBuf {
    let mut text = "node_id,mac\n".to_owned();
    for node in 0..count {
        let [a, b, c, d] = node.to_be_bytes();
        writeln!(text, "n{node},02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}").expect("a string takes it");
    }
    let file = folder.path().join("nodes.csv");
    fs::write(&file, text).expect("it can be written");
    file
}

fn batch(pact: &mut Command, file: &PathBuf) -> Output {
    pact.args(["node", "enroll", "-o", "json", "--batch"]).arg(file).output().expect("pact runs")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[track_caller]
fn fails(output: &Output, exit: i32, reason: &str) -> String {
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    let document = document(output);
    assert_eq!(document["error"]["reason"], reason);
    document["error"]["message"].as_str().expect("a sentence").to_owned()
}

#[test]
fn ten_thousand_rows_are_asked_for_in_parts_and_told_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let fake = fake(|_, request| {
        assert!(request.rows.len() <= 1000 && !request.dry_run);
        Reply::Rows(registered(&request))
    });
    let output = batch(&mut fake.pact(), &nodes(&folder, 10_000));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = document(&output);
    assert_eq!(
        (&report["registered"], &report["unchanged"], &report["failed"]),
        (&json!(10_000), &json!(0), &json!(0))
    );
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows[0], json!({"line": 2, "node_id": "n0", "reason": null, "message": null}));
    assert_eq!(rows[9_999], json!({"line": 10_001, "node_id": "n9999", "reason": null, "message": null}));
}

#[test]
fn a_connection_lost_in_the_middle_says_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let fake = fake(|part, request| if part < 5 { Reply::Rows(registered(&request)) } else { Reply::Die });
    let output = batch(&mut fake.pact(), &nodes(&folder, 20_000));
    let told = fails(&output, 3, "UNREACHABLE");
    assert!(told.contains("; answered up to line ") && told.contains("running it again is safe"), "{told}");
}

#[test]
fn a_refusal_of_the_whole_keeps_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    for (reason, exit) in [(Reason::RoleNotAllowed, 4), (Reason::DiskLow, 1)] {
        let fake = fake(move |_, _| Reply::Refuse(Refusal::new(reason, "not so")));
        let output = batch(&mut fake.pact(), &nodes(&folder, 10));
        assert_eq!(fails(&output, exit, reason.as_str()), "not so");
    }
    // Some parts are under way at once: which of them is answered first is open.
    let fake = fake(|_, request| match request.rows[0].node_id.as_str() {
        "n0" => Reply::Rows(registered(&request)),
        _ => Reply::Refuse(Refusal::new(Reason::DiskLow, "no room")),
    });
    let told = fails(&batch(&mut fake.pact(), &nodes(&folder, 5000)), 1, "DISK_LOW");
    assert!(told.starts_with("no room; answered up to line 1001: 1000 registered"), "{told}");
}

#[test]
fn a_row_keeps_the_reason_of_a_newer_journal_and_an_unknown_outcome_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let row = |outcome: i32| BatchRow {
        outcome,
        reason: "NODE_ON_FIRE".to_owned(),
        message: "call".to_owned(),
        ..BatchRow::default()
    };
    let newer = fake(move |_, _| Reply::Rows(vec![row(3)]));
    let output = batch(&mut newer.pact(), &nodes(&folder, 1));
    assert_eq!(output.status.code(), Some(1));
    let expected = json!([{"line": 2, "node_id": "n0", "reason": "NODE_ON_FIRE", "message": "call"}]);
    assert_eq!(document(&output)["rows"], expected);
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: ROWS_FAILED: 1 of 1 rows failed\n"));

    let unknown = fake(move |_, _| Reply::Rows(vec![row(9)]));
    fails(&batch(&mut unknown.pact(), &nodes(&folder, 1)), 1, "ANSWER_INVALID");
}

#[test]
fn a_dry_run_is_asked_for_as_such_and_headed_so() {
    let folder = tempfile::tempdir().unwrap();
    let fake = fake(|_, request| {
        assert!(request.dry_run);
        Reply::Rows(registered(&request))
    });
    let mut pact = fake.pact();
    let output =
        pact.args(["node", "enroll", "--dry-run", "--batch"]).arg(nodes(&folder, 3)).output().unwrap();
    let expected = "dry run: nothing was recorded\nREGISTERED  3\nUNCHANGED   0\nFAILED      0\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_wrong_file_is_told_before_any_journal_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let fake = fake(|_, _| panic!("it was asked"));
    let file = folder.path().join("nodes.csv");
    for (text, told) in
        [("node_id,mac,rack\n", "unknown column \"rack\""), ("mac\n", "column node_id is missing")]
    {
        fs::write(&file, text).unwrap();
        let message = fails(&batch(&mut fake.pact(), &file), 2, "USAGE");
        assert!(message.contains("nodes.csv") && message.contains(told), "{message}");
    }
    let message = fails(&batch(&mut fake.pact(), &folder.path().join("none.csv")), 2, "USAGE");
    assert!(message.contains("none.csv"), "{message}");
    let message = fails(&batch(&mut fake.pact(), &folder.path().to_owned()), 2, "USAGE");
    assert!(message.contains("directory"), "{message}");
}

#[test]
fn a_pipe_is_read_like_a_file() {
    let fake = fake(|_, request| Reply::Rows(registered(&request)));
    let mut pact = fake.pact();
    pact.args(["node", "enroll", "-o", "json", "--batch", "/dev/stdin"]);
    let mut pact = pact.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = pact.stdin.take().unwrap();
    stdin.write_all(b"node_id,mac\nn1,02:00:00:00:00:01\n").unwrap();
    stdin.write_all(b"n2,02:00:00:00:00:02\n").unwrap();
    drop(stdin);
    assert_eq!(document(&pact.wait_with_output().unwrap())["registered"], 2);
}

fn vcluster(overlay: &[u8], of: &[u8]) -> pb::GetVClusterResponse {
    let vcluster = pb::VCluster {
        vcluster_id: "prod".to_owned(),
        revision: 7,
        sha256: Digest::of(of).as_bytes().to_vec(),
        size: of.len() as u64,
        set_at: Some(moment::to_wire(Timestamp::default())),
        set_by: "operator:\u{1b}[2J".to_owned(),
        nodes: 3,
    };
    pb::GetVClusterResponse { vcluster: Some(vcluster), overlay: overlay.to_vec(), seq: 7 }
}

fn show(overlay: &[u8], of: &[u8], line: &[&str]) -> Output {
    let fake = Fake::start(Box::new(|_, _| Reply::Die), vcluster(overlay, of));
    fake.pact().args(["vcluster", "show", "prod"]).args(line).output().expect("pact runs")
}

#[test]
fn an_overlay_arrives_whole_also_the_largest() {
    let overlay: Vec<u8> = (0..10 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 4]).collect();
    let output = show(&overlay, &overlay, &["--out", "-"]);
    assert!(output.status.code() == Some(0) && output.stdout == overlay, "{}", output.stdout.len());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overlay");
    let output = show(&overlay, &overlay, &["-o", "json", "--out", file.to_str().unwrap()]);
    assert_eq!(document(&output)["overlay_sha256"], Digest::of(&overlay).to_string());
    assert!(fs::read(&file).unwrap() == overlay);
}

#[test]
fn an_overlay_of_another_hash_is_not_handed_out() {
    let output = show(b"forged", b"overlay", &["--out", "-"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: ANSWER_INVALID: "), "{output:?}");
}

#[test]
fn what_a_journal_says_does_not_move_the_cursor() {
    let output = show(b"", b"", &[]);
    assert!(!output.stdout.contains(&0x1b) && output.stdout.starts_with(b"VCLUSTER"), "{output:?}");
}

#[test]
fn an_overlay_that_is_too_large_is_refused_before_it_is_sent() {
    let fake = Fake::start(Box::new(|_, _| Reply::Die), vcluster(b"", b""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("overlay");
    let set = |bytes: u64| {
        // A hole: nobody could read ten terabytes.
        fs::File::create(&file).unwrap().set_len(bytes).unwrap();
        let mut pact = fake.pact();
        pact.args(["vcluster", "set", "prod", "-o", "json", "--overlay"]).arg(&file).output().unwrap()
    };
    assert_eq!(document(&set(10 << 20))["overlay_size"], 10 << 20);
    assert_eq!(document(&set(0))["overlay_size"], 0);
    for bytes in [(10 << 20) + 1, 10 << 40] {
        let told = fails(&set(bytes), 1, "OVERLAY_TOO_LARGE");
        assert!(told.contains(&bytes.to_string()), "{told}");
    }
    let mut pact = fake.pact();
    pact.args(["vcluster", "set", "prod", "-o", "json", "--overlay", "-"]);
    let output = pact.stdin(fs::File::open("/dev/zero").unwrap()).output().unwrap();
    fails(&output, 1, "OVERLAY_TOO_LARGE");
}

#[test]
fn a_name_or_file_that_is_none_is_told_before_any_journal_is_asked() {
    let fake = Fake::start(Box::new(|_, _| Reply::Die), vcluster(b"", b""));
    let pact = |line: &[&str]| fake.pact().args(line).args(["-o", "json"]).output().unwrap();
    fails(&pact(&["vcluster", "set", "Prod", "--overlay", "/dev/null"]), 1, "FIELD_INVALID");
    fails(&pact(&["vcluster", "show", ""]), 1, "FIELD_INVALID");
    let told = fails(&pact(&["vcluster", "set", "prod", "--overlay", "/no/such/file"]), 2, "USAGE");
    assert!(told.contains("/no/such/file"), "{told}");
    let told = fails(&pact(&["vcluster", "show", "prod", "--out", "-"]), 2, "USAGE");
    assert!(told.contains("choose one"), "{told}");
    for line in
        [&["vcluster", "show"][..], &["vcluster", "show", "prod", "--default"], &["vcluster", "set", "prod"]]
    {
        fails(&pact(line), 2, "USAGE");
    }
}
