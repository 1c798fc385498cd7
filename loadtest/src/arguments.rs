//! What the user says: the command line of `pact-loadtest`.
//!
//! Not here, on purpose: options that do not work yet.

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::logging::LogFormat;

/// Loads a journal as a cluster would, and checks its log afterwards.
#[derive(Debug, Parser)]
#[command(name = "pact-loadtest", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// The form of a line of the log on stderr.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `pact-loadtest`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boots many nodes at once on a journal of its own in a temporary directory.
    Storm(StormArguments),
}

/// The options of `pact-loadtest storm`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StormArguments {
    /// How many nodes boot; at most 15000, because a process may open only so many files.
    #[arg(long, default_value_t = 10_000)]
    pub nodes: u32,
    /// How many of them are between power-on and their open subscription at one moment.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// How many journals serve them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=1))]
    pub journals: u8,
    /// The form of the summary on stdout.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// The form of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

impl Output {
    /// Whether programs read it.
    pub fn is_json(self) -> bool {
        self == Self::Json
    }
}

const EXAMPLES: &str = "Examples:
  pact-loadtest storm --nodes 1000
  pact-loadtest storm --nodes 10000 --concurrency 2000 -o json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn there_is_one_journal() {
        let parse = |journals| Arguments::try_parse_from(["pact-loadtest", "storm", "--journals", journals]);
        assert!(parse("1").is_ok());
        assert_eq!(parse("3").unwrap_err().exit_code(), 2);
    }
}
