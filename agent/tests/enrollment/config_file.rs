//! `pact-agent run --config`.

use std::fs;

use super::{
    agent_process::{assert_refused, ended, run},
    journal_under_test::JournalUnderTest,
};

#[tokio::test]
async fn a_file_says_all_that_run_needs_and_flags_and_environment_count_over_it() {
    let journal = JournalUnderTest::start().await;
    journal.register("compute-042", 1).await;
    let file = journal.file("agent.toml");
    let (ca, hardware) = (journal.ca(), journal.hardware(1));
    let text = format!("journals = [\"{}\"]\nca = {ca:?}\nhardware = {hardware:?}\n", journal.agents);
    fs::write(&file, text).unwrap();
    let config = |more: &[&str]| {
        let mut command = run();
        command.args(["--once", "-o", "json", "--config"]).arg(&file).args(more);
        command
    };

    let output = ended(&mut config(&[])).await;

    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_refused(&ended(&mut config(&["--ca", "/of-a-flag.pem"])).await, 2, "USAGE");
    let mut command = config(&[]);
    let output = ended(command.env("PACT_CA", "/of-the-environment.pem")).await;
    assert_refused(&output, 2, "USAGE");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read /of-the-environment.pem"));
}

#[tokio::test]
async fn an_unknown_key_is_wrong_usage_and_says_which_and_where() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    fs::write(&file, "ca = \"/ca.pem\"\njournal = [\"https://j1:9443\"]\n").unwrap();
    let mut command = run();
    let output = ended(command.args(["-o", "json", "--config"]).arg(&file)).await;
    assert_refused(&output, 2, "USAGE");
    let told =
        format!("{}, line 2: journal = [\"https://j1:9443\"]: unknown field `journal`", file.display());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&told));
}
