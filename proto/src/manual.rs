//! What a binary tells of itself to those who package it: a script with which a shell completes its commands and flags,
//! and its manual page. Both are made of the definitions that read the command line, so that they cannot fall behind.
//!
//! Every binary has the commands `completion` and `man`. `pact-replay`, which uses no crate of ours that it does not need to
//! read a log, includes this file.
//!
//! Not here, on purpose: what only a journal knows, such as names of nodes; every tab would have to ask one. And a page for
//! each verb: `pact journal` and `pact-journal` would share one name.
//!
//! **Invariant:** the same release writes the same bytes: nothing is read from the machine.

use std::io::{self, Write};

use clap::{Args, Command, ValueEnum};
use clap_complete::{Generator, shells};
use clap_mangen::Man;

/// Which script is wanted.
#[derive(Debug, Args)]
pub struct Completion {
    /// The shell that will read it
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    /// GNU Bash 4 or later
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}

impl Completion {
    /// The script for a command line.
    pub fn script(&self, command: Command) -> Vec<u8> {
        match self.shell {
            Shell::Bash => generate(shells::Bash, command),
            Shell::Zsh => generate(shells::Zsh, command),
            Shell::Fish => generate(shells::Fish, command),
        }
    }
}

fn generate(shell: impl Generator, mut command: Command) -> Vec<u8> {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, name, &mut script);
    script
}

/// The manual page for a command line: a section a verb, in the language of man(7).
pub fn page(mut command: Command) -> Vec<u8> {
    command.build();
    let mut page = Vec::new();
    // A Vec takes whatever is written.
    write_page(&command, &mut page).ok();
    tidy(&String::from_utf8_lossy(&page)).into_bytes()
}

/// What makes apostrophes look the same everywhere; clap_mangen writes it before each part.
const APOSTROPHES: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Once instead of before each part; and one break with a space where there are two around an empty line.
fn tidy(page: &str) -> String {
    let page = page.replace(APOSTROPHES, "").replace("\n.br\n\n.br\n", "\n.sp\n");
    format!("{APOSTROPHES}{page}")
}

fn write_page(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let version = command.get_version().unwrap_or_default();
    // No date: it would have to be that of the release, which nothing here knows.
    writeln!(page, ".TH {name} 1 \"\" \"{name} {version}\" pact")?;
    let title = Man::new(command.clone());
    title.render_name_section(page)?;
    title.render_synopsis_section(page)?;
    title.render_description_section(page)?;
    if has_options(command) {
        title.render_options_section(page)?;
    }
    for verb in command.get_subcommands() {
        write_verb(verb, page)?;
    }
    write_after(command, page)
}

/// A verb, or those below a noun.
fn write_verb(verb: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    if verb.is_hide_set() || verb.get_name() == "help" {
        return Ok(());
    }
    if verb.has_subcommands() {
        return verb.get_subcommands().try_for_each(|verb| write_verb(verb, page));
    }
    // What all verbs take stands at the top.
    let own = verb.clone().mut_args(|arg| {
        let is_of_all = arg.is_global_set() || matches!(arg.get_id().as_str(), "help" | "version");
        if is_of_all { arg.hide(true) } else { arg }
    });
    let has_options = has_options(&own);
    let name = own.get_bin_name().unwrap_or_else(|| own.get_name()).to_uppercase();
    let man = Man::new(own);
    writeln!(page, ".SH {}", quoted(&name))?;
    let (mut about, mut options) = (Vec::new(), Vec::new());
    man.render_synopsis_section(&mut about)?;
    writeln!(about, ".PP")?;
    man.render_description_section(&mut about)?;
    lower(&about, false, page);
    if has_options {
        man.render_options_section(&mut options)?;
        lower(&options, true, page);
    }
    write_after(verb, page)
}

fn has_options(command: &Command) -> bool {
    command.get_arguments().any(|arg| !arg.is_hide_set())
}

/// Examples and exit codes, line by line as they are.
fn write_after(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let Some(text) = command.get_after_long_help().or_else(|| command.get_after_help()) else {
        return Ok(());
    };
    writeln!(page, ".PP\n.nf")?;
    for line in text.to_string().lines() {
        writeln!(page, "{}", escaped(line))?;
    }
    writeln!(page, ".fi")
}

/// Text that roff takes as text.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if line.starts_with('.') { format!("\\&{line}") } else { line }
}

fn quoted(heading: &str) -> String {
    format!("\"{}\"", escaped(heading))
}

/// A part that clap_mangen writes below a heading of the first order, below one of ours: with headings of the second order,
/// or without any.
fn lower(part: &[u8], keep_headings: bool, page: &mut Vec<u8>) {
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(b".SH ") {
            None => page.extend_from_slice(line),
            Some(heading) if keep_headings => page.extend(b".SS ".iter().chain(heading)),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    /// Does things.
    #[derive(Debug, Parser)]
    #[command(
        name = "thing",
        version = "1.2.3",
        after_help = "Examples:\n  thing go --far\n.not a macro \\ it's"
    )]
    struct Thing {
        /// For all
        #[arg(long, global = true)]
        everywhere: bool,
        #[command(subcommand)]
        verb: Verb,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Verb {
        /// Goes
        #[command(after_help = "Examples:\n  thing go")]
        Go {
            /// How far
            #[arg(long)]
            far: bool,
        },
        /// Is not told
        #[command(hide = true)]
        Secret {},
    }

    fn lines() -> Vec<String> {
        let page = String::from_utf8(page(Thing::command())).unwrap();
        page.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_page_has_a_section_a_verb_with_its_own_options_only() {
        let lines = lines();
        let at = |wanted: &str| {
            lines.iter().position(|line| line == wanted).unwrap_or_else(|| panic!("{lines:#?}"))
        };
        let verb = at(".SH \"THING GO\"");
        assert!(at(".SH OPTIONS") < verb && verb < at(".SS OPTIONS"), "{lines:#?}");
        assert_eq!(lines.iter().filter(|line| line.contains("everywhere")).count(), 2, "{lines:#?}");
        assert!(!lines.iter().any(|line| line.to_lowercase().contains("secret")), "{lines:#?}");
    }

    #[test]
    fn examples_stand_as_they_are_and_are_no_macros() {
        let lines = lines();
        assert!(lines.contains(&"  thing go \\-\\-far".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"\\&.not a macro \\e it\\(aqs".to_owned()), "{lines:#?}");
    }
}
