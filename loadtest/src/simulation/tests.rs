//! Simulations that must stay sound, and planted mistakes that must be found out.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    history::{Outcome, live, shorten},
    mistake::{Mistake, Mistakes},
    names::Names,
};

const STEPS: u64 = 5000;
/// Within so many seeds a planted mistake is found.
const FEW: u64 = 40;

fn lived(seed: u64, mistakes: Mistakes) -> Outcome {
    live(seed, STEPS, &Arc::new(Names::all()), mistakes)
}

#[test]
fn nothing_that_must_not_be_happens_to_sound_journals_and_everything_else_does() {
    let mut happened = BTreeSet::new();
    for seed in 1..=40 {
        let outcome = lived(seed, Mistakes::default());
        assert_eq!(outcome.fault, None, "seed {seed}");
        happened.extend(outcome.tally.into_keys());
    }
    for what in [
        "above the level",
        "an append of an evicted journal",
        "an evicted journal stopped",
        "answer: certificate",
        "append sent again",
        "certificate refused",
        "conflict",
        "entry lost with its leader",
        "entry survives its leader",
        "journal crashed",
        "leader lost",
        "message lost",
        "message twice",
        "nothing is left of an evicted journal",
        "refused: stale",
        "skewed",
        "stream opened",
        "the same certificate again",
    ] {
        assert!(happened.contains(what), "{what} never happened: {happened:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let told = |seed| {
        let outcome = lived(seed, Mistakes::default());
        (outcome.steps, outcome.facts, outcome.tally)
    };
    assert_eq!(told(3), told(3));
    assert_ne!(told(3), told(4));
}

/// The oracles that find a mistake, within few seeds; the shortest history shows it too.
fn found(mistake: Mistake, by: &[&str]) {
    let (names, mistakes) = (Arc::new(Names::all()), Mistakes::planted(mistake));
    let mut outcomes = (1..=FEW).map(|seed| (seed, lived(seed, mistakes)));
    let fault = outcomes.find_map(|(seed, outcome)| outcome.fault.map(|fault| (seed, fault)));
    let Some((seed, (step, fault))) = fault else { panic!("{mistake:?} is not found in {FEW} seeds") };
    assert!(by.is_empty() || by.contains(&fault.oracle.as_str()), "{mistake:?} shows as {fault}");
    let shortest = shorten(seed, (step, fault.clone()), &names, mistakes);
    assert_eq!(shortest.fault.oracle, fault.oracle);
    let steps = shortest.steps.len();
    assert!((steps as u64) < 200.min(step + 2), "{steps} steps are no short history");
}

#[test]
fn rule_01_a_log_that_compares_no_versions_is_found_out() {
    found(Mistake::IgnoresVersions, &[]);
}

#[test]
fn rule_03_an_answer_before_the_commit_is_found_out() {
    found(Mistake::AnswersBeforeCommit, &["acknowledged_facts_stay"]);
}

#[test]
fn rule_07_another_id_for_an_append_that_is_sent_again_is_found_out() {
    found(Mistake::ForgetsAppendId, &["a_call_is_recorded_once", "what_is_recorded_is_not_refused"]);
}

#[test]
fn rule_07_a_log_that_does_not_know_its_appends_again_is_found_out() {
    let by = ["a_call_is_recorded_once", "what_is_recorded_is_not_refused"];
    found(Mistake::ForgetsWhatItRecorded, &by);
}

#[test]
fn rule_09_a_signature_before_the_announcement_is_found_out() {
    found(Mistake::SignsBeforeAnnouncement, &["authority_is_announced_first"]);
}

#[test]
fn rule_17_streams_that_are_not_cut_are_found_out() {
    found(Mistake::LeavesStreamsOpen, &["streams_end_with_their_certificates"]);
}

#[test]
fn views_that_miss_a_fact_are_found_out() {
    let mistakes = Mistakes::planted(Mistake::SkipsAFact);
    let fault = (1..=FEW).find_map(|seed| lived(seed, mistakes).fault);
    // At the latest the comparison at the end shows it, which is nothing to shorten.
    assert!(fault.is_some(), "views that lack facts are not found in {FEW} seeds");
}

#[test]
fn rule_01_what_a_revoked_operator_had_ordered_is_found_out() {
    found(Mistake::ForgetsTheAsker, &["askers_are_alive"]);
}
