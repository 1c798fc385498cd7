//! What is not restored, and leaves nothing behind.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::Command;

use super::{lived_in, said};
use crate::journal_process::{DataDirectory, Journal};

/// Runs a restore that must fail: what it says, with exit code 1 and nothing left behind.
fn refused(dir: &DataDirectory, mut command: Command) -> String {
    let before = dir.snapshot_of_folder();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(dir.snapshot_of_folder() == before, "nothing is left behind");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let reason = told["error"]["reason"].as_str().unwrap().to_owned();
    assert!(said(&output).contains(&format!("error: {reason}: ")), "{}", said(&output));
    format!("{reason}: {}", told["error"]["message"].as_str().unwrap())
}

fn assert_told(told: &str, words: &[&str]) {
    assert!(words.iter().all(|word| told.contains(word)), "{words:?} in: {told}");
}

#[tokio::test]
async fn an_existing_directory_is_left_as_it_is() {
    let (old, _) = lived_in().await;
    let existing = DataDirectory::init("other");
    let told = refused(&existing, existing.restore_command(&old.path()));
    assert_told(&told, &["DATA_DIR_EXISTS"]);
}

#[tokio::test]
async fn a_log_that_somebody_serves_is_not_restored() {
    let journal = Journal::start();
    let dir = DataDirectory::to_join();
    let told = refused(&dir, dir.restore_command(&journal.dir.path()));
    assert_told(&told, &["DATA_DIR_IN_USE", "stop that journal first"]);
    journal.operator().await.list().await.unwrap();
}

#[tokio::test]
async fn the_key_of_another_domain_restores_nothing() {
    let (old, _) = lived_in().await;
    let other = DataDirectory::init("test");
    let dir = DataDirectory::to_join();
    let mut command = dir.restore_command(&old.path());
    command.arg("--domain-ca-key").arg(other.path().join("bootstrap/domain-ca.key"));
    assert_told(&refused(&dir, command), &["DOMAIN_CA_KEY_INVALID", "not the key of this log's domain CA"]);
    fs::remove_file(old.path().join("bootstrap/domain-ca.key")).unwrap();
    let told = refused(&dir, dir.restore_command(&old.path()));
    assert_told(&told, &["DOMAIN_CA_KEY_INVALID", "--domain-ca-key"]);
}

#[tokio::test]
async fn names_that_do_not_fit_are_refused() {
    let (old, _) = lived_in().await;
    let dir = DataDirectory::to_join();
    let with = |arguments: [&str; 2]| {
        let mut command = dir.restore_command(&old.path());
        command.args(arguments);
        command
    };
    assert_told(&refused(&dir, with(["--journal-id", "j1"])), &["JOURNAL_ALREADY_EXISTS", "j1"]);
    assert_told(&refused(&dir, with(["--operator", "ada"])), &["OPERATOR_NOT_FOUND", "one of: admin"]);
}

#[tokio::test]
async fn rule_27_a_damaged_log_is_not_restored_and_says_where() {
    let (old, _) = lived_in().await;
    let dir = DataDirectory::to_join();
    let tables = fs::read_dir(old.path().join("log")).unwrap().map(|entry| entry.unwrap().path());
    let tables: Vec<_> = tables.filter(|path| path.extension().is_some_and(|end| end == "sst")).collect();
    assert!(!tables.is_empty());
    for table in tables {
        let whole = fs::read(&table).unwrap();
        let file = OpenOptions::new().write(true).open(&table).unwrap();
        file.write_all_at(&[0xa5; 8], whole.len() as u64 / 2).unwrap();
        assert_told(&refused(&dir, dir.restore_command(&old.path())), &["LOG_UNUSABLE"]);
        fs::write(&table, whole).unwrap();
    }
    fs::remove_dir_all(old.path().join("log")).unwrap();
    let told = refused(&dir, dir.restore_command(&old.path()));
    assert_told(&told, &["LOG_UNUSABLE", "there is no log in"]);
}
