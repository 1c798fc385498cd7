//! `pact completion`: a script with which a shell completes verbs and flags.
//!
//! `main` calls it without any journal.
//!
//! Not here, on purpose: names of nodes. To complete them, every tab would have to ask a journal.

use clap::{Args as ClapArgs, CommandFactory, ValueEnum};
use clap_complete::{Generator, shells};

use crate::args::Args;

const EXAMPLES: &str = "\
Examples:
  pact completion bash > /etc/bash_completion.d/pact
  pact completion zsh > \"${fpath[1]}/_pact\"
  pact completion fish > ~/.config/fish/completions/pact.fish
  source <(pact completion bash)        for this shell only";

/// See the module.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
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
    /// The script.
    pub fn script(&self) -> Vec<u8> {
        match self.shell {
            Shell::Bash => generate(shells::Bash),
            Shell::Zsh => generate(shells::Zsh),
            Shell::Fish => generate(shells::Fish),
        }
    }
}

fn generate(shell: impl Generator) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pact", &mut script);
    script
}
