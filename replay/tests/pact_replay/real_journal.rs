//! A log that the real journal wrote, running and stopped: `pact-replay` says what the journal says.
//!
//! The other binaries are looked for in `PACT_BIN_DIR`, or beside `pact-replay`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{code, json, path, run, text};

/// A journal starts in less than a second; a busy machine takes longer.
const READY: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// A journal that serves until it is dropped.
struct Journal {
    // Before the folder: a field is dropped in its order.
    process: Served,
    folder: TempDir,
    endpoints: Value,
}

/// The process, which does not outlive its test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn binary(name: &str) -> Command {
    let beside = || Path::new(env!("CARGO_BIN_EXE_pact-replay")).parent().unwrap().to_owned();
    let folder =
        env::var_os("PACT_BIN_DIR").filter(|folder| !folder.is_empty()).map_or_else(beside, PathBuf::from);
    let file = folder.join(name);
    assert!(file.is_file(), "there is no {name} in {}; run `make test`, which builds it", folder.display());
    let mut command = Command::new(file);
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

impl Journal {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("j1");
        let mut init = binary("pact-journal");
        init.args(["init", "--domain", "test", "--data-dir", path(&dir)]);
        for listener in ["agent", "operator", "cluster", "http"] {
            init.args([&format!("--{listener}-listen"), "127.0.0.1:0"]);
        }
        done(&mut init);
        let log = fs::File::create(folder.path().join("serve.log")).unwrap();
        let mut serve = binary("pact-journal");
        let serve = serve.args(["serve", "--data-dir", path(&dir)]).stdout(Stdio::null()).stderr(log);
        let mut process = Served(serve.spawn().unwrap());
        let deadline = Instant::now() + READY;
        let endpoints = loop {
            // A file that is half written does not parse.
            let read = fs::read(dir.join("endpoints.json")).ok();
            if let Some(endpoints) = read.and_then(|read| serde_json::from_slice(&read).ok()) {
                break endpoints;
            }
            let ended = process.0.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}");
            thread::sleep(LOOK);
        };
        Self { process, folder, endpoints }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("j1")
    }

    fn endpoint(&self, listener: &str) -> String {
        format!("https://{}", self.endpoints[listener].as_str().unwrap())
    }

    fn pact(&self, arguments: &[&str]) -> Output {
        let mut pact = binary("pact");
        pact.env("PACT_ENDPOINTS", self.endpoint("operator"));
        pact.env("PACT_CA", self.dir().join("bootstrap/domain-ca.pem"));
        pact.env("PACT_CREDENTIAL", self.dir().join("bootstrap/operator.pem"));
        done(pact.args(arguments))
    }

    /// Registers a node, and answers the file with its hardware.
    fn register(&self, node_id: &str, number: u8, more: &[&str]) -> PathBuf {
        let (mac, bmc_serial) = (format!("02:00:00:00:00:{number:02x}"), format!("SN{number}"));
        self.pact(&[&["node", "enroll", node_id, "--mac", &mac, "--bmc-serial", &bmc_serial], more].concat());
        let file = self.folder.path().join(format!("{node_id}.json"));
        fs::write(&file, format!(r#"{{"macs":["{mac}"],"bmc_serial":"{bmc_serial}","uuid":null}}"#)).unwrap();
        file
    }

    /// Enrolls a machine, which says goodbye afterwards; its certificate.
    fn boot(&self, hardware: &Path) -> Value {
        let ca = self.dir().join("bootstrap/domain-ca.pem");
        let mut agent = binary("pact-agent");
        agent.args(["run", "--once", "-o", "json", "--journal", &self.endpoint("agent"), "--ca", path(&ca)]);
        json(&done(agent.args(["--hardware", path(hardware)])))
    }

    /// Each kind of node that there is: registered, inactive, revoked.
    fn with_nodes() -> Self {
        let journal = Self::start();
        let overlay = journal.folder.path().join("overlay");
        fs::write(&overlay, "what a node of prod needs").unwrap();
        journal.pact(&["vcluster", "set", "prod", "--overlay", path(&overlay)]);
        journal.register("registered", 1, &["--label", "rack=r12", "--label", "Row=ä"]);
        let [inactive, revoked] =
            [journal.register("inactive", 2, &["--vcluster", "prod"]), journal.register("revoked", 3, &[])];
        journal.boot(&inactive);
        journal.boot(&revoked);
        journal.pact(&["node", "revoke", "revoked", "--reason", "stolen"]);
        journal
    }
}

fn state(dir: &Path, seq: &str) -> Output {
    let output = run(&["state", path(dir), "--seq", seq, "-o", "json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    output
}

#[test]
fn the_nodes_of_a_state_are_those_that_the_journal_lists_but_for_last_seen() {
    let journal = Journal::with_nodes();
    let mut listed = json(&journal.pact(&["node", "list", "-o", "json"]));
    let seq = listed["seq"].to_string();
    let nodes = listed["nodes"].as_array_mut().unwrap();
    assert_eq!(nodes.len(), 3);
    // What a journal remembers is no fact.
    nodes.iter_mut().for_each(|node| node["last_seen"] = Value::Null);
    let shown = json(&state(&journal.dir(), &seq));
    assert_eq!(shown["nodes"].as_array(), Some(&*nodes));
    let states: Vec<&str> = nodes.iter().map(|node| node["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["inactive", "registered", "revoked"]);
}

#[test]
fn the_vclusters_of_a_state_are_those_that_the_journal_lists() {
    let journal = Journal::with_nodes();
    let listed = json(&journal.pact(&["vcluster", "list", "-o", "json"]));
    let shown = json(&state(&journal.dir(), &listed["seq"].to_string()));
    assert_eq!(shown["vclusters"], listed["vclusters"]);
    assert_eq!(shown["vclusters"][0]["nodes"], 1);
}

#[test]
fn a_running_journals_state_has_the_same_bytes_as_that_of_a_copy() {
    let mut journal = Journal::with_nodes();
    let seq = json(&journal.pact(&["node", "list", "-o", "json"]))["seq"].to_string();
    let running = state(&journal.dir(), &seq);
    // when: a power cut, and a copy of what it left
    journal.process.0.kill().unwrap();
    journal.process.0.wait().unwrap();
    let copy = journal.folder.path().join("copy");
    done(Command::new("cp").args(["-r", path(&journal.dir()), path(&copy)]));
    // then
    assert_eq!(text(&state(&copy, &seq).stdout), text(&running.stdout));
    assert_eq!(text(&state(&journal.dir(), &seq).stdout), text(&running.stdout));
}

#[test]
fn the_story_of_a_revoked_certificate_can_be_told_while_the_journal_runs() {
    let journal = Journal::start();
    let begin = json(&run(&["state", path(&journal.dir()), "-o", "json"]))["seq"].to_string();
    let issued = journal.boot(&journal.register("compute-001", 1, &[]));
    journal.pact(&["node", "revoke", "compute-001", "--reason", "stolen"]);
    let serial = issued["serial"].as_str().unwrap();
    let (dir, log) = (journal.dir(), |verb: &str, more: &[&str]| {
        let output = run(&[&[verb, path(&journal.dir()), "-o", "json"], more].concat());
        assert_eq!(code(&output), 0, "{output:?}");
        json(&output)
    });
    // then: the certificate's history
    let history = log("history", &["--serial", serial]);
    let types: Vec<&str> =
        history["facts"].as_array().unwrap().iter().map(|fact| fact["type"].as_str().unwrap()).collect();
    assert_eq!(
        (types.first(), types.last()),
        (Some(&"CertificateIssued"), Some(&"NodeRevoked")),
        "{types:?}"
    );
    assert!(types.contains(&"EnrollmentConfirmed"), "{types:?}");
    // and: its explanation
    let explained = log("explain", &["--serial", serial]);
    assert_eq!(explained["certificate_pem"], issued["certificate_pem"], "the bytes that the machine got");
    let fate = &explained["certificates"][0];
    assert_eq!((&fate["opens"], &fate["because"]), (&Value::Bool(false), &Value::from("NodeRevoked")));
    // and: what changed
    let end = log("state", &[])["seq"].to_string();
    let diff = log("diff", &["--from", &begin, "--to", &end]);
    assert_eq!(diff["nodes"]["added"][0]["state"], "revoked");
    assert_eq!(diff["revocations"]["added"][0]["serial"], serial);
    // and: an export of all of it
    let exported = run(&["export", path(&dir), "--format", "cloudevents", "--to", &end]);
    assert_eq!(text(&exported.stdout).lines().count().to_string(), end);
}
