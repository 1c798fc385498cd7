//! Who may call what: the one place where roles and listeners are enforced (design §7; contract: Roles).
//!
//! Every call looks its certificate up again (R10). Who the caller is comes from the issuance fact, never from the
//! certificate's text. Every handler's first line is [`Access::admit`].

use std::time::Duration;

use events::views::{Identity, Standing};
use events::vocabulary::{NodeId, OperatorId, Principal, Remark, Role, Serial, Verb};
use proto::reason::Reason;
use proto::refusal::Refusal;
use tonic::Request;

use crate::clock;
use crate::log::{Fitness, Log};
use crate::source_remark;
use crate::workloads::Workload;

use super::connection::Peer;
use super::connections::{self, Shown};

/// A quorum that comes back is heard of within a second or two.
const STALE_AGAIN: Duration = Duration::from_secs(2);
/// A clock is set by people, or by a service that looks now and then.
const SKEWED_AGAIN: Duration = Duration::from_secs(10);

/// Every call there is, as far as permissions tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Enroll: for anybody but operators, who have their own listener.
    Enroll,
    /// RenewCert, SubscribeConfigUpdates: for a node, for itself.
    OwnNode,
    /// BindIdentity: for a node, over its own certificate.
    OwnCertificate,
    /// A call of an operator.
    Operate(Verb),
    /// RenewOperator: for an operator of any role, for themselves.
    OwnOperator,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody known.
    Anonymous,
    /// A node, by this certificate.
    Node(NodeId, Serial),
    /// A node, by a workload identity that stands for this certificate (R11).
    Workload(NodeId, Serial),
    /// An operator.
    Operator(OperatorId, Role, Serial),
}

/// A caller who may make the call.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who it is.
    pub caller: Caller,
    /// From where, as an erasable remark (R4).
    pub source: Option<Remark>,
}

/// Admits callers by the log's views.
#[derive(Clone)]
pub struct Access {
    log: Log,
}

impl Access {
    /// Looks callers up in the log's views.
    pub fn new(log: Log) -> Self {
        Self { log }
    }

    /// Admits the caller of a request, or says why not.
    pub fn admit<T>(&self, request: &Request<T>, call: Call) -> Result<Admitted, Refusal> {
        let peer = request.extensions().get::<Peer>();
        match self.log.fitness() {
            Fitness::Fit => {}
            Fitness::Stale => return Err(stale()),
            Fitness::Skewed => return Err(skewed()),
        }
        let caller = self.caller(peer)?;
        if permits(call, &caller) {
            Ok(Admitted { caller, source: peer.and_then(source) })
        } else {
            Err(refusal(call, &caller))
        }
    }

    fn caller(&self, peer: Option<&Peer>) -> Result<Caller, Refusal> {
        let Some(peer) = peer.filter(|peer| peer.shown != Shown::Nothing) else {
            return Ok(Caller::Anonymous);
        };
        let (now, workload) = (clock::now(), peer.workload.as_deref());
        if workload.is_some_and(|workload| workload.not_after <= now) {
            return Err(ended());
        }
        let standing = connections::standing(&self.log.views(), peer.shown, now);
        match standing {
            Standing::Valid { identity: Identity::Node { node_id, serial }, .. } => Ok(match workload {
                Some(_) => Caller::Workload(node_id, serial),
                None => Caller::Node(node_id, serial),
            }),
            Standing::Valid { identity: Identity::Operator { operator_id, role, serial }, .. } => {
                Ok(Caller::Operator(operator_id, role, serial))
            }
            Standing::Unknown => Err(workload.map_or_else(ended, unbound)),
            Standing::Expired | Standing::Revoked | Standing::Replaced { .. } => Err(ended()),
        }
    }
}

impl Admitted {
    /// The principal of what follows.
    pub fn principal(&self) -> Principal {
        match &self.caller {
            Caller::Anonymous => Principal::Anonymous,
            Caller::Node(id, _) | Caller::Workload(id, _) => Principal::Node(id.clone()),
            Caller::Operator(id, ..) => Principal::Operator(id.clone()),
        }
    }

