//! Damaged files: each is named or told, none is repaired or overwritten.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use crate::journal_process::{DataDirectory, Journal, binary};

use super::{FAILED, USAGE, is_refused};

/// The files of the log whose names begin or end so.
fn log_files(dir: &DataDirectory, part: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(dir.path().join("log")).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(part) || name.ends_with(part)
    };
    let found: Vec<PathBuf> = listed.filter(named).collect();
    assert!(!found.is_empty(), "there is a {part} file");
    found
}

/// A directory whose journal has run, enrolled somebody and stopped.
async fn used() -> DataDirectory {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    let machine = crate::request::Machine::registered(&operator).await;
    journal.agent(None).await.unwrap().enroll(&machine.hardware, &machine.csr()).await.unwrap();
    assert_eq!(journal.terminate(), Some(0));
    journal.into_dir()
}

/// Turns the bits of some bytes in the middle of a file.
fn scratch(path: &PathBuf) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut bytes = [0; 8];
    let read = file.read_at(&mut bytes, middle).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    file.write_all_at(&bytes[..read], middle).unwrap();
}

#[test]
fn a_damaged_server_certificate_is_refused_by_name() {
    for damage in ["", "no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA"] {
        let dir = DataDirectory::init("test");
        fs::write(dir.path().join("server.pem"), damage).unwrap();
        is_refused(&dir, FAILED, &["server.pem"]);
    }
    let dir = DataDirectory::init("test");
    fs::remove_file(dir.path().join("server.pem")).unwrap();
    is_refused(&dir, FAILED, &["server.pem"]);
}

#[test]
fn a_server_key_of_another_certificate_is_refused() {
    let (dir, other) = (DataDirectory::init("test"), DataDirectory::init("test"));
    let [own, others] = [&dir, &other].map(|dir| fs::read_to_string(dir.path().join("server.pem")).unwrap());
    let key = |text: &str| text.find("-----BEGIN PRIVATE KEY").unwrap();
    let mixed = format!("{}{}", &own[..key(&own)], &others[key(&others)..]);
    fs::write(dir.path().join("server.pem"), mixed).unwrap();
    is_refused(&dir, FAILED, &["server.pem", "key"]);
}

#[test]
fn a_damaged_identity_is_refused_by_name() {
    for damage in ["", "{}", "{\"domain_id\":", "not json"] {
        let dir = DataDirectory::init("test");
        fs::write(dir.path().join("identity.json"), damage).unwrap();
        is_refused(&dir, FAILED, &["identity.json"]);
    }
    let dir = DataDirectory::init("test");
    fs::remove_file(dir.path().join("identity.json")).unwrap();
    is_refused(&dir, FAILED, &["identity.json"]);
}

