//! R23: no key, token or certificate request in anything that a full run writes, but in the 0600 files that `init`, `join`,
//! `recover-operator` and `pact` name; nor in the environment and arguments of any process of it.

mod needles;
mod programs;
mod quorum;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use journal::log::Log;
use proto::pb::EnrollRequest;
use rcgen::KeyPair;

use crate::calls::credential;
use crate::journal_process::{ANSWERED, DataDirectory, Journal, Process, READY, free_port, until};
use crate::quorum::Trio;
use crate::request::{Impostor, Machine, csr};

use needles::Needles;
use programs::{Programs, start_of};
use quorum::{assert_plain, journals_meet};

/// The token that a request carries; no release honours it yet.
const TOKEN: &str = "enroll_7Zq0kX1yVb3mPd5tRf8wLs2gHj4nCu6aEi9oQxTzYvB";

#[tokio::test]
async fn rule_23_no_secret_is_written_but_into_the_files_that_init_names() {
    let _turn = Trio::turn().await;
    let dir = DataDirectory::init_with("test", &[("RUST_LOG", "trace")]);
    dir.configure("cluster_listen", format!("\"{}\"", free_port()));
    let mut needles = Needles::default();
    let mut named = secrets_of_init(&dir, &mut needles);
    let mut journal = Journal::serve_with(dir, vec![("RUST_LOG", "trace")]);
    full_run(&journal, &mut needles).await;
    damaged_requests(&journal);
    programs_run(&journal, &mut needles, &mut named).await;
    journal.terminate();
    let dir = journal.into_dir();

    assert!(dir.last_words().contains("TRACE"), "the log tells everything");
    let (own, others): (Vec<_>, Vec<_>) =
        files(dir.folder()).into_iter().partition(|path| named.contains(path));
    assert_eq!(own.len(), named.len());
    for path in &own {
        let found = needles.found_in(&fs::read(path).unwrap());
        assert!(!found.is_empty(), "the control: {path:?} holds a secret, and the scan finds it");
        let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{path:?} is for its owner only");
    }
    assert!(others.len() > 40, "logs, answers, exports and the log itself: {others:?}");
    for path in &others {
        let found = needles.found_in(&fs::read(path).unwrap());
        assert!(found.is_empty(), "{path:?} holds {found:?}");
    }
    facts_are_clean(&dir, &needles).await;
}

#[test]
fn a_secret_in_the_environment_or_the_arguments_of_a_process_is_found() {
    let mut needles = Needles::default();
    needles.text("the token", TOKEN);
    let started = |secret: &[&str]| {
        // Reads until its end, which comes when it is dropped; the arguments are the shell's own.
        let mut command = Command::new("sh");
        command.args(["-c", "read line"]).args(secret).stdin(Stdio::piped());
        Process(command.spawn().unwrap())
    };
    let found_in = |process: &Process| {
        let start = start_of(process.0.id());
        start.iter().filter(|(_, bytes)| !needles.found_in(bytes).is_empty()).count()
    };
    assert_eq!(found_in(&started(&["plain"])), 0);
    assert_eq!(found_in(&started(&[&hex::encode(TOKEN)])), 1);
    let mut command = Command::new("sh");
    command.args(["-c", "read line"]).env("PACT_ENROLLMENT_TOKEN", TOKEN).stdin(Stdio::piped());
    assert_eq!(found_in(&Process(command.spawn().unwrap())), 1);
}

/// What `init` made and who may hold it: the paths, and the secrets in them.
fn secrets_of_init(dir: &DataDirectory, needles: &mut Needles) -> BTreeSet<PathBuf> {
    let path = |key: &str| PathBuf::from(dir.made[key].as_str().expect("init names it"));
    let keys = [path("operator"), path("domain_ca_key"), path("server")];
    for file in &keys {
        secret_of_credential(file, needles);
    }
    let token = fs::read_to_string(path("join_token")).unwrap();
    secret_of_token(&token, needles);
    keys.into_iter().chain([path("join_token")]).collect()
}

