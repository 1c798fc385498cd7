//! One row of a batch's answer, in the order of the rows that were asked for.
//!
//! `journal::grpc` writes it, `cli` reads it.
//!
//! Not here, on purpose: reading rows from a file (`cli`), and their decision.
//!
//! **Invariant:** an outcome reads back as it was written.

use crate::{pb, refusal::Refusal};

/// A batch has at most this many rows; more are sent in parts.
pub const MAX_ROWS: usize = 1000;

/// What became of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// The node may enroll now; in a dry run: it would.
    Registered {
        /// What is unusual about it and allowed, as sentences for people.
        warnings: Vec<String>,
    },
    /// It was registered so already.
    Unchanged,
    /// The row was refused.
    Failed {
        /// `NODE_ALREADY_ENROLLED`. As text: a newer journal may have reasons that this release does not know.
        reason: String,
        /// The same for people.
        message: String,
    },
}

/// A row of an answer with an outcome that this release does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal's answer has a row whose outcome is missing or unknown")]
pub struct UnknownOutcome;

impl TryFrom<pb::BatchRow> for RowOutcome {
    type Error = UnknownOutcome;

    fn try_from(row: pb::BatchRow) -> Result<Self, UnknownOutcome> {
        match row.outcome() {
            pb::batch_row::Outcome::Unspecified => Err(UnknownOutcome),
            pb::batch_row::Outcome::Registered => Ok(Self::Registered { warnings: row.warnings }),
            pb::batch_row::Outcome::Unchanged => Ok(Self::Unchanged),
            pb::batch_row::Outcome::Failed => Ok(Self::Failed { reason: row.reason, message: row.message }),
        }
    }
}

impl From<RowOutcome> for pb::BatchRow {
    fn from(outcome: RowOutcome) -> Self {
        use pb::batch_row::Outcome;
        match outcome {
            RowOutcome::Registered { warnings } => {
                Self { outcome: Outcome::Registered.into(), warnings, ..Self::default() }
            }
            RowOutcome::Unchanged => Self { outcome: Outcome::Unchanged.into(), ..Self::default() },
            RowOutcome::Failed { reason, message } => {
                Self { outcome: Outcome::Failed.into(), reason, message, ..Self::default() }
            }
        }
    }
}

impl From<Refusal> for RowOutcome {
    fn from(refusal: Refusal) -> Self {
        Self::Failed { reason: refusal.reason.to_string(), message: refusal.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn every_outcome_reads_back() {
        let refusal = Refusal::new(Reason::NodeAlreadyEnrolled, "the name is taken");
        let registered = |warnings: &[&str]| RowOutcome::Registered {
            warnings: warnings.iter().map(|warning| (*warning).to_owned()).collect(),
        };
        for outcome in [registered(&[]), registered(&["one", "two"]), RowOutcome::Unchanged, refusal.into()] {
            assert_eq!(RowOutcome::try_from(pb::BatchRow::from(outcome.clone())), Ok(outcome));
        }
    }

    #[test]
    fn an_outcome_of_a_newer_journal_is_no_success() {
        for outcome in [0, 99, -1] {
            let row = pb::BatchRow { outcome, ..pb::BatchRow::default() };
            assert_eq!(RowOutcome::try_from(row), Err(UnknownOutcome));
        }
    }
}
