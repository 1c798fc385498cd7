//! How a binary ends: the exit codes, and what it prints when it failed. Alike in all binaries.
//!
//! A `main` that fails calls [`Failure::report`] and returns what that returns.
//!
//! Not here, on purpose: results; each binary prints its own.
//!
//! **Invariant:** stdout holds nothing of a failure, except the one JSON document that `-o json` promises.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;
use tonic::{Code, Status, TimeoutExpired};

use crate::{
    channel::{ConnectError, ConnectionRefusal, causes, explain},
    logging::LoggingError,
    pem_file::PemFileError,
    reason::Reason,
    refusal::{self, Refusal},
};

/// The exit codes of all binaries. Stable: users script against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// It failed, or the journal refused.
    Failed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// No journal could be reached, or the deadline passed.
    Unreachable = 3,
    /// The caller may not do this, or its certificate was refused.
    NotAuthorized = 4,
    /// A verification found a violation.
    Violation = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// What a binary failed with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The journal said no.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// The journal refused the client's certificate.
    #[error("{}", .0.message())]
    ConnectionRefused(ConnectionRefusal),
    /// No journal answers, or the connection was lost.
    #[error("{0}")]
    Unreachable(String),
    /// The server is no journal of this domain.
    #[error("{0}")]
    NotTrusted(String),
    /// The server is a journal that was evicted from the quorum.
    #[error("{0}")]
    Evicted(String),
    /// It took longer than the caller wanted to wait.
    #[error("{0}")]
    Deadline(String),
    /// The command line, the environment or a file of configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// A verification found a violation.
    #[error("{0}")]
    Violation(String),
    /// Something broke, or the journal is newer and has a reason that this release does not know.
    #[error("{message}")]
    Failed {
        /// A stable name: `LOG_UNWRITABLE`.
        reason: String,
        /// A sentence for people.
        message: String,
    },
}

/// The reason of a failure that has no better name.
const NO_REASON: &str = "FAILED";

impl Failure {
    /// A failure with a stable name of its own: `LOG_UNWRITABLE`.
    pub fn named(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), message: message.into() }
    }

    /// A failure that scripts need not tell from others.
    pub fn other(message: impl Into<String>) -> Self {
        Self::named(NO_REASON, message)
    }

    /// What the status of a call means. Over a [`crate::channel::Connection`] ask
    /// [`failure`](crate::channel::Connection::failure) instead, which knows more.
    pub fn of_status(status: &Status) -> Self {
        if let Some(refusal) = Refusal::from_status(status) {
            return Self::Refused(refusal);
        }
        if let Some(refusal) = explain(status) {
            return Self::ConnectionRefused(refusal);
        }
        let message = status.message().to_owned();
        if let Some(reason) = refusal::reason_text(status) {
            return Self::Failed { reason, message };
        }
        let late = causes(status).any(|error| error.is::<TimeoutExpired>());
        if late || status.code() == Code::DeadlineExceeded {
            Self::Deadline("the journal did not answer in time".to_owned())
        } else if status.code() == Code::Unavailable {
            Self::Unreachable(message)
        } else if status.code() == Code::Unauthenticated {
            Self::Refused(Refusal::new(Reason::CertificateRequired, message))
        } else if status.code() == Code::Unimplemented {
            Self::other(
                "this listener does not answer that call: agents and operators have listeners of their own",
            )
        } else {
            Self::other(format!("the journal failed: {message}"))
        }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(refusal) if is_about_authority(refusal.reason) => Exit::NotAuthorized,
            Self::Refused(_) | Self::Failed { .. } => Exit::Failed,
            Self::ConnectionRefused(_) => Exit::NotAuthorized,
            Self::Unreachable(_) | Self::NotTrusted(_) | Self::Evicted(_) | Self::Deadline(_) => {
                Exit::Unreachable
            }
            Self::Usage(_) => Exit::Usage,
            Self::Violation(_) => Exit::Violation,
        }
    }

    /// The stable name that scripts look for.
    pub fn reason_text(&self) -> &str {
        match self {
            Self::Refused(refusal) => refusal.reason.as_str(),
            Self::ConnectionRefused(refusal) => refusal.as_str(),
            Self::Unreachable(_) => "UNREACHABLE",
            Self::NotTrusted(_) => "SERVER_NOT_TRUSTED",
            Self::Evicted(_) => "JOURNAL_EVICTED",
            Self::Deadline(_) => "DEADLINE",
            Self::Usage(_) => "USAGE",
            Self::Violation(_) => "VIOLATION",
            Self::Failed { reason, .. } => reason,
        }
    }

    /// Prints the failure: `error: REASON: sentence` on stderr and, with `json`, the document
    /// `{"error":{"reason","message"}}` on stdout. Answers how the process ends.
    pub fn report(&self, json: bool) -> Exit {
        // Nobody is left to tell if stdout or stderr is closed.
        self.write(json, &mut io::stdout().lock(), &mut io::stderr().lock()).ok();
        self.exit()
    }

    fn write(&self, json: bool, stdout: &mut dyn Write, stderr: &mut dyn Write) -> io::Result<()> {
        writeln!(stderr, "error: {}: {self}", self.reason_text())?;
        if json {
            let error = Told { reason: self.reason_text(), message: self.to_string() };
            serde_json::to_writer(&mut *stdout, &Document { error })?;
            writeln!(stdout)?;
        }
        stdout.flush()
    }
}

