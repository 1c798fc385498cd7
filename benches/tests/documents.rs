//! What the documents promise is there: the files that ARCHITECTURE.md names, and the ten commands of README.md.
//!
//! Each check is a function over a text. One test shows that it holds here, its twin that it can fail.
//!
//! Not here, on purpose: whether the commands work. `scripts/run-readme.sh` runs them, called by `make test`.

use std::fs;
use std::path::{Path, PathBuf};

/// From nothing to a verified log in so many commands.
const COMMANDS: usize = 10;

/// What the first commands must show.
const SHOWN: &[&str] = &["pact node enroll ", "pact-agent run ", "pact node revoke ", "pact-replay verify "];

/// The paths in backquotes that a text names: with a folder, and no command or pattern.
fn named(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|name| name.contains('/') && name.chars().all(is_of_path) && !name.starts_with('/'))
        .collect()
}

fn is_of_path(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "/._-".contains(letter)
}

/// What a text names and the tree has not. A name is from the root, or of a file of [`named`]'s own folder.
fn absent(root: &Path, text: &str) -> Vec<String> {
    let missing = named(text).into_iter().filter(|name| !root.join(name).exists());
    missing.map(str::to_owned).collect()
}

/// The commands of the first block that is run.
fn first_commands(readme: &str) -> Vec<&str> {
    let block = readme.split("<!-- run -->\n```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.unwrap_or_default().lines().filter(|line| !line.trim().is_empty()).collect()
}

/// What the first block does not keep of its promise.
fn broken_promises(readme: &str) -> Vec<String> {
    let commands = first_commands(readme);
    let shown = |wanted: &&&str| !commands.iter().any(|command| command.starts_with(**wanted));
    let mut faults: Vec<String> =
        SHOWN.iter().filter(shown).map(|wanted| format!("no command begins with {wanted}")).collect();
    if commands.len() > COMMANDS {
        faults.push(format!("{} commands", commands.len()));
    }
    faults
}

/// The root of this repository.
fn here() -> PathBuf {
    // Tests run in the folder of their package.
    PathBuf::from("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(here().join(name)).expect("the document is there")
}

const NO_FAULT: Vec<String> = Vec::new();

#[test]
fn every_file_that_the_architecture_names_exists() {
    let text = document("ARCHITECTURE.md");
    assert!(named(&text).len() > 40, "the walk through the code names its files");
    assert_eq!(absent(&here(), &text), NO_FAULT);
}

#[test]
fn a_file_that_does_not_exist_is_found() {
    let text = "See `journal/src/gate.rs`, `journal/src/gone.rs`, `/livez` and `proto::x`, or run `a/b --c`.";
    assert_eq!(absent(&here(), text), ["journal/src/gone.rs"]);
}

#[test]
fn the_readme_leads_to_a_verified_log_in_ten_commands() {
    assert_eq!(broken_promises(&document("README.md")), NO_FAULT);
}

#[test]
fn a_readme_with_too_many_commands_or_without_one_of_them_is_found() {
    let long = format!("<!-- run -->\n```sh\n{}```\n", "pact node enroll n1\n".repeat(11));
    let faults = broken_promises(&long);
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(faults.last().map(String::as_str), Some("11 commands"));
    assert_eq!(broken_promises("").len(), 4);
}
