//! `pact-journal dev` as somebody uses it who tries pact for the first time: from a shell.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::journal_process::{LOOK, Process, READY, binary, pact_journal, pid};

/// A running `dev`, and the line that it printed.
struct Dev {
    process: Process,
    line: String,
}

impl Dev {
    /// Temporary directories are made in the folder.
    fn start(temporary: &Path, more: impl FnOnce(&mut Command)) -> Self {
        let mut process = spawn(temporary, more);
        let mut line = String::new();
        let mut stdout = BufReader::new(process.0.stdout.take().expect("it is piped"));
        stdout.read_line(&mut line).expect("it prints text");
        assert!(line.ends_with('\n'), "{:?}", process.ended_within(READY));
        // The line is all that it prints.
        process.0.stdout = Some(stdout.into_inner());
        Self { process, line }
    }

    /// `pact`, as the line says.
    fn pact(&self, line: &str) -> Value {
        let script = format!("{}\nexec \"$0\" {line} -o json", self.line);
        let output = Command::new("sh").args(["-c", &script]).arg(binary("pact")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A variable, as a shell has it after the line.
    fn variable(&self, name: &str) -> String {
        let script = format!("{}\nprintf %s \"${name}\"", self.line);
        let Output { stdout, .. } = Command::new("sh").args(["-c", &script]).output().unwrap();
        String::from_utf8(stdout).unwrap()
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill_process(pid(&self.process), signal).expect("it runs");
        self.ended()
    }

    fn ended(&mut self) -> Option<i32> {
        let status = self.process.ended_within(READY);
        let mut more = String::new();
        self.process.0.stdout.take().expect("it is piped").read_to_string(&mut more).unwrap();
        assert_eq!(more, "", "one line is all that it prints");
        status.code()
    }
}

fn spawn(temporary: &Path, more: impl FnOnce(&mut Command)) -> Process {
    let mut command = pact_journal();
    let log = fs::File::create(temporary.with_extension("log")).unwrap();
    command.arg("dev").env("TMPDIR", temporary).stdout(Stdio::piped()).stderr(log);
    more(&mut command);
    Process(command.spawn().expect("pact-journal starts"))
}

/// A folder for temporary directories, and a log beside it.
fn temporary() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("it's here");
    fs::create_dir(&temporary).unwrap();
    (folder, temporary)
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn said(temporary: &Path) -> String {
    fs::read_to_string(temporary.with_extension("log")).unwrap()
}

#[test]
fn one_line_is_enough_to_use_it_and_nothing_is_left_behind() {
    let (_folder, temporary) = temporary();
    // What a shell exports for a real journal does not move this one.
    let dev = Dev::start(&temporary, |command| {
        command
            .env("PACT_JOURNAL_AGENT_LISTEN", "192.0.2.1:1")
            .env("PACT_JOURNAL_ADVERTISE", "journal.example");
    });
    assert!(dev.line.starts_with("export PACT_ENDPOINTS=https://127.0.0.1:"), "{}", dev.line);
    let node = dev.pact("node enroll n1 --mac aa:bb:cc:dd:ee:01");
    assert_eq!((node["domain_id"].as_str(), node["state"].as_str()), (Some("dev"), Some("registered")));
    assert_eq!(entries(&temporary), 1);
    assert_eq!(dev.end(Signal::TERM), Some(0), "{}", said(&temporary));
    assert_eq!(entries(&temporary), 0);
}

#[test]
fn an_agent_enrolls_as_the_line_says() {
    let (folder, temporary) = temporary();
    let dev = Dev::start(&temporary, |_| {});
    dev.pact("node enroll n1 --mac aa:bb:cc:dd:ee:01");
    let hardware = folder.path().join("hardware.json");
    fs::write(&hardware, r#"{"macs":["aa:bb:cc:dd:ee:01"],"bmc_serial":null,"uuid":null}"#).unwrap();
    let script = format!("{}\nexec \"$0\" run --once -o json --hardware \"$1\"", dev.line);
    let mut agent = Command::new("sh");
    let output = agent.args(["-c", &script]).arg(binary("pact-agent")).arg(&hardware).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(dev.end(Signal::HUP), Some(0), "a terminal that is closed ends it too");
    assert_eq!(entries(&temporary), 0);
}

#[test]
fn with_a_data_directory_the_next_one_goes_on() {
    let (folder, temporary) = temporary();
    let kept = folder.path().join("kept");
    let start = || Dev::start(&temporary, |command| _ = command.arg("--data-dir").arg(&kept));
    let first = start();
    first.pact("node enroll n1 --mac aa:bb:cc:dd:ee:01");
    assert_eq!(first.end(Signal::INT), Some(0));
    let second = start();
    assert_eq!(second.pact("node list")["nodes"][0]["node_id"], "n1");
    assert_eq!(second.variable("PACT_CA"), kept.join("j1/bootstrap/domain-ca.pem").display().to_string());
    assert_eq!(second.end(Signal::INT), Some(0));
    assert_eq!(entries(&temporary), 0);

    let inside = pact_journal().args(["dev", "--data-dir"]).arg(kept.join("j1")).output().unwrap();
    assert_eq!(inside.status.code(), Some(2), "{inside:?}");
}

#[test]
fn a_journal_that_dies_is_told_and_ends_it() {
    let (_folder, temporary) = temporary();
    let mut dev = Dev::start(&temporary, |_| {});
    let ca = dev.variable("PACT_CA");
    let endpoints = Path::new(&ca).ancestors().nth(2).expect("it lies in bootstrap").join("endpoints.json");
    let endpoints: Value = serde_json::from_slice(&fs::read(endpoints).unwrap()).unwrap();
    let journal = i32::try_from(endpoints["pid"].as_i64().unwrap()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(journal, Signal::KILL).unwrap();
    assert_eq!(dev.ended(), Some(1));
    let told = said(&temporary);
    assert!(told.contains("error: JOURNAL_ENDED: the journal j1 ended with signal: 9"), "{told}");
    assert_eq!(entries(&temporary), 0);
}

#[test]
fn whoever_stops_it_at_once_leaves_nothing_behind_either() {
    let (_folder, temporary) = temporary();
    for signal in [Signal::INT, Signal::TERM] {
        let mut process = spawn(&temporary, |_| {});
        let deadline = Instant::now() + READY;
        while entries(&temporary) == 0 {
            assert!(Instant::now() < deadline, "{}", said(&temporary));
            thread::sleep(LOOK);
        }
        kill_process(pid(&process), signal).unwrap();
        assert_eq!(process.ended_within(READY).code(), Some(0), "{}", said(&temporary));
        assert_eq!(entries(&temporary), 0);
    }
}

/// The processes that serve, by their data directories.
fn journals(folder: &Path) -> Vec<(std::path::PathBuf, i64)> {
    let endpoints = |number| folder.join(format!("j{number}/endpoints.json"));
    let told = (1..=5).map(endpoints).take_while(|file| file.exists());
    let pid =
        |file: &Path| serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap()["pid"].as_i64();
    told.map(|file| (file.clone(), pid(&file).expect("it is a number"))).collect()
}

fn voters(dev: &Dev) -> usize {
    let members = dev.pact("journal members");
    let members = members["members"].as_array().unwrap();
    members.iter().filter(|member| member["standing"] == "voter").count()
}

#[test]
fn three_journals_are_one_quorum_and_any_of_them_may_be_asked() {
    let (_folder, temporary) = temporary();
    let dev = Dev::start(&temporary, |command| _ = command.args(["--journals", "3"]));
    let endpoints = dev.variable("PACT_ENDPOINTS");
    let endpoints: Vec<&str> = endpoints.split(',').collect();
    assert_eq!((endpoints.len(), dev.variable("PACT_JOURNALS").split(',').count()), (3, 3), "{}", dev.line);
    assert_eq!(voters(&dev), 3);
    for (nth, endpoint) in endpoints.iter().enumerate() {
        let line = format!("--endpoint {endpoint} node enroll n{nth} --mac aa:bb:cc:dd:ee:0{nth}");
        assert_eq!(dev.pact(&line)["state"], "registered");
    }
    assert_eq!(dev.end(Signal::INT), Some(0), "{}", said(&temporary));
    assert_eq!(entries(&temporary), 0);
}

#[test]
fn one_journal_that_was_kept_grows_to_a_quorum_which_goes_on_and_does_not_shrink() {
    let (folder, temporary) = temporary();
    let kept = folder.path().join("kept");
    let start =
        |more: &[&str]| Dev::start(&temporary, |command| _ = command.arg("--data-dir").arg(&kept).args(more));
    let alone = start(&["--journals", "1"]);
    alone.pact("node enroll n1 --mac aa:bb:cc:dd:ee:01");
    assert_eq!(alone.end(Signal::INT), Some(0), "{}", said(&temporary));
    let grown = start(&["--journals", "3"]);
    assert_eq!((voters(&grown), grown.pact("node list")["nodes"][0]["node_id"].as_str()), (3, Some("n1")));
    assert_eq!(grown.end(Signal::INT), Some(0), "{}", said(&temporary));
    let again = start(&[]);
    assert_eq!((voters(&again), journals(&kept).len()), (3, 3));
    assert_eq!(again.end(Signal::TERM), Some(0), "{}", said(&temporary));

    let shrunk = pact_journal().args(["dev", "--journals", "1", "--data-dir"]).arg(&kept).output().unwrap();
    let told = String::from_utf8_lossy(&shrunk.stderr);
    assert_eq!(shrunk.status.code(), Some(2), "{told}");
    assert!(told.contains("holds 3 journals, and most of them must serve: leave --journals out"), "{told}");
}

#[test]
fn the_journals_do_not_outlive_a_dev_that_is_killed() {
    let (folder, temporary) = temporary();
    let kept = folder.path().join("kept");
    let dev = Dev::start(&temporary, |command| {
        command.args(["--journals", "3", "--data-dir"]).arg(&kept);
    });
    let journals = journals(&kept);
    assert_eq!(journals.len(), 3);
    assert_eq!(dev.end(Signal::KILL), None);
    let deadline = Instant::now() + READY;
    for (endpoints, pid) in journals {
        // Nobody may be there to reap it: a process that has ended has no command line any more.
        let lives = || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
        while lives() {
            assert!(Instant::now() < deadline, "{endpoints:?} is served still: {}", said(&temporary));
            thread::sleep(LOOK);
        }
        assert!(!endpoints.exists(), "it stopped in good order");
    }
}

#[test]
fn a_number_of_journals_that_makes_no_sense_is_wrong_usage() {
    for wrong in ["0", "2", "4", "7", "three", ""] {
        let output = pact_journal().args(["dev", "--journals", wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}: {output:?}");
    }
}
