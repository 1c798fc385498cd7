//! What the first process of a machine does besides being its agent, as far as a process namespace can show it.

use std::{fs, path::Path};

use proto::pb::NodeState;
use rustix::process::Signal;

use super::{
    super::{boot_config::set, services::overlay},
    binary,
    journal_under_test::JournalUnderTest,
    namespace::{FirstProcess, Namespace, kill},
    until,
};

const AGENT: &str = env!("CARGO_BIN_EXE_pact-agent");

/// A namespace in which this agent finds the journal, and its command.
fn of(journal: &JournalUnderTest, agent: &Path) -> (Namespace, Vec<String>) {
    let (ca, hardware) = (journal.ca(), journal.hardware(1));
    let namespace = Namespace::with(&[(agent, "agent"), (&ca, "ca.pem"), (&hardware, "node.json")]);
    let line = format!(
        "/opt/agent run -o json --journal {} --ca /opt/ca.pem --hardware /opt/node.json",
        journal.agents
    );
    (namespace, line.split(' ').map(str::to_owned).collect())
}

async fn started(namespace: &Namespace, command: &[String]) -> FirstProcess {
    namespace.start(&command.iter().map(String::as_str).collect::<Vec<_>>()).await
}

/// A shell and its child, which it leaves behind; the child's number in the namespace.
async fn orphan(first: &FirstProcess) -> u32 {
    let before = first.children();
    let left = first.beside("sleep 1000 >/dev/null 2>&1 & echo $!").await;
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    until("the orphan is a child of the first process", || {
        first.children().into_iter().find(|pid| !before.contains(pid))
    })
    .await
}

async fn is_reaped(first: &FirstProcess, orphan: u32) {
    kill(orphan, Signal::KILL);
    until("the orphan is reaped", || (!first.children().contains(&orphan)).then_some(())).await;
}

#[tokio::test]
async fn the_first_process_mounts_what_is_missing_reaps_orphans_and_says_goodbye() {
    // given
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let (namespace, command) = of(&journal, Path::new(AGENT));

    // when
    let mut first = started(&namespace, &command).await;
    first.agent.tells("configured").await;

    // then
    let mounts = first.proc("mountinfo");
    for target in ["/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/run", "/tmp"] {
        let mounted = mounts.lines().filter(|line| line.split(' ').nth(4) == Some(target)).count();
        assert_eq!(mounted, 1, "{target} in {mounts}");
    }
    let orphan = orphan(&first).await;
    is_reaped(&first, orphan).await;

    // and a stop ends everybody
    let left = first.beside("sleep 1000 >/dev/null 2>&1 &").await;
    assert!(left.status.success());
    first.signal(Signal::TERM);
    let output = first.agent.end().await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    assert!(last.contains(r#""change":"stopped","goodbye":true"#), "{last}");
    journal.sees("compute-042", NodeState::Inactive).await;
}

#[tokio::test]
async fn power_failure_is_a_goodbye_too_and_the_watchdog_of_a_host_is_not_armed() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let (namespace, command) = of(&journal, Path::new(AGENT));
    let watchdog = namespace.file("opt/watchdog");
    fs::write(&watchdog, "").unwrap();
    let mut first = started(&namespace, &command).await;
    first.agent.tells("configured").await;

    first.signal(Signal::POWER);

    assert_eq!(first.agent.end().await.status.code(), Some(0));
    assert_eq!(fs::read(&watchdog).unwrap(), b"");
    journal.sees("compute-042", NodeState::Inactive).await;
}

#[tokio::test]
async fn rule_18_another_agent_takes_over_with_the_same_key_and_certificate() {
    // given
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let (namespace, command) = of(&journal, Path::new(AGENT));
    let mut first = started(&namespace, &command).await;
    let enrolled = first.agent.tells("enrolled").await;
    first.agent.tells("configured").await;
    let program = namespace.file("opt/agent");
    let before = fs::read_link(format!("/proc/{}/exe", first.pid)).unwrap();
    assert!(before.ends_with("opt/agent"), "{before:?}");

    // when: the next release lies in its place
    fs::rename(&program, namespace.file("opt/agent-before")).unwrap();
    fs::copy(AGENT, &program).unwrap();
    first.signal(Signal::USR2);
    first.agent.tells("subscribed").await;

    // then: it is the same process with another program, and the node never was anything but active
    let after = fs::metadata(format!("/proc/{}/exe", first.pid)).unwrap();
    let file = fs::metadata(&program).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&after),
        std::os::unix::fs::MetadataExt::ino(&file),
        "the new program runs"
    );
    let node = journal.sees("compute-042", NodeState::Active).await;
    assert_eq!(node.certificate.unwrap().serial, enrolled["serial"].as_str().unwrap());
    let orphan = orphan(&first).await;
    is_reaped(&first, orphan).await;

    // and nothing of the session is left in reach
    let stdin = fs::read_link(format!("/proc/{}/fd/0", first.pid)).unwrap();
    assert!(stdin.ends_with("dev/null"), "{stdin:?}");
    first.signal(Signal::TERM);
    assert_eq!(first.agent.end().await.status.code(), Some(0));
    journal.sees("compute-042", NodeState::Inactive).await;
}

