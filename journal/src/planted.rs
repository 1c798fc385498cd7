//! Bugs that are planted, one at a time, to show that `pact-loadtest chaos` finds such: `pact-journal-planted`.
//!
//! Each seam stands where the right code does, behind the feature `planted-bugs`, and asks [`is`]. Which bug it is says
//! `PACT_PLANTED_BUG`. Nothing that is shipped has the feature, and `loadtest/tests/chaos` looks for that in the binary.
//!
//! **Invariant:** without the variable this is the right journal.

use std::sync::OnceLock;
use std::time::Duration;

use events::append::{Append, Outcome};
use events::fact::{Fact, Record};
use events::node::Event;
use events::vocabulary::{AuthorityId, Der};
use parking_lot::Mutex;

/// Which one it shall be.
const VARIABLE: &str = "PACT_PLANTED_BUG";

/// How long an authority signs before it is announced.
pub const UNANNOUNCED: Duration = Duration::from_secs(4);

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The leader answers before a quorum has the entry (R3).
    AnswerBeforeCommit,
    /// No version is compared (R1).
    SkipVersionCheck,
    /// A journal without news of its quorum serves on (R17).
    ServeStale,
    /// What was promised to a candidate is not on disk.
    ForgetVote,
    /// A follower takes no notice of revocations (R17).
    DropRevocation,
    /// An authority signs while its announcement is still to come (R9).
    SignBeforeAnnounced,
}

const ALL: [(&str, Bug); 6] = [
    ("answer-before-commit", Bug::AnswerBeforeCommit),
    ("skip-version-check", Bug::SkipVersionCheck),
    ("serve-stale", Bug::ServeStale),
    ("forget-vote", Bug::ForgetVote),
    ("drop-revocation", Bug::DropRevocation),
    ("sign-before-announced", Bug::SignBeforeAnnounced),
];

/// Whether this process has the bug.
///
/// # Panics
/// If the variable names none: a run that tests nothing must not look like one that does.
pub fn is(bug: Bug) -> bool {
    static CHOSEN: OnceLock<Option<Bug>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var(VARIABLE).ok()?;
        let found = ALL.iter().find(|(known, _)| *known == name).map(|(_, bug)| *bug);
        Some(found.unwrap_or_else(|| panic!("{VARIABLE} is none of {ALL:?}")))
    });
    *chosen == Some(bug)
}

/// Says in the first line of the log what this is.
pub fn confess() {
    let bug = ALL.iter().find(|(_, bug)| is(*bug)).map(|(name, _)| *name);
    tracing::warn!(?bug, "pact-journal-planted has a bug on purpose; it is for tests only");
}

/// What the leader says of appends that nobody has yet: places behind what is known, and behind what was promised before.
/// Only of nodes: what a quorum is made of must not fail before it is one.
pub fn promise(appends: &[Append], last: u64) -> Option<Vec<Outcome>> {
    let mut facts = appends.iter().flat_map(|append| &append.facts);
    if !is(Bug::AnswerBeforeCommit) || !facts.all(|fact| matches!(fact, Fact::Node(..))) {
        return None;
    }
    static PROMISED: Mutex<u64> = Mutex::new(0);
    let mut promised = PROMISED.lock();
    *promised = last.max(*promised);
    let outcomes = appends.iter().map(|append| {
        let first_seq = *promised + 1;
        *promised += append.facts.len() as u64;
        Outcome::Committed { first_seq, last_seq: *promised }
    });
    Some(outcomes.collect())
}

/// As a follower folds facts that takes no notice of revocations.
pub fn unrevoked(records: &[Record]) -> Vec<Record> {
    let mut records = records.to_vec();
    for record in &mut records {
        if let Fact::Node(_, event) = &mut record.fact
            && let Event::Revoked { serials, .. } = event
            && let Some(serial) = serials.first().copied()
        {
            *event = Event::EnrollmentConfirmed { serial };
        }
    }
    records
}

static UNKNOWN: Mutex<Option<(AuthorityId, Der)>> = Mutex::new(None);

/// Notes an authority that signs before it is announced.
pub fn sign_by(id: AuthorityId, der: Der) {
    *UNKNOWN.lock() = Some((id, der));
}

/// The certificate of an authority that is not announced yet.
pub fn unannounced(id: AuthorityId) -> Option<Der> {
    UNKNOWN.lock().as_ref().filter(|(known, _)| *known == id).map(|(_, der)| der.clone())
}
