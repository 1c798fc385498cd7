//! `pact completion`: scripts that a shell takes, without any journal.

use std::process::Command;

use crate::{
    connection::{bare, ends},
    text,
};

fn script(shell: &str) -> String {
    let output = bare().args(["completion", shell]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout).to_owned()
}

/// What bash offers for the last word of a line.
fn offered(line: &[&str]) -> Vec<String> {
    let words: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let last = line.len() - 1;
    let ask = format!(
        "{}\nCOMP_WORDS=({})\nCOMP_CWORD={last}\n_pact pact '{}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script("bash"),
        words.join(" "),
        line[last],
        line[last - 1],
    );
    let output = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("there is a bash");
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_nouns_verbs_and_flags() {
    assert_eq!(offered(&["pact", "vc"]), ["vcluster"]);
    assert_eq!(offered(&["pact", "node", "enr"]), ["enroll"]);
    assert_eq!(offered(&["pact", "node", "enroll", "--bat"]), ["--batch"]);
    assert_eq!(offered(&["pact", "completion", "z"]), ["zsh"]);
    assert_eq!(offered(&["pact", "journal", "ev"]), ["evict"]);
    assert_eq!(offered(&["pact", "journal", "join-token", "create", "--exp"]), ["--expires"]);
}

#[test]
fn zsh_and_fish_have_their_scripts() {
    assert!(script("zsh").starts_with("#compdef pact"));
    assert!(script("fish").contains("complete -c pact"));
}

#[test]
fn another_shell_is_wrong_usage() {
    ends(&bare().args(["completion", "tcsh"]).output().unwrap(), 2, "error: USAGE: ");
}
