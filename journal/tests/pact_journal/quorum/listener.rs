//! Who is let in on the cluster listener: journals of the domain that were not evicted, and nobody else (design §7).

use proto::channel::{Connection, JournalAddress};
use proto::outcome::Failure;
use proto::pb;
use proto::pb::cluster_service_client::ClusterServiceClient;
use proto::pb::member_service_client::MemberServiceClient;
use proto::pem_file::Credential;

use crate::calls::{Answer, answer, credential};
use crate::journal_process::{ANSWERED, Journal, until};
use crate::request::Machine;

use super::Trio;

/// A connection to the cluster listener.
async fn knock(journal: &Journal, shown: Option<&Credential>) -> Answer<Connection> {
    let address: JournalAddress = format!("https://{}", journal.cluster_address()).parse().unwrap();
    Connection::open(&address, &journal.dir.trust(), shown, ANSWERED).await.map_err(Failure::from)
}

/// Asks as a journal of another log would: who is let in hears that, and nothing happens.
async fn exchange(connection: &Connection) -> Result<(), String> {
    let request = pb::ExchangeRequest { log_id: vec![0; 16], body: vec![] };
    let answered = ClusterServiceClient::new(connection.channel()).exchange(request).await;
    answered.map(drop).map_err(|status| format!("{:?}: {}", status.code(), status.message()))
}

async fn told(journal: &Journal, shown: Option<&Credential>) -> String {
    match knock(journal, shown).await {
        Ok(connection) => exchange(&connection).await.expect_err("no log has this identity"),
        Err(failure) => format!("{failure:?}"),
    }
}

const LET_IN: &str = "FailedPrecondition: this journal is of another log";

fn own_credential(journal: &Journal) -> Credential {
    Credential::read(&journal.dir.path().join("server.pem")).unwrap()
}

#[tokio::test]
async fn rule_10_neither_a_nodes_nor_an_operators_certificate_opens_the_cluster_listener() {
    let trio = Trio::start().await;
    let operator = trio.operator(0).await;
    let machine = Machine::registered(&operator).await;
    let anonymous = trio.journal(0).agent(None).await.unwrap();
    let issued = anonymous.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    let node = credential(&issued, &machine.key);
    for nth in 0..3 {
        let journal = trio.journal(nth);
        assert_eq!(
            told(journal, Some(&own_credential(trio.journal((nth + 1) % 3)))).await,
            LET_IN,
            "control"
        );
        for shown in [&node, &trio.journal(0).dir.operator()] {
            let told = told(journal, Some(shown)).await;
            assert!(
                told.contains("Refused") || told.contains("lost") || told.starts_with("Unknown"),
                "{told}"
            );
            assert_ne!(told, LET_IN);
        }
        let nobody = told(journal, None).await;
        assert_eq!(nobody, "Unauthenticated: a journal's certificate is required");
    }
}

#[tokio::test]
async fn an_evicted_journal_is_refused_on_the_cluster_listener_and_on_connections_that_stand() {
    let trio = Trio::start().await;
    let (operator, evicted) = (trio.operator(0).await, own_credential(trio.journal(2)));
    let standing = knock(trio.journal(0), Some(&evicted)).await.unwrap();
    assert_eq!(exchange(&standing).await.unwrap_err(), LET_IN, "the control");

    let request =
        pb::EvictRequest { journal_id: "j3".to_owned(), revoke_issued: false, reason: String::new() };
    let answered = MemberServiceClient::new(operator.0.channel()).evict(request).await;
    answer(&operator.0, answered).unwrap();

    // It is heard until Raft took its seat away, by the votes of all who have one.
    until("the connection opens nothing any more", ANSWERED, async || {
        let told = exchange(&standing).await.unwrap_err();
        (told == "FailedPrecondition: this journal was evicted from the quorum").then_some(())
    })
    .await;
    for nth in 0..2 {
        until("the door is closed", ANSWERED, async || {
            let told = told(trio.journal(nth), Some(&evicted)).await;
            (told != LET_IN).then_some(())
        })
        .await;
    }
    operator.voters(2).await;
    Machine::registered(&operator).await;
}
