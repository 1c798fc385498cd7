//! What Raft rests on, seen from outside: a journal's term never falls, across all its lives, and who lost a lead has lost it.
//! Whoever forgets a vote that was synced breaks the first, and makes two leads of one vote possible.

use std::collections::BTreeSet;

use super::{Evidence, Verdict, violation};
use crate::chaos::watch::Seen;

/// A term never falls.
pub(super) fn never_fall(evidence: &Evidence<'_>) -> Verdict {
    let (mut checked, mut violations) = (0, Vec::new());
    for (nth, member) in evidence.quorum.members.iter().enumerate() {
        let mut before = 0;
        // One that has not read its vote yet says 0.
        for seen in evidence.quorum.watch.seen(nth).into_iter().filter(|seen| seen.term > 0) {
            checked += 1;
            if seen.term < before {
                let told = format!("its term is {} after it was {before}", seen.term);
                violations.push(violation(&member.name, seen.at, told));
            }
            before = before.max(seen.term);
        }
    }
    Verdict::of("terms-never-fall", checked, violations)
}

/// A process that lost the lead of a term does not lead in that term again. Leads of one term follow each other: of two candidates
/// the one with the greater id may be elected after the other (openraft's votes are a term and an id).
pub(super) fn lost_leads_stay_lost(evidence: &Evidence<'_>) -> Verdict {
    let (mut checked, mut violations) = (0, Vec::new());
    for (nth, member) in evidence.quorum.members.iter().enumerate() {
        let seen = evidence.quorum.watch.seen(nth);
        checked += seen.iter().filter(|seen| seen.leads).count() as u64;
        violations.extend(led_again(&seen).map(|again| {
            violation(&member.name, again.at, format!("it leads again in the term {}", again.term))
        }));
    }
    Verdict::of("a-lost-lead-stays-lost", checked, violations)
}

fn led_again(seen: &[Seen]) -> impl Iterator<Item = &Seen> {
    let mut lost = BTreeSet::new();
    seen.windows(2).filter_map(move |pair| {
        let [before, now] = pair else { return None };
        let same_life = before.pid == now.pid && before.term == now.term;
        if same_life && before.leads && !now.leads {
            lost.insert((now.pid, now.term));
        }
        (now.leads && lost.contains(&(now.pid, now.term))).then_some(now)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(pid: u32, term: u64, leads: bool) -> Seen {
        Seen { at: Duration::ZERO, pid, term, leads, last_seq: 0 }
    }

    #[test]
    fn rule_01_who_lost_the_lead_of_a_term_leads_in_another_one_or_in_another_life_only() {
        let fine = [
            seen(1, 2, true),
            seen(1, 2, false),
            seen(1, 3, false),
            seen(1, 4, true),
            // Raft lets a leader go on in its term when it starts again.
            seen(2, 4, false),
            seen(2, 4, true),
        ];
        assert_eq!(led_again(&fine).count(), 0);
        let wrong = [seen(1, 2, true), seen(1, 2, false), seen(1, 2, true)];
        assert_eq!(led_again(&wrong).count(), 1);
    }
}
