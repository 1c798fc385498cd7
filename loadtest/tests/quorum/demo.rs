//! `pact-loadtest storm --journals 3`, as `make demo` runs it, while each of its journals is killed in turn (R3): each is
//! back before the next one goes, no node fails, and the logs of all are the same.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::trio::{IN_TIME, nodes, one_at_a_time};

/// A journal needs a second or two to be back, and three of them are killed while the storm goes on.
const NODES: u32 = 6000;
const LOOK: Duration = Duration::from_millis(10);

/// What the storm does, as its progress tells; only ever more.
const BOOTING: u8 = 1;
const BOOTED: u8 = 2;

/// A child that does not outlive its test.
struct Storm(Child);

impl Drop for Storm {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn rule_03_each_journal_of_the_demo_is_killed_in_turn_and_no_node_fails() {
    let _turn = one_at_a_time();
    let place = tempfile::tempdir().unwrap();
    let nodes = nodes(NODES).to_string();
    let mut storm = Storm(
        Command::new(env!("CARGO_BIN_EXE_pact-loadtest"))
            .args(["storm", "--journals", "3", "--concurrency", "100", "-o", "json", "--nodes", &nodes])
            .env("TMPDIR", place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pact-loadtest is a program"),
    );
    let step = Arc::new(AtomicU8::new(0));
    let told = {
        let (stderr, step) = (storm.0.stderr.take().unwrap(), Arc::clone(&step));
        thread::spawn(move || follow(stderr, &step))
    };

    // when
    until("it boots", || step.load(Ordering::SeqCst) >= BOOTING);
    let journals = journals(place.path());
    for journal in &journals {
        let killed = pid(journal).expect("it serves");
        kill_process(killed, Signal::KILL).unwrap();
        until("it is back", || pid(journal).is_some_and(|pid| pid != killed));
    }
    let was_over = step.load(Ordering::SeqCst) >= BOOTED;

    // then
    let mut stdout = String::new();
    storm.0.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let exit = storm.0.wait().unwrap();
    let told = told.join().unwrap();
    assert_eq!(exit.code(), Some(0), "{stdout}\n{told}");
    let summary: Value = serde_json::from_str(&stdout).expect("stdout is one JSON document");
    assert_eq!(
        (&summary["failed"], &summary["failures"]),
        (&0.into(), &Value::Object([].into_iter().collect()))
    );
    assert_eq!(summary["succeeded"].to_string(), nodes);
    assert_eq!((&summary["journals_killed"], &summary["log_verified"]), (&3.into(), &true.into()), "{told}");
    assert!(summary["subscribed_again"].as_u64().is_some_and(|nodes| nodes > 0), "{summary}");
    assert!(!was_over, "the storm was over before all were killed: {told}");
}

/// Keeps what is told, and notes how far it is.
fn follow(stderr: impl Read, step: &AtomicU8) -> String {
    let mut told = String::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if line.starts_with("booting ") {
            step.fetch_max(BOOTING, Ordering::SeqCst);
        } else if line.starts_with("leaving ") {
            step.fetch_max(BOOTED, Ordering::SeqCst);
        }
        told.extend([&line, "\n"]);
    }
    step.fetch_max(BOOTED, Ordering::SeqCst);
    told
}

fn journals(place: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(place).unwrap().next().expect("the storm has a folder").unwrap().path();
    (1..=3).map(|number| folder.join(format!("j{number}"))).collect()
}

/// The process that serves.
fn pid(data_dir: &Path) -> Option<Pid> {
    let endpoints = fs::read(data_dir.join("endpoints.json")).ok()?;
    let pid = serde_json::from_slice::<Value>(&endpoints).ok()?["pid"].as_i64()?;
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + IN_TIME;
    while !so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        thread::sleep(LOOK);
    }
}
