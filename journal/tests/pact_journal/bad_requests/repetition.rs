//! A node that asks again (R14, R16): the same key gets the same certificate, any other a refusal.

use std::time::Duration;

use proto::pb::NodeState;
use proto::reason::Reason;

use crate::calls::{credential, reason, refusal, turned_away};
use crate::journal_process::shared;
use crate::request::{Impostor, Machine, csr};

/// Three days, and the minutes that a slow machine may take.
const LIFETIME: Duration = Duration::from_secs(259_200);
/// How long a node may be away.
const GRACE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn rule_14_a_second_enroll_with_another_key_is_told_how_long_to_wait() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::registered(&operator).await;
    let issued = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    // Its stream is not open yet: it is given up after the grace period.
    let told = refusal(agent.enroll(&machine.hardware, &machine.with_new_key().csr()).await);
    let wait = told.retry_after.expect("waiting helps, so it says how long");
    assert!(told.reason == Reason::AlreadyActive && wait <= GRACE && wait > GRACE / 2, "{wait:?}");
    let own = journal.agent(Some(&credential(&issued, &machine.key))).await.unwrap();
    let _stream = own.subscribe().await.unwrap();

    for request in [machine.with_new_key().csr(), b"garbage".to_vec(), vec![]] {
        let refusal = refusal(agent.enroll(&machine.hardware, &request).await);
        assert_eq!(refusal.reason, Reason::AlreadyActive);
        let wait = refusal.retry_after.expect("waiting helps, so it says how long");
        assert!(wait <= LIFETIME && wait > LIFETIME - Duration::from_secs(300), "{wait:?}");
    }
    let node = operator.inspect(&machine.node_id).await.unwrap();
    assert_eq!(node.certificate.map(|certificate| certificate.serial), Some(issued.serial));
}

#[tokio::test]
async fn rule_14_the_same_key_gets_the_identical_certificate_again() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::registered(&operator).await;
    let first = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    for _ in 0..3 {
        // Another request for the same key, over another connection.
        let agent = journal.agent(None).await.unwrap();
        let again = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
        assert_eq!(again.certificate, first.certificate);
        assert_eq!((again.serial, again.ca_chain), (first.serial.clone(), first.ca_chain.clone()));
        assert_eq!((again.not_after, again.renew_after), (first.not_after, first.renew_after));
    }
    assert_eq!(operator.inspect(&machine.node_id).await.unwrap().version, 2);
}

#[tokio::test]
async fn rule_14_the_same_key_without_its_proof_or_its_hardware_gets_nothing() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::with_all_fields();
    operator.register(&machine.node_id, &machine.hardware).await.unwrap();
    agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();

    let mut partial = machine.hardware.clone();
    partial.bmc_serial.clear();
    assert_eq!(reason(agent.enroll(&partial, &machine.csr()).await), Reason::HardwareMismatch);
    let held = machine.with_new_key().key;
    let stolen = csr(&Impostor { shown: machine.key, held });
    assert_eq!(reason(agent.enroll(&machine.hardware, &stolen).await), Reason::CsrInvalid);
}

#[tokio::test]
async fn rule_14_after_a_goodbye_another_key_may_enroll_and_the_old_certificate_is_over() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::registered(&operator).await;
    let first = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    let own = journal.agent(Some(&credential(&first, &machine.key))).await.unwrap();
    own.subscribe().await.unwrap().goodbye().await;
    assert_eq!(operator.inspect(&machine.node_id).await.unwrap().state(), NodeState::Inactive);

    let machine_again = machine.with_new_key();
    let second = agent.enroll(&machine_again.hardware, &machine_again.csr()).await.unwrap();
    assert_ne!(second.serial, first.serial);
    let old = journal.agent(Some(&credential(&first, &machine.key))).await;
    let refused = turned_away(old.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await;
    assert_eq!(refused.map(|refusal| refusal.as_str()), Some("CERTIFICATE_REVOKED"));
    let new = journal.agent(Some(&credential(&second, &machine_again.key))).await.unwrap();
    assert!(new.subscribe().await.is_ok());
}

#[tokio::test]
async fn rule_16_a_revoked_node_is_told_so_until_an_operator_begins_a_new_epoch() {
    let journal = shared();
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let machine = Machine::with_all_fields();
    let registered = operator.register(&machine.node_id, &machine.hardware).await.unwrap();
    assert_eq!(registered.epoch, 1);
    let again = operator.register(&machine.node_id, &machine.hardware).await;
    assert_eq!(reason(again), Reason::NodeAlreadyEnrolled);
    let first = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    assert_eq!(operator.revoke(&machine.node_id).await.unwrap().state(), NodeState::Revoked);

    assert_eq!(reason(agent.enroll(&machine.hardware, &machine.csr()).await), Reason::NodeRevoked);
    let mut partial = machine.hardware.clone();
    partial.system_uuid.clear();
    assert_eq!(reason(agent.enroll(&partial, &machine.csr()).await), Reason::HardwareMismatch);
    let revoked_again = operator.revoke(&machine.node_id).await.unwrap();
    assert_eq!(revoked_again.state(), NodeState::Revoked, "revoking again is the same answer");

    let node = operator.register(&machine.node_id, &machine.hardware).await.unwrap();
    assert_eq!((node.epoch, node.state()), (2, NodeState::Registered));
    let machine_again = machine.with_new_key();
    let second = agent.enroll(&machine.hardware, &machine_again.csr()).await.unwrap();
    assert_ne!(second.serial, first.serial);
    let new = journal.agent(Some(&credential(&second, &machine_again.key))).await.unwrap();
    assert!(new.subscribe().await.is_ok());
}

#[tokio::test]
async fn what_does_not_exist_is_node_not_found() {
    let journal = shared();
    let operator = journal.operator().await;
    assert_eq!(reason(operator.inspect("nobody").await), Reason::NodeNotFound);
    assert_eq!(reason(operator.revoke("nobody").await), Reason::NodeNotFound);
    assert_eq!(reason(operator.decommission("nobody").await), Reason::NodeNotFound);
}
