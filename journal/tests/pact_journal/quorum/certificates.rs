//! Server certificates of several journals (design §7): the one that holds the domain CA's key signs for the others, and all
//! know until when each lasts.

use std::fs;

use events::vocabulary::CertificateHash;
use journal::cluster::names_of;
use proto::pb;
use proto::pb::event_service_client::EventServiceClient;
use proto::pem_file::Credential;

use crate::calls::Operator;
use crate::journal_process::{ANSWERED, until};
use crate::server_certificate::age;

use super::Trio;

/// Whether a fact names this certificate as a journal's.
async fn is_announced(operator: &Operator, certificate: &CertificateHash) -> bool {
    let request = pb::TailEventsRequest { node_id: String::new(), from_seq: Some(1), follow: false };
    let answered = EventServiceClient::new(operator.0.channel()).tail_events(request).await;
    let mut facts = answered.unwrap().into_inner();
    while let Some(fact) = facts.message().await.unwrap() {
        if fact.json.contains("JournalAnnounced") && fact.json.contains(&certificate.to_string()) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_member_without_the_domain_ca_key_has_its_certificate_signed_by_the_one_that_holds_it() {
    let mut trio = Trio::start().await;
    let key = trio.journal(0).dir.path().join("bootstrap/domain-ca.key");
    let dir = trio.journal(1).dir.path();
    trio.journals[1].terminate();
    age(&dir, &key);
    let before = Credential::read(&dir.join("server.pem")).unwrap();
    trio.journals[1].start_again();

    let after = until("it is renewed", ANSWERED, async || {
        let now = Credential::read(&dir.join("server.pem")).ok()?;
        (now.chain()[0] != before.chain()[0]).then_some(now)
    })
    .await;

    assert_eq!(names_of(&after.chain()[0]), names_of(&before.chain()[0]));
    assert!(!dir.join("bootstrap/domain-ca.key").exists(), "the key does not travel");
    let operator = trio.operator(0).await;
    let hash = CertificateHash::of(&after.chain()[0]);
    until("it is a fact", ANSWERED, async || is_announced(&operator, &hash).await.then_some(())).await;
    // Every journal tells the ends of all, also those of whom it is not the leader.
    for nth in 0..3 {
        let operator = trio.operator(nth).await;
        until("all ends are known", ANSWERED, async || {
            let members = operator.members().await.ok()?;
            let known = members.iter().filter_map(|member| member.certificate_not_after.as_ref());
            let month = known.filter(|at| at.seconds > 29 * 24 * 3600);
            (month.count() == 3).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_holds_the_key_and_every_journal_says_so() {
    let mut trio = Trio::start().await;
    let (key, away) = (
        trio.journal(0).dir.path().join("bootstrap/domain-ca.key"),
        trio.journal(0).dir.folder().join("key"),
    );
    fs::rename(&key, &away).unwrap();
    let dir = trio.journal(2).dir.path();
    trio.journals[2].terminate();
    age(&dir, &away);
    trio.journals[2].start_again();
    for (nth, said) in [
        (2, "no journal that answers holds the domain CA key; j1: "),
        (0, "the server certificate of j3 ends at "),
    ] {
        let operator = trio.operator(nth).await;
        until("it is told", ANSWERED * 2, async || {
            operator.warnings().await.into_iter().find(|warning| warning.contains(said))
        })
        .await;
    }
}
