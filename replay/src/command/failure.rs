//! Why an order was not done: which reason is told, with which exit code (contract).
//!
//! **Invariant:** exit code 5 says that the log is not sound; a log that could not be read is 1.

use std::error::Error;
use std::io;
use std::path::Path;

use crate::explain::ExplainError;
use crate::export::ExportError;
use crate::history::HistoryError;
use crate::point::PointError;
use crate::reader::{LogError, OpenError};
use crate::state::StateError;
use crate::told::TellError;

/// What is said, and with which exit code.
pub(super) struct Failure {
    /// The exit code.
    pub(super) code: u8,
    /// Its name.
    pub(super) reason: &'static str,
    /// One sentence.
    pub(super) message: String,
}

impl Failure {
    /// The command line asks for what cannot be.
    pub(super) fn usage(message: &str) -> Self {
        Self { code: 2, reason: "USAGE", message: message.to_owned() }
    }

    /// This machine cannot run it.
    pub(super) fn processor(message: String) -> Self {
        Self { code: 1, reason: "LOG_UNREADABLE", message }
    }

    /// The result does not reach stdout.
    pub(super) fn output(error: &io::Error) -> Self {
        let message = format!("the result cannot be printed: {error}");
        Self { code: 1, reason: "OUTPUT_FAILED", message }
    }

    /// A file is not written.
    pub(super) fn out(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        let (reason, message) = if error.kind() == io::ErrorKind::AlreadyExists {
            ("OUT_EXISTS", format!("{shown} exists and is not overwritten"))
        } else {
            ("OUTPUT_FAILED", format!("{shown} cannot be written: {error}"))
        };
        Self { code: 1, reason, message }
    }

    fn of(code: u8, reason: &'static str, error: &dyn Error) -> Self {
        Self { code, reason, message: whole(error) }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let reason = match &error {
            LogError::Open(open) => open_reason(open),
            LogError::Read(_) | LogError::Thread(_) => "LOG_UNREADABLE",
            LogError::Later { .. } => "UPGRADE_NEEDED",
        };
        Self::of(1, reason, &error)
    }
}

impl From<TellError> for Failure {
    fn from(error: TellError) -> Self {
        match error {
            TellError::Log(error) => error.into(),
            TellError::Damaged(_) => Self::of(5, "LOG_DAMAGED", &error),
        }
    }
}

impl From<PointError> for Failure {
    fn from(error: PointError) -> Self {
        let reason = match error {
            PointError::Reversed => "USAGE",
            PointError::Empty | PointError::NoSuchFact { .. } | PointError::BeforeTheFirst { .. } => {
                "OUT_OF_RANGE"
            }
        };
        Self::of(2, reason, &error)
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::NodeNotFound { .. } => Self::of(1, "NODE_NOT_FOUND", &error),
            HistoryError::SerialNotFound { .. } => Self::of(1, "SERIAL_NOT_FOUND", &error),
            HistoryError::Log(error) => error.into(),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Point(error) => error.into(),
            StateError::Log(error) => error.into(),
        }
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Point(error) => error.into(),
            ExplainError::SerialNotFound { .. } => Self::of(1, "SERIAL_NOT_FOUND", &error),
            ExplainError::Log(error) => error.into(),
        }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Point(error) => error.into(),
            ExportError::Log(error) => error.into(),
            ExportError::Write(error) => Self::output(&error),
        }
    }
}

impl ExportError {
    /// When the lines go to a file.
    pub(super) fn of_file(self, path: &Path) -> Failure {
        match self {
            Self::Write(error) => Failure::out(path, &error),
            Self::Point(_) | Self::Log(_) => self.into(),
        }
    }
}

const fn open_reason(error: &OpenError) -> &'static str {
    match error {
        OpenError::NotFound { .. }
        | OpenError::NotALog { .. }
        | OpenError::NotAnExport { .. }
        | OpenError::CloudEvents { .. }
        | OpenError::WordsOnly { .. }
        | OpenError::Part { .. } => "LOG_NOT_FOUND",
        OpenError::List { .. } | OpenError::Store { .. } | OpenError::Unreadable { .. } => "LOG_UNREADABLE",
        OpenError::Moving { .. } => "LOG_BUSY",
    }
}

/// An error with all its causes, in one line.
fn whole(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}