    /// Whether a workload identity of others proves the node.
    pub fn is_workload(&self) -> bool {
        match self.caller {
            Caller::Workload(..) => true,
            Caller::Anonymous | Caller::Node(..) | Caller::Operator(..) => false,
        }
    }

    /// The node that calls for itself.
    pub fn node(&self) -> Result<(NodeId, Serial), Refusal> {
        match &self.caller {
            Caller::Node(id, serial) | Caller::Workload(id, serial) => Ok((id.clone(), *serial)),
            Caller::Anonymous | Caller::Operator(..) => Err(refusal(Call::OwnNode, &self.caller)),
        }
    }

    /// The operator who calls for themselves.
    pub fn operator(&self) -> Result<(OperatorId, Serial), Refusal> {
        match &self.caller {
            Caller::Operator(id, _, serial) => Ok((id.clone(), *serial)),
            Caller::Anonymous | Caller::Node(..) | Caller::Workload(..) => {
                Err(refusal(Call::OwnOperator, &self.caller))
            }
        }
    }

    /// What the operator who calls may do.
    pub fn role(&self) -> Result<Role, Refusal> {
        match &self.caller {
            Caller::Operator(_, role, _) => Ok(role.clone()),
            Caller::Anonymous | Caller::Node(..) | Caller::Workload(..) => {
                Err(refusal(Call::OwnOperator, &self.caller))
            }
        }
    }

    /// Whether the caller may set the overlay of this vCluster, or of the domain's default, and bring nodes into it.
    pub fn configures(&self, vcluster: Option<&events::vocabulary::VClusterId>) -> Result<(), Refusal> {
        match &self.caller {
            Caller::Operator(_, role, _) if role.configures(vcluster) => Ok(()),
            Caller::Operator(..) | Caller::Anonymous | Caller::Node(..) | Caller::Workload(..) => {
                Err(refusal(Call::Operate(Verb::Configure), &self.caller))
            }
        }
    }

    /// Whether a node of this vCluster exists for the caller.
    pub fn sees(&self, vcluster: Option<&events::vocabulary::VClusterId>) -> bool {
        match &self.caller {
            Caller::Operator(_, role, _) => role.sees(vcluster),
            Caller::Anonymous | Caller::Node(..) | Caller::Workload(..) => false,
        }
    }
}

/// The table.
fn permits(call: Call, caller: &Caller) -> bool {
    match (call, caller) {
        (Call::Enroll, Caller::Anonymous | Caller::Node(..) | Caller::Workload(..))
        | (Call::OwnNode, Caller::Node(..) | Caller::Workload(..))
        | (Call::OwnCertificate, Caller::Node(..)) => true,
        (Call::Operate(verb), Caller::Operator(_, role, _)) => role.may(verb),
        (Call::OwnOperator, Caller::Operator(..)) => true,
        (Call::Enroll, Caller::Operator(..))
        | (Call::OwnNode | Call::OwnCertificate, Caller::Anonymous | Caller::Operator(..))
        | (Call::OwnCertificate, Caller::Workload(..))
        | (
            Call::Operate(_) | Call::OwnOperator,
            Caller::Anonymous | Caller::Node(..) | Caller::Workload(..),
        ) => false,
    }
}

/// The refusal of everybody while it is not known whether they were revoked (R17).
fn stale() -> Refusal {
    let message = "this journal has not heard of its quorum for too long; ask another one";
    Refusal::new(Reason::StaleJournal, message).retry_after(STALE_AGAIN)
}

/// The refusal of everybody while this journal's clock is the wrong one (R24).
fn skewed() -> Refusal {
    let message = "the clock of this journal is more than 10 s from the other journals'; ask another one";
    Refusal::new(Reason::ClockSkew, message).retry_after(SKEWED_AGAIN)
}

/// The refusal of a caller whose identity has ended since it connected.
fn ended() -> Refusal {
    let message = "the certificate of this connection opens nothing any more; connect with a current one";
    Refusal::new(Reason::CertificateRequired, message)
}

