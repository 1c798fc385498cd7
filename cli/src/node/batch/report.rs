//! What became of each row of a batch.
//!
//! [`super::rows`] begins the rows, the journal's answers complete them, [`crate::answer`] prints them.
//!
//! **Invariant:** every row of the file that is no blank line stands here once, in the order of the lines.

use std::sync::Arc;

use proto::{convert::batch::RowOutcome, outcome::Failure, reason::Reason};
use serde::{Serialize, Serializer, ser::SerializeStruct};

/// The answer about a batch, as `-o json` prints it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nodes that may enroll; in a dry run: that might.
    pub registered: u64,
    /// Nodes that were registered so already.
    pub unchanged: u64,
    /// Rows that were refused.
    pub failed: u64,
    /// All rows.
    pub rows: Vec<Row>,
    /// What is unusual about some that went well, at most [`WARNINGS_MAX`]. Absent if nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// How many warnings there were.
    #[serde(skip)]
    pub warned: u64,
    /// Whether nothing was recorded.
    #[serde(skip)]
    pub is_dry_run: bool,
}

/// All blades of a cluster may share a serial: what says the same again is not kept.
pub const WARNINGS_MAX: usize = 1000;

/// Something unusual about a row that went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The line it stands on.
    pub line: u64,
    /// The node that was registered.
    pub node_id: Option<Arc<str>>,
    /// For people.
    pub message: String,
}

/// A row of the file. There may be a million of them: what went well costs little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line it stands on; the header is line 1.
    pub line: u64,
    /// What the file says, shortened if it is no name. None if the line has no such cell.
    pub node_id: Option<Arc<str>>,
    /// Why the row failed.
    pub fault: Option<Box<Fault>>,
}

/// Why a row failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `NODE_ALREADY_ENROLLED`.
    pub reason: String,
    /// The same for people.
    pub message: String,
}

impl Fault {
    /// A fault that was found here, with a reason of the journal's.
    pub fn found(reason: Reason, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { reason: reason.to_string(), message: message.into() })
    }
}

impl Report {
    /// Takes a row that was not sent.
    pub fn fail(&mut self, row: Row) {
        self.failed += 1;
        self.rows.push(row);
    }

    /// Takes a row with its answer.
    pub fn take(&mut self, row: Row, outcome: RowOutcome) {
        match outcome {
            RowOutcome::Registered { warnings } => {
                self.registered += 1;
                self.warned += warnings.len() as u64;
                let room = WARNINGS_MAX.saturating_sub(self.warnings.len());
                let (line, node_id) = (row.line, &row.node_id);
                let warning = |message| Warning { line, node_id: node_id.clone(), message };
                self.warnings.extend(warnings.into_iter().take(room).map(warning));
            }
            RowOutcome::Unchanged => self.unchanged += 1,
            RowOutcome::Failed { reason, message } => {
                return self.fail(Row { fault: Some(Box::new(Fault { reason, message })), ..row });
            }
        }
        self.rows.push(row);
    }

    /// The rows that failed.
    pub fn faults(&self) -> impl Iterator<Item = (&Row, &Fault)> {
        self.rows.iter().filter_map(|row| Some((row, row.fault.as_deref()?)))
    }

    /// How the process ends after the report is printed.
    pub fn failure(&self) -> Option<Failure> {
        (self.failed > 0).then(|| {
            Failure::named("ROWS_FAILED", format!("{} of {} rows failed", self.failed, self.rows.len()))
        })
    }
}

/// Written by hand: a fault's fields stand beside the row's, and are there without a fault too.
impl Serialize for Row {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let fault = self.fault.as_deref();
        let mut row = to.serialize_struct("Row", 4)?;
        row.serialize_field("line", &self.line)?;
        row.serialize_field("node_id", &self.node_id.as_deref())?;
        row.serialize_field("reason", &fault.map(|fault| &fault.reason))?;
        row.serialize_field("message", &fault.map(|fault| &fault.message))?;
        row.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u64, node_id: &str) -> Row {
        Row { line, node_id: Some(node_id.into()), fault: None }
    }

    #[test]
    fn every_row_has_every_field() {
        let mut report = Report::default();
        report.take(row(2, "n1"), RowOutcome::Registered { warnings: vec![] });
        report.take(row(3, "n2"), RowOutcome::Unchanged);
        let failed = RowOutcome::Failed { reason: "NODE_ON_FIRE".to_owned(), message: "it burns".to_owned() };
        report.take(row(5, "n3"), failed);
        report.fail(Row {
            line: 6,
            node_id: None,
            fault: Some(Fault::found(Reason::FieldInvalid, "no text")),
        });
        let expected = "{\"registered\":1,\"unchanged\":1,\"failed\":2,\"rows\":[\
            {\"line\":2,\"node_id\":\"n1\",\"reason\":null,\"message\":null},\
            {\"line\":3,\"node_id\":\"n2\",\"reason\":null,\"message\":null},\
            {\"line\":5,\"node_id\":\"n3\",\"reason\":\"NODE_ON_FIRE\",\"message\":\"it burns\"},\
            {\"line\":6,\"node_id\":null,\"reason\":\"FIELD_INVALID\",\"message\":\"no text\"}]}";
        assert_eq!(serde_json::to_string(&report).unwrap(), expected);
    }

    #[test]
    fn rule_02_warnings_are_told_with_their_lines_and_bounded() {
        let mut report = Report::default();
        let registered = || RowOutcome::Registered { warnings: vec!["n0 has it too".to_owned()] };
        report.take(row(2, "n1"), registered());
        let expected = "{\"registered\":1,\"unchanged\":0,\"failed\":0,\"rows\":[\
            {\"line\":2,\"node_id\":\"n1\",\"reason\":null,\"message\":null}],\
            \"warnings\":[{\"line\":2,\"node_id\":\"n1\",\"message\":\"n0 has it too\"}]}";
        assert_eq!(serde_json::to_string(&report).unwrap(), expected);
        (3..WARNINGS_MAX as u64 + 9).for_each(|line| report.take(row(line, "n2"), registered()));
        assert_eq!((report.warnings.len(), report.warned), (WARNINGS_MAX, WARNINGS_MAX as u64 + 7));
        assert_eq!(report.failure(), None);
    }

    #[test]
    fn a_batch_with_a_failed_row_fails_and_one_without_does_not() {
        let mut report = Report::default();
        assert_eq!(report.failure(), None);
        report.take(row(2, "n1"), RowOutcome::Unchanged);
        assert_eq!(report.failure(), None);
        report.fail(Row { fault: Some(Fault::found(Reason::FieldInvalid, "")), ..row(3, "n2") });
        let failure = report.failure().unwrap();
        assert_eq!((failure.reason_text(), failure.exit() as u8), ("ROWS_FAILED", 1));
        assert_eq!(failure.to_string(), "1 of 2 rows failed");
    }
}
