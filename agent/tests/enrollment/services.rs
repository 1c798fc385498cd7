//! The services that an overlay declares, run by the real agent.

use std::{fs, path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use super::{
    agent_process::{RunningAgent, run_at},
    boot_config::set,
    journal_under_test::{JournalUnderTest, PATIENCE},
};

const LOOK_EVERY: Duration = Duration::from_millis(10);

fn pid(told: &serde_json::Value) -> Pid {
    let pid = told["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).expect("it tells the process")
}

/// An overlay of services that run a script of a shell each.
pub fn overlay(services: &[(&str, &str, &str)]) -> Vec<u8> {
    let begin = "pact_services = 1\n".to_owned();
    let text = services.iter().fold(begin, |text, (name, script, lines)| {
        let script = script.replace('"', "\\\"");
        let command = format!("command = [\"/bin/sh\", \"-c\", \"{script}\"]");
        format!("{text}[[service]]\nname = \"{name}\"\n{command}\n{lines}\n")
    });
    text.into_bytes()
}

/// Waits until a process is gone.
async fn is_gone(pid: Pid) {
    let deadline = Instant::now() + PATIENCE;
    // One that nobody has waited for is gone, too.
    let is_there = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        test_kill_process(pid).is_ok() && !stat.contains(") Z ")
    };
    while is_there() {
        assert!(Instant::now() < deadline, "{pid:?} still runs");
        sleep(LOOK_EVERY).await;
    }
}

/// What a service has written, once it has written all.
async fn text_of(path: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with("end\n") => return text,
            Ok(_) | Err(_) => assert!(Instant::now() < deadline, "{} was not written", path.display()),
        }
        sleep(LOOK_EVERY).await;
    }
}

#[tokio::test]
async fn services_run_in_a_clean_environment_and_end_with_their_agent() {
    // given: an agent with a descriptor and a variable that are nobody's business
    let journal = JournalUnderTest::start().await;
    let [environment, descriptors] = ["environment", "descriptors"].map(|name| journal.file(name));
    let script = format!(
        "env > {environment}; ls -l /proc/self/fd > {descriptors}; echo end >> {environment}; \
         echo end >> {descriptors}; exec sleep 1000",
        environment = environment.display(),
        descriptors = descriptors.display()
    );
    set(&journal, "ml", &overlay(&[("a", &script, "environment = { MINE = \"1\" }")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let inherited = journal.file("inherited");
    fs::write(&inherited, "nobody's business").unwrap();

    // when
    let agent = run_at(&journal, &journal.hardware(1));
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec 9<"$1" && shift && exec "$@" --services"#, "sh"]).arg(&inherited);
    shell.arg(agent.as_std().get_program()).args(agent.as_std().get_args());
    shell.env("NOT_MINE", "1").stdin(Stdio::null()).kill_on_drop(true);
    let mut agent = RunningAgent::start(&mut shell);
    let started = agent.tells("service-started").await;

    // then
    assert_eq!(started["service"], "a");
    let variables = text_of(&environment).await;
    assert!(variables.contains("MINE=1\n") && variables.contains("PATH=/usr/local/sbin:"), "{variables}");
    assert!(!variables.contains("NOT_MINE") && !variables.contains("PACT"), "{variables}");
    let open = text_of(&descriptors).await;
    let links = open.lines().filter_map(|line| line.split_once(" -> "));
    let numbers: Vec<&str> = links.filter_map(|(left, _)| left.split_whitespace().last()).collect();
    // The last is the directory that `ls` itself reads.
    assert_eq!(numbers, ["0", "1", "2", "3"], "{open}");
    assert!(!open.contains("inherited"), "{open}");
    agent.signal(Signal::TERM);
    let output = agent.end().await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(r#""change":"service-exited","service":"a","exit":{"signal":15}"#), "{told}");
    assert!(told.lines().last().unwrap().contains(r#""change":"stopped","goodbye":true"#), "{told}");
    is_gone(pid(&started)).await;
}

#[tokio::test]
async fn a_changed_overlay_restarts_only_what_changed_and_stops_what_it_does_not_declare() {
    // given
    let journal = JournalUnderTest::start().await;
    let [a, b, c] = [("a", "exec sleep 1001"), ("b", "exec sleep 1002"), ("c", "exec sleep 1003")]
        .map(|(name, script)| (name, script, ""));
    set(&journal, "ml", &overlay(&[a, b, c])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut agent = RunningAgent::start(run_at(&journal, &journal.hardware(1)).arg("--services"));
    let mut pids = Vec::new();
    for _ in 0..3 {
        pids.push(pid(&agent.tells("service-started").await));
    }

    // when: `b` is another, and `c` is gone
    set(&journal, "ml", &overlay(&[a, ("b", "exec sleep 1004", "")])).await;

    // then
    let started = agent.tells("service-started").await;
    assert_eq!(started["service"], "b");
    is_gone(pids[1]).await;
    is_gone(pids[2]).await;
    assert!(test_kill_process(pids[0]).is_ok());
    // An overlay that cannot be read changes nothing; one of another form declares nothing.
    set(&journal, "ml", b"pact_services = 1\n[[service]]\nname = 1\n").await;
    agent.tells("configured").await;
    assert!(test_kill_process(pids[0]).is_ok());
    set(&journal, "ml", b"something else").await;
    is_gone(pids[0]).await;
    is_gone(pid(&started)).await;
}

#[tokio::test]
async fn a_service_that_ends_is_told_and_started_again() {
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", &overlay(&[("a", "exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut agent = RunningAgent::start(run_at(&journal, &journal.hardware(1)).arg("--services"));
    let first = pid(&agent.tells("service-started").await);

    kill_process(first, Signal::KILL).unwrap();

    let exited = agent.tells("service-exited").await;
    assert_eq!((&exited["service"], &exited["exit"]["signal"]), (&"a".into(), &9.into()));
    assert!(exited["restart_in_ms"].as_u64().unwrap() <= 200);
    assert_ne!(pid(&agent.tells("service-started").await), first);
}

#[tokio::test]
async fn services_end_with_an_agent_that_is_killed() {
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", &overlay(&[("a", "trap '' TERM; exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut agent = RunningAgent::start(run_at(&journal, &journal.hardware(1)).arg("--services"));
    let service = pid(&agent.tells("service-started").await);
    agent.signal(Signal::KILL);
    is_gone(service).await;
}

#[tokio::test]
async fn a_revoked_node_runs_nothing_and_keeps_nothing() {
    let journal = JournalUnderTest::start().await;
    let state = journal.file("state");
    set(&journal, "ml", &overlay(&[("a", "exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut command = run_at(&journal, &journal.hardware(1));
    let mut agent = RunningAgent::start(command.arg("--services").arg("--state-dir").arg(&state));
    let service = pid(&agent.tells("service-started").await);
    assert!(state.join("boot-config").exists());

    journal.revoke("compute-042").await;

    assert_eq!(agent.end().await.status.code(), Some(4));
    is_gone(service).await;
    assert!(!state.join("boot-config").exists());
}

#[tokio::test]
async fn without_the_flag_no_service_runs() {
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", &overlay(&[("a", "exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let mut agent = RunningAgent::start(&mut run_at(&journal, &journal.hardware(1)));
    agent.tells("configured").await;
    agent.signal(Signal::TERM);
    let told = String::from_utf8(agent.end().await.stdout).unwrap();
    assert!(!told.contains("service-"), "{told}");
}
