//! No operator's certificate is left, and the domain CA key makes an administrator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use journal::domain_ca::{DomainCa, RecoveryPass};
use proto::channel::{Connection, JournalAddress};
use proto::outcome::Failure;
use proto::pb::RecoverOperatorRequest;
use proto::pb::recovery_service_client::RecoveryServiceClient;
use proto::pem_file::Credential;
use rcgen::KeyPair;

use super::{operators, said};
use crate::calls::answer;
use crate::journal_process::{ANSWERED, DataDirectory, Journal, pact_journal};
use crate::quorum::Trio;
use crate::request::csr;

fn command(dir: &Path, name: &str, out: &Path) -> Command {
    let mut command = pact_journal();
    command.args(["recover-operator", "--name", name, "-o", "json", "--data-dir"]).arg(dir);
    command.arg("--out").arg(out);
    command
}

/// Makes an administrator, who must be let in; answers where the credential is.
fn recovered(dir: &DataDirectory, name: &str, key: Option<&Path>) -> PathBuf {
    let out = dir.folder().join(format!("{name}.pem"));
    let mut command = command(&dir.path(), name, &out);
    key.map(|key| command.arg("--domain-ca-key").arg(key));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["operator_id"], told["operator"].as_str()), (&name.into(), out.to_str()));
    out
}

fn refused(mut command: Command, out: &Path) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    assert!(!out.exists(), "no credential that opens nothing");
    (output.status.code(), said(&output))
}

#[tokio::test]
async fn whoever_holds_the_domain_ca_key_makes_an_administrator_while_the_journal_serves() {
    let journal = Journal::start();
    let rescue = recovered(&journal.dir, "rescue", None);
    let operator = journal.operator_with(Some(&Credential::read(&rescue).unwrap())).await.unwrap();
    let all = operators(&operator).await.unwrap();
    assert_eq!(all, [("admin".to_owned(), false), ("rescue".to_owned(), false)]);

    // Names are never given twice, not even to the holder of the key.
    let out = journal.dir.folder().join("again.pem");
    for name in ["rescue", "admin"] {
        let (code, told) = refused(command(&journal.dir.path(), name, &out), &out);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("error: OPERATOR_ALREADY_EXISTS: "), "{told}");
    }
    let before = fs::read(&rescue).unwrap();
    let output = command(&journal.dir.path(), "other", &rescue).output().unwrap();
    assert_eq!((output.status.code(), fs::read(&rescue).unwrap()), (Some(2), before), "{}", said(&output));
    assert_eq!(operators(&operator).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_of_another_domain_ca_makes_nobody() {
    let (journal, other) = (Journal::start(), DataDirectory::init("test"));
    let out = journal.dir.folder().join("rescue.pem");
    let mut wrong = command(&journal.dir.path(), "rescue", &out);
    wrong.arg("--domain-ca-key").arg(other.path().join("bootstrap/domain-ca.key"));
    let (code, told) = refused(wrong, &out);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("error: DOMAIN_CA_KEY_INVALID: "), "{told}");

    // Nor does a whole CA of another domain that has this one's name.
    for file in ["domain-ca.pem", "domain-ca.key"] {
        let path = format!("bootstrap/{file}");
        fs::copy(other.path().join(&path), journal.dir.path().join(&path)).unwrap();
    }
    let (code, told) = refused(command(&journal.dir.path(), "rescue", &out), &out);
    assert_eq!(code, Some(3), "{told}");
}

#[tokio::test]
async fn a_member_of_a_quorum_records_it_with_the_others() {
    let trio = Trio::start().await;
    let key = trio.journal(0).dir.path().join("bootstrap/domain-ca.key");
    let rescue = recovered(&trio.journal(2).dir, "rescue", Some(&key));
    let credential = Credential::read(&rescue).unwrap();
    for nth in 0..3 {
        let operator = trio.journal(nth).operator_with(Some(&credential)).await.unwrap();
        assert!(operators(&operator).await.unwrap().contains(&("rescue".to_owned(), false)));
    }
    let [first, _, left] = trio.into_dirs();
    let out = left.folder().join("late.pem");
    let mut late = command(&left.path(), "late", &out);
    late.arg("--domain-ca-key").arg(first.path().join("bootstrap/domain-ca.key"));
    let (code, told) = refused(late, &out);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("one of several"), "{told}");
}

