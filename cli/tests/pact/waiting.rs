//! `pact node revoke --wait` on three real journals: who has applied the revocation, and who lags.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{done, journal::pact_journal, keys, text};

/// A quorum of three, as `pact-journal dev` makes one.
struct Quorum {
    process: Child,
    folder: TempDir,
    exports: String,
}

impl Drop for Quorum {
    fn drop(&mut self) {
        // Its journals end with it, but for one that stands still.
        (1..=3).for_each(|number| self.signal(number, "-CONT"));
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Quorum {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut dev = pact_journal();
        dev.args(["dev", "--journals", "3", "--data-dir"]).arg(folder.path());
        let log = fs::File::create(folder.path().join("log")).expect("it can be written");
        let mut process = dev.stdout(Stdio::piped()).stderr(log).spawn().expect("pact-journal starts");
        let mut exports = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut exports).expect("it prints text");
        let quorum = Self { process, folder, exports };
        assert!(quorum.exports.ends_with('\n'), "{:?}", fs::read_to_string(quorum.folder.path().join("log")));
        quorum
    }

    fn pact(&self, line: &str) -> Output {
        let script = format!("{}\nexec \"$0\" {line}", self.exports);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(env!("CARGO_BIN_EXE_pact")).env("XDG_CONFIG_HOME", "/no/such/folder");
        shell.output().expect("pact runs")
    }

    fn data_dir(&self, number: u8) -> std::path::PathBuf {
        self.folder.path().join(format!("j{number}"))
    }

    fn signal(&self, number: u8, signal: &str) {
        let Some(pid) = pid(&self.data_dir(number)) else { return };
        Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs");
    }
}

fn pid(data_dir: &Path) -> Option<u64> {
    let endpoints = fs::read(data_dir.join("endpoints.json")).ok()?;
    serde_json::from_slice::<Value>(&endpoints).ok()?["pid"].as_u64()
}

#[test]
fn rule_17_a_revocation_is_waited_for_until_all_have_applied_it_and_who_lags_is_named() {
    let quorum = Quorum::start();
    for number in 1..=2 {
        done(&quorum.pact(&format!("node enroll n{number} --mac aa:bb:cc:dd:ee:0{number} -o json")));
    }

    // when all are there, then
    let revoked = done(&quorum.pact("node revoke n1 --reason stolen --wait -o json"));
    assert_eq!((&revoked["node_id"], &revoked["state"]), (&json!("n1"), &json!("revoked")));
    assert_eq!(keys(&revoked["wait"]), ["applied", "lagging", "seq"].into());
    assert_eq!(revoked["wait"]["applied"], json!(["j1", "j2", "j3"]));
    assert_eq!(revoked["wait"]["lagging"], json!([]));

    // when one stands still, then
    quorum.signal(3, "-STOP");
    let output = quorum.pact("node revoke n2 --reason stolen --wait --timeout 3s -o json");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!((&told["state"], &told["wait"]["applied"]), (&json!("revoked"), &json!(["j1", "j2"])));
    assert_eq!(told["wait"]["lagging"][0]["journal_id"], "j3");
    let line = "error: DEADLINE: the revocation stands, but was not seen to be applied by j3 (";
    assert!(text(&output.stderr).contains(line), "{output:?}");
    let people = quorum.pact("node revoke n2 --reason stolen --wait --timeout 1s");
    assert!(text(&people.stdout).contains("applied by j1, j2 (fact "), "{people:?}");
    assert!(text(&people.stdout).contains("\nnot by j3: "), "{people:?}");

    // when it goes on, then a second revocation changes nothing, and is everywhere
    quorum.signal(3, "-CONT");
    let again = done(&quorum.pact("node revoke n2 --reason stolen --wait --timeout 30s -o json"));
    assert_eq!(again["wait"]["applied"], json!(["j1", "j2", "j3"]));
}
