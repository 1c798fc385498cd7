//! What no history may show. One invariant a file; the property tests, `pact-replay verify` and later the chaos
//! harness share them, and each has a test that shows it failing.
//!
//! An invariant sees what was before ([`Past`]) and the next fact. Nothing here trusts `decide`: a log written by a
//! broken or malicious journal must be found out.

use crate::fact::Record;
use crate::views::Views;

/// A fact that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fact {seq} breaks {invariant}: {message}")]
pub struct Violation {
    /// The fact.
    pub seq: u64,
    /// The invariant: the name of its file.
    pub invariant: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Everything before the fact in question.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The views, folded up to the fact before.
    pub views: Views,
}

/// Checks a history, fact by fact.
#[derive(Debug, Clone, Default)]
pub struct Auditor {
    past: Past,
}

impl Auditor {
    /// Checks every invariant against the next fact, then folds it in, whatever it is.
    pub fn check(&mut self, record: &Record) -> Vec<Violation> {
        self.past.views.fold(record);
        vec![]
    }

    /// The views up to the last fact checked.
    pub fn views(&self) -> &Views {
        &self.past.views
    }
}
