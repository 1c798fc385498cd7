//! The real `pact-agent`, as a user starts it.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time,
};

use super::journal_under_test::{JournalUnderTest, PATIENCE};

/// `pact-agent run` with the environment of nobody.
pub fn run() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pact-agent"));
    command.arg("run").stdin(Stdio::null()).kill_on_drop(true);
    for name in ["PACT_JOURNALS", "PACT_CA", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// `pact-agent run -o json` for a machine, at a journal that it trusts.
pub fn run_at(journal: &JournalUnderTest, hardware: &Path) -> Command {
    let mut command = run();
    command.args(["-o", "json", "--journal", &journal.agents, "--ca"]).arg(journal.ca());
    command.arg("--hardware").arg(hardware);
    command
}

/// Runs it to its end.
pub async fn ended(command: &mut Command) -> Output {
    time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("it is a program")
}

/// Checks how it ended: the exit code, `error: REASON: …` on stderr, and the document on stdout.
pub fn assert_refused(output: &Output, exit: i32, reason: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(stderr.contains(&format!("error: {reason}: ")), "{stderr}");
    let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    let document: serde_json::Value = serde_json::from_str(&last).expect("stdout holds a document");
    assert_eq!(document["error"]["reason"], reason, "{last}");
}

/// An agent that runs until it is stopped.
pub struct RunningAgent {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl RunningAgent {
    pub fn start(command: &mut Command) -> Self {
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is a program");
        let stdout = process.stdout.take().expect("it is piped");
        Self { process, lines: BufReader::new(stdout).lines() }
    }

    /// The next change that it tells.
    pub async fn next_change(&mut self) -> serde_json::Value {
        let line = time::timeout(PATIENCE, self.lines.next_line()).await.expect("the agent tells it in time");
        let line = line.expect("it is text").expect("the agent runs");
        serde_json::from_str(&line).expect("a line is a document")
    }

    /// Waits until it has told a change.
    pub async fn tells(&mut self, change: &str) -> serde_json::Value {
        let awaited = async {
            while let Some(line) = self.lines.next_line().await.expect("it is text") {
                let told: serde_json::Value = serde_json::from_str(&line).expect("a line is a document");
                if told["change"] == change {
                    return told;
                }
            }
            panic!("the agent ended and never told: {change}");
        };
        time::timeout(PATIENCE, awaited).await.expect("the agent tells it in time")
    }

    /// Waits until its log has said this. What it logs until then is gone.
    pub async fn warns(&mut self, words: &str) {
        let stderr = self.process.stderr.as_mut().expect("it is piped");
        let mut lines = BufReader::new(stderr).lines();
        let awaited = async {
            while let Some(line) = lines.next_line().await.expect("it is text") {
                if line.contains(words) {
                    return;
                }
            }
            panic!("the agent ended and never warned: {words}");
        };
        time::timeout(PATIENCE, awaited).await.expect("the agent warns in time");
    }

    pub fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), signal).expect("it is our child");
    }

    /// Waits for its end. What it has told since is in the output.
    pub async fn end(mut self) -> Output {
        let awaited = async {
            let mut stdout = Vec::new();
            while let Some(line) = self.lines.next_line().await.expect("it is text") {
                stdout.extend(line.into_bytes());
                stdout.push(b'\n');
            }
            let output = self.process.wait_with_output().await.expect("it is our child");
            Output { stdout, ..output }
        };
        time::timeout(PATIENCE, awaited).await.expect("it ends")
    }
}
