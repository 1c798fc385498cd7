//! What a life makes of a refusal.
//!
//! **Invariant:** only what a journal of this domain says about this machine ends a life, or takes from it what it goes by.

use proto::{channel::ConnectionRefusal, outcome::Failure, reason::Reason};

use crate::retry;

/// Whether a refusal of the certificate means that another is needed. After its time any does: journals have forgotten
/// it, and a refusal does not speak of a later enrollment. Before, a journal must know that it has expired or was ended.
pub(super) fn asks_for_a_new_enrollment(failure: &Failure, over: bool) -> bool {
    match failure {
        Failure::ConnectionRefused(ConnectionRefusal::Expired | ConnectionRefusal::Revoked) => true,
        Failure::ConnectionRefused(_) | Failure::Refused(_) => over,
        Failure::Unreachable(_)
        | Failure::NotTrusted(_)
        | Failure::Evicted(_)
        | Failure::Deadline(_)
        | Failure::Usage(_)
        | Failure::Violation(_)
        | Failure::Failed { .. } => false,
    }
}

/// What to end with when a new enrollment is refused: a node that is revoked was told so with its certificate already.
pub(super) fn first_told(ended: Option<Failure>, refused: Failure) -> Failure {
    let node_revoked = matches!(&refused, Failure::Refused(refusal) if refusal.reason == Reason::NodeRevoked);
    match ended {
        Some(ended @ Failure::ConnectionRefused(ConnectionRefusal::Revoked)) if node_revoked => ended,
        Some(_) | None => refused,
    }
}

/// Whether a journal says that this machine is no node: it goes by nothing then. `ALREADY_ACTIVE` says that it is one, as after
/// a crash.
pub(super) fn shuts_out(failure: &Failure) -> bool {
    let Failure::Refused(refusal) = failure else { return false };
    retry::remedy(failure).is_some() && refusal.reason != Reason::AlreadyActive
}