/// Refusals that mean: not you.
fn is_about_authority(reason: Reason) -> bool {
    reason == Reason::RoleNotAllowed || reason.code() == Code::Unauthenticated
}

#[derive(Serialize)]
struct Document<'f> {
    error: Told<'f>,
}

#[derive(Serialize)]
struct Told<'f> {
    reason: &'f str,
    message: String,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let message = error.to_string();
        match error {
            ConnectError::Unreachable { .. } | ConnectError::Incompatible { .. } => {
                Self::Unreachable(message)
            }
            ConnectError::NotTrusted { .. } => Self::NotTrusted(message),
            ConnectError::Evicted { .. } => Self::Evicted(message),
            ConnectError::Deadline { .. } => Self::Deadline(message),
            ConnectError::Refused(refusal) => Self::ConnectionRefused(refusal),
        }
    }
}

impl From<PemFileError> for Failure {
    fn from(error: PemFileError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<LoggingError> for Failure {
    fn from(error: LoggingError) -> Self {
        Self::Usage(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(failure: &Failure, json: bool) -> (String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        failure.write(json, &mut stdout, &mut stderr).unwrap();
        (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    #[test]
    fn a_refusal_prints_its_reason_and_sentence_on_stderr() {
        let failure = Failure::from(Refusal::new(Reason::NodeAlreadyEnrolled, "the name is taken"));
        let told = "error: NODE_ALREADY_ENROLLED: the name is taken\n".to_owned();
        assert_eq!(printed(&failure, false), (String::new(), told));
    }

    #[test]
    fn with_json_the_document_goes_to_stdout_too() {
        let failure = Failure::from(Refusal::new(Reason::NodeNotFound, "there is no \"n1\""));
        let document =
            "{\"error\":{\"reason\":\"NODE_NOT_FOUND\",\"message\":\"there is no \\\"n1\\\"\"}}\n".to_owned();
        let told = "error: NODE_NOT_FOUND: there is no \"n1\"\n".to_owned();
        assert_eq!(printed(&failure, true), (document, told));
    }

    #[test]
    fn every_failure_has_its_exit_code() {
        let refused = |reason| Failure::from(Refusal::new(reason, ""));
        for (failure, exit) in [
            (refused(Reason::NodeNotFound), 1),
            (refused(Reason::NoLeader), 1),
            (refused(Reason::NodeRevoked), 1),
            (refused(Reason::RoleNotAllowed), 4),
            (refused(Reason::CertificateRequired), 4),
            (Failure::ConnectionRefused(ConnectionRefusal::Revoked), 4),
            (Failure::Unreachable(String::new()), 3),
            (Failure::NotTrusted(String::new()), 3),
            (Failure::Evicted(String::new()), 3),
            (Failure::Deadline(String::new()), 3),
            (Failure::Usage(String::new()), 2),
            (Failure::Violation(String::new()), 5),
            (Failure::named("LOG_UNWRITABLE", "the disk is gone"), 1),
        ] {
            assert_eq!(failure.exit() as u8, exit, "{failure:?}");
        }
    }

    #[test]
    fn a_status_without_a_reason_is_sorted_by_its_code() {
        for (status, reason, exit) in [
            (Status::unavailable("gone"), "UNREACHABLE", Exit::Unreachable),
            (Status::deadline_exceeded("late"), "DEADLINE", Exit::Unreachable),
            (Status::unauthenticated("who?"), "CERTIFICATE_REQUIRED", Exit::NotAuthorized),
            (Status::internal("it broke"), "FAILED", Exit::Failed),
        ] {
            let failure = Failure::of_status(&status);
            assert_eq!((failure.reason_text(), failure.exit()), (reason, exit));
        }
    }
}
