//! One refusal, as it crosses the wire: a gRPC status with google.rpc error details.
//!
//! `journal::grpc` turns a [`Refusal`] into a [`tonic::Status`]; clients turn the status back, through
//! [`crate::outcome`]. The reason travels in `ErrorInfo` (domain [`DOMAIN`]), the waiting time in `RetryInfo`.
//!
//! Not here, on purpose: failures. What broke inside a journal is `INTERNAL` without a reason.
//!
//! **Invariant:** a refusal reads back as it was written.

use std::{collections::HashMap, fmt, time::Duration};

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::reason::Reason;

/// The domain of our reasons in `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "pact";

/// The journal is healthy and says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people: one sentence, without secrets.
    pub message: String,
    /// How long to wait before asking again, where waiting helps (R14, R21).
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal for which waiting does not help.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }

    /// The same refusal, with the time after which asking again may succeed.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Reads a refusal back. `None` if the status carries none of our reasons: something broke, the connection was
    /// lost, or a newer journal has a reason that this release does not know (see [`reason_text`]).
    pub fn from_status(status: &Status) -> Option<Self> {
        let reason = reason_text(status)?.parse().ok()?;
        let retry_after = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
        Some(Self { reason, message: status.message().to_owned(), retry_after })
    }
}

/// The name of the reason in a status, known or not. `None` if it carries none of ours.
pub fn reason_text(status: &Status) -> Option<String> {
    let about = status.get_details_error_info()?;
    (about.domain == DOMAIN).then_some(about.reason)
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details = ErrorDetails::with_error_info(refusal.reason.as_str(), DOMAIN, HashMap::new());
        if let Some(wait) = refusal.retry_after {
            details.set_retry_info(Some(wait));
        }
        Status::with_error_details(refusal.reason.code(), refusal.message, details)
    }
}

/// `REASON: sentence`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_refusal_reads_back_from_its_status_with_its_code() {
        for reason in Reason::ALL {
            let refusal = Refusal::new(*reason, "the sentence");
            let status = Status::from(refusal.clone());
            assert_eq!(status.code(), reason.code());
            assert_eq!(Refusal::from_status(&status), Some(refusal));
        }
    }

    proptest! {
        #[test]
        fn a_refusal_survives_the_wire_with_its_delay(message in "\\PC{0,80}", millis in 0u64..10_000_000) {
            let refusal =
                Refusal::new(Reason::Overloaded, message).retry_after(Duration::from_millis(millis));
            let headers = Status::from(refusal.clone()).into_http::<()>().into_parts().0.headers;
            let status = Status::from_header_map(&headers).expect("a status was written");
            prop_assert_eq!(Refusal::from_status(&status), Some(refusal));
        }
    }

    #[test]
    fn a_bare_status_is_no_refusal() {
        assert_eq!(Refusal::from_status(&Status::internal("it broke")), None);
    }

    #[test]
    fn a_reason_of_another_domain_is_no_refusal() {
        let details = ErrorDetails::with_error_info("RATE_LIMITED", "example.org", HashMap::new());
        let status = Status::with_error_details(tonic::Code::ResourceExhausted, "wait", details);
        assert_eq!(Refusal::from_status(&status), None);
    }

    #[test]
    fn a_reason_of_a_newer_journal_keeps_its_name() {
        let details = ErrorDetails::with_error_info("NODE_ON_FIRE", DOMAIN, HashMap::new());
        let status = Status::with_error_details(tonic::Code::Unavailable, "call for help", details);
        assert_eq!(Refusal::from_status(&status), None);
        assert_eq!(reason_text(&status).as_deref(), Some("NODE_ON_FIRE"));
    }
}