#[tokio::test]
async fn an_agent_that_takes_over_runs_each_service_once() {
    // given
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", &overlay(&[("waits", "exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let (namespace, command) = of(&journal, Path::new(AGENT));
    let mut first = started(&namespace, &command).await;
    first.agent.tells("service-started").await;
    let before = until("the service runs", || services(&first).pop()).await;

    // when
    first.signal(Signal::USR2);
    first.agent.tells("service-started").await;

    // then
    until("the new service runs", || services(&first).into_iter().find(|pid| *pid != before)).await;
    assert_eq!(services(&first).len(), 1, "{:?}", services(&first));
    first.signal(Signal::TERM);
    assert_eq!(first.agent.end().await.status.code(), Some(0));
}

/// The children that the overlay declares.
fn services(first: &FirstProcess) -> Vec<u32> {
    let runs =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"sleep\x001000\x00");
    first.children().into_iter().filter(runs).collect()
}

#[tokio::test]
async fn a_panic_in_any_task_does_not_end_the_first_process() {
    // given: a node with a service, and a Workload API that is not there
    let journal = JournalUnderTest::start().await;
    set(&journal, "ml", &overlay(&[("waits", "exec sleep 1000", "")])).await;
    journal.register_in("ml", "compute-042", 1).await;
    let (namespace, mut command) = of(&journal, &binary("pact-agent-planted"));
    command.extend(["--workload-api", "unix:///opt/none.sock"].map(str::to_owned));
    // That of the watchdog panics in a guest.
    let tasks = ["reaper", "network", "agent", "workload", "attendant", "supervisor", "desk"];
    let namespace = namespace.environment("PACT_PLANTED_PANICS", &tasks.join(","));

    // when
    let mut first = started(&namespace, &command).await;
    first.agent.tells("configured").await;

    // then: the service whose attendant panicked has ended, and runs again, also after the panic of their supervisor
    let ended = first.agent.tells("service-exited").await;
    assert_eq!(ended["exit"]["signal"], 9, "{ended}");
    first.agent.tells("service-started").await;
    until("the service runs", || (services(&first).len() == 1).then_some(())).await;
    // Who asks first gets no answer, the next one does.
    let asked = [first.beside("/opt/agent status").await, first.beside("/opt/agent status").await];
    assert_eq!(asked.map(|answer| answer.status.success()), [false, true]);
    let orphan = orphan(&first).await;
    is_reaped(&first, orphan).await;
    first.signal(Signal::TERM);
    let output = first.agent.end().await;
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    for task in tasks {
        assert!(stderr.contains(&format!("a panic was planted in {task}")), "{task}: {stderr}");
    }
    for told in [
        "a duty has panicked",
        "the agent has panicked",
        "who attends to a service has panicked",
        "the supervision of services ended",
        "an answer about the status has panicked",
        "its answer could not be taken apart",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
}

#[test]
fn the_shipped_agent_has_no_planted_panics() {
    let has = |path: &Path| {
        let word = b"PACT_PLANTED_PANICS";
        fs::read(path).unwrap().windows(word.len()).any(|window| window == word)
    };
    assert!(has(&binary("pact-agent-planted")));
    assert!(!has(Path::new(AGENT)) && !has(&binary("pact-agent-static")));
}

#[tokio::test]
async fn what_ends_an_agent_does_not_end_the_first_process() {
    // given: a file that is no CA
    let namespace = Namespace::with(&[(Path::new(AGENT), "agent"), (Path::new("/etc/hostname"), "ca.pem")]);
    let words = "quiet pact.journal=https://127.0.0.1:1 pact.ca=/opt/ca.pem";
    let first = namespace.told(words);

    // when
    let process = first.start(&["/opt/agent", "run", "-o", "json"]).await;
    let orphan = orphan(&process).await;
    is_reaped(&process, orphan).await;

    // then: it lives until it is asked to stop
    process.signal(Signal::TERM);
    let output = process.agent.end().await;
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("the agent starts again") && stderr.contains("holds no certificate"), "{stderr}");
}

#[tokio::test]
async fn the_kernel_command_line_gives_the_machine_an_address_a_route_and_a_name() {
    let namespace = Namespace::with(&[(Path::new(AGENT), "agent"), (Path::new("/etc/hostname"), "ca.pem")]);
    let words = "pact.journal=https://10.9.0.1:1 pact.ca=/opt/ca.pem pact.ip=10.9.0.15/24,10.9.0.1 pact.hostname=node-42";
    let namespace = namespace.told(words).unshared(&["--net", "--uts"]);
    // The interface is there before the agent is.
    let made = "ip link add eth9 index 10 type veth peer name eth8 index 20 && ip link set eth8 up && exec /opt/agent run";
    let first = namespace.start(&["/bin/sh", "-c", made]).await;

    let shown = "ip -o address show dev eth9; ip route show default; ip -o link show lo; cat /proc/sys/kernel/hostname";
    let mut told = String::new();
    let wanted = ["inet 10.9.0.15/24", "default via 10.9.0.1 dev eth9", "LOOPBACK,UP", "node-42\n"];
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    while !wanted.iter().all(|part| told.contains(part)) {
        assert!(tokio::time::Instant::now() < deadline, "{told}");
        told = String::from_utf8_lossy(&first.beside(shown).await.stdout).into_owned();
        tokio::time::sleep(super::LOOK_EVERY).await;
    }
    first.signal(Signal::INT);
    assert_eq!(first.agent.end().await.status.code(), Some(0));
}
