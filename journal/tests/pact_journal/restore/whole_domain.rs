//! A majority's data is lost for good, and the domain goes on with what one journal has.

use std::fs;

use proto::channel::{Connection, ConnectionRefusal, JournalAddress};
use proto::pb;
use proto::pb::cluster_service_client::ClusterServiceClient;
use proto::pem_file::Credential;
use proto::reason::Reason;

use super::{lived_in, operators, restored, verified};
use crate::boot_configuration::booted;
use crate::calls::{Agent, Answer, credential, health, reason, turned_away};
use crate::journal_process::{ANSWERED, DataDirectory, Journal, free_port};
use crate::quorum::{Trio, founder_dir};
use crate::request::Machine;

async fn refused(opened: Answer<Agent>) -> Option<ConnectionRefusal> {
    turned_away(opened.as_ref().map(|agent| &agent.0).map_err(Clone::clone)).await
}

/// Three journals, of which two are lost with their data. What is left: the third's directory and the domain CA key.
struct Ruins {
    left: DataDirectory,
    founder: DataDirectory,
}

#[tokio::test]
async fn rule_27_a_domain_goes_on_with_what_one_of_three_journals_has() {
    let trio = Trio::start().await;
    let operator = trio.operator(0).await;
    let (active, revoked) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    let waiting = Machine::registered(&operator).await;
    let anonymous = trio.journal(1).agent(None).await.unwrap();
    let issued = anonymous.enroll(&active.hardware, &active.csr()).await.unwrap();
    let old_certificate = credential(&issued, &active.key);
    let of_revoked = anonymous.enroll(&revoked.hardware, &revoked.csr()).await.unwrap();
    let revoked_certificate = credential(&of_revoked, &revoked.key);
    operator.revoke(&revoked.node_id).await.unwrap();
    let old_operator = trio.journal(0).dir.operator();
    let [founder, lost, left] = trio.into_dirs();
    drop(lost);
    let ruins = Ruins { left, founder };
    let before = ruins.left.snapshot();
    let key = ruins.founder.path().join("bootstrap/domain-ca.key");

    let dir = restored(&ruins.left.path(), Some(&key));

    assert!(ruins.left.snapshot() == before, "what is left is not changed");
    assert!(!dir.path().join("bootstrap/domain-ca.key").exists(), "the key stays where it is");
    assert_eq!(dir.made["journal_id"], "j1000");
    dir.configure("cluster_listen", format!("\"{}\"", free_port()));
    let journal = Journal::serve(dir);

    // Nothing of before opens anything.
    let told = async |shown| refused(journal.agent(Some(shown)).await).await;
    assert_eq!(told(&old_certificate).await, Some(ConnectionRefusal::Expired), "its agent enrolls again");
    assert_eq!(told(&revoked_certificate).await, Some(ConnectionRefusal::Revoked));
    let opened = journal.operator_with(Some(&old_operator)).await;
    let by_operator = turned_away(opened.as_ref().map(|operator| &operator.0).map_err(Clone::clone)).await;
    assert_eq!(by_operator, Some(ConnectionRefusal::Revoked));

    // The one operator who is kept commands.
    let operator = journal.operator().await;
    assert_eq!(operators(&operator).await.unwrap(), [("admin".to_owned(), false)]);
    let state = async |machine: &Machine| operator.inspect(&machine.node_id).await.unwrap().state();
    assert_eq!(state(&active).await, pb::NodeState::Inactive);
    assert_eq!(state(&waiting).await, pb::NodeState::Registered);
    assert_eq!(state(&revoked).await, pb::NodeState::Revoked);

    // Nodes enroll again, with the key that they have; the revoked one does not.
    let anonymous = journal.agent(None).await.unwrap();
    let again = anonymous.enroll(&active.hardware, &active.csr()).await.unwrap();
    assert_ne!(again.serial, issued.serial);
    assert_eq!(again.evicted_journals.len(), 3, "agents are told whom not to trust");
    let connected = journal.agent(Some(&credential(&again, &active.key))).await.unwrap();
    health(&connected.0).await.unwrap();
    drop(booted(&journal, &waiting).await.subscribe().await.unwrap());
    let refusal = anonymous.enroll(&revoked.hardware, &revoked.csr()).await;
    assert_eq!(reason(refusal), Reason::NodeRevoked);
    assert_eq!(state(&active).await, pb::NodeState::Active);

    // Others join by new tokens, and get numbers that nobody had.
    fs::copy(&key, journal.dir.path().join("bootstrap/domain-ca.key")).unwrap();
    let door = journal.cluster_address().to_string();
    let four = Journal::join("j4", &door, &operator.join_token().await, vec![]);
    operator.voters(2).await;
    let five = Journal::join("j5", &door, &operator.join_token().await, vec![]);
    operator.voters(3).await;
    let members = operator.members().await.unwrap();
    let seats =
        members.iter().map(|member| (member.journal_id.as_str(), member.raft_id, member.standing.as_str()));
    let expected = [
        ("j1", 1, "evicted"),
        ("j1000", 1000, "voter"),
        ("j2", 2, "evicted"),
        ("j3", 3, "evicted"),
        ("j4", 1001, "voter"),
        ("j5", 1002, "voter"),
    ];
    assert_eq!(seats.collect::<Vec<_>>(), expected);

    // The log is sound, and the old one is its beginning.
    drop((four, five));
    let dir = journal.into_dir();
    let (code, report) = verified(&dir.path(), Some(&ruins.left.path()));
    assert_eq!((code, &report["ok"]), (Some(0), &true.into()), "{report}");
    assert_eq!(report["against"]["parting"], serde_json::Value::Null);
    assert_eq!(report["against"]["longer"], "log");
    assert!(report["against"]["common"].as_u64() <= dir.made["restored_seq"].as_u64());
}

