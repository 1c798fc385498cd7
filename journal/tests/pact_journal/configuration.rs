//! What is set where, with the real process: `config check`, and flags over environment over file.

use std::process::Output;

use crate::journal_process::{DataDirectory, Process, pact_journal, ready};

fn check(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.toml");
    std::fs::write(&file, text).unwrap();
    pact_journal().args(["config", "check", "--config"]).arg(&file).output().unwrap()
}

/// Where probes are answered, after all three had their say.
fn probes(dir: &DataDirectory, environment: &[(&str, &str)], flags: &[&str]) -> String {
    let mut command = dir.serve_command();
    command.envs(environment.iter().copied()).args(flags);
    let mut process = Process(command.spawn().unwrap());
    ready(&mut process, dir).http.expect("it listens").ip().to_string()
}

#[track_caller]
fn is_wrong_usage(output: &Output, places: &[&str]) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(told.lines().any(|line| line.starts_with("error: USAGE: ")), "{told}");
    for place in places {
        assert!(told.contains(place), "`{place}` in: {told}");
    }
}

#[test]
fn a_file_that_init_wrote_is_ok() {
    let dir = DataDirectory::init("test");
    let file = dir.path().join("journal.toml");
    let output = pact_journal().args(["config", "check", "--config"]).arg(file).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout, &*output.stderr), (Some(0), &b"ok\n"[..], &b""[..]));
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_key_and_line() {
    let output = check("advertise = []\nagent_listne = \"127.0.0.1:1\"\ngrace_period_secs = \"5m\"\n");
    is_wrong_usage(
        &output,
        &[
            "line 1: advertise = []",
            "line 2: agent_listne",
            "line 3: grace_period_secs = \"5m\"",
            "3 mistakes",
        ],
    );
}

#[test]
fn a_file_that_is_not_there_is_wrong_usage() {
    let output = pact_journal().args(["config", "check", "--config", "/no/such.toml"]).output().unwrap();
    is_wrong_usage(&output, &["could not read /no/such.toml"]);
}

#[test]
fn serve_takes_flags_over_the_environment_over_the_file() {
    let dir = DataDirectory::init("test");
    dir.configure("http_listen", "\"127.0.0.2:0\"");
    let variable = [("PACT_JOURNAL_HTTP_LISTEN", "127.0.0.3:0")];
    let flag = ["--http-listen", "127.0.0.4:0"];
    assert_eq!(probes(&dir, &[], &[]), "127.0.0.2");
    assert_eq!(probes(&dir, &variable, &[]), "127.0.0.3");
    assert_eq!(probes(&dir, &variable, &flag), "127.0.0.4");
    assert_eq!(probes(&dir, &[], &flag), "127.0.0.4");
}

#[test]
fn a_value_that_serve_cannot_use_is_wrong_usage_and_names_where_it_came_from() {
    let dir = DataDirectory::init("test");
    let before = dir.snapshot();
    let serve = || {
        let mut command = pact_journal();
        command.args(["serve", "--data-dir"]).arg(dir.path());
        command
    };
    let by_variable = serve().env("PACT_JOURNAL_AGENT_LISTEN", "localhost").output().unwrap();
    is_wrong_usage(&by_variable, &["environment: PACT_JOURNAL_AGENT_LISTEN=localhost"]);
    let by_flag = serve().args(["--unknown-per-minute", "0"]).output().unwrap();
    is_wrong_usage(&by_flag, &["command line: --unknown-per-minute 0"]);
    dir.configure("reflection", "1");
    let by_file = serve().output().unwrap();
    is_wrong_usage(&by_file, &["journal.toml, line ", ": reflection = 1"]);
    let changed: Vec<_> =
        dir.snapshot().into_iter().filter(|(path, seen)| before.get(path) != Some(seen)).collect();
    assert!(changed.len() == 1 && changed[0].0.ends_with("journal.toml"), "{changed:?}");
}
