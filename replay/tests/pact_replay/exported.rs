//! An exported file as a log: every verb reads it, and whoever edits it is found out.

use std::fs;
use std::path::PathBuf;

use events::codec::keys;
use proptest::prelude::*;
use replay::verify::verify;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{code, json, path, run, text};
use crate::story::sound;
use crate::written_log::Closed;

/// A sound log and its export.
struct Exported {
    log: Closed,
    folder: TempDir,
}

impl Exported {
    fn new() -> Self {
        let exported = Self { log: sound().close(), folder: tempfile::tempdir().unwrap() };
        let file = exported.file();
        let output = run(&["export", path(exported.log.path()), "--format", "jsonl", "--out", path(&file)]);
        assert_eq!(code(&output), 0, "{output:?}");
        exported
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("facts.jsonl")
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.file()).unwrap().lines().map(str::to_owned).collect()
    }

    /// Writes other lines; answers seq and invariant of each violation.
    fn found_in(&self, lines: &[String]) -> Vec<(u64, &'static str)> {
        fs::write(self.file(), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        let report = verify(&self.file()).unwrap();
        report.violations.iter().map(|found| (found.seq, found.invariant)).collect()
    }

    /// The error of a file with this text.
    fn refused(&self, contents: &[u8]) -> String {
        fs::write(self.file(), contents).unwrap();
        let output = run(&["verify", path(&self.file())]);
        assert_eq!(code(&output), 1, "{output:?}");
        text(&output.stderr)
    }
}

#[test]
fn every_verb_answers_the_same_of_an_export_as_of_the_log() {
    let exported = Exported::new();
    let (log, file) = (path(exported.log.path()).to_owned(), exported.file());
    let verbs: [&[&str]; 6] = [
        &["state", "LOG", "-o", "json"],
        &["state", "LOG", "--seq", "5"],
        &["history", "LOG", "compute-000001"],
        &["diff", "LOG", "--from", "3", "--to", "10"],
        &["explain", "LOG", "--seq", "5"],
        &["export", "LOG", "--format", "jsonl"],
    ];
    for verb in verbs {
        let of = |named: &str| {
            run(&verb.iter().map(|word| if *word == "LOG" { named } else { word }).collect::<Vec<_>>())
        };
        let (expected, output) = (of(&log), of(path(&file)));
        assert_eq!(code(&output), 0, "{verb:?}: {output:?}");
        assert_eq!(text(&output.stdout), text(&expected.stdout), "{verb:?}");
    }
    let heads =
        [log.as_str(), path(&file)].map(|log| json(&run(&["verify", log, "-o", "json"]))["head"].clone());
    assert_eq!(heads[0], heads[1]);
}

#[test]
fn rule_06_a_line_whose_words_are_not_its_bytes_is_found() {
    let exported = Exported::new();
    let mut lines = exported.lines();
    lines[9] = lines[9].replace("compute-000001", "compute-000002");
    assert_eq!(exported.found_in(&lines), [(10, "line")]);
    let output = run(&["history", path(&exported.file()), "compute-000001"]);
    assert_eq!(code(&output), 5, "{output:?}");
}

#[test]
fn rule_06_stored_bytes_that_were_edited_break_the_chain() {
    let exported = Exported::new();
    let mut lines = exported.lines();
    let mut line: Value = serde_json::from_str(&lines[4]).unwrap();
    let stored = line["stored"].as_str().unwrap().to_owned();
    // A letter of the middle: a byte of the body.
    let (at, letter) =
        (stored.len() / 2, if stored.as_bytes()[stored.len() / 2] == b'A' { "B" } else { "A" });
    line["stored"] = format!("{}{letter}{}", &stored[..at], &stored[at + 1..]).into();
    lines[4] = line.to_string();
    let found = exported.found_in(&lines);
    assert!(found.contains(&(5, "chain")), "{found:?}");
    assert!(found.iter().all(|(seq, _)| *seq >= 5), "{found:?}");
}

