//! Joining (design §7): by a living token only, to be tried again after any break, and nothing half is left.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use events::level::Level;
use futures_util::future::try_join_all;
use journal::cluster::pin;
use proto::channel::JournalAddress;
use proto::join_token::JoinToken;
use proto::pb::join_service_client::JoinServiceClient;
use proto::pb::{Endpoints, JoinRequest, JoinResponse, Member};
use rcgen::KeyPair;

use crate::calls::{Answer, answer};
use crate::journal_process::{DataDirectory, Journal, free_port};
use crate::request::csr;

use super::{ONE_AT_A_TIME, founder_dir};

/// Asks to join as j2, and does not go on.
async fn ask(door: &str, token: &JoinToken, key: &KeyPair) -> Answer<JoinResponse> {
    ask_as("j2", door, token, key).await
}

/// The same by another name, or, if it is empty, by none.
async fn ask_as(name: &str, door: &str, token: &JoinToken, key: &KeyPair) -> Answer<JoinResponse> {
    let address: JournalAddress = format!("https://{door}").parse().unwrap();
    let connection = pin::connect(&address, token.domain_ca).await.unwrap();
    let endpoints = Endpoints {
        cluster: free_port().to_string(),
        agent: "https://127.0.0.1:1".to_owned(),
        operator: "https://127.0.0.1:1".to_owned(),
    };
    let request = JoinRequest {
        secret: token.secret.to_text().to_string(),
        journal_id: name.to_owned(),
        csr: csr(key),
        endpoints: Some(endpoints),
        format_level: Some(Level::NEWEST.number()),
        hosts: vec![],
    };
    answer(&connection, JoinServiceClient::new(connection.channel()).join(request).await)
}

fn assert_refused(dir: &DataDirectory, (code, said): (i32, String), told: &str) {
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(told), "{told} in {said}");
    assert!(!dir.path().exists(), "nothing half is left");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_leaves_no_data_directory() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let (door, token) = (founder.cluster_address().to_string(), founder.operator().await.join_token().await);
    let (secret, pin) = token.split_once(':').unwrap();
    let wrong = format!("{}:{pin}", "0".repeat(secret.len()));
    let dir = DataDirectory::to_join();
    assert_refused(&dir, dir.join_refused("j2", &door, &wrong), "error: TOKEN_UNKNOWN: ");
}

#[tokio::test]
async fn a_used_token_lets_no_other_key_in() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let (door, token) = (founder.cluster_address().to_string(), founder.operator().await.join_token().await);
    let parsed: JoinToken = token.parse().unwrap();
    ask(&door, &parsed, &KeyPair::generate().unwrap()).await.unwrap();
    for name in ["j2", "j3"] {
        let dir = DataDirectory::to_join();
        assert_refused(&dir, dir.join_refused(name, &door, &token), "error: TOKEN_CONSUMED: ");
    }
}

#[tokio::test]
async fn a_join_that_broke_off_goes_on_with_its_key_and_gets_the_same_place() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let operator = founder.operator().await;
    let (door, token) = (founder.cluster_address().to_string(), operator.join_token().await);
    // The first try: the key is kept, the journal has answered, and the answer was lost. The next says another port.
    let (key, dir) = (KeyPair::generate().unwrap(), DataDirectory::to_join());
    let draft = broken_off(&dir, &key);
    let first = ask(&door, &token.parse().unwrap(), &key).await.unwrap();

    let joined = Journal::join_in(dir, "j2", &door, &token, vec![]);

    operator.voters(2).await;
    let members = operator.members().await.unwrap();
    let ids: Vec<_> = members.iter().map(|member| (member.journal_id.as_str(), member.raft_id)).collect();
    assert_eq!(ids, [("j1", 1), ("j2", first.raft_id)]);
    assert!(!draft.exists(), "it became the data directory");
    let said = joined.dir.last_words();
    assert!(!said.contains(&token[..64]), "the secret is in no log");
}

/// What a try before has left: its key is kept, and whatever it was answered was lost. Answers where.
fn broken_off(dir: &DataDirectory, key: &KeyPair) -> PathBuf {
    let draft = dir.path().with_extension("joining");
    fs::DirBuilder::new().mode(0o700).create(&draft).unwrap();
    fs::write(draft.join("server.key"), key.serialize_pem()).unwrap();
    draft
}

fn names(members: &[Member]) -> Vec<(&str, u64, &str)> {
    members.iter().map(|one| (one.journal_id.as_str(), one.raft_id, one.standing.as_str())).collect()
}