fn secret_of_token(token: &str, needles: &mut Needles) {
    let (secret, _) = token.split_once(':').unwrap();
    needles.text("a join token", secret);
    needles.bytes("a join token's bytes", &hex::decode(secret).unwrap());
}

fn secret_of_credential(file: &Path, needles: &mut Needles) {
    let text = fs::read_to_string(file).unwrap();
    let begin = text.find("-----BEGIN PRIVATE KEY").expect("it holds a key");
    needles.key(&file.display().to_string(), &KeyPair::from_pem(&text[begin..]).unwrap());
}

/// The programs that people and machines run, and what they leave behind: operators come, renew and go; a machine
/// enrolls; an auditor reads the log of the running journal.
async fn programs_run(journal: &Journal, needles: &mut Needles, named: &mut BTreeSet<PathBuf>) {
    let mut programs = Programs::of(journal);
    let admin = journal.dir.path().join("bootstrap/operator.pem");
    let (bob, renewed) = (programs.file("bob.pem"), programs.file("renewed.pem"));
    let [to_bob, to_renewed] = [&bob, &renewed].map(|path| path.display().to_string());
    let create =
        ["operator", "create", "bob", "--role", "pact-platform-admin", "--out", &to_bob, "-o", "json"];
    assert_eq!(programs.pact(&admin, &create), Some(0));
    assert_eq!(programs.pact(&bob, &["operator", "renew", "--out", &to_renewed]), Some(0));
    for file in [bob, renewed] {
        secret_of_credential(&file, needles);
        named.insert(file);
    }
    let enroll = ["node", "enroll", "real-node", "--mac", "02:00:7f:00:00:01"];
    assert_eq!(programs.pact(&programs.file("renewed.pem"), &enroll), Some(0));
    let agent = programs.agent("02:00:7f:00:00:01");
    let configured = async || programs.last_words().contains("configured").then_some(());
    until("the agent is configured", READY, configured).await;
    for pid in [journal.pid(), agent.0.id()] {
        assert_plain(pid, needles);
    }
    journals_meet(journal, &mut programs, needles, named).await;
    assert_eq!(programs.pact(&admin, &["node", "revoke", "real-node", "--reason", "stolen"]), Some(0));
    drop(agent);
    assert_eq!(programs.pact(&admin, &["operator", "revoke", "bob"]), Some(0));
    assert_eq!(programs.pact(&programs.file("renewed.pem"), &["operator", "list"]), Some(4));
    for verb in [["operator", "list"], ["node", "list"], ["authority", "list"], ["events", "tail"]] {
        assert_eq!(programs.pact(&admin, &[&verb[..], &["-o", "json"]].concat()), Some(0), "{verb:?}");
    }
    assert_eq!(programs.pact(&admin, &["status", "-o", "json"]), Some(0));
    for (verb, more) in [
        ("verify", &["-o", "json"][..]),
        ("state", &["-o", "json"]),
        ("export", &["--format", "jsonl"]),
        ("export", &["--format", "cloudevents"]),
        ("explain", &["--seq", "4"]),
        ("history", &["real-node"]),
        ("diff", &["--from", "1", "--to", "9"]),
    ] {
        assert_eq!(programs.replay(verb, more), Some(0), "{verb} {more:?}");
    }
    for path in ["metrics", "readyz", "livez"] {
        fs::write(programs.file(path), scraped(journal, path)).unwrap();
    }
}

