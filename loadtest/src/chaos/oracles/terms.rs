//! What Raft rests on, seen from outside: a journal's term never falls, across all its lives, and a term has one leader. Whoever
//! forgets a vote that was synced breaks the first, and makes the second possible.

use std::collections::BTreeMap;

use super::{Evidence, Verdict, violation};

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

/// A term has one leader.
pub(super) fn have_one_leader(evidence: &Evidence<'_>) -> Verdict {
    let (mut checked, mut violations, mut leaders) = (0, Vec::new(), BTreeMap::new());
    for (nth, member) in evidence.quorum.members.iter().enumerate() {
        for seen in evidence.quorum.watch.seen(nth).into_iter().filter(|seen| seen.leads) {
            checked += 1;
            let first = *leaders.entry(seen.term).or_insert(nth);
            if first != nth {
                let other = &evidence.quorum.members[first].name;
                let told = format!("it leads in the term {}, in which {other} does", seen.term);
                violations.push(violation(&member.name, seen.at, told));
            }
        }
    }
    Verdict::of("a-term-has-one-leader", checked, violations)
}
