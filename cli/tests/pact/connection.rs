//! The real `pact` where no journal answers: each promise about addresses, files and time that needs none.
//!
//! Not here, on purpose: what a journal answers (`node.rs`).

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::text;

/// What `--timeout 500ms` may take with the start of a process on a busy machine.
const PATIENCE: Duration = Duration::from_secs(8);

/// The two files of a domain that has no journal.
pub struct Files {
    folder: TempDir,
}

impl Files {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate").pem();
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("ca.pem"), &certificate).expect("it can be written");
        fs::write(folder.path().join("operator.pem"), format!("{certificate}{}", key.serialize_pem()))
            .expect("it can be written");
        Self { folder }
    }

    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn credential(&self) -> PathBuf {
        self.folder.path().join("operator.pem")
    }

    /// `pact` with both files, and `PACT_ENDPOINTS`.
    pub fn pact(&self, endpoints: &str) -> Command {
        let mut pact = bare();
        pact.env("PACT_ENDPOINTS", endpoints)
            .env("PACT_CA", self.ca())
            .env("PACT_CREDENTIAL", self.credential());
        pact
    }
}

/// `pact` without anything from this process's environment that it would read.
pub fn bare() -> Command {
    let mut pact = Command::new(env!("CARGO_BIN_EXE_pact"));
    for variable in ["PACT_ENDPOINTS", "PACT_CA", "PACT_CREDENTIAL", "RUST_LOG"] {
        pact.env_remove(variable);
    }
    pact.env("XDG_CONFIG_HOME", "/no/such/folder");
    pact
}

/// A port where nobody listens, as an address.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("https://{}", listener.local_addr().expect("its address"))
}

/// A listener for which the kernel accepts, and which never says a word.
fn silence() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("https://{}", listener.local_addr().expect("its address"));
    (listener, address)
}

#[track_caller]
pub fn ends(output: &Output, exit: i32, error: &str) {
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    let stderr = text(&output.stderr);
    let told: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(told.len() == 1 && told[0].starts_with(error), "{stderr}");
}

#[test]
fn without_a_journal_to_ask_usage_is_wrong() {
    let output = bare().args(["node", "list"]).output().unwrap();
    ends(&output, 2, "error: USAGE: give --endpoint https://HOST:PORT or set PACT_ENDPOINTS; give --ca");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn wrong_usage_is_told_as_other_failures_are() {
    for line in [
        &["node", "destroy"][..],
        &["node", "revoke", "n1"],
        &["node", "revoke", "n1", "--reason", ""],
        &["node", "decommission", "n1", "--reason", " "],
        &["node", "enroll", "n1"],
        &["node", "enroll", "--batch", "f", "--mac", "m"],
        &["vcluster", "show"],
        &["node"],
        &[],
    ] {
        let output = bare().args(line).output().unwrap();
        ends(&output, 2, "error: USAGE: ");
        assert_eq!(text(&output.stdout), "", "{line:?}");
        let told = text(&output.stderr);
        assert!(told.contains("Usage: pact") || told.contains("try '--help'"), "{told}");

        let output = bare().args(["-o", "json"]).args(line).output().unwrap();
        ends(&output, 2, "error: USAGE: ");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["error"]["reason"], "USAGE", "{line:?}");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(text(&output.stderr).contains(&format!("error: USAGE: {message}\n")), "{output:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout_and_end_well() {
    for line in [
        &["--help"][..],
        &["--version"],
        &["node", "--help"],
        &["node", "enroll", "--help"],
        &["vcluster", "--help"],
    ] {
        let output = bare().args(line).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line:?}");
        assert!(text(&output.stdout).contains("pact "), "{line:?}");
    }
}

#[test]
fn flags_win_over_the_environment() {
    let files = Files::new();
    let output =
        files.pact("not an address").args(["node", "list", "--endpoint", &nobody()]).output().unwrap();
    ends(&output, 3, "error: UNREACHABLE: no journal answers at https://127.0.0.1:");
}

#[test]
fn a_credential_without_its_key_is_wrong_usage() {
    let files = Files::new();
    let output =
        files.pact(&nobody()).args(["node", "list", "--credential"]).arg(files.ca()).output().unwrap();
    ends(&output, 2, "error: USAGE: ");
    assert!(text(&output.stderr).contains("holds no private key"));
}

#[test]
fn where_nobody_listens_is_unreachable_also_for_scripts() {
    let files = Files::new();
    let output = files.pact(&nobody()).args(["node", "inspect", "n1", "-o", "json"]).output().unwrap();
    ends(&output, 3, "error: UNREACHABLE: no journal answers at ");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["error"]["reason"], "UNREACHABLE");
    assert!(document["error"]["message"].as_str().unwrap().starts_with("no journal answers at "));
}

#[test]
fn a_listener_that_says_nothing_meets_the_timeout() {
    let files = Files::new();
    let (_listener, address) = silence();
    let began = Instant::now();
    let output = files.pact(&address).args(["--timeout", "500ms", "node", "list"]).output().unwrap();
    ends(&output, 3, "error: DEADLINE: no connection to https://127.0.0.1:");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500) && took < PATIENCE, "{took:?}");
}

#[test]
fn several_silent_listeners_share_one_timeout() {
    let files = Files::new();
    let (_first, first) = silence();
    let (_second, second) = silence();
    let endpoints = format!("{first},{second},{}", nobody());
    let began = Instant::now();
    let output = files.pact(&endpoints).args(["--timeout", "600ms", "node", "list"]).output().unwrap();
    ends(&output, 3, "error: UNREACHABLE: no connection to ");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let told = text(&output.stderr);
    assert!(
        told.contains(&first) && told.contains(&second) && told.contains("no journal answers at"),
        "{told}"
    );
}
