//! The two listeners: each role on its own, nobody on the other's (design §7).

use proto::reason::Reason;

use crate::calls::{Agent, Operator, health, reason};
use crate::journal_process::shared;
use crate::request::Machine;

use super::enrolled;

/// The reason with which each call of an operator is refused; all alike.
async fn every_operators_call(operator: &Operator, node: &Machine) -> Reason {
    let reasons = [
        reason(operator.register("new-node", &node.hardware).await),
        reason(operator.list().await),
        reason(operator.inspect(&node.node_id).await),
        reason(operator.revoke(&node.node_id).await),
        reason(operator.decommission(&node.node_id).await),
        reason(operator.replace_hardware(&node.node_id, &node.hardware).await),
        reason(operator.resolve(&node.node_id).await),
        reason(operator.assign(&node.node_id, "prod").await),
        reason(operator.unassign(&node.node_id).await),
        reason(operator.move_to(&node.node_id, "prod").await),
        reason(operator.drain(&node.node_id).await),
        reason(operator.undrain(&node.node_id).await),
        reason(operator.inspect("nobody").await),
        reason(operator.inspect("Not A Name").await),
    ];
    assert!(reasons.iter().all(|reason| *reason == reasons[0]), "{reasons:?}");
    reasons[0]
}

#[tokio::test]
async fn rule_10_a_nodes_certificate_opens_nothing_on_the_operators_listener() {
    let journal = shared();
    let node = enrolled(&journal).await;
    let as_operator = journal.operator_with(Some(&node.credential)).await.unwrap();
    assert_eq!(every_operators_call(&as_operator, &node.machine).await, Reason::RoleNotAllowed);
    health(&as_operator.0).await.unwrap();
}

#[tokio::test]
async fn rule_10_an_operators_certificate_opens_nothing_on_the_agents_listener() {
    let journal = shared();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    let as_agent = journal.agent(Some(&journal.dir.operator())).await.unwrap();
    let enroll = as_agent.enroll(&machine.hardware, &machine.csr()).await;
    assert_eq!(reason(enroll), Reason::RoleNotAllowed);
    let renew = as_agent.renew(&"4f".repeat(16), &machine.csr()).await;
    assert_eq!(reason(renew), Reason::RoleNotAllowed);
    assert_eq!(reason(as_agent.subscribe().await.map(drop)), Reason::RoleNotAllowed);
    health(&as_agent.0).await.unwrap();
    assert_eq!(operator.inspect(&machine.node_id).await.unwrap().version, 1, "nothing was recorded");
}

#[tokio::test]
async fn rule_10_without_a_certificate_only_enroll_and_health_are_open() {
    let journal = shared();
    let machine = Machine::registered(&journal.operator().await).await;
    let nobody = journal.operator_with(None).await.unwrap();
    assert_eq!(every_operators_call(&nobody, &machine).await, Reason::CertificateRequired);
    health(&nobody.0).await.unwrap();

    let nobody: Agent = journal.agent(None).await.unwrap();
    let renew = nobody.renew(&"4f".repeat(16), &machine.csr()).await;
    assert_eq!(reason(renew), Reason::CertificateRequired);
    assert_eq!(reason(nobody.subscribe().await.map(drop)), Reason::CertificateRequired);
    health(&nobody.0).await.unwrap();
    assert!(nobody.enroll(&machine.hardware, &machine.csr()).await.is_ok());
}
