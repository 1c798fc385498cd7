//! What the actors could not answer, as gRPC tells it. A refusal has a reason; a failure is INTERNAL, and the log
//! says what broke.

use std::error::Error;
use std::time::Duration;

use proto::convert::rejection;
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::Status;

use crate::actors::AskError;
use crate::log::AppendError;

/// When to ask again after the journal was too busy with one node.
pub(super) const BUSY: Duration = Duration::from_secs(1);

/// And after little disk was left: people make room.
const NO_ROOM: Duration = Duration::from_secs(30);

/// The status of an order that got no answer.
pub fn status(error: AskError) -> Status {
    match error {
        AskError::Rejected { rejection, at } => rejection::refusal(&rejection, at).into(),
        AskError::Csr(error) => Refusal::new(Reason::CsrInvalid, error.to_string()).into(),
        AskError::Overloaded | AskError::Contended => {
            Refusal::new(Reason::Overloaded, error.to_string()).retry_after(BUSY).into()
        }
        AskError::AskerGone => Refusal::new(Reason::CertificateRequired, error.to_string()).into(),
        AskError::Append(error) => append_failed(error),
        AskError::Interrupted
        | AskError::Sign(_)
        | AskError::Read(_)
        | AskError::Missing { .. }
        | AskError::Random
        | AskError::NoAuthority => broken(&error),
    }
}

/// The status of an append that was not recorded.
pub fn append_failed(error: AppendError) -> Status {
    match error {
        AppendError::NoLeader => {
            Refusal::new(Reason::NoLeader, "no journal leads at the moment").retry_after(BUSY).into()
        }
        AppendError::Skewed => {
            Refusal::new(Reason::ClockSkew, "the journals' clocks disagree").retry_after(BUSY).into()
        }
        AppendError::AboveLevel { .. } => Refusal::new(Reason::LevelTooLow, error.to_string()).into(),
        AppendError::DiskLow => Refusal::new(Reason::DiskLow, error.to_string()).retry_after(NO_ROOM).into(),
        AppendError::Conflict { .. }
        | AppendError::Malformed
        | AppendError::TooLarge { .. }
        | AppendError::Stopped { .. } => broken(&error),
    }
}

/// Something broke: people with access to the journal's log learn what.
pub fn broken(error: &dyn Error) -> Status {
    let mut causes: Vec<String> = vec![];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    tracing::error!(%error, ?causes, "a call failed");
    Status::internal("the journal failed; its log says why")
}
