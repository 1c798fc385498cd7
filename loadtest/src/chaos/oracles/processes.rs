//! Journals end only of faults, and all serve again once those are over.

use super::{Evidence, Verdict, violation};

/// No process ends by itself.
pub(super) fn end_only_of_faults(evidence: &Evidence<'_>) -> Verdict {
    let ended = evidence.quorum.ended();
    let told =
        ended.iter().map(|ended| violation(&ended.journal, ended.at, format!("it ended: {}", ended.how)));
    Verdict::of("journals-end-only-of-faults", evidence.quorum.members.len() as u64, told.collect())
}

/// All serve again.
pub(super) fn recover(evidence: &Evidence<'_>) -> Verdict {
    let at = evidence.history.now();
    let told = evidence.unrecovered.iter().map(|seen| violation("the quorum", at, seen));
    Verdict::of("journals-recover", evidence.quorum.seated().len() as u64, told.collect())
}
