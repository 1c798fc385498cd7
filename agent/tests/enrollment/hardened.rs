//! What keeps a node's key inside the agent's process (R9, R18): no core dump, nobody of the same user who reads its
//! memory, no swap; and that this costs next to nothing.

use std::{fs, process::Stdio, time::Instant};

use tokio::process::{Child, Command};

use super::{
    agent_process::{RunningAgent, ended, run_at},
    journal_under_test::{JournalUnderTest, PATIENCE},
};

/// What an agent may have in memory (design §10), in KiB.
const RESIDENT_MAX: u64 = 16 * 1024;

/// A number of `/proc/PID/status`, in KiB.
fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .expect("the kernel tells it");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}

fn core_limit(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it lives");
    let line =
        text.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("the kernel tells it");
    line.split_whitespace().take(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn rule_09_the_agent_dumps_no_core_and_its_memory_is_locked_and_small() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    agent.tells("configured").await;

    assert_eq!(core_limit(agent.pid()), ["0", "0"]);
    assert!(status(agent.pid(), "VmLck") > 0, "this test runs as root, who may lock memory");
    let resident = status(agent.pid(), "VmRSS");
    assert!(resident <= RESIDENT_MAX, "{resident} KiB are resident");
}

#[tokio::test]
async fn who_may_not_lock_memory_is_warned_and_runs() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let run = run_at(&journal, &journal.hardware(1));
    let mut powerless = Command::new("prlimit");
    powerless.args(["--memlock=65536:65536", "setpriv", "--bounding-set=-ipc_lock"]);
    powerless.arg(run.as_std().get_program()).args(run.as_std().get_args()).arg("--once");

    let output = ended(&mut powerless).await;

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("memory is not locked"), "{stderr}");
}

#[tokio::test]
async fn rule_09_another_process_of_the_same_user_cannot_look_into_the_agent() {
    // given: an agent and another process, whose user is not above the rules; so is who looks
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let run = run_at(&journal, &journal.hardware(1));
    let mut agent = ordinary(run.as_std().get_program());
    let mut agent = RunningAgent::start(agent.args(run.as_std().get_args()));
    agent.tells("configured").await;
    let other: Child = ordinary("sleep").arg("60").spawn().unwrap();
    let looks = async |pid: u32| {
        let memory = format!("/proc/{pid}/mem");
        ended(ordinary("sh").args(["-c", ": < \"$1\"", "sh", &memory])).await.status.success()
    };

    // The control: it can look into others, as soon as they are what they become.
    let deadline = Instant::now() + PATIENCE;
    while !looks(other.id().unwrap()).await {
        assert!(Instant::now() < deadline, "it cannot look into any process");
    }
    assert!(!looks(agent.pid()).await);
}

/// A program of a user who may look into the processes of its own only.
fn ordinary(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_ptrace", "--"]).arg(program);
    command.stdin(Stdio::null()).env_remove("RUST_LOG").kill_on_drop(true);
    command
}
