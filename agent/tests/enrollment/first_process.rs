//! The real agent as the first process of a machine: the kernel's command line says whom it asks.
//!
//! A process namespace has a first process of its own; a file over `/proc/cmdline` is what its kernel was told. These
//! tests run as root.

use std::{fs, path::Path, process::Stdio};

use tokio::process::Command;

use super::{
    agent_process::{assert_refused, ended},
    journal_under_test::JournalUnderTest,
};

/// Mounts the first argument over the kernel's command line and becomes the others.
const TOLD: &str = r#"mount --bind "$1" /proc/cmdline && shift && exec "$@""#;

const AGENT: &str = env!("CARGO_BIN_EXE_pact-agent");

/// A command as the first process where the kernel was told this.
fn first_process(words: &Path, command: &[&str]) -> Command {
    told(&["--pid", "--fork", "--mount-proc"], words, command)
}

fn told(namespaces: &[&str], words: &Path, command: &[&str]) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.arg("--mount").args(namespaces).args(["--", "sh", "-c", TOLD, "sh"]).arg(words).args(command);
    unshare.stdin(Stdio::null()).kill_on_drop(true);
    for name in ["PACT_JOURNALS", "PACT_CA", "RUST_LOG"] {
        unshare.env_remove(name);
    }
    unshare
}

/// Four kilobytes of other words.
fn noise() -> String {
    "BOOT_IMAGE=/vmlinuz root=\"UUID=a b\" ro quiet console=ttyS0 pact.later=1 ".repeat(4096 / 70)
}

#[tokio::test]
async fn a_first_process_asks_whom_the_kernel_command_line_names() {
    // given
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let words = journal.file("cmdline");
    let (ca, hardware) = (journal.ca(), journal.hardware(1).display().to_string());
    let noise = noise();
    fs::write(
        &words,
        format!("{noise}pact.journal={} \"pact.ca={}\" {noise}\n", journal.agents, ca.display()),
    )
    .unwrap();

    // when
    let run = [AGENT, "run", "--once", "-o", "json", "--hardware", &hardware];
    let output = ended(&mut first_process(&words, &run)).await;

    // then
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let enrolled: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&enrolled["node_id"], &enrolled["journal"]),
        (&"compute-042".into(), &journal.agents.clone().into())
    );

    // and any other process has to be told otherwise
    let output = ended(&mut told(&[], &words, &run)).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--journal <https://HOST:PORT>"));
}

#[tokio::test]
async fn flags_count_over_the_environment_and_that_over_the_kernel_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let [words, hardware] = ["cmdline", "node.json"].map(|name| directory.path().join(name));
    fs::write(&words, "pact.journal=https://127.0.0.1:1 pact.ca=/of-the-kernel.pem\n").unwrap();
    fs::write(&hardware, r#"{"macs":["02:00:00:00:00:01"],"bmc_serial":null,"uuid":null}"#).unwrap();
    let hardware = hardware.display().to_string();
    let run = [AGENT, "run", "--once", "-o", "json", "--hardware", &hardware];

    for (environment, flags, read) in [
        (None, &[][..], "/of-the-kernel.pem"),
        (Some("/of-the-environment.pem"), &[], "/of-the-environment.pem"),
        (Some("/of-the-environment.pem"), &["--ca", "/of-a-flag.pem"], "/of-a-flag.pem"),
    ] {
        let mut command = first_process(&words, &[&run[..], flags].concat());
        command.envs(environment.map(|ca| ("PACT_CA", ca)));
        let output = ended(&mut command).await;
        assert_refused(&output, 2, "USAGE");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(&format!("cannot read {read}")), "{stderr}");
    }
}

#[tokio::test]
async fn a_word_that_cannot_be_used_is_wrong_usage_and_says_which() {
    let directory = tempfile::tempdir().unwrap();
    let words = directory.path().join("cmdline");
    fs::write(&words, "quiet pact.journal=http://j1:9443 pact.ca=/ca.pem\n").unwrap();

    let output = ended(&mut first_process(&words, &[AGENT, "run", "--once", "-o", "json"])).await;

    assert_refused(&output, 2, "USAGE");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("kernel command line: pact.journal: `http://j1:9443`"), "{stderr}");
}

#[tokio::test]
async fn rule_23_a_token_of_the_kernel_command_line_is_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let words = directory.path().join("cmdline");
    fs::write(&words, "pact.journal=https://127.0.0.1:1 pact.ca=/ca.pem pact.token=enroll_secret\n").unwrap();

    let mut command = first_process(&words, &[AGENT, "run", "--once"]);
    let output = ended(command.env("RUST_LOG", "trace")).await;

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("has no effect in this release"), "{stderr}");
    assert!(stderr.contains("pact.token") && !stderr.contains("enroll_secret"), "{stderr}");
}
