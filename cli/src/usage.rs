//! Reads the command line; a wrong one is told as every other failure is: `error: USAGE: …`, and as JSON to scripts.
//!
//! `main` calls [`parse`] first.
//!
//! Not here, on purpose: what the command line may hold ([`crate::args`]).
//!
//! **Invariant:** `--help` and `--version` go to stdout and end well; nothing else that ends here does.

use std::{
    env,
    ffi::OsString,
    io::{self, Write},
};

use clap::{
    Parser,
    error::{Error, ErrorKind},
};
use proto::outcome::{Exit, Failure};

use crate::args::Args;

/// Reads this process's command line and environment.
///
/// # Errors
/// What was to be told has been told, and the process is to end so.
pub fn parse() -> Result<Args, Exit> {
    let line: Vec<OsString> = env::args_os().collect();
    Args::try_parse_from(&line).map_err(|error| tell(&error, asks_for_json(&line)))
}

fn tell(error: &Error, json: bool) -> Exit {
    if !error.use_stderr() {
        // Nobody is left to tell if stdout is closed.
        error.print().ok();
        return Exit::Done;
    }
    let (sentence, more) = told(error);
    let mut stderr = io::stderr().lock();
    if is_help(error) {
        // Long: what is wrong stands below it, where it is seen.
        writeln!(stderr, "{more}").ok();
    }
    let exit = Failure::Usage(sentence).report(json);
    if !is_help(error) {
        writeln!(stderr, "{more}").ok();
    }
    exit
}

/// One sentence, and all else that clap has to say.
fn told(error: &Error) -> (String, String) {
    let text = error.render().to_string();
    if is_help(error) {
        return ("a command is missing".to_owned(), text);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (first, more) = text.split_once("\n\n").unwrap_or((text, ""));
    let sentence: Vec<&str> = first.split_whitespace().collect();
    (sentence.join(" "), format!("\n{}", more.trim_end()))
}

/// clap shows the help instead of an error where nothing at all was given.
fn is_help(error: &Error) -> bool {
    error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// Whether a command line that cannot be read asks for JSON. Of several forms, the last one counts.
fn asks_for_json(line: &[OsString]) -> bool {
    let words: Vec<_> =
        line.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--").collect();
    let forms = words.iter().enumerate().filter_map(|(at, word)| {
        if word == "-o" || word == "--output" {
            return words.get(at + 1).map(AsRef::as_ref);
        }
        let short = || word.strip_prefix("-o").map(|form| form.trim_start_matches('='));
        word.strip_prefix("--output=").or_else(short)
    });
    forms.fold(false, |_, form| form == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    fn wrong(text: &str) -> Error {
        Args::try_parse_from(line(text)).unwrap_err()
    }

    #[test]
    fn json_is_asked_for_in_any_way_that_clap_reads() {
        for text in
            ["pact -o json", "pact -ojson x", "pact -o=json", "pact x --output json", "pact --output=json"]
        {
            assert!(asks_for_json(&line(text)), "{text}");
        }
        for text in
            ["pact", "pact -o", "pact -o table", "pact -- -o json", "pact -o json -o table", "pact json"]
        {
            assert!(!asks_for_json(&line(text)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        let (sentence, more) = told(&wrong("pact node inspect"));
        assert_eq!(sentence, "the following required arguments were not provided: <NODE_ID>");
        assert!(more.contains("Usage: pact node inspect"), "{more}");

        let (sentence, more) = told(&wrong("pact node lst"));
        assert_eq!(sentence, "unrecognized subcommand 'lst'");
        assert!(more.contains("tip: "), "{more}");
    }

    #[test]
    fn without_any_command_the_help_is_shown_and_the_sentence_too() {
        let (sentence, more) = told(&wrong("pact node"));
        assert_eq!(sentence, "a command is missing");
        assert!(more.contains("Usage: pact node") && more.contains("Examples:"), "{more}");
    }
}
