//! An agent that is not the first process: it does nothing of what the first one does, and tells its supervisor how it is.

use std::{fs, os::unix::net::UnixDatagram, time::Duration};

use rustix::process::Signal;

use super::{
    PATIENCE,
    agent_process::{RunningAgent, run_at},
    journal_under_test::JournalUnderTest,
};

fn heard(socket: &UnixDatagram, wanted: &str) -> String {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).expect("the agent tells it in time");
        let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if told.lines().any(|line| line == wanted) {
            return told;
        }
    }
}

#[tokio::test]
async fn a_supervisor_is_told_of_readiness_of_life_and_of_the_stop() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let path = journal.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = run_at(&journal, &journal.hardware(1));
    let wait = Duration::from_millis(200).as_micros().to_string();
    let agent = RunningAgent::start(command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", wait));
    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", agent.pid())).unwrap();
    assert_eq!(mounts, fs::read_to_string("/proc/self/mountinfo").unwrap());

    let (socket, ready) = tokio::task::spawn_blocking(move || {
        let ready = heard(&socket, "READY=1");
        for _ in 0..3 {
            heard(&socket, "WATCHDOG=1");
        }
        (socket, ready)
    })
    .await
    .unwrap();
    assert!(ready.contains(&format!("STATUS=subscribed at {}", journal.agents)), "{ready}");
    agent.signal(Signal::TERM);
    tokio::task::spawn_blocking(move || heard(&socket, "STOPPING=1")).await.unwrap();
    assert_eq!(agent.end().await.status.code(), Some(0));
}
