//! An operator wants nothing new to be placed on a node, or that it takes work again.
//!
//! It is a mark for those who place work, and for those who wait until a node is empty. Neither the certificate nor the
//! connections nor the configuration depend on it.

use crate::node::event::Event;
use crate::node::rejection::Rejection;
use crate::node::state::State;
use crate::vocabulary::Role;

use super::{Decision, visible};

pub(super) fn drain(state: &State, draining: bool, asker: &Role) -> Result<Decision, Rejection> {
    let enrollment = visible(state, asker)?;
    Ok(match (enrollment.draining, draining) {
        (true, true) | (false, false) => Decision::Nothing,
        (false, true) => Decision::Record(vec![Event::Drained {}]),
        (true, false) => Decision::Record(vec![Event::Undrained {}]),
    })
}
