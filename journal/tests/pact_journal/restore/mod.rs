//! The day after: a domain goes on whose journals are lost (R27), and somebody commands again when no operator's certificate
//! is left (design §7).

mod interrupted;
mod recovered;
mod refused;
mod whole_domain;

use std::fs;
use std::path::Path;
use std::process::Output;

use proto::pb;
use proto::pb::operator_service_client::OperatorServiceClient;

use crate::calls::{Answer, Operator, answer};
use crate::journal_process::{DataDirectory, Journal, binary};
use crate::request::Machine;

/// The directory of a domain in which a machine is enrolled, and the machine.
async fn lived_in() -> (DataDirectory, Machine) {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    let machine = Machine::registered(&operator).await;
    journal.agent(None).await.unwrap().enroll(&machine.hardware, &machine.csr()).await.unwrap();
    assert_eq!(journal.terminate(), Some(0));
    (journal.into_dir(), machine)
}

/// Restores, which must succeed.
fn restored(from: &Path, key: Option<&Path>) -> DataDirectory {
    let mut dir = DataDirectory::to_join();
    let mut command = dir.restore_command(from);
    if let Some(key) = key {
        command.arg("--domain-ca-key").arg(key);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    dir.made = serde_json::from_slice(&output.stdout).unwrap();
    dir
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What `pact-replay verify -o json` finds, and its exit code.
fn verified(log: &Path, against: Option<&Path>) -> (Option<i32>, serde_json::Value) {
    let mut command = std::process::Command::new(binary("pact-replay"));
    command.arg("verify").arg(log).args(["-o", "json"]);
    if let Some(against) = against {
        command.arg("--against").arg(against);
    }
    let output = command.output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Who may command, by name, and whether they were revoked.
async fn operators(operator: &Operator) -> Answer<Vec<(String, bool)>> {
    let request = pb::ListOperatorsRequest::default();
    let answered = OperatorServiceClient::new(operator.0.channel()).list_operators(request).await;
    let listed = answer(&operator.0, answered)?.operators;
    Ok(listed.into_iter().map(|one| (one.operator_id, one.revoked)).collect())
}

/// What lies beside the directory asked for.
fn beside(dir: &DataDirectory) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir.folder()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}
