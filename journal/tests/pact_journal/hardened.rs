//! What keeps an authority's key inside the journal's process (R9): no core dump, nobody of the same user who reads its
//! memory, no swap. As the system shows it of the real process.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::journal_process::{ANSWERED, Journal, Process, ready};

/// The rest of a line of `/proc/PID/…`, by its first words.
fn told(pid: u32, file: &str, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// KiB of locked memory.
fn locked(pid: u32) -> u64 {
    let told = told(pid, "status", "VmLck:");
    told.trim_end_matches(" kB").parse().expect("it is a number")
}

#[test]
fn rule_09_a_journal_dumps_no_core_and_its_memory_is_locked() {
    let journal = Journal::start();
    assert_eq!(told(journal.pid(), "limits", "Max core file size"), "0 0 bytes");
    assert!(locked(journal.pid()) > 0, "this test runs as root, who may lock memory");
    assert!(!journal.dir.last_words().contains("not locked"));
}

#[test]
fn who_may_not_lock_memory_is_warned_and_serves() {
    let mut journal = Journal::start();
    journal.terminate();
    let dir = journal.into_dir();
    // The limit is finite, and the power to pass over it is gone.
    let limited = ["prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-ipc_lock", "--"];
    let log = File::create(dir.folder().join("serve.log")).unwrap();
    let mut process = Process(under(&limited, &dir.serve_command()).stderr(log).spawn().unwrap());
    ready(&mut process, &dir);

    assert_eq!(locked(process.0.id()), 0);
    assert!(dir.last_words().contains("memory is not locked"), "{}", dir.last_words());
}

#[test]
fn rule_09_another_process_of_the_same_user_cannot_look_into_a_journal() {
    // given: a journal and another process, whose user is not above the rules; so is who looks
    let mut journal = Journal::start();
    journal.terminate();
    let dir = journal.into_dir();
    let ordinary = ["setpriv", "--bounding-set=-sys_ptrace", "--"];
    let mut process = Process(under(&ordinary, &dir.serve_command()).spawn().unwrap());
    ready(&mut process, &dir);
    let mut sleep = Command::new("sleep");
    sleep.arg("60");
    let other = Process(under(&ordinary, &sleep).spawn().unwrap());
    let looks = |pid: u32| {
        let mut open = Command::new("sh");
        open.args(["-c", ": < \"$1\"", "sh", &format!("/proc/{pid}/mem")]);
        under(&ordinary, &open).stderr(Stdio::null()).status().unwrap().success()
    };

    // The control: it can look into others, as soon as they are what they become.
    let deadline = Instant::now() + ANSWERED;
    while !looks(other.0.id()) {
        assert!(Instant::now() < deadline, "it cannot look into any process");
    }
    assert!(!looks(process.0.id()));
}

/// The command, started by another one that takes something from it.
fn under(wrapper: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(wrapper[0]);
    wrapped.args(&wrapper[1..]).arg(command.get_program()).args(command.get_args());
    wrapped.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null());
    wrapped
}