#[tokio::test]
async fn rule_27_a_journal_that_says_no_name_gets_one_that_none_has_or_had() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let (operator, door) = (founder.operator().await, founder.cluster_address().to_string());

    let mut second =
        Journal::join_in(DataDirectory::to_join(), None::<&str>, &door, &operator.join_token().await, vec![]);
    operator.voters(2).await;
    operator.evict("j2", false).await.unwrap();
    second.ended();
    let third =
        Journal::join_in(DataDirectory::to_join(), None::<&str>, &door, &operator.join_token().await, vec![]);
    operator.voters(2).await;

    let members = operator.members().await.unwrap();
    assert_eq!(names(&members), [("j1", 1, "voter"), ("j2", 2, "evicted"), ("j3", 3, "voter")]);
    let identity = fs::read_to_string(third.dir.path().join("identity.json")).unwrap();
    assert!(identity.contains("\"j3\""), "{identity}");
}

#[tokio::test]
async fn a_join_without_a_name_that_broke_off_goes_on_under_the_name_that_it_was_given() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let operator = founder.operator().await;
    let (door, token) = (founder.cluster_address().to_string(), operator.join_token().await);
    let (key, dir) = (KeyPair::generate().unwrap(), DataDirectory::to_join());
    broken_off(&dir, &key);
    for _ in 0..3 {
        let answer = ask_as("", &door, &token.parse().unwrap(), &key).await.unwrap();
        assert_eq!((answer.journal_id.as_str(), answer.raft_id), ("j2", 2));
    }

    let _joined = Journal::join_in(dir, None::<&str>, &door, &token, vec![]);

    operator.voters(2).await;
    assert_eq!(names(&operator.members().await.unwrap()), [("j1", 1, "voter"), ("j2", 2, "voter")]);
}

#[tokio::test]
async fn journals_that_ask_for_names_at_one_moment_get_different_ones() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let (operator, door) = (founder.operator().await, founder.cluster_address().to_string());
    let mut tokens: Vec<JoinToken> = vec![];
    for _ in 0..4 {
        tokens.push(operator.join_token().await.parse().unwrap());
    }
    let keys: Vec<KeyPair> = tokens.iter().map(|_| KeyPair::generate().unwrap()).collect();
    let asked = tokens.iter().zip(&keys).map(|(token, key)| ask_as("", &door, token, key));
    let answers: Vec<JoinResponse> = try_join_all(asked).await.unwrap();
    let mut given: Vec<_> =
        answers.iter().map(|answer| (answer.journal_id.as_str(), answer.raft_id)).collect();
    given.sort_unstable();
    assert_eq!(given, [("j2", 2), ("j3", 3), ("j4", 4), ("j5", 5)]);
}

#[tokio::test]
async fn an_existing_directory_is_left_as_it_is() {
    let dir = DataDirectory::init("other");
    let before = dir.snapshot();
    let token = format!("{}:{}", "1".repeat(64), "2".repeat(64));
    let (code, said) = dir.join_refused("j2", &free_port().to_string(), &token);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: DATA_DIR_EXISTS: "), "{said}");
    assert!(dir.snapshot() == before);
}

#[tokio::test]
async fn a_journal_without_the_domain_ca_key_says_what_to_do() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let (door, token) = (founder.cluster_address().to_string(), founder.operator().await.join_token().await);
    let key = founder.dir.path().join("bootstrap/domain-ca.key");
    let away = founder.dir.folder().join("domain-ca.key");
    fs::rename(&key, &away).unwrap();
    let dir = DataDirectory::to_join();
    let refused = dir.join_refused("j2", &door, &token);
    assert_refused(&dir, refused, "does not hold the domain CA key");

    // when the key is there again, the token still is good
    fs::rename(&away, &key).unwrap();
    let _joined = Journal::join_in(dir, "j2", &door, &token, vec![]);
    founder.operator().await.voters(2).await;
}

#[tokio::test]
async fn rule_27_a_copy_of_a_journals_key_gets_a_place_of_its_own_and_never_that_of_one_that_votes() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let founder = Journal::serve(founder_dir());
    let (operator, door) = (founder.operator().await, founder.cluster_address().to_string());
    // given: an image with the key of a join that broke off, started twice, each with a token of its own
    let (key, dir) = (KeyPair::generate().unwrap(), DataDirectory::to_join());
    broken_off(&dir, &key);
    let (one, other) = (operator.join_token().await, operator.join_token().await);
    let first = ask_as("", &door, &one.parse().unwrap(), &key).await.unwrap();
    let again = ask_as("", &door, &one.parse().unwrap(), &key).await.unwrap();
    assert_eq!((&first.journal_id, first.raft_id), (&again.journal_id, again.raft_id), "it goes on");

    let copy = ask_as("", &door, &other.parse().unwrap(), &key).await.unwrap();

    assert!(copy.journal_id != first.journal_id && copy.raft_id != first.raft_id, "{copy:?}");
    let _joined = Journal::join_in(dir, &*first.journal_id, &door, &one, vec![]);
    operator.voters(2).await;
    let third = operator.join_token().await;
    let voting = ask_as(&first.journal_id, &door, &third.parse().unwrap(), &key).await;
    assert!(voting.is_err(), "it has its data directory: {voting:?}");
}
