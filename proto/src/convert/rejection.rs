//! What `events` rejects, as the journal tells it: the one place that knows which rejection is which reason.
//!
//! `journal::grpc` answers with it. The sentences are those of `events`.

use events::{node::Rejection, vocabulary::Timestamp};

use crate::{reason::Reason, refusal::Refusal};

/// Tells a rejection of a node's command. `now` is the time of the decision: a caller who may come back is told when
/// (R14).
pub fn refusal(rejection: &Rejection, now: Timestamp) -> Refusal {
    let refusal = Refusal::new(reason(rejection), rejection.to_string());
    match rejection {
        Rejection::AlreadyActive { until } | Rejection::PerhapsRebooted { until, .. } => {
            refusal.retry_after(until.since(now))
        }
        Rejection::NotEnrolled
        | Rejection::NotFound
        | Rejection::AlreadyEnrolled { .. }
        | Rejection::VClusterNotFound { .. }
        | Rejection::Assigned { .. }
        | Rejection::Unassigned
        | Rejection::ActiveSessions { .. }
        | Rejection::HardwareConflict { .. }
        | Rejection::TooManyMacs { .. }
        | Rejection::HardwareMismatch
        | Rejection::NameTooLong
        | Rejection::IdentityConflict { .. }
        | Rejection::Revoked
        | Rejection::KeyReused
        | Rejection::CsrInvalid
        | Rejection::SerialSuperseded => refusal,
    }
}

fn reason(rejection: &Rejection) -> Reason {
    match rejection {
        Rejection::NotEnrolled => Reason::NodeNotEnrolled,
        Rejection::NotFound => Reason::NodeNotFound,
        Rejection::AlreadyEnrolled { .. } => Reason::NodeAlreadyEnrolled,
        Rejection::VClusterNotFound { .. } => Reason::VclusterNotFound,
        Rejection::Assigned { .. } => Reason::NodeAssigned,
        Rejection::Unassigned => Reason::NodeUnassigned,
        Rejection::ActiveSessions { .. } => Reason::ActiveSessions,
        Rejection::HardwareConflict { .. } => Reason::HardwareIdentityConflict,
        Rejection::TooManyMacs { .. } => Reason::HardwareInvalid,
        Rejection::HardwareMismatch => Reason::HardwareMismatch,
        Rejection::NameTooLong => Reason::NodeIdInvalid,
        Rejection::IdentityConflict { .. } => Reason::WorkloadIdentityConflict,
        Rejection::AlreadyActive { .. } | Rejection::PerhapsRebooted { .. } => Reason::AlreadyActive,
        Rejection::Revoked => Reason::NodeRevoked,
        Rejection::KeyReused => Reason::KeyReused,
        Rejection::CsrInvalid => Reason::CsrInvalid,
        Rejection::SerialSuperseded => Reason::SerialSuperseded,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rule_14_an_active_node_is_told_how_long_to_wait() {
        let now = Timestamp::from_millis(1_000_000);
        let until = now.plus(Duration::from_secs(60));
        let told = refusal(&Rejection::AlreadyActive { until }, now);
        assert_eq!((told.reason, told.retry_after), (Reason::AlreadyActive, Some(Duration::from_secs(60))));
    }

    #[test]
    fn rule_13_a_mismatch_names_no_field() {
        let told = refusal(&Rejection::HardwareMismatch, Timestamp::default());
        assert_eq!(told.reason, Reason::HardwareMismatch);
        for field in ["MAC", "serial", "UUID"] {
            assert!(!told.message.contains(field), "{told}");
        }
    }

    /// Facts name refusals as callers heard them.
    #[test]
    fn rule_05_a_fact_names_the_reason_that_was_told() {
        use events::node::RefusalReason;
        let until = Timestamp::default();
        for (rejection, noted) in [
            (Rejection::HardwareMismatch, RefusalReason::HardwareMismatch),
            (Rejection::AlreadyActive { until }, RefusalReason::AlreadyActive),
            (Rejection::Revoked, RefusalReason::NodeRevoked),
            (Rejection::KeyReused, RefusalReason::KeyReused),
            (Rejection::CsrInvalid, RefusalReason::CsrInvalid),
        ] {
            assert_eq!(reason(&rejection).as_str(), noted.as_str());
            assert_eq!(serde_json::to_value(noted).unwrap(), noted.as_str());
        }
    }

    #[test]
    fn the_holder_of_an_address_is_told_to_operators_with_its_reason() {
        let owner = "compute-007".parse().unwrap();
        let told = refusal(&Rejection::HardwareConflict { owner }, Timestamp::default());
        assert_eq!(told.reason, Reason::HardwareIdentityConflict);
        assert_eq!(told.retry_after, None);
        assert!(told.message.contains("compute-007"), "{told}");
    }
}
