//! What the user says: the command line of `pact-loadtest`.
//!
//! Not here, on purpose: options that do not work yet, and the environment that `pact` reads: whoever has exported
//! the address of a journal that matters must not load it by a plain `pact-loadtest storm`.

use std::{
    fmt,
    io::{self, Write},
    ops::Range,
    path::PathBuf,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::{channel::JournalAddress, logging::LogFormat, manual::Completion};
use serde::Serialize;

use crate::chaos::schedule::Kind;

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
    /// Boots many nodes at once: enrollment, mTLS, subscription, first boot configuration.
    ///
    /// Without --endpoint, on a journal of its own in a temporary directory. All nodes stay up until the last one is,
    /// then say goodbye; at last `pact-replay verify` checks the log.
    Storm(Box<StormArguments>),
    /// Revokes nodes one after another, and measures how soon the stream of each is cut, at whichever journal it is.
    ///
    /// On a quorum of its own in a temporary directory. What counts is the time from the answer to the order, at one
    /// journal, to the end of the stream, at any. At last `pact-replay verify` checks and compares the logs.
    Revoke(RevokeArguments),
    /// Lets nodes live whose certificates are short: each renews again and again, and keeps its stream.
    ///
    /// The nodes are whole agents; the journals are of its own in a temporary directory. A stream that is lost, a node
    /// that has to enroll again or that never renews is a failure. At last `pact-replay verify` checks the logs.
    Renew(RenewArguments),
    /// Breaks a quorum of its own in every way under load, and checks afterwards that no promise was broken.
    ///
    /// The journals are real processes on hosts of their own (network namespaces), which needs root. The seed decides which
    /// faults come when. Exit 5 if an oracle found a violation.
    Chaos(ChaosArguments),
    /// Simulates a small domain under chance: lost, late and repeated messages, crashes, lost leaders, wrong clocks.
    ///
    /// In one thread, without a journal; the same seed gives the same history. After every step everything is checked that
    /// must hold. What fails is shown with its seed, its step and the shortest history found, and the exit code is 5.
    Simulate(SimulateArguments),
    /// Prints a script with which your shell completes commands and flags.
    #[command(
        after_help = "Examples:\n  pact-loadtest completion bash > /etc/bash_completion.d/pact-loadtest"
    )]
    Completion(Completion),
    /// Prints the manual page.
    #[command(after_help = "Examples:\n  pact-loadtest man | man -l -")]
    Man {},
}

impl Command {
    /// The form of what it prints.
    pub fn output(&self) -> Output {
        match self {
            Self::Storm(storm) => storm.output,
            Self::Revoke(revoke) => revoke.output,
            Self::Renew(renew) => renew.output,
            Self::Chaos(chaos) => chaos.output,
            Self::Simulate(simulate) => simulate.output,
            Self::Completion(_) | Self::Man {} => Output::Text,
        }
    }
}