#[test]
fn an_identity_that_is_not_the_logs_is_refused() {
    for (own, others) in [("\"test\"", "\"other\""), ("\"j1\"", "\"j2\"")] {
        let dir = DataDirectory::init("test");
        let path = dir.path().join("identity.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(own, others)).unwrap();
        is_refused(&dir, FAILED, &[others.trim_matches('"')]);
    }
}

#[test]
fn a_wrong_configuration_is_wrong_usage_and_names_key_and_line() {
    for (line, words) in [
        ("agent_listne = \"127.0.0.1:0\"", ["journal.toml", "agent_listne", "line"]),
        ("reflection = \"maybe\"", ["journal.toml", "reflection", "line"]),
        ("certificate_ttl_secs = 29", ["journal.toml", "certificate_ttl_secs", "30"]),
        ("agent_listen = ", ["journal.toml", "agent_listen", "line"]),
    ] {
        let dir = DataDirectory::init("test");
        let path = dir.path().join("journal.toml");
        let text = fs::read_to_string(&path).unwrap();
        let key = line.split(' ').next().unwrap();
        let others: Vec<&str> = text.lines().filter(|line| !line.starts_with(key)).collect();
        fs::write(&path, format!("{line}\n{}", others.join("\n"))).unwrap();
        let before = dir.snapshot();
        let (exit, told) = dir.refused();
        assert_eq!(exit, USAGE, "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{words:?} in: {told}");
        assert_eq!(dir.snapshot(), before);
    }
    let dir = DataDirectory::init("test");
    fs::remove_file(dir.path().join("journal.toml")).unwrap();
    is_refused(&dir, USAGE, &["journal.toml"]);
}

#[tokio::test]
async fn rule_27_a_damaged_table_of_the_log_is_refused() {
    let dir = used().await;
    for table in log_files(&dir, ".sst") {
        let whole = fs::read(&table).unwrap();
        scratch(&table);
        is_refused(&dir, FAILED, &["LOG_UNUSABLE"]);
        fs::write(&table, whole).unwrap();
    }
    Journal::serve(dir);
}

#[tokio::test]
async fn rule_27_a_missing_table_of_the_log_is_refused() {
    let dir = used().await;
    for table in log_files(&dir, ".sst") {
        let whole = fs::read(&table).unwrap();
        fs::remove_file(&table).unwrap();
        is_refused(&dir, FAILED, &["LOG_UNUSABLE"]);
        fs::write(&table, whole).unwrap();
    }
    Journal::serve(dir);
}

#[tokio::test]
async fn rule_27_a_damaged_index_of_the_log_is_refused() {
    let dir = used().await;
    for part in ["MANIFEST-", "CURRENT"] {
        for file in log_files(&dir, part) {
            let whole = fs::read(&file).unwrap();
            scratch(&file);
            is_refused(&dir, FAILED, &["LOG_UNUSABLE"]);
            fs::remove_file(&file).unwrap();
            is_refused(&dir, FAILED, &["LOG_UNUSABLE"]);
            fs::write(&file, whole).unwrap();
        }
    }
    Journal::serve(dir);
}

#[tokio::test]
async fn rule_27_a_log_that_ends_before_what_was_synced_is_refused() {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    crate::request::Machine::registered(&operator).await;
    journal.kill();
    let dir = journal.into_dir();
    // The write-ahead log holds what no table holds yet: without its end, acknowledged facts are gone.
    let wals: Vec<PathBuf> =
        log_files(&dir, ".log").into_iter().filter(|path| fs::metadata(path).unwrap().len() > 0).collect();
    assert!(!wals.is_empty(), "what was just written lies in a write-ahead log");
    for wal in &wals {
        OpenOptions::new().write(true).open(wal).unwrap().set_len(0).unwrap();
    }
    is_refused(&dir, FAILED, &["LOG_UNUSABLE", "lost"]);
}

#[tokio::test]
async fn rule_27_a_log_whose_end_was_cut_off_is_no_sound_log_to_the_auditor() {
    let mut journal = Journal::start();
    let operator = journal.operator().await;
    crate::request::Machine::registered(&operator).await;
    journal.kill();
    let dir = journal.into_dir();
    assert_eq!(verified(&dir), (Some(0), vec![]));
    let wals = log_files(&dir, ".log").into_iter().map(|path| (fs::metadata(&path).unwrap().len(), path));
    let (bytes, wal) = wals.max().unwrap();
    OpenOptions::new().write(true).open(wal).unwrap().set_len(bytes / 2).unwrap();
    let (code, violations) = verified(&dir);
    assert_eq!(code, Some(5));
    assert!(violations.contains(&"synced".to_owned()), "{violations:?}");
}

/// The exit code of `pact-replay verify`, and the violations that it lists.
fn verified(dir: &DataDirectory) -> (Option<i32>, Vec<String>) {
    let mut command = Command::new(binary("pact-replay"));
    let output = command.args(["verify", "-o", "json"]).arg(dir.path()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["violations"].as_array().unwrap().iter();
    (output.status.code(), found.map(|found| found["invariant"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn rule_27_a_missing_or_damaged_mark_of_the_last_sync_is_refused() {
    for damage in [None, Some(vec![]), Some(vec![0xff; 8192])] {
        let dir = DataDirectory::init("test");
        let mark = dir.path().join("log.synced");
        match damage {
            None => fs::remove_file(&mark).unwrap(),
            Some(bytes) => fs::write(&mark, bytes).unwrap(),
        }
        is_refused(&dir, FAILED, &["LOG_UNUSABLE", "log.synced"]);
    }
}

#[test]
fn a_missing_log_is_refused_and_not_made_anew() {
    let dir = DataDirectory::init("test");
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    is_refused(&dir, FAILED, &["LOG_UNUSABLE", "no log"]);
    assert!(!dir.path().join("log").exists());
}
