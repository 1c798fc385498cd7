//! From an order to a decision: what the views say is put beside the order, `events` decides.
//!
//! **Invariant:** the versions in a proposal are those of the very views that the decision saw: whatever changes
//! afterwards makes the append conflict, never pass (R1).

use std::collections::BTreeSet;

use events::certificate::Terms;
use events::fact::Fact;
use events::level::Level;
use events::node::{
    Bind, Command, DeactivationCause, Decision, Enroll, Former, Group, Register, Rejection, Renew, State,
    decide, due,
};
use events::stream::{StreamName, StreamVersion};
use events::views::Views;
use events::vocabulary::{DomainId, KeyHash, NodeId, Principal, VClusterId};

use crate::authority::{Csr, CsrError};

use super::order::Order;

/// A decision and the versions of all streams that it saw or will write.
pub struct Proposal {
    /// What to do.
    pub decision: Decision,
    /// What the append expects.
    pub expects: Vec<StreamVersion>,
}

/// The key that an order carries, if it carries a readable one.
pub fn key_of(order: &Order) -> Option<KeyHash> {
    match order {
        Order::Enroll { csr, .. } | Order::Renew { csr, .. } => csr.as_ref().as_ref().ok().map(Csr::key),
        Order::Register { .. }
        | Order::Confirm { .. }
        | Order::Goodbye { .. }
        | Order::Due { .. }
        | Order::Deactivate
        | Order::Revoke { .. }
        | Order::Assign { .. }
        | Order::Unassign { .. }
        | Order::Move { .. }
        | Order::Drain { .. }
        | Order::Contest(_)
        | Order::ProveFormer { .. }
        | Order::Resolve
        | Order::Bind { .. }
        | Order::ReplaceHardware { .. }
        | Order::NoteRefused(_)
        | Order::Distrust { .. } => None,
    }
}

/// Why the request of an order cannot be read, if it carries one that cannot.
pub fn unreadable(order: &Order) -> Option<&CsrError> {
    match order {
        Order::Enroll { csr, .. } | Order::Renew { csr, .. } => csr.as_ref().as_ref().err(),
        Order::Register { .. }
        | Order::Confirm { .. }
        | Order::Goodbye { .. }
        | Order::Due { .. }
        | Order::Deactivate
        | Order::Revoke { .. }
        | Order::Assign { .. }
        | Order::Unassign { .. }
        | Order::Move { .. }
        | Order::Drain { .. }
        | Order::Contest(_)
        | Order::ProveFormer { .. }
        | Order::Resolve
        | Order::Bind { .. }
        | Order::ReplaceHardware { .. }
        | Order::NoteRefused(_)
        | Order::Distrust { .. } => None,
    }
}

/// Decides an order about a node, of an asker who may still ask. `key_version` is the version of the claim to the order's key, of the moment of these
/// views.
pub fn propose(
    views: &Views,
    domain: &DomainId,
    node: &NodeId,
    (order, principal): (&Order, &Principal),
    key_version: u64,
    terms: Terms,
) -> Result<Proposal, Rejection> {
    let unknown = State::Unknown;
    let state = views.registry.node(node).map_or(&unknown, |node| &node.state);
    let mut reads = reads(node, order, &terms);
    if let Principal::Operator(id) = principal {
        reads.insert(StreamName::Operator(id.clone()));
    }
    let decision = match command(views, domain, node, order, terms) {
        Some(command) => decide(node, state, command)?,
        None => Decision::Nothing,
    };
    match &decision {
        Decision::Record(events) | Decision::Return { events, .. } => {
            reads.extend(events.iter().flat_map(|event| Fact::Node(node.clone(), event.clone()).streams()));
        }
        Decision::Nothing | Decision::Issue(_) | Decision::Repeat(_) => {}
    }
    let expect = |name: StreamName| {
        let version =
            if matches!(name, StreamName::Key(_)) { Some(key_version) } else { views.version(&name) };
        version.map(|version| StreamVersion { name, version })
    };
    Ok(Proposal { decision, expects: reads.into_iter().filter_map(expect).collect() })
}

