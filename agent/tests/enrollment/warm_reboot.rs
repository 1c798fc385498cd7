//! Real agents of one machine in two boots, and of two machines of which one claims to be the other's next boot (R14 c).
//!
//! A file over the kernel's `boot_id` is the boot, so these tests run as root.

use std::{fs, path::Path};

use proto::pb::NodeState;
use rustix::process::Signal;
use tokio::process::Command;

use super::{
    agent_process::{RunningAgent, run_at},
    journal_under_test::JournalUnderTest,
};

/// Mounts the first argument over what the kernel says of its boot, and becomes the others.
const IN_BOOT: &str = r#"mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@""#;

const CLAIMED: [&str; 2] = ["--warm-reboot", "claimed"];

/// `pact-agent run` of the machine 1, in the boot of this name.
fn booted(journal: &JournalUnderTest, boot: &str) -> Command {
    let file = journal.file(boot);
    fs::write(&file, format!("{boot}\n")).expect("the directory is ours");
    in_boot(&file, &run_at(journal, &journal.hardware(1)))
}

fn in_boot(file: &Path, agent: &Command) -> Command {
    let agent = agent.as_std();
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--", "sh", "-c", IN_BOOT, "sh"]).arg(file);
    unshare.arg(agent.get_program()).args(agent.get_args()).kill_on_drop(true);
    for (name, value) in agent.get_envs() {
        match value {
            Some(value) => unshare.env(name, value),
            None => unshare.env_remove(name),
        };
    }
    unshare
}

async fn active(journal: &JournalUnderTest, boot: &str) -> (RunningAgent, String) {
    let mut agent = RunningAgent::start(&mut booted(journal, boot));
    let serial = agent.tells("enrolled").await["serial"].as_str().expect("it is told").to_owned();
    agent.tells("subscribed").await;
    (agent, serial)
}

#[tokio::test]
async fn rule_14_a_machine_whose_power_was_cut_is_active_again_within_the_grace_period_without_an_operator() {
    let journal = JournalUnderTest::start_with(&CLAIMED).await;
    journal.register("compute-001", 1).await;
    let (first, _) = active(&journal, "boot-a").await;
    first.signal(Signal::KILL);
    first.end().await;

    // The grace period is longer than any test waits.
    let (_second, serial) = active(&journal, "boot-b").await;

    let node = journal.sees_that("compute-001", |node| node.confirmed).await;
    assert_eq!((node.state(), node.contested), (NodeState::Active, false));
    assert_eq!(node.certificate.expect("it has one").serial, serial);
}

#[tokio::test]
async fn rule_14_a_copy_of_a_machine_that_lives_is_refused_and_its_node_is_contested() {
    let journal = JournalUnderTest::start_with(&CLAIMED).await;
    journal.register("compute-001", 1).await;
    let (mut first, serial) = active(&journal, "boot-a").await;

    let copy = RunningAgent::start(&mut booted(&journal, "boot-b"));

    let node = journal.sees_that("compute-001", |node| node.contested).await;
    assert_eq!((node.state(), node.certificate.expect("it stands").serial), (NodeState::Active, serial));
    copy.signal(Signal::KILL);
    let told = String::from_utf8(copy.end().await.stdout).unwrap();
    assert!(!told.contains("\"enrolled\""), "{told}");
    first.signal(Signal::TERM);
    assert_eq!(first.tells("stopped").await["goodbye"], true, "it lived all the time");
}

#[tokio::test]
async fn rule_14_a_machine_that_was_frozen_while_another_took_its_place_has_the_last_word() {
    let journal = JournalUnderTest::start_with(&CLAIMED).await;
    journal.register("compute-001", 1).await;
    let (mut first, serial) = active(&journal, "boot-a").await;
    first.signal(Signal::STOP);
    let (mut claimed, other) = active(&journal, "boot-b").await;
    let taken = journal.sees_that("compute-001", |node| node.confirmed).await;
    assert_eq!((taken.contested, taken.certificate.expect("it has one").serial), (false, other));

    first.signal(Signal::CONT);

    let node = journal.sees_that("compute-001", |node| node.contested).await;
    assert_eq!((node.state(), node.certificate.expect("it stands").serial), (NodeState::Active, serial));
    first.tells("subscribed").await;
    // It asks again with another key, and is not let in.
    claimed.warns("ALREADY_ACTIVE").await;
    claimed.signal(Signal::KILL);
    let told = String::from_utf8(claimed.end().await.stdout).unwrap();
    assert!(!told.contains("\"enrolled\""), "{told}");
}

#[tokio::test]
async fn the_sessions_that_are_marked_beside_the_agent_are_told_and_hinder_a_decommission() {
    let mut journal = JournalUnderTest::start().await;
    journal.register("compute-001", 1).await;
    let state = journal.file("state");
    let marks = state.join("sessions");
    fs::create_dir(&state).unwrap();
    let mut agent =
        RunningAgent::start(run_at(&journal, &journal.hardware(1)).arg("--state-dir").arg(&state));
    agent.tells("subscribed").await;

    fs::create_dir(&marks).unwrap();
    for job in ["4711", "4712"] {
        fs::write(marks.join(job), "").unwrap();
    }

    journal.sees_that("compute-001", |node| node.sessions == Some(2)).await;
    assert_eq!(journal.decommission("compute-001").await, Err("ACTIVE_SESSIONS".to_owned()));
    // A journal that begins anew is told again.
    journal.kill();
    journal.serve_again(&[]).await;
    journal.sees_that("compute-001", |node| node.sessions == Some(2)).await;
    fs::remove_file(marks.join("4711")).unwrap();
    journal.sees_that("compute-001", |node| node.sessions == Some(1)).await;
    fs::remove_file(marks.join("4712")).unwrap();
    journal.sees_that("compute-001", |node| node.sessions.is_none()).await;
    assert_eq!(journal.decommission("compute-001").await, Ok(()));
    drop(agent);
}
