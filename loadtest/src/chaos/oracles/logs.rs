//! All logs are the same bytes, and each is sound by the word of `pact-replay verify` (R1, R6).

use std::time::Duration;

use super::{Evidence, Verdict, violation};

/// They are the same as far as they go, which is at least as far as all were level before they were stopped: nodes are given up
/// until the last journal stops.
pub(super) fn are_alike(evidence: &Evidence<'_>) -> Verdict {
    let mut violations = Vec::new();
    let Some(((first, one), others)) = evidence.logs.split_first() else {
        let nothing = violation("the logs", Duration::ZERO, "none could be read");
        return Verdict::of("logs-are-alike", 0, vec![nothing]);
    };
    for (name, other) in others {
        let parts = one.lines.iter().zip(&other.lines).position(|(one, other)| one != other);
        let at = |place: usize| {
            let record = one.records.get(place).or(other.records.get(place));
            record.map_or(Duration::ZERO, |record| evidence.history.since_beginning(record.recorded_at))
        };
        if let Some(place) = parts {
            let seen = format!("fact {} is another one than in the log of {first}", place + 1);
            violations.push(violation(name, at(place), seen));
        }
    }
    for (name, log) in evidence.logs.iter().filter(|(_, log)| log.last() < evidence.level) {
        let seen = format!(
            "it ends with fact {}, and all had {} before they were stopped",
            log.last(),
            evidence.level
        );
        violations.push(violation(name, evidence.history.now(), seen));
    }
    Verdict::of("logs-are-alike", one.last() * evidence.logs.len() as u64, violations)
}

/// Each is sound.
pub(super) fn verify(evidence: &Evidence<'_>) -> Verdict {
    let told =
        evidence.unsound.iter().map(|(journal, said)| violation(journal, evidence.history.now(), said));
    Verdict::of("logs-verify", evidence.logs.len() as u64, told.collect())
}