#[tokio::test]
async fn rule_27_a_journal_that_is_the_only_one_again_starts_again() {
    let (old, machine) = lived_in().await;
    let mut journal = Journal::serve(restored(&old.path(), None));
    assert!(
        journal.dir.path().join("bootstrap/domain-ca.key").exists(),
        "it lay beside the log, and does again"
    );
    for _ in 0..2 {
        let operator = journal.operator().await;
        operator.list().await.unwrap();
        assert_eq!(journal.terminate(), Some(0));
        journal.start_again();
    }
    let anonymous = journal.agent(None).await.unwrap();
    let issued = anonymous.enroll(&machine.hardware, &machine.csr()).await.unwrap();
    journal.kill();
    journal.start_again();
    let agent = journal.agent(Some(&credential(&issued, &machine.key))).await.unwrap();
    health(&agent.0).await.unwrap();
}

#[tokio::test]
async fn rule_27_a_restored_domain_is_restored_again() {
    let (old, machine) = lived_in().await;
    let first = restored(&old.path(), None);
    let second = restored(&first.path(), None);
    assert_eq!(second.made["raft_id"], 2000);
    let former = first.operator();
    let journal = Journal::serve(second);
    let opened = journal.operator_with(Some(&former)).await;
    let refused = turned_away(opened.as_ref().map(|operator| &operator.0).map_err(Clone::clone)).await;
    assert_eq!(refused, Some(ConnectionRefusal::Revoked));
    let operator = journal.operator().await;
    assert_eq!(operator.inspect(&machine.node_id).await.unwrap().state(), pb::NodeState::Inactive);
    drop(journal.agent(None).await.unwrap().enroll(&machine.hardware, &machine.csr()).await.unwrap());
    let (code, report) = verified(&journal.into_dir().path(), Some(&old.path()));
    assert_eq!((code, &report["against"]["longer"]), (Some(0), &"log".into()), "{report}");
}

/// What a journal with this certificate hears on the cluster listener.
async fn knocks(journal: &Journal, shown: &DataDirectory) -> String {
    let address: JournalAddress = format!("https://{}", journal.cluster_address()).parse().unwrap();
    let credential = Credential::read(&shown.path().join("server.pem")).unwrap();
    match Connection::open(&address, &journal.dir.trust(), Some(&credential), ANSWERED).await {
        Ok(connection) => {
            let request = pb::ExchangeRequest { log_id: vec![0; 16], body: vec![] };
            let answered = ClusterServiceClient::new(connection.channel()).exchange(request).await;
            answered.expect_err("no log has this identity").message().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn rule_27_a_journal_that_the_restored_log_does_not_know_of_is_refused_if_it_is_of_before() {
    let _turn = Trio::turn().await;
    let founder = founder_dir();
    // A copy from before the second journal came: what tells of that is lost.
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg("-a").arg(founder.path()).arg(founder.folder().join("copy")).status().unwrap();
    assert!(copied.success());
    let founder = Journal::serve(founder);
    let door = founder.cluster_address().to_string();
    let token = founder.operator().await.join_token().await;
    let lost = Journal::join("j2", &door, &token, vec![]).into_dir();
    let founder = founder.into_dir();

    let dir = restored(&founder.folder().join("copy"), None);
    dir.configure("cluster_listen", format!("\"{}\"", free_port()));
    let journal = Journal::serve(dir);

    let let_in = "this journal is of another log";
    for shown in [&lost, &founder] {
        assert_ne!(knocks(&journal, shown).await, let_in);
    }
    let token = journal.operator().await.join_token().await;
    let new = Journal::join("j3", &journal.cluster_address().to_string(), &token, vec![]);
    assert_eq!(knocks(&journal, &new.dir).await, let_in, "the control");
}
