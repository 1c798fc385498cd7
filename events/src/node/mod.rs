//! The life of one node's enrollment: registered, active, inactive, revoked (design §5).
//!
//! [`decide()`] turns a [`Command`] into a [`Decision`] or a [`Rejection`]; [`evolve()`] folds [`Event`]s into a [`State`].
//! Both are pure. The journal's node actors call them to enroll a node, `replay` to check that a log is sound.
//!
//! Not here, on purpose: keys and signatures (`journal::authority`), time (it comes inside commands), who may ask
//! (roles: [`crate::vocabulary::Role`]), and stored bytes ([`crate::codec`]).
//!
//! **Invariant:** a revoked node gets no certificate before an operator begins a new epoch ([`crate::invariants`]).

mod command;
mod decide;
mod due;
mod event;
mod evolve;
mod rejection;
mod state;
#[cfg(test)]
mod tests;

pub use command::{
    Bind, Command, Contest, Enroll, Former, Group, KeyClaim, KeyHolder, MacClaims, Register, Renew,
};
pub use decide::{Decision, Issue, MAX_MACS_CHANGED, decide, distrusted};
pub use due::{Presence, due, next_due};
pub use event::{
    Cause, DeactivationCause, DistrustCause, Event, RefusalReason, RefusedAttempts, RevocationCause,
    Supersession,
};
pub(crate) use evolve::evolve_in_place;
pub use evolve::{evolve, restored};
pub use rejection::Rejection;
pub use state::{
    BETWEEN_WARM_REBOOTS, Bound, Enrollment, Held, MAX_REPLACED, OVERLAP, Replaced, State, WarmReboot,
};