/// What the journal says over plain HTTP.
fn scraped(journal: &Journal, path: &str) -> String {
    let mut stream = TcpStream::connect(journal.probes_address()).unwrap();
    stream.set_read_timeout(Some(ANSWERED)).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// Bytes that are no TLS, with a secret in them: whoever cannot read them may tell of them.
fn damaged_requests(journal: &Journal) {
    for address in [journal.agents_address(), journal.operators_address()] {
        let mut stream = TcpStream::connect((address.host(), address.port())).unwrap();
        stream.set_read_timeout(Some(ANSWERED)).unwrap();
        write!(stream, "POST / HTTP/1.1\r\nAuthorization: {TOKEN}\r\n\r\n").unwrap();
        // An alert or nothing: what matters is what the journal writes about it.
        stream.read_to_end(&mut Vec::new()).ok();
    }
    let mut stream = TcpStream::connect(journal.probes_address()).unwrap();
    stream.set_read_timeout(Some(ANSWERED)).unwrap();
    write!(stream, "GET /{TOKEN} HTTP/1.1\r\nAuthorization: {TOKEN}\r\n\r\n{TOKEN}").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    stream.read_to_end(&mut Vec::new()).ok();
}

/// Everything that this release can do, with good requests and bad ones.
async fn full_run(journal: &Journal, needles: &mut Needles) {
    needles.text("the token", TOKEN);
    let (operator, agent) = (journal.operator().await, journal.agent(None).await.unwrap());
    let (machine, other) = (Machine::registered(&operator).await, Machine::registered(&operator).await);
    needles.key("the agent's key", &machine.key);
    needles.key("the other agent's key", &other.key);
    let issued = agent.enroll(&machine.hardware, &needles.csr("the request", machine.csr())).await.unwrap();
    agent.enroll(&other.hardware, &needles.csr("the other request", other.csr())).await.unwrap();

    let own = journal.agent(Some(&credential(&issued, &machine.key))).await.unwrap();
    let mut subscription = own.subscribe().await.unwrap();
    let second = KeyPair::generate().unwrap();
    needles.key("the second key", &second);
    let renewal = needles.csr("the renewal", csr(&second));
    let renewed = own.renew(&issued.serial, &renewal).await.unwrap();
    own.renew(&"4f".repeat(16), &renewal).await.unwrap_err();
    let new = journal.agent(Some(&credential(&renewed, &second))).await.unwrap();
    new.subscribe().await.unwrap().goodbye().await;

    let held = KeyPair::generate().unwrap();
    needles.key("the impostor's key", &held);
    let forged =
        needles.csr("the forged request", csr(&Impostor { shown: KeyPair::generate().unwrap(), held }));
    agent.enroll(&machine.hardware, &forged).await.unwrap_err();
    let garbage = needles.csr("garbage", b"garbage 7Zq0kX1yVb3mPd5tRf8wLs2gHj4nCu6aEi9oQxTzYvB".to_vec());
    agent.enroll(&machine.hardware, &garbage).await.unwrap_err();
    let stranger = Machine::new();
    agent.enroll(&stranger.hardware, &needles.csr("the stranger's", stranger.csr())).await.unwrap_err();
    let with_token = EnrollRequest {
        hardware_identity: Some(other.hardware.clone()),
        csr: needles.csr("the request with a token", other.csr()),
        token: TOKEN.to_owned(),
        ..Default::default()
    };
    agent.enroll_as(with_token).await.unwrap_err();
    operator.revoke(&machine.node_id).await.unwrap();
    operator.decommission(&other.node_id).await.unwrap();
    tokio::time::timeout(ANSWERED, subscription.ended()).await.expect("the revocation cuts it");
    agent.enroll(&machine.hardware, &machine.csr()).await.unwrap_err();
}

/// RocksDB compresses its tables, so the facts are looked at once more, as they read.
async fn facts_are_clean(dir: &DataDirectory, needles: &Needles) {
    let log = Log::open(&dir.path(), "j1".parse().unwrap()).await.unwrap();
    let (last, _) = log.chain_head();
    assert!(last > 10, "the run has left facts");
    for seq in 1..=last {
        let record = log.record(seq).unwrap().expect("no gap");
        let stored = events::codec::encode::<{ 1 << 20 }>(&record.0).unwrap();
        let told = format!("{record:?}");
        let json = serde_json::to_vec(&record.0).unwrap();
        for form in [&stored, told.as_bytes(), &json] {
            let found = needles.found_in(form);
            assert!(found.is_empty(), "fact {seq} holds {found:?}");
        }
    }
    log.stop().await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
