//! An operator puts a node into a vCluster, out of it, or from one into another. Whether it is there makes no difference;
//! its certificate and its connections stay.
//!
//! Each order says where the node is before: one that was meant for a spare does not take a machine out of production. A
//! revoked node is in no vCluster that anybody could use; a new epoch begins in none.
//!
//! Not here, on purpose: whether the operator may change the vCluster that the node comes into. That depends on no fact
//! about the node, and is asked before ([`Role::configures`]).

use crate::node::command::Group;
use crate::node::event::Event;
use crate::node::rejection::Rejection;
use crate::node::state::State;
use crate::vocabulary::{Role, VClusterId};

use super::{Decision, visible};

pub(super) fn assign(state: &State, to: Group, asker: &Role) -> Result<Decision, Rejection> {
    match &visible(state, asker)?.vcluster {
        Some(present) if *present == to.id => Ok(Decision::Nothing),
        Some(present) => Err(Rejection::Assigned { vcluster: present.clone() }),
        None => Ok(Decision::Record(vec![Event::Assigned { vcluster: existing(to)? }])),
    }
}

pub(super) fn unassign(state: &State, asker: &Role) -> Result<Decision, Rejection> {
    let present = visible(state, asker)?.vcluster.clone();
    Ok(present.map_or(Decision::Nothing, |vcluster| Decision::Record(vec![Event::Unassigned { vcluster }])))
}

pub(super) fn move_to(state: &State, to: Group, asker: &Role) -> Result<Decision, Rejection> {
    match visible(state, asker)?.vcluster.clone() {
        Some(present) if present == to.id => Ok(Decision::Nothing),
        Some(from) => Ok(Decision::Record(vec![Event::Moved { from, to: existing(to)? }])),
        None => Err(Rejection::Unassigned),
    }
}

/// A vCluster exists from its first overlay on.
fn existing(group: Group) -> Result<VClusterId, Rejection> {
    if group.exists { Ok(group.id) } else { Err(Rejection::VClusterNotFound { vcluster: group.id }) }
}