#[tokio::test]
async fn a_journal_that_is_the_only_one_may_stand_still() {
    let dir = DataDirectory::init("test");
    let rescue = recovered(&dir, "rescue", None);
    let journal = Journal::serve(dir);
    let operator = journal.operator_with(Some(&Credential::read(&rescue).unwrap())).await.unwrap();
    assert_eq!(operators(&operator).await.unwrap().len(), 2);
}

/// A connection to the cluster listener with a pass, and an answer to who asks there for a name.
async fn ask(journal: &Journal, pass: &RecoveryPass, name: &str) -> Result<u64, Failure> {
    let bootstrap = journal.dir.path().join("bootstrap");
    let read = |file: &str| fs::read_to_string(bootstrap.join(file)).unwrap();
    let ca = DomainCa::from_pem(&read("domain-ca.pem"), &read("domain-ca.key")).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = events::vocabulary::Timestamp::default().plus(now);
    let serial = events::vocabulary::Serial::from_random([9; 16]);
    let pem = ca.recovery_pass(pass, now, serial).unwrap();
    let credential = Credential::from_pem("pass", pem.as_bytes()).unwrap();
    let address: JournalAddress = format!("https://{}", journal.cluster_address()).parse().unwrap();
    let connection = Connection::open(&address, &journal.dir.trust(), Some(&credential), ANSWERED).await?;
    let request =
        RecoverOperatorRequest { operator_id: name.to_owned(), csr: csr(&KeyPair::generate().unwrap()) };
    let answered = RecoveryServiceClient::new(connection.channel()).recover_operator(request).await;
    answer(&connection, answered).map(|made| made.seq)
}

#[tokio::test]
async fn a_pass_opens_one_call_for_one_name_in_one_log() {
    let journal = Journal::start();
    let log_id = journal::data_dir::identity(&journal.dir.path()).unwrap().log_id;
    let pass = RecoveryPass { log_id, operator: "rescue".parse().unwrap() };
    let told = ask(&journal, &pass, "other").await.unwrap_err().to_string();
    assert!(told.contains("for another operator"), "{told}");
    let foreign = RecoveryPass { log_id: events::vocabulary::LogId::new([1; 16]), ..pass.clone() };
    let told = ask(&journal, &foreign, "rescue").await.unwrap_err().to_string();
    assert!(told.contains("for another log"), "{told}");
    ask(&journal, &pass, "rescue").await.unwrap();
    let told = ask(&journal, &pass, "rescue").await.unwrap_err().to_string();
    assert!(told.contains("there is or was an operator of this name"), "{told}");
}

#[tokio::test]
async fn without_a_pass_nobody_is_made() {
    let journal = Journal::start();
    let address: JournalAddress = format!("https://{}", journal.cluster_address()).parse().unwrap();
    let own = Credential::read(&journal.dir.path().join("server.pem")).unwrap();
    for shown in [None, Some(&own), Some(&journal.dir.operator())] {
        let opened = Connection::open(&address, &journal.dir.trust(), shown, ANSWERED).await;
        let Ok(connection) = opened else { continue };
        let key = KeyPair::generate().unwrap();
        let request = RecoverOperatorRequest { operator_id: "rescue".to_owned(), csr: csr(&key) };
        let answered = RecoveryServiceClient::new(connection.channel()).recover_operator(request).await;
        assert!(answered.is_err());
    }
    assert_eq!(operators(&journal.operator().await).await.unwrap().len(), 1);
}