/// The streams that a decision about the order depends on.
fn reads(node: &NodeId, order: &Order, terms: &Terms) -> BTreeSet<StreamName> {
    let subject = StreamName::Node(node.clone());
    let key = key_of(order).map(StreamName::Key);
    let signer = [StreamName::Authority(terms.authority), StreamName::Domain];
    match order {
        Order::Register { hardware, vcluster, .. } => {
            let macs = hardware.macs.iter().copied().map(StreamName::Mac);
            let vcluster = vcluster.iter().cloned().map(StreamName::VCluster);
            macs.chain(vcluster).chain([subject, StreamName::Domain]).collect()
        }
        Order::Enroll { presented, .. } => {
            let macs = presented.macs.iter().copied().map(StreamName::Mac);
            macs.chain([subject]).chain(key).chain(signer).collect()
        }
        Order::ReplaceHardware { hardware } => {
            hardware.macs.iter().copied().map(StreamName::Mac).chain([subject]).collect()
        }
        Order::Assign { vcluster: group, .. } | Order::Move { to: group, .. } => {
            [subject, StreamName::VCluster(group.clone())].into_iter().collect()
        }
        Order::Bind { spiffe_id, .. } => BTreeSet::from([subject, StreamName::Spiffe(spiffe_id.hash())]),
        Order::Renew { .. } => [subject].into_iter().chain(key).chain(signer).collect(),
        Order::Confirm { .. }
        | Order::Goodbye { .. }
        | Order::Due { .. }
        | Order::Deactivate
        | Order::Revoke { .. }
        | Order::Unassign { .. }
        | Order::Drain { .. }
        | Order::Contest(_)
        | Order::ProveFormer { .. }
        | Order::Resolve
        | Order::NoteRefused(_)
        | Order::Distrust { .. } => BTreeSet::from([subject]),
    }
}

/// None: there is nothing to decide.
fn command(views: &Views, domain: &DomainId, node: &NodeId, order: &Order, terms: Terms) -> Option<Command> {
    let key = key_of(order).map(|key| views.key_claim(key));
    Some(match order {
        Order::Due { streams, grace } => {
            let known = views.registry.node(node)?;
            return due(&known.state, streams.presence(node, known.active_since), *grace, terms.now);
        }
        Order::Register { hardware, labels, vcluster } => Command::Register(Register {
            domain: domain.clone(),
            hardware: hardware.clone(),
            labels: labels.clone(),
            macs: views.registry.mac_claims(&hardware.macs),
            vcluster: vcluster.as_ref().map(|id| group(views, id)),
        }),
        Order::Enroll { presented, boot_id, former, .. } => Command::Enroll(Enroll {
            presented: presented.clone(),
            macs: views.registry.mac_claims(&presented.macs),
            key,
            boot_id: boot_id.clone(),
            // Not before all journals can read what it would be recorded as (R26).
            former: if views.level >= Level::SECOND { *former } else { Former::Untouchable },
            terms,
        }),
        Order::Renew { presented, named, .. } => {
            Command::Renew(Renew { presented: *presented, named: *named, key, terms })
        }
        Order::Confirm { serial } => Command::Confirm { serial: *serial, now: terms.now },
        Order::Goodbye { serial } => Command::Goodbye { serial: *serial },
        Order::Deactivate => Command::Deactivate { cause: DeactivationCause::Operator, now: terms.now },
        Order::Revoke { cause, reason, sessions } => Command::Revoke {
            cause: *cause,
            reason: reason.as_ref().map(|remark| remark.hash()),
            sessions: *sessions,
            now: terms.now,
        },
        Order::Assign { vcluster, asker } => {
            Command::Assign { to: group(views, vcluster), asker: asker.clone() }
        }
        Order::Unassign { asker } => Command::Unassign { asker: asker.clone() },
        Order::Move { to, asker } => Command::Move { to: group(views, to), asker: asker.clone() },
        Order::Drain { draining, asker } => Command::Drain { draining: *draining, asker: asker.clone() },
        Order::Contest(contest) => Command::Contest(contest.clone()),
        Order::ProveFormer { serial } => Command::ProveFormer { serial: *serial, now: terms.now },
        Order::Resolve => Command::Resolve,
        Order::Bind { spiffe_id, over } => Command::Bind(Bind {
            spiffe_id: spiffe_id.clone(),
            holder: views.registry.workload_owner(&spiffe_id.hash()).cloned(),
            over: *over,
            now: terms.now,
        }),
        Order::ReplaceHardware { hardware } => Command::ReplaceHardware {
            hardware: hardware.clone(),
            macs: views.registry.mac_claims(&hardware.macs),
            now: terms.now,
        },
        Order::NoteRefused(attempts) => Command::NoteRefused(attempts.clone()),
        Order::Distrust { authorities } => {
            Command::Distrust { authorities: (**authorities).clone(), now: terms.now }
        }
    })
}

fn group(views: &Views, id: &VClusterId) -> Group {
    Group { id: id.clone(), exists: views.vclusters.get(id).is_some() }
}