/// The options of `pact-loadtest revoke`.
#[derive(Debug, Args)]
#[command(after_help = REVOKE_EXAMPLES)]
pub struct RevokeArguments {
    /// How many nodes are enrolled, subscribed and revoked.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub nodes: u32,
    /// How many journals serve them, as one quorum.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub journals: u8,
    /// How many revocations are ordered a second, at one journal after the other.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// The form of the summary on stdout.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// The options of `pact-loadtest renew`.
#[derive(Debug, Args)]
#[command(after_help = RENEW_EXAMPLES)]
pub struct RenewArguments {
    /// How many nodes live. Each needs an open file on either side, and a second one while it changes over.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub nodes: u32,
    /// How many journals serve them, as one quorum.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub journals: u8,
    /// How long a certificate lives, in seconds. It is renewed after two thirds of that.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(30..=86_400), value_name = "SECONDS")]
    pub certificate_ttl_secs: u32,
    /// How long they live once all are up.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// The form of the summary on stdout.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// The options of `pact-loadtest chaos`.
#[derive(Debug, Args)]
#[command(after_help = CHAOS_EXAMPLES)]
pub struct ChaosArguments {
    /// How many journals form the quorum.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=5))]
    pub journals: u8,
    /// How long faults come; recovery and the checks follow.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// The kinds of faults, separated by commas; all if absent.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    pub faults: Vec<Kind>,
    /// Draws the schedule: the same seed, the same faults at the same times. Another one each time if absent.
    #[arg(long)]
    pub seed: Option<u64>,
    /// The journal's program; by default pact-journal beside this one.
    #[arg(long, value_name = "FILE")]
    pub journal_program: Option<PathBuf>,
    /// The form of the report on stdout.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// The options of `pact-loadtest simulate`.
#[derive(Debug, Args)]
#[command(after_help = SIMULATE_EXAMPLES)]
pub struct SimulateArguments {
    /// One history, of this seed.
    #[arg(long, conflicts_with = "seeds", value_name = "N")]
    pub seed: Option<u64>,
    /// How many steps each history has.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000), value_name = "N")]
    pub steps: u64,
    /// A history for each seed from A on, up to and without B.
    #[arg(long, value_parser = seeds, default_value = "1..101", value_name = "A..B")]
    pub seeds: Range<u64>,
    /// The form of the result on stdout.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

impl SimulateArguments {
    /// Whose histories are lived.
    pub fn seeds(&self) -> Range<u64> {
        self.seed.map_or_else(|| self.seeds.clone(), |seed| seed..seed.saturating_add(1))
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parse = |part: &str| part.parse().map_err(|_| format!("{part} is no seed"));
    let (first, end) = text.split_once("..").ok_or("expected seeds such as 1..101")?;
    let (first, end) = (parse(first)?, parse(end)?);
    if first < end { Ok(first..end) } else { Err("there is no seed between these two".to_owned()) }
}

/// The options of `pact-loadtest storm`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct StormArguments {
    /// How many nodes boot. Each needs an open file on either side.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub nodes: u32,
    /// How many of them are between power-on and their boot configuration at one moment.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: u32,
    /// How many journals serve them, as one quorum.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5), conflicts_with = "endpoint")]
    pub journals: u8,
    /// A journal that runs already: its operators' listener, https://HOST:PORT. The nodes stay registered there, and
    /// are configured by whatever that domain configures them by.
    #[arg(long, requires = "ca", requires = "credential", value_name = "URL")]
    pub endpoint: Option<JournalAddress>,
    /// The domain CA of that journal, a PEM file.
    #[arg(long, requires = "endpoint", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// An operator of that domain, one PEM file with certificate chain and key.
    #[arg(long, requires = "endpoint", value_name = "FILE")]
    pub credential: Option<PathBuf>,
    /// The agents' listener of that journal; by default port 9443 of the same host, or what its data directory says.
    #[arg(long, requires = "endpoint", value_name = "URL")]
    pub agent_endpoint: Option<JournalAddress>,
    /// The data directory of that journal, if it runs on this machine: then its processor time, memory and log are
    /// measured, and its log is verified.
    #[arg(long, requires = "endpoint", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Measures the second boot of nodes that have booted and left before.
    #[arg(long)]
    pub warm: bool,
    /// Boots as many other nodes afterwards, with so many times the concurrency, and compares what the journal served.
    #[arg(long, value_name = "FACTOR", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub overload: Option<u32>,
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
    /// Prints a result to stdout. Nobody is left to tell if that is closed.
    pub fn print(self, result: &(impl fmt::Display + Serialize)) {
        let text = match self {
            Self::Text => result.to_string(),
            Self::Json => serde_json::to_string(result).expect("numbers and texts are JSON"),
        };
        writeln!(io::stdout().lock(), "{text}").ok();
    }

