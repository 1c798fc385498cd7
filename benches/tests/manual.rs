//! What packages hold besides the binaries: manual pages that mandoc finds no fault with, completion for shells; and that every
//! help has examples.
//!
//! The binaries are looked for in `PACT_BIN_DIR`, or beside the folder of this test.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Each binary, some verbs whose section its page must have, and what bash must offer after a word.
const BINARIES: [(&str, &[&str], (&str, &str)); 5] = [
    ("pact-journal", &["PACT-JOURNAL INIT", "PACT-JOURNAL CONFIG CHECK", "PACT-JOURNAL DEV"], ("jo", "join")),
    ("pact-agent", &["PACT-AGENT RUN", "PACT-AGENT HARDWARE"], ("har", "hardware")),
    ("pact", &["PACT NODE ENROLL", "PACT JOURNAL JOIN-TOKEN CREATE", "PACT STATUS"], ("vc", "vcluster")),
    ("pact-replay", &["PACT-REPLAY VERIFY", "PACT-REPLAY EXPORT"], ("ver", "verify")),
    ("pact-loadtest", &["PACT-LOADTEST STORM", "PACT-LOADTEST REVOKE"], ("re", "revoke")),
];

fn binary(name: &str) -> PathBuf {
    let beside = || {
        let test = env::current_exe().expect("this test has a file");
        test.ancestors().nth(2).expect("tests lie in target/release/deps").to_owned()
    };
    env::var_os("PACT_BIN_DIR").map_or_else(beside, PathBuf::from).join(name)
}

fn prints(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(binary(name)).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{name} is built before: {error}"));
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn mandoc(arguments: &[&str], page: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("page.1");
    fs::write(&file, page).expect("it can be written");
    let output = Command::new("mandoc").args(arguments).arg(&file).stdin(Stdio::null()).output();
    let output = output.expect("mandoc is installed by scripts/install-prerequisites.sh");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_binary_prints_its_manual_page_and_mandoc_finds_no_fault() {
    for (name, verbs, _) in BINARIES {
        let page = prints(name, &["man"]);
        let faults = mandoc(&["-Tlint", "-Wwarning"], &page);
        // Two builds of one release make the same page.
        let faults: Vec<&str> =
            faults.lines().filter(|fault| !fault.contains("missing date, using")).collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        let read = mandoc(&["-Tascii"], &page).replace("\u{8}", "");
        for verb in verbs {
            // Bold is each letter twice.
            let bold: String = verb.chars().map(|letter| format!("{letter}{letter}")).collect();
            assert!(read.contains(&bold.replace("  ", " ")) || read.contains(verb), "{name}: {verb}\n{read}");
        }
    }
}

/// The verbs of a help: the words that clap lists below `Commands:`.
fn verbs(help: &str) -> impl Iterator<Item = &str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.is_empty() || line.starts_with("  "));
    let words = listed.filter_map(|line| {
        line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   "))
    });
    words.filter(|verb| *verb != "help")
}

#[test]
fn every_help_of_every_binary_has_examples_of_it() {
    fn check(name: &str, path: &[&str]) -> usize {
        let help = prints(name, &[path, &["--help"]].concat());
        let examples = help.split_once("Examples:\n  ").map(|(_, examples)| examples).unwrap_or_default();
        assert!(examples.contains(&format!("{name} ")), "{name} {path:?} has no example of itself: {help}");
        1 + verbs(&help).map(|verb| check(name, &[path, &[verb]].concat())).sum::<usize>()
    }
    for (name, least) in
        [("pact-journal", 8), ("pact-agent", 4), ("pact", 30), ("pact-replay", 7), ("pact-loadtest", 6)]
    {
        let looked_at = check(name, &[]);
        assert!(looked_at >= least, "{name}: only {looked_at} helps were found");
    }
}

#[test]
fn the_same_page_is_printed_whatever_the_environment_says() {
    for (name, _, _) in BINARIES {
        let mut elsewhere = Command::new(binary(name));
        elsewhere.arg("man").env("PACT_ENDPOINTS", "https://a:1").env("PACT_CA", "/x").env("COLUMNS", "40");
        let elsewhere = elsewhere.output().expect("it is built before").stdout;
        assert_eq!(String::from_utf8(elsewhere).unwrap(), prints(name, &["man"]), "{name}");
    }
}

#[test]
fn every_binary_has_its_completion_for_three_shells() {
    for (name, _, (begun, offered)) in BINARIES {
        let script = prints(name, &["completion", "bash"]);
        let function = format!("_{}", name.replace('-', "__"));
        let function = if script.contains(&format!("{function}()")) { function } else { format!("_{name}") };
        let ask = format!(
            "{script}\nCOMP_WORDS=({name} {begun})\nCOMP_CWORD=1\n{function} {name} {begun} {name}\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().expect("there is a bash");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.lines().any(|line| line == offered), "{name}: {output:?}");
        assert!(prints(name, &["completion", "zsh"]).starts_with(&format!("#compdef {name}")), "{name}");
        assert!(prints(name, &["completion", "fish"]).contains(&format!("complete -c {name}")), "{name}");
    }
}