/// The refusal of a workload whom no fact binds to a node (R11).
fn unbound(workload: &Workload) -> Refusal {
    let message = format!(
        "the workload identity {} proves no node; a node binds it over its own certificate, or an operator with `pact node \
         bind-identity`",
        workload.spiffe_id
    );
    Refusal::new(Reason::CertificateRequired, message)
}

/// The refusal of a caller that shows no certificate.
pub fn no_certificate() -> Refusal {
    Refusal::new(Reason::CertificateRequired, "this call needs a client certificate; none was presented")
}

fn refusal(call: Call, caller: &Caller) -> Refusal {
    match (call, caller) {
        (_, Caller::Anonymous) => no_certificate(),
        (Call::OwnCertificate, Caller::Workload(..)) => Refusal::new(
            Reason::RoleNotAllowed,
            "a workload identity binds no other one; connect with the node's own certificate",
        ),
        (Call::Operate(_) | Call::OwnOperator, Caller::Node(..) | Caller::Workload(..)) => {
            Refusal::new(Reason::RoleNotAllowed, "a node's certificate opens nothing for operators")
        }
        (Call::Operate(_) | Call::OwnOperator, Caller::Operator(_, role, _)) => {
            Refusal::new(Reason::RoleNotAllowed, format!("the role {role} may not do this"))
        }
        (Call::Enroll | Call::OwnNode | Call::OwnCertificate, Caller::Node(..) | Caller::Operator(..))
        | (Call::Enroll | Call::OwnNode, Caller::Workload(..)) => {
            Refusal::new(Reason::RoleNotAllowed, "an operator's certificate opens nothing for nodes")
        }
    }
}

fn source(peer: &Peer) -> Option<Remark> {
    source_remark::of(peer.address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(role: &str) -> Caller {
        Caller::Operator("o".parse().unwrap(), role.parse().unwrap(), Serial::from_random([2; 16]))
    }

    fn node() -> Caller {
        Caller::Node("n".parse().unwrap(), Serial::from_random([1; 16]))
    }

    #[test]
    fn a_node_may_call_for_itself_and_nothing_else() {
        assert!(permits(Call::Enroll, &node()) && permits(Call::OwnNode, &node()));
        assert!(!permits(Call::Operate(Verb::Read), &node()));
        assert!(!permits(Call::Operate(Verb::Administer), &node()));
    }

    #[test]
    fn rule_11_a_workload_may_call_for_its_node_and_binds_nothing() {
        let workload = Caller::Workload("n".parse().unwrap(), Serial::from_random([1; 16]));
        assert!(permits(Call::Enroll, &workload) && permits(Call::OwnNode, &workload));
        assert!(permits(Call::OwnCertificate, &node()) && !permits(Call::OwnCertificate, &workload));
        for call in [Call::Operate(Verb::Read), Call::Operate(Verb::Administer), Call::OwnOperator] {
            assert!(!permits(call, &workload));
        }
    }

    #[test]
    fn an_operator_opens_nothing_for_nodes_and_its_role_decides_the_rest() {
        let (admin, viewer) = (operator("pact-platform-admin"), operator("pact-viewer-prod"));
        assert!(!permits(Call::Enroll, &admin) && !permits(Call::OwnNode, &admin));
        assert!(permits(Call::Operate(Verb::Administer), &admin));
        assert!(permits(Call::Operate(Verb::Read), &viewer));
        assert!(!permits(Call::Operate(Verb::Administer), &viewer));
    }

    #[test]
    fn nobody_known_may_enroll_and_is_asked_for_a_certificate_otherwise() {
        assert!(permits(Call::Enroll, &Caller::Anonymous));
        for call in [Call::OwnNode, Call::Operate(Verb::Read), Call::Operate(Verb::Administer)] {
            assert!(!permits(call, &Caller::Anonymous));
            assert_eq!(refusal(call, &Caller::Anonymous).reason, Reason::CertificateRequired);
        }
    }
}
