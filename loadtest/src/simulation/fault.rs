//! What a simulation must never show, beyond the invariants of the log.

use std::fmt;

use events::invariants::Violation;
use serde::Serialize;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is broken: an invariant of the log by its name, or one of the simulation's own.
    pub oracle: String,
    /// What was seen.
    pub message: String,
}

impl Fault {
    /// One of the simulation's own.
    pub fn new(oracle: &str, message: String) -> Self {
        Self { oracle: oracle.to_owned(), message }
    }
}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Self {
        Self { oracle: violation.invariant.to_owned(), message: violation.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.oracle, self.message)
    }
}