    /// Whether programs read it.
    pub fn is_json(self) -> bool {
        self == Self::Json
    }
}

const EXAMPLES: &str = "Examples:
  pact-loadtest storm --nodes 1000
  pact-loadtest storm --journals 3
  pact-loadtest storm --nodes 10000 --concurrency 2000 -o json
  pact-loadtest storm --nodes 5000 --overload 10
  pact-loadtest storm --nodes 100 --endpoint https://10.0.0.5:9446 --ca domain-ca.pem --credential operator.pem
  pact-loadtest revoke --nodes 1000
  pact-loadtest renew --nodes 1000";

const RENEW_EXAMPLES: &str = "Examples:
  pact-loadtest renew
  pact-loadtest renew --nodes 10000 --seconds 300
  pact-loadtest renew --journals 3 --certificate-ttl-secs 30 -o json | jq .streams_lost";

const SIMULATE_EXAMPLES: &str = "Examples:
  pact-loadtest simulate
  pact-loadtest simulate --seeds 1..10001 -o json | jq .steps
  pact-loadtest simulate --seed 42 --steps 1234";

const REVOKE_EXAMPLES: &str = "Examples:
  pact-loadtest revoke
  pact-loadtest revoke --nodes 5000 --rate 500
  pact-loadtest revoke --journals 5 -o json | jq .latency_ms.p99";

const CHAOS_EXAMPLES: &str = "Examples:
  pact-loadtest chaos
  pact-loadtest chaos --seconds 120 --seed 7
  pact-loadtest chaos --journals 5 --faults kill,pause,partition -o json | jq .verdicts";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["pact-loadtest", "storm"].into_iter().chain(arguments.split_whitespace()))
    }

    #[test]
    fn revocations_are_of_a_thousand_nodes_on_three_journals_if_nothing_else_is_said() {
        let parsed = Arguments::try_parse_from(["pact-loadtest", "revoke"]).unwrap();
        let Command::Revoke(revoke) = parsed.command else { panic!("{:?}", parsed.command) };
        assert_eq!((revoke.nodes, revoke.journals, revoke.rate), (1000, 3, 100));
        for wrong in [["--nodes", "0"], ["--journals", "6"], ["--rate", "0"]] {
            let line = ["pact-loadtest", "revoke"].into_iter().chain(wrong);
            assert_eq!(Arguments::try_parse_from(line).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_simulation_is_of_one_seed_or_of_some() {
        let seeds = |line: &str| {
            let line = ["pact-loadtest", "simulate"].into_iter().chain(line.split_whitespace());
            let Command::Simulate(simulate) = Arguments::try_parse_from(line)?.command else {
                panic!("a simulation")
            };
            Ok::<_, clap::Error>(simulate.seeds())
        };
        assert_eq!(seeds("").unwrap(), 1..101);
        assert_eq!(seeds("--seed 7").unwrap(), 7..8);
        assert_eq!(seeds("--seeds 3..5").unwrap(), 3..5);
        for wrong in ["--seeds 5..5", "--seeds 5", "--seeds a..b", "--seed 1 --seeds 1..2", "--steps 0"] {
            assert_eq!(seeds(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_quorum_has_one_to_five_journals() {
        assert!(parse("--journals 1").is_ok() && parse("--journals 5").is_ok());
        for wrong in ["--journals 0", "--journals 6"] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn a_foreign_journal_is_named_with_whom_to_trust_and_who_asks() {
        let foreign = "--endpoint https://10.0.0.5:9446 --ca ca.pem --credential operator.pem";
        assert!(parse(foreign).is_ok());
        assert!(parse(&format!("{foreign} --agent-endpoint https://10.0.0.5:1 --data-dir j1")).is_ok());
        for wrong in [
            "--endpoint https://10.0.0.5:9446",
            "--endpoint https://10.0.0.5:9446 --ca ca.pem",
            "--ca ca.pem",
            "--data-dir j1",
            "--nodes 0",
            "--overload 1",
        ] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
        assert_eq!(parse(&format!("{foreign} --journals 1")).unwrap_err().exit_code(), 2);
    }
}