#[test]
fn lines_that_were_removed_turned_or_doubled_are_found() {
    let exported = Exported::new();
    let lines = exported.lines();
    let mut missing = lines.clone();
    missing.remove(4);
    assert_eq!(exported.found_in(&missing)[0], (6, "sequence"));
    let mut turned = lines.clone();
    turned.swap(4, 5);
    assert_eq!(exported.found_in(&turned)[0], (6, "sequence"));
    let mut doubled = lines.clone();
    doubled.insert(5, lines[4].clone());
    assert_eq!(exported.found_in(&doubled)[0], (5, "sequence"));
}

#[test]
fn a_line_that_is_cut_off_or_written_otherwise_is_found() {
    let exported = Exported::new();
    let lines = exported.lines();
    let with_last = |last: String| [&lines[..9], &[last]].concat();
    let cut = with_last(lines[9][..lines[9].len() - 40].to_owned());
    assert_eq!(exported.found_in(&cut), [(10, "line")]);
    let spaced = with_last(lines[9].replacen(':', ": ", 1));
    assert_eq!(exported.found_in(&spaced), [(10, "line")]);
    let twice = with_last(lines[9].replacen('{', "{\"seq\":11,", 1));
    assert_eq!(exported.found_in(&twice), [(10, "line")]);
    // Whole lines that are missing at the end are a shorter log: only another log can tell.
    assert_eq!(exported.found_in(&lines[..9]), []);
}

#[test]
fn what_is_no_exported_log_is_told_and_is_no_violation() {
    let exported = Exported::new();
    let lines = exported.lines();
    let events = run(&["export", path(exported.log.path()), "--format", "cloudevents"]).stdout;
    assert!(exported.refused(&events).contains("CloudEvents"));
    let mut words: Value = serde_json::from_str(&lines[0]).unwrap();
    words.as_object_mut().unwrap().remove("stored");
    assert!(exported.refused(words.to_string().as_bytes()).contains("without their stored bytes"));
    assert!(exported.refused(lines[3..].join("\n").as_bytes()).contains("begins with fact 4"));
    for other in [&b""[..], b"\n", b"PK\x03\x04", b"{}", b"[1]", b"null\n"] {
        assert!(exported.refused(other).contains("is no exported log"), "{other:?}");
    }
}

#[test]
fn a_line_without_an_end_takes_little_memory_and_is_told_once() {
    let exported = Exported::new();
    let mut lines = exported.lines();
    lines[9] = "x".repeat(20 << 20);
    assert_eq!(exported.found_in(&lines), [(10, "line")]);
}

#[test]
fn a_remark_that_was_erased_from_a_line_leaves_the_log_sound() {
    // The store's own erasure is what an export shows: the texts lie behind the chained body.
    let exported = Exported::new();
    let store = exported.log.reopen();
    let facts = store.cf_handle(keys::FACTS).unwrap();
    let old = store.get_cf(facts, keys::fact(10)).unwrap().unwrap();
    let stored = events::codec::StoredValue::parse(&old).unwrap();
    for remark in stored.remarks().unwrap() {
        let erased = stored.without(remark.hash()).unwrap();
        store.put_cf(facts, keys::fact(10), erased).unwrap();
    }
    drop(store);
    let again = exported.folder.path().join("again.jsonl");
    let output = run(&["export", path(exported.log.path()), "--format", "jsonl", "--out", path(&again)]);
    assert_eq!(code(&output), 0, "{output:?}");
    let compared = run(&["verify", path(&again), "--against", path(&exported.file())]);
    assert_eq!(code(&compared), 0, "{compared:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn foreign_bytes_in_an_export_end_in_an_error_or_a_violation(
        at in 0..1_000_000_usize, bytes in prop::collection::vec(any::<u8>(), 1..200), replace in any::<bool>()
    ) {
        let log = sound().close();
        let mut contents = run(&["export", path(log.path()), "--format", "jsonl"]).stdout;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("facts.jsonl");
        let original = contents.clone();
        let at = at % contents.len();
        let end = if replace { (at + bytes.len()).min(contents.len()) } else { at };
        contents.splice(at..end, bytes);
        fs::write(&file, &contents).unwrap();
        let sound = verify(&file).is_ok_and(|report| report.ok());
        prop_assert!(!sound || contents == original, "the file was edited at {at} and is called sound");
    }
}
