//! A workload identity of others shall prove a node, too: the node says so over its own certificate, or an operator does (R11).
//!
//! It proves what the node's current certificate proves, and nothing while there is none. So only whom it belongs to is
//! decided here; what it opens follows from the node's state ([`crate::views::Views::workload_standing`]).

use crate::node::command::Bind;
use crate::node::event::Event;
use crate::node::rejection::Rejection;
use crate::node::state::{Enrollment, State};
use crate::vocabulary::NodeId;

use super::Decision;

pub(super) fn bind(node: &NodeId, state: &State, bind: Bind) -> Result<Decision, Rejection> {
    let enrollment = match state {
        State::Unknown => return Err(Rejection::NotFound),
        State::Revoked { .. } => return Err(Rejection::Revoked),
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. } => enrollment,
    };
    let lives = |serial| state.usable_until(serial).is_some_and(|until| until > bind.now);
    if bind.over.is_some_and(|serial| !lives(serial)) {
        return Err(Rejection::SerialSuperseded);
    }
    if let Some(owner) = bind.holder.as_ref().filter(|owner| *owner != node).cloned() {
        // A node learns nothing of other nodes.
        return Err(Rejection::IdentityConflict { owner: bind.over.is_none().then_some(owner) });
    }
    if is_bound(enrollment, &bind) {
        return Ok(Decision::Nothing);
    }
    let Bind { spiffe_id, over, .. } = bind;
    Ok(Decision::Record(vec![Event::IdentityBound { spiffe_id, over }]))
}

/// A node that says what an operator said takes nothing from it; an operator makes last what a node said.
fn is_bound(enrollment: &Enrollment, bind: &Bind) -> bool {
    enrollment
        .bound
        .as_ref()
        .is_some_and(|bound| bound.spiffe_id == bind.spiffe_id && (bound.by_operator || bind.over.is_some()))
}
