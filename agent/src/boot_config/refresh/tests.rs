//! When a node asks again, and what it takes for a change. Without time, and without a journal.

use proptest::prelude::*;
use proto::reason::Reason;
use proto::refusal::Refusal;

use super::*;

fn config(vcluster: &str, revision: u64, seq: u64) -> BootConfig {
    BootConfig { vcluster: vcluster.parse().ok(), revision, seq, overlay: None }
}

fn changed(vcluster: &str, revision: u64, seq: u64) -> Changed {
    Changed { vcluster_id: vcluster.to_owned(), revision, seq }
}

fn holding(config: BootConfig) -> Held {
    let mut held = Held::default();
    assert!(held.take(config));
    held
}

#[test]
fn a_node_without_a_configuration_asks() {
    assert!(Held::default().is_due());
    assert!(!holding(config("", 0, 0)).is_due());
}

#[test]
fn a_change_is_asked_for_until_an_answer_shows_it() {
    let mut held = holding(config("ml", 7, 9));
    held.hear(&changed("ml", 12, 12));
    assert!(held.is_due());
    // A journal that answered before it had seen the change.
    assert!(!held.take(config("ml", 7, 11)));
    assert!(held.is_due());
    assert!(held.take(config("ml", 12, 13)));
    assert!(!held.is_due());
}

#[test]
fn what_is_held_already_is_not_asked_for() {
    // A subscription that began at 0 beside the answer tells what the answer shows.
    let mut held = holding(config("ml", 7, 9));
    for seq in [7, 9, 10] {
        held.hear(&changed("ml", 7, seq));
        assert!(!held.is_due());
    }
    assert_eq!(held.config.unwrap().seq, 10);
}

#[test]
fn what_happened_before_the_answer_is_not_asked_for() {
    let mut held = holding(config("ml", 7, 9));
    held.hear(&changed("old", 3, 5));
    assert!(!held.is_due());
}

#[test]
fn the_same_revision_for_another_vcluster_is_a_change() {
    let mut held = holding(config("ml", 7, 9));
    held.hear(&changed("", 7, 10));
    assert!(held.is_due());
    assert!(held.take(config("", 7, 10)));
}

#[test]
fn a_node_that_moved_and_came_back_asks_for_nothing_and_takes_no_overtaken_answer() {
    let mut held = holding(config("ml", 7, 9));
    held.hear(&changed("hpc", 8, 20));
    held.hear(&changed("ml", 7, 30));
    assert!(!held.is_due());
    assert!(!held.take(config("hpc", 8, 25)));
    assert_eq!(held.config.unwrap().vcluster.unwrap().as_str(), "ml");
}

#[test]
fn a_change_told_before_the_first_answer_is_not_missed() {
    let mut held = Held::default();
    held.hear(&changed("ml", 12, 12));
    assert!(held.take(config("ml", 7, 9)));
    assert!(held.is_due());
}

#[test]
fn a_failure_that_may_pass_is_waited_for_and_a_final_one_is_given_back() {
    let mut refresh = Refresh::default();
    let (now, wait) = (Duration::from_secs(7), Duration::from_secs(100));
    let busy = Failure::from(Refusal::new(Reason::Overloaded, "busy").retry_after(wait));
    assert!(refresh.begin(now));
    assert_eq!((refresh.begin(now), refresh.begins_at()), (false, None), "one is under way");
    assert_eq!(refresh.take(Err(busy.clone()), now, 0), Ok(Taken::NotYet(busy)));
    assert_eq!(refresh.begins_at(), Some(now + wait));
    assert!(!refresh.begin(now + wait - Duration::from_millis(1)));
    assert!(refresh.begin(now + wait));
    let revoked = Failure::from(Refusal::new(Reason::NodeRevoked, "revoked"));
    assert_eq!(refresh.take(Err(revoked.clone()), now, 0), Err(revoked));
    // The next success ends the waiting.
    let taken = refresh.take(Ok(config("ml", 7, 9)), now, 0);
    assert_eq!(taken, Ok(Taken::Another(config("ml", 7, 9))));
    assert_eq!((refresh.not_before, refresh.begins_at()), (None, None));
}

proptest! {
    /// Whatever a journal tells, in whichever order: a node that asks as long as it is due ends with the last
    /// configuration.
    #[test]
    fn no_change_is_missed(
        facts in prop::collection::vec((0usize..3, 0u64..4), 1..20),
        began in 0usize..20,
        lag in 0usize..4,
    ) {
        // The journal's history: a configuration a seq; an overlay of a vCluster has one revision.
        let history: Vec<BootConfig> = (1u64..).zip(&facts)
            .map(|(seq, (vcluster, revision))| config(["", "ml", "hpc"][*vcluster], *revision, seq))
            .collect();
        let began = began.min(history.len() - 1);
        let mut held = holding(history[began].clone());
        let from_seq = held.config.as_ref().map_or(0, |config| config.seq);
        for (at, now) in history.iter().enumerate().filter(|(_, now)| now.seq > from_seq) {
            let name = now.vcluster.as_ref().map_or("", |name| name.as_str());
            held.hear(&changed(name, now.revision, now.seq));
            // An answer that was under way, and shows less.
            held.take(history[at.saturating_sub(lag)].clone());
        }
        let last = history.last().unwrap();
        if held.is_due() {
            held.take(last.clone());
        }
        prop_assert!(!held.is_due());
        let held = held.config.unwrap();
        prop_assert_eq!((&held.vcluster, held.revision), (&last.vcluster, last.revision));
    }
}
