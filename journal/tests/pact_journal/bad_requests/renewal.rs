//! RenewCert (R15): one current certificate a node, at most one in overlap.

use proto::channel::ConnectionRefusal;
use proto::pb::EnrollResponse;
use proto::reason::Reason;
use rcgen::KeyPair;

use crate::calls::{Agent, credential, reason, turned_away};
use crate::journal_process::{ANSWERED, Journal, shared, until};
use crate::request::{Impostor, Machine, csr};

/// A node with its first certificate, and its own connection.
async fn enrolled(journal: &Journal) -> (Machine, EnrollResponse, Agent) {
    let machine = Machine::registered(&journal.operator().await).await;
    let anonymous = journal.agent(None).await.unwrap();
    let issued = anonymous.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    let own = journal.agent(Some(&credential(&issued, &machine.key))).await.unwrap();
    (machine, issued, own)
}

async fn door(journal: &Journal, issued: &EnrollResponse, key: &KeyPair) -> Option<ConnectionRefusal> {
    let opened = journal.agent(Some(&credential(issued, key))).await;
    turned_away(opened.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await
}

#[tokio::test]
async fn rule_15_a_renewal_brings_a_new_certificate_and_leaves_the_old_one_in_overlap() {
    let journal = shared();
    let (machine, first, own) = enrolled(&journal).await;
    let key = KeyPair::generate().unwrap();
    let second = own.renew(&first.serial, &csr(&key)).await.unwrap();
    assert_ne!(second.serial, first.serial);
    crate::issued::is_exactly_rule_8(&second, &machine.node_id, "test");

    let again = own.renew(&first.serial, &csr(&key)).await.unwrap();
    assert_eq!(again.certificate, second.certificate, "the answer that was lost, over the old certificate");
    assert_eq!(door(&journal, &first, &machine.key).await, None, "in overlap");
    let new = journal.agent(Some(&credential(&second, &key))).await.unwrap();
    let again = new.renew(&second.serial, &csr(&key)).await.unwrap();
    assert_eq!(again.certificate, second.certificate, "the same key, over the new one");
    assert!(new.subscribe().await.is_ok());
    assert_eq!(
        door(&journal, &first, &machine.key).await,
        None,
        "still in overlap after the new one's first use"
    );
    let node = journal.operator().await.inspect(&machine.node_id).await.unwrap();
    assert_eq!(node.certificate.map(|current| current.serial), Some(second.serial));
}

#[tokio::test]
async fn rule_15_a_second_renewal_ends_the_one_in_overlap_at_once() {
    let journal = shared();
    let (machine, first, own) = enrolled(&journal).await;
    let mut open = own.subscribe().await.unwrap();
    let (second_key, third_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let second = own.renew(&first.serial, &csr(&second_key)).await.unwrap();
    let over_the_old = own.renew(&first.serial, &csr(&third_key)).await;
    assert_eq!(reason(over_the_old), Reason::SerialSuperseded, "only the current one may ask for a third");

    let new = journal.agent(Some(&credential(&second, &second_key))).await.unwrap();
    let third = new.renew(&second.serial, &csr(&third_key)).await.unwrap();
    tokio::time::timeout(ANSWERED, open.ended()).await.expect("the first one's connection is cut");
    assert_eq!(door(&journal, &first, &machine.key).await, Some(ConnectionRefusal::Revoked));
    assert_eq!(door(&journal, &second, &second_key).await, None);
    assert_eq!(door(&journal, &third, &third_key).await, None);
}

#[tokio::test]
async fn a_renewal_must_name_the_certificate_that_it_presents() {
    let journal = shared();
    let (machine, first, own) = enrolled(&journal).await;
    let (_, others, _) = enrolled(&journal).await;
    let request = csr(&KeyPair::generate().unwrap());
    assert_eq!(reason(own.renew(&others.serial, &request).await), Reason::SerialSuperseded);
    assert_eq!(reason(own.renew(&"4f".repeat(16), &request).await), Reason::SerialSuperseded);
    for malformed in ["", "12", &"zz".repeat(16), &"ff".repeat(16)] {
        assert_eq!(reason(own.renew(malformed, &request).await), Reason::FieldInvalid, "{malformed:?}");
    }
    let node = journal.operator().await.inspect(&machine.node_id).await.unwrap();
    assert_eq!(node.certificate.map(|current| current.serial), Some(first.serial));
}

#[tokio::test]
async fn a_bad_request_renews_nothing() {
    let journal = shared();
    let (machine, first, own) = enrolled(&journal).await;
    let stolen = Impostor { shown: KeyPair::generate().unwrap(), held: KeyPair::generate().unwrap() };
    for request in [vec![], b"garbage".to_vec(), csr(&stolen)] {
        assert_eq!(reason(own.renew(&first.serial, &request).await), Reason::CsrInvalid);
    }
    let without_proof = Impostor { shown: machine.key, held: KeyPair::generate().unwrap() };
    assert_eq!(reason(own.renew(&first.serial, &csr(&without_proof)).await), Reason::CsrInvalid);
    let (neighbour, _, _) = enrolled(&journal).await;
    assert_eq!(reason(own.renew(&first.serial, &neighbour.csr()).await), Reason::KeyReused);
    let operator = journal.operator().await;
    let confirmed = until("the first call confirms", ANSWERED, async || {
        Some(operator.inspect(&machine.node_id).await.unwrap()).filter(|node| node.confirmed)
    });
    assert_eq!(confirmed.await.version, 3, "registered, issued, confirmed, nothing else");
}
