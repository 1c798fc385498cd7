//! Evicting a journal: also the one that leads, what it had signed, and its own end (design §7, R27).

use std::time::{Duration, Instant};

use proto::channel::ConnectionRefusal;
use proto::pb;
use proto::pb::member_service_client::MemberServiceClient;
use proto::pb::operator_service_client::OperatorServiceClient;
use proto::pb::status_service_client::StatusServiceClient;
use proto::pem_file::Credential;
use proto::reason::Reason;
use rcgen::KeyPair;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::timeout;

use crate::calls::{Answer, Operator, answer, credential, reason, turned_away};
use crate::journal_process::{ANSWERED, until};
use crate::request::{Machine, csr};

use super::Trio;

/// An election takes 3 to 4 s; who steps aside costs none.
const NO_ELECTION: Duration = Duration::from_millis(2500);

impl Operator {
    pub(super) async fn evict(&self, journal: &str, revoke_issued: bool) -> Answer<pb::EvictResponse> {
        let request =
            pb::EvictRequest { journal_id: journal.to_owned(), revoke_issued, reason: "lost".to_owned() };
        answer(&self.0, MemberServiceClient::new(self.0.channel()).evict(request).await)
    }

    /// What `pact status` warns of.
    pub(super) async fn warnings(&self) -> Vec<String> {
        let answered = StatusServiceClient::new(self.0.channel()).status(pb::StatusRequest::default()).await;
        answer(&self.0, answered).unwrap().warnings
    }

    /// The journals whose authorities are not retired.
    async fn signers(&self) -> Vec<String> {
        let request = pb::ListAuthoritiesRequest::default();
        let answered = StatusServiceClient::new(self.0.channel()).list_authorities(request).await;
        let known = answer(&self.0, answered).unwrap().authorities.into_iter();
        known.filter(|authority| !authority.retired).map(|authority| authority.journal_id).collect()
    }

    /// Evicts a journal and all that it signed; how many certificates ended.
    async fn evict_with_all(&self, journal: &str) -> u64 {
        let mut revoked = 0;
        until("nothing is left", ANSWERED, async || {
            let step = self.evict(journal, true).await.ok()?;
            revoked += step.revoked;
            (step.left == 0 && !step.seated).then_some(revoked)
        })
        .await
    }
}

#[tokio::test]
async fn a_leader_that_is_evicted_hands_the_lead_over_and_ends() {
    let mut trio = Trio::start().await;
    let leader = trio.leader(&[0, 1, 2]).await;
    let others: Vec<usize> = (0..3).filter(|nth| *nth != leader).collect();
    let operator = trio.operator(others[0]).await;
    let machine = Machine::new();
    let told = Instant::now();

    operator.evict(&format!("j{}", leader + 1), false).await.unwrap();

    trio.leader_but(&others, leader).await;
    operator.register(&machine.node_id, &machine.hardware).await.unwrap();
    assert!(told.elapsed() < NO_ELECTION, "nobody waited for an election: {:?}", told.elapsed());
    let evicted = &mut trio.journals[leader];
    assert_eq!(evicted.ended(), Some(1), "{}", evicted.dir.last_words());
    assert!(evicted.dir.last_words().contains("error: JOURNAL_EVICTED: "), "{}", evicted.dir.last_words());
    operator.voters(2).await;
}

#[tokio::test]
async fn rule_09_a_journal_evicted_while_it_was_away_ends_when_it_comes_back_and_its_authority_is_retired() {
    let mut trio = Trio::start().await;
    trio.leader_is(0).await;
    trio.journals[2].kill();
    let operator = trio.operator(0).await;
    operator.evict("j3", false).await.unwrap();
    until("it has no seat", ANSWERED, async || {
        (!operator.evict("j3", true).await.ok()?.seated).then_some(())
    })
    .await;

    // It had signed nothing: nobody waits for a last certificate of it.
    until("the leader retires its authority", ANSWERED * 2, async || {
        (!operator.signers().await.contains(&"j3".to_owned())).then_some(())
    })
    .await;
    let (code, said) = trio.journals[2].dir.refused();

    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: JOURNAL_EVICTED: "), "{said}");
}

#[tokio::test]
async fn what_an_evicted_journal_had_signed_ends_on_demand_and_its_nodes_come_again() {
    let trio = Trio::start().await;
    trio.leader_is(0).await;
    let operator = trio.operator(0).await;
    let at_third = trio.journal(2).agent(None).await.unwrap();
    let at_first = trio.journal(0).agent(None).await.unwrap();
    let (theirs, other) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    let issued = at_third.enroll(&theirs.hardware, &theirs.csr()).await.unwrap();
    let others = at_first.enroll(&other.hardware, &other.csr()).await.unwrap();
    let shown = credential(&issued, &theirs.key);
    let agent = trio.journal(1).agent(Some(&shown)).await.unwrap();
    let mut stream = agent.subscribe().await.unwrap();
    let bystander = trio.journal(1).agent(Some(&credential(&others, &other.key))).await.unwrap();
    let mut untouched = bystander.subscribe().await.unwrap();

    assert_eq!(operator.evict_with_all("j3").await, 1);

    timeout(ANSWERED, stream.ended()).await.expect("the stream is cut");
    assert!(timeout(Duration::from_millis(100), untouched.ended()).await.is_err(), "nobody else is cut");
    for nth in 0..2 {
        until("the door is closed", ANSWERED, async || {
            let opened = trio.journal(nth).agent(Some(&shown)).await;
            let refused = turned_away(opened.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await;
            (refused == Some(ConnectionRefusal::Revoked)).then_some(())
        })
        .await;
    }
    let node = operator.inspect(&theirs.node_id).await.unwrap();
    assert_eq!(node.state, pb::NodeState::Inactive as i32);
    // It may come again, with a new key; an order that is given again finds nothing more.
    let again = theirs.with_new_key();
    at_first.enroll(&again.hardware, &again.csr()).await.unwrap();
    assert_eq!(operator.evict_with_all("j3").await, 0);
}

#[tokio::test]
async fn nobody_ends_their_own_certificate_half_way_but_renews_it_first() {
    let trio = Trio::start().await;
    trio.leader_is(0).await;
    let operator = trio.operator(1).await;

    assert_eq!(reason(operator.evict("j1", true).await), Reason::OwnCertificate);
    operator.voters(3).await;

    let key = KeyPair::generate().unwrap();
    let request = pb::RenewOperatorRequest { csr: csr(&key), ..Default::default() };
    let answered = OperatorServiceClient::new(operator.0.channel()).renew_operator(request).await;
    let renewed = answer(&operator.0, answered).unwrap();
    let chain = [renewed.certificate].into_iter().chain(renewed.ca_chain).map(CertificateDer::from).collect();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let renewed = Credential::new(chain, key).unwrap();
    let operator = trio.journal(1).operator_with(Some(&renewed)).await.unwrap();
    assert_eq!(operator.evict_with_all("j1").await, 0, "nobody else has one of it");
    operator.voters(2).await;
}
