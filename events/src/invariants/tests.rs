//! Whole histories, good and bad, before the auditor.

use super::*;
use crate::samples::{Log, goodbye};

#[test]
fn a_whole_life_breaks_no_invariant() {
    let log = Log::whole_life();
    let mut auditor = Auditor::default();
    for record in &log.records {
        assert_eq!(auditor.check(record), [], "{record:#?}");
    }
    assert_eq!(*auditor.views(), log.views());
}

#[test]
fn every_invariant_has_the_name_of_its_file() {
    let folder = std::path::Path::new("src/invariants");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<String> = names
        .filter_map(|name| name.to_str().and_then(|name| name.strip_suffix(".rs")).map(str::to_owned))
        .filter(|name| !["before", "mod", "past", "tests"].contains(&name.as_str()))
        .collect();
    files.sort();
    let mut named: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    assert_eq!(named, files);
}

#[test]
fn all_that_is_wrong_with_a_fact_is_told_and_it_is_folded_all_the_same() {
    let log = Log::enrolled();
    let mut auditor = Auditor::default();
    for record in &log.records {
        assert_eq!(auditor.check(record), []);
    }
    let mut planted = log.next_of("n2", goodbye());
    planted.seq += 1;
    planted.streams.clear();
    let violations = auditor.check(&planted);
    let names: Vec<&str> = violations.iter().map(|violation| violation.invariant).collect();
    assert_eq!(names, ["seq_has_no_gaps", "streams_are_complete", "node_fact_fits_its_state"]);
    assert!(violations.iter().all(|violation| violation.seq == planted.seq));
    assert_eq!(violations[0].to_string(), "fact 9 breaks seq_has_no_gaps: it follows fact 7");
    assert_eq!(auditor.views().seq, planted.seq);
}
