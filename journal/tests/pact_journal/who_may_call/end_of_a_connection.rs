//! An open connection ends with its certificate: at a revocation, at notAfter (R10, R17).

use std::time::{Duration, Instant, SystemTime};

use proto::channel::ConnectionRefusal;
use proto::outcome::Failure;
use rcgen::KeyPair;
use tokio::time::timeout;

use crate::journal_process::{DataDirectory, Journal, shared};
use crate::request::csr;

use super::{agents_door, enrolled, operators_door};

/// From a revocation's answer until every connection is cut; 50 ms is aimed at, the machine may be busy.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// The shortest life of a certificate.
const SHORTEST: u64 = 30;
/// How late a connection may end after its certificate.
const LATE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn rule_17_a_revocation_cuts_open_streams_within_a_second_and_closes_the_door() {
    let journal = shared();
    let (node, other, operator) =
        (enrolled(&journal).await, enrolled(&journal).await, journal.operator().await);
    let own = journal.agent(Some(&node.credential)).await.unwrap();
    let (mut one, mut two) = (own.subscribe().await.unwrap(), own.subscribe().await.unwrap());
    let elsewhere = journal.agent(Some(&node.credential)).await.unwrap();
    let mut three = elsewhere.subscribe().await.unwrap();
    let on_operators = journal.operator_with(Some(&node.credential)).await.unwrap();
    let others = journal.agent(Some(&other.credential)).await.unwrap();
    let mut untouched = others.subscribe().await.unwrap();

    operator.revoke(&node.machine.node_id).await.unwrap();
    let answered = Instant::now();
    for stream in [&mut one, &mut two, &mut three] {
        let left = CUT_WITHIN.saturating_sub(answered.elapsed());
        timeout(left, stream.ended()).await.expect("every stream is cut within a second");
    }

    assert_eq!(agents_door(&journal, &node.credential).await, Some(ConnectionRefusal::Revoked));
    assert_eq!(operators_door(&journal, &node.credential).await, Some(ConnectionRefusal::Revoked));
    let renew = own.renew(&node.issued.serial, &csr(&KeyPair::generate().unwrap())).await;
    assert!(matches!(renew, Err(Failure::Unreachable(_) | Failure::ConnectionRefused(_))), "{renew:?}");
    assert!(crate::calls::health(&on_operators.0).await.is_err(), "also the one on the other listener");
    assert!(timeout(Duration::from_millis(50), untouched.ended()).await.is_err(), "nobody else is cut");
}

#[tokio::test]
async fn rule_17_a_decommissioned_nodes_streams_are_cut_too() {
    let journal = shared();
    let node = enrolled(&journal).await;
    let own = journal.agent(Some(&node.credential)).await.unwrap();
    let mut stream = own.subscribe().await.unwrap();
    journal.operator().await.decommission(&node.machine.node_id).await.unwrap();
    timeout(CUT_WITHIN, stream.ended()).await.expect("the stream is cut within a second");
    assert_eq!(agents_door(&journal, &node.credential).await, Some(ConnectionRefusal::Revoked));
}

#[tokio::test]
async fn rule_16_a_revocation_outlives_the_process() {
    let mut journal = Journal::start();
    let (node, kept) = (enrolled(&journal).await, enrolled(&journal).await);
    journal.operator().await.revoke(&node.machine.node_id).await.unwrap();
    journal.kill();
    journal.start_again();
    assert_eq!(agents_door(&journal, &node.credential).await, Some(ConnectionRefusal::Revoked));
    assert_eq!(
        agents_door(&journal, &kept.credential).await,
        None,
        "rule 09: a restart breaks no certificate"
    );
}

#[tokio::test]
async fn rule_10_a_connection_ends_at_not_after_and_no_new_one_is_let_in() {
    let dir = DataDirectory::init("test");
    dir.configure("certificate_ttl_secs", SHORTEST);
    let journal = Journal::serve(dir);
    let node = enrolled(&journal).await;
    let own = journal.agent(Some(&node.credential)).await.unwrap();
    let mut stream = own.subscribe().await.unwrap();
    assert_eq!(agents_door(&journal, &node.credential).await, None);

    let not_after = u64::try_from(node.issued.not_after.unwrap().seconds).unwrap();
    let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(not_after);
    let left = not_after.duration_since(SystemTime::now()).expect("it has just been issued");
    assert!(left <= Duration::from_secs(SHORTEST));
    timeout(left + LATE, stream.ended()).await.expect("the stream ends with the certificate");
    assert!(SystemTime::now() >= not_after, "and not before");
    assert_eq!(agents_door(&journal, &node.credential).await, Some(ConnectionRefusal::Expired));

    let machine = node.machine.with_new_key();
    let again = journal.agent(None).await.unwrap().enroll(&machine.hardware, &machine.csr()).await;
    assert_ne!(again.expect("an expired node may enroll again").serial, node.issued.serial);
}
