//! The data directory: `init` makes it whole or not at all, and `serve` refuses what is not sound, says what is wrong,
//! and changes nothing (R27).

mod damage;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proto::outcome::Exit;

use crate::journal_process::{DataDirectory, Journal, init};

const FAILED: i32 = Exit::Failed as i32;
const USAGE: i32 = Exit::Usage as i32;

/// The journal refuses to serve the directory with this exit code, says each of the words, and changes nothing.
fn is_refused(dir: &DataDirectory, code: i32, words: &[&str]) {
    let before = dir.snapshot();
    let (exit, told) = dir.refused();
    let last = told.lines().last().unwrap_or_default();
    assert_eq!(exit, code, "{told}");
    assert!(last.starts_with("error: "), "{told}");
    for word in words {
        assert!(last.contains(word), "`{word}` in: {last}");
    }
    let after = dir.snapshot();
    let changed: Vec<&PathBuf> =
        after.keys().chain(before.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "a refusal changes nothing, but: {changed:?} after {last}");
}

#[test]
fn init_prints_where_everything_lies_and_secrets_are_0600() {
    let dir = DataDirectory::init("test");
    let text =
        |key: &str| dir.made[key].as_str().unwrap_or_else(|| panic!("{key} in {}", dir.made)).to_owned();
    assert_eq!((text("domain_id"), text("journal_id")), ("test".to_owned(), "j1".to_owned()));
    assert_eq!(Path::new(&text("data_dir")), dir.path());
    for (key, file, mode) in [
        ("config", "journal.toml", None),
        ("domain_ca", "bootstrap/domain-ca.pem", None),
        ("domain_ca_key", "bootstrap/domain-ca.key", Some(0o600)),
        ("operator", "bootstrap/operator.pem", Some(0o600)),
        ("join_token", "bootstrap/join-token", Some(0o600)),
    ] {
        assert_eq!(Path::new(&text(key)), dir.path().join(file), "{key}");
        let found = fs::metadata(text(key)).unwrap().permissions().mode() & 0o777;
        assert!(mode.is_none_or(|mode| mode == found), "{key} has {found:o}");
    }
    let server = fs::metadata(dir.path().join("server.pem")).unwrap().permissions().mode() & 0o777;
    assert_eq!(server, 0o600);
    for key in ["agent_endpoint", "operator_endpoint"] {
        assert!(text(key).starts_with("https://"), "{key}");
    }
    let token = fs::read_to_string(text("join_token")).unwrap();
    let (secret, pin) = token.trim().split_once(':').unwrap();
    assert!(secret.len() >= 43 && pin.len() == 64, "256 bits, and a SHA-256");
}

#[test]
fn init_changes_nothing_where_something_is_already() {
    let dir = DataDirectory::init("test");
    let before = dir.snapshot();
    let output = init(&dir.path(), "other");
    assert_eq!(output.status.code(), Some(FAILED));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exists already"), "{output:?}");
    assert_eq!(dir.snapshot(), before);

    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for path in [&empty, &file] {
        assert_eq!(init(path, "other").status.code(), Some(FAILED));
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "and nothing is left beside");
}

#[tokio::test]
async fn a_directory_in_use_is_refused_with_the_pid_of_its_journal_which_goes_on() {
    let journal = Journal::start();
    let pid = journal.pid().to_string();
    // The journal that serves may write its own files meanwhile; what counts are those that a start would change.
    let stable = |dir: &DataDirectory| {
        let mut files = dir.snapshot();
        files.retain(|path, _| !path.starts_with(dir.path().join("log")) && !path.ends_with("log.synced"));
        files
    };
    let before = stable(&journal.dir);
    let (exit, told) = journal.dir.refused();
    let last = told.lines().last().unwrap_or_default();
    assert_eq!(exit, FAILED, "{told}");
    assert!(last.starts_with("error: ") && last.contains("in use") && last.contains(&pid), "{told}");
    assert_eq!(stable(&journal.dir), before);
    assert!(journal.operator().await.list().await.is_ok(), "the first one serves on");
}

#[test]
fn a_stopped_journal_leaves_a_directory_that_can_be_served_again() {
    let mut journal = Journal::start();
    assert_eq!(journal.terminate(), Some(0));
    assert!(!journal.dir.path().join("endpoints.json").exists(), "nobody listens there any more");
    journal.start_again();
    journal.kill();
    journal.start_again();
}

#[test]
fn a_directory_without_init_is_refused_and_stays_as_it_is() {
    let dir = DataDirectory::init("test");
    fs::remove_dir_all(dir.path()).unwrap();
    let (exit, told) = dir.refused();
    assert_eq!(exit, FAILED, "{told}");
    assert!(told.contains("pact-journal init"), "{told}");
    assert!(!dir.path().exists());
    fs::create_dir(dir.path()).unwrap();
    is_refused(&dir, FAILED, &["pact-journal init"]);
}

#[test]
fn a_log_of_another_domain_is_refused() {
    let (one, two) = (DataDirectory::init("test"), DataDirectory::init("test"));
    for name in ["log", "log.synced"] {
        fs::rename(one.path().join(name), one.folder().join(name)).unwrap();
        fs::rename(two.path().join(name), one.path().join(name)).unwrap();
    }
    is_refused(&one, FAILED, &["domain"]);
}

#[test]
fn a_log_of_a_domain_with_another_name_is_refused() {
    let (one, two) = (DataDirectory::init("one"), DataDirectory::init("two"));
    for name in ["log", "log.synced", "server.pem"] {
        let own = one.path().join(name);
        fs::rename(&own, one.folder().join(name)).unwrap();
        fs::rename(two.path().join(name), own).unwrap();
    }
    is_refused(&one, FAILED, &["one", "two"]);
}

#[test]
fn a_server_certificate_of_another_domain_is_refused() {
    let (one, two) = (DataDirectory::init("test"), DataDirectory::init("test"));
    fs::copy(two.path().join("server.pem"), one.path().join("server.pem")).unwrap();
    is_refused(&one, FAILED, &["server.pem", "domain"]);
}
