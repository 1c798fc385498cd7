//! `pact-loadtest chaos` as people run it: a short run of every kind of fault, two runs beside each other, one that is
//! interrupted; and that nothing which is shipped holds a planted bug.
//!
//! They need root, as chaos does. That planted bugs are found shows `make chaos-planted`, which takes a quarter of an hour.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use loadtest::siblings;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far beyond what an end takes, on a machine that has other things to do.
const IN_TIME: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);

/// Two quorums under faults are too much for two cores; the test of two has short ones.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn chaos(place: &Path, arguments: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_pact-loadtest"))
        .args(["chaos", "-o", "json"])
        .args(arguments.split_whitespace())
        .env("TMPDIR", place)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("pact-loadtest is a program")
}

fn report(done: &Output) -> Value {
    let told = String::from_utf8_lossy(&done.stderr);
    let report: Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!(done.status.code(), Some(0), "{}\n{told}", report["verdicts"]);
    report
}

#[test]
fn a_short_run_of_every_kind_of_fault_breaks_no_promise() {
    let _turn = ONE_AT_A_TIME.lock();
    let place = tempfile::tempdir().unwrap();

    let done = chaos(place.path(), "--seconds 20 --seed 20").wait_with_output().unwrap();

    let report = report(&done);
    let timeline = report["timeline"].as_array().unwrap();
    assert!(timeline.len() >= 4, "{timeline:?}");
    // A host or a moment may not be there for one of them.
    let failed = timeline.iter().filter(|fault| !fault["failed"].is_null()).count();
    assert!(failed <= 1, "faults without effect: {timeline:?}");
    let verdicts = report["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 11);
    let looked_at = |oracle: &str| {
        let verdict = verdicts.iter().find(|verdict| verdict["oracle"] == oracle);
        verdict.and_then(|verdict| verdict["checked"].as_u64()).unwrap_or_default()
    };
    // An oracle that had nothing to look at has shown nothing.
    for oracle in
        ["acknowledged-facts-are-in-every-log", "histories-are-linearizable", "what-is-over-opens-nothing"]
    {
        assert!(looked_at(oracle) >= 20, "{oracle}: {verdicts:?}");
    }
    for oracle in ["logs-are-alike", "logs-verify", "terms-never-fall", "a-lost-lead-stays-lost"] {
        assert!(looked_at(oracle) > 0, "{oracle}: {verdicts:?}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn two_runs_beside_each_other_do_not_meet_and_the_same_seed_plans_the_same_faults() {
    let _turn = ONE_AT_A_TIME.lock();
    let place = tempfile::tempdir().unwrap();
    let run = || chaos(place.path(), "--seconds 5 --seed 11 --faults kill,partition");

    let (one, other) = (run(), run());
    let both = [one, other].map(|run| report(&run.wait_with_output().unwrap()));

    let planned = |report: &Value| {
        let faults = report["timeline"].as_array().unwrap().iter();
        faults
            .map(|fault| (fault["at_ms"].clone(), fault["lasts_ms"].clone(), fault["fault"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(planned(&both[0]), planned(&both[1]));
}

#[test]
fn a_run_that_is_interrupted_leaves_nothing_behind() {
    let _turn = ONE_AT_A_TIME.lock();
    let place = tempfile::tempdir().unwrap();
    let mut run = chaos(place.path(), "--seconds 60 --seed 4");
    let (pid, stderr) = (run.id(), BufReader::new(run.stderr.take().unwrap()));
    let mut lines = stderr.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("calls acknowledged")), "the load never began");
    assert!(!namespaces(pid).is_empty());

    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::INT).unwrap();
    // What it says on the way out.
    lines.for_each(drop);
    let status = run.wait().unwrap();

    assert_eq!(status.code(), Some(1));
    assert_eq!(namespaces(pid), [""; 0]);
    let deadline = Instant::now() + IN_TIME;
    while !journals_below(place.path()).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", journals_below(place.path()));
        std::thread::sleep(LOOK);
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "no disk and no directory is left");
}

/// The names of the network namespaces of a run.
fn namespaces(run: u32) -> Vec<String> {
    let all = fs::read_dir("/run/netns").into_iter().flatten().filter_map(Result::ok);
    let names = all.filter_map(|name| name.file_name().into_string().ok());
    names.filter(|name| name.starts_with(&format!("pactchaos{run}-"))).collect()
}

/// Processes that name a directory.
fn journals_below(place: &Path) -> Vec<String> {
    let all = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let lines = all.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    let place = place.to_string_lossy().into_owned();
    lines.filter(|line| line.contains(&place) && line.contains("--data-dir")).collect()
}

#[test]
fn the_shipped_journal_holds_no_planted_bug() {
    const BETRAYS: [&[u8]; 3] = [b"PACT_PLANTED_BUG", b"answer-before-commit", b"serve-stale"];
    let holds = |binary: &str, word: &[u8]| {
        let bytes = fs::read(siblings::find(binary).unwrap_or_else(|failure| panic!("{failure}"))).unwrap();
        bytes.windows(word.len()).any(|window| window == word)
    };
    for word in BETRAYS {
        assert!(!holds("pact-journal", word), "{word:?}");
        // The one that has them shows that this looks for the right words.
        assert!(holds("pact-journal-planted", word), "{word:?}: make planted");
    }
}
