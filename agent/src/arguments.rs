//! What the user says: the command line of `pact-agent`, the environment that stands in for it, and for the first process
//! of a machine the kernel's command line, which stands in for both.
//!
//! `main` parses it; [`crate::run::Agent::of`] reads the files that it names.
//!
//! Not here, on purpose: options that do not work yet.

use std::{env, ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Command as Usage, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use events::vocabulary::Timestamp;
use proto::{
    channel::JournalAddress,
    logging::LogFormat,
    manual::{self, Completion},
};

use crate::kernel_command_line::KernelCommandLine;

/// Enrolls this machine with its domain and keeps it enrolled.
#[derive(Debug, Parser)]
#[command(name = "pact-agent", version, propagate_version = true, after_help = EXAMPLES)]
pub struct Arguments {
    /// The form of a line of the log on stderr.
    #[arg(long, value_enum, default_value_t, global = true)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Those of this process.
    ///
    /// Where the kernel's command line is wrong, nothing is missed that it might have said: the caller tells that.
    ///
    /// # Errors
    /// Where they are wrong, or ask for help: the error says what to print.
    pub fn of_process(kernel: Option<&KernelCommandLine>) -> Result<Self, clap::Error> {
        Self::of(kernel, env::args_os())
    }

    /// Those of the first process of a machine, whose command line was for others.
    ///
    /// # Errors
    /// If neither the environment nor the kernel's command line says what `run` needs.
    pub fn of_run(kernel: Option<&KernelCommandLine>) -> Result<Self, clap::Error> {
        Self::of(kernel, ["pact-agent", "run"].map(OsString::from))
    }

    fn of(
        kernel: Option<&KernelCommandLine>,
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let mut arguments = Self::from_arg_matches(&usage(kernel).try_get_matches_from(words)?)?;
        if let Some(kernel) = kernel {
            arguments.complete(kernel);
        }
        Ok(arguments)
    }

    /// Takes from the kernel's command line what nobody else said.
    fn complete(&mut self, kernel: &KernelCommandLine) {
        match &mut self.command {
            Command::Run(run) => {
                if run.journals.is_empty() {
                    run.journals.clone_from(&kernel.journals);
                }
                if run.ca.is_none() {
                    run.ca.clone_from(&kernel.ca);
                }
                run.image_built_at = run.image_built_at.or(kernel.image_built_at);
            }
            Command::Hardware(_) | Command::Completion(_) | Command::Man {} => {}
        }
    }
}

/// What the kernel's command line says need not be said again.
fn usage(kernel: Option<&KernelCommandLine>) -> Usage {
    let (no_journal, no_ca) =
        kernel.map_or((false, false), |told| (told.journals.is_empty(), told.ca.is_none()));
    Arguments::command().mut_subcommand("run", |run| {
        run.mut_arg("journals", |journals| journals.required(no_journal))
            .mut_arg("ca", |ca| ca.required(no_ca))
    })
}

/// The commands of `pact-agent`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enrolls, and stays enrolled until SIGTERM or SIGINT.
    Run(RunArguments),
    /// Shows what this machine would present, and why each network interface does or does not count.
    Hardware(HardwareArguments),
    /// Prints a script with which your shell completes commands and flags.
    #[command(after_help = "Examples:\n  pact-agent completion bash > /etc/bash_completion.d/pact-agent")]
    Completion(Completion),
    /// Prints the manual page.
    #[command(after_help = "Examples:\n  pact-agent man | man -l -")]
    Man {},
}

impl Command {
    /// The form of what it prints.
    pub fn output(&self) -> Output {
        match self {
            Self::Run(run) => run.output,
            Self::Hardware(hardware) => hardware.output,
            Self::Completion(_) | Self::Man {} => Output::Text,
        }
    }
}

impl Command {
    /// What the commands for packages print; of the others nothing.
    pub fn page(&self) -> Vec<u8> {
        match self {
            Self::Completion(completion) => completion.script(Arguments::command()),
            Self::Man {} => manual::page(Arguments::command()),
            Self::Run(_) | Self::Hardware(_) => vec![],
        }
    }
}

/// The options of `pact-agent run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArguments {
    /// The agents' listener of a journal. Any one is enough, several are better. [kernel: pact.journal=].
    #[arg(
        long = "journal",
        value_name = "https://HOST:PORT",
        env = "PACT_JOURNALS",
        value_delimiter = ',',
        required = true
    )]
    pub journals: Vec<JournalAddress>,
    /// The domain CA certificate (PEM): only journals of this domain are trusted. [kernel: pact.ca=].
    #[arg(long, value_name = "FILE", env = "PACT_CA", required = true)]
    pub ca: Option<PathBuf>,
    /// Presents this in place of the machine's own hardware: {"macs":["aa:bb:cc:dd:ee:01"],"bmc_serial":"SN1","uuid":null}.
    #[arg(long, value_name = "FILE.json")]
    pub hardware: Option<PathBuf>,
    /// When this machine's image was built, as 2026-01-31T12:00:00Z. A clock that says an earlier time is wrong: it keeps the
    /// machine from no journal, and is set by the first that enrolls it. Needs CAP_SYS_TIME. [kernel: pact.image_built_at=].
    #[arg(long, value_name = "TIME", env = "PACT_IMAGE_BUILT_AT")]
    pub image_built_at: Option<Timestamp>,
    /// Ends after the enrollment, a first authenticated call and a goodbye.
    #[arg(long)]
    pub once: bool,
    /// With --once: how long all of it may take, with its unit.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span, requires = "once")]
    pub timeout: Duration,
    /// The form of what goes to stdout.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// The options of `pact-agent hardware`.
#[derive(Debug, Args)]
#[command(after_help = HARDWARE_EXAMPLES)]
pub struct HardwareArguments {
    /// The form of what goes to stdout. JSON is what `run --hardware` reads.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// The form of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    #[default]
    Text,
    /// JSON for programs: one document, or of `run` without --once a line a change.
    Json,
}

impl Output {
    /// Whether programs read it.
    pub fn is_json(self) -> bool {
        self == Self::Json
    }
}

const EXAMPLES: &str = "Examples:
  pact-agent hardware
  pact-agent run --journal https://127.0.0.1:9443 --ca domain-ca.pem";

const RUN_EXAMPLES: &str = "Examples:
  pact-agent run --journal https://127.0.0.1:9443 --ca domain-ca.pem --once -o json
  PACT_JOURNALS=https://j1:9443,https://j2:9443 PACT_CA=domain-ca.pem pact-agent run
  pact-agent run --journal https://j1:9443 --ca domain-ca.pem --hardware node.json
  pact-agent run --journal https://j1:9443 --ca domain-ca.pem --image-built-at 2026-01-31T12:00:00Z";

const HARDWARE_EXAMPLES: &str = "Examples:
  pact-agent hardware                        as root: the serial and the UUID are not for others
  pact-agent hardware -o json > node.json    for `pact-agent run --hardware node.json`";

/// Reads a time with its unit: `500ms`, `30s`, `5m`, `1h`. Zero is none.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; `30s` would be");
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    // Within u32 no later sum of times can overflow.
    let number: u32 = number.parse().map_err(|_| wrong())?;
    if number == 0 { Err(wrong()) } else { Ok(Duration::from_millis(u64::from(number) * millis)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: [&str; 6] = ["pact-agent", "run", "--journal", "https://j1:9443", "--ca", "ca.pem"];

    fn parse(more: &[&str]) -> Result<RunArguments, clap::Error> {
        match Arguments::try_parse_from(LEAST.iter().chain(more))?.command {
            Command::Run(run) => Ok(run),
            other @ (Command::Hardware(_) | Command::Completion(_) | Command::Man {}) => {
                panic!("{other:?} is no run")
            }
        }
    }

    fn parse_beside(kernel: &str, command: &[&str]) -> Result<RunArguments, clap::Error> {
        let kernel = KernelCommandLine::parse(kernel.as_bytes()).unwrap();
        match Arguments::of(Some(&kernel), command.iter().map(OsString::from))?.command {
            Command::Run(run) => Ok(run),
            other @ (Command::Hardware(_) | Command::Completion(_) | Command::Man {}) => {
                panic!("{other:?} is no run")
            }
        }
    }

    #[test]
    fn what_the_kernel_was_told_need_not_be_said_and_flags_count_over_it() {
        let kernel = "quiet pact.journal=https://k1:9443,https://k2:9443 pact.ca=kernel.pem";
        let told = |run: &RunArguments| run.journals.iter().map(ToString::to_string).collect::<Vec<_>>();

        let run = parse_beside(kernel, &LEAST[..2]).unwrap();
        assert_eq!(
            (told(&run).join(" ").as_str(), run.ca),
            ("https://k1:9443 https://k2:9443", Some("kernel.pem".into()))
        );
        let run = parse_beside(kernel, &LEAST[..4]).unwrap();
        assert_eq!((told(&run).join(" ").as_str(), run.ca), ("https://j1:9443", Some("kernel.pem".into())));
        let run = parse_beside(kernel, &LEAST).unwrap();
        assert_eq!((told(&run).join(" ").as_str(), run.ca), ("https://j1:9443", Some("ca.pem".into())));
        let error = parse_beside("pact.ca=kernel.pem", &LEAST[..2]).unwrap_err().to_string();
        assert!(error.contains("--journal") && !error.contains("--ca <FILE>\n"), "{error}");
    }

    #[test]
    fn several_journals_may_be_given_either_way() {
        let run = parse(&["--journal", "https://j2:9443,https://j3:9443"]).unwrap();
        let told: Vec<String> = run.journals.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["https://j1:9443", "https://j2:9443", "https://j3:9443"]);
    }

    #[test]
    fn without_a_ca_the_usage_is_wrong_and_says_so() {
        let error = Arguments::try_parse_from(&LEAST[..4]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--ca <FILE>"), "{error}");
    }

    #[test]
    fn a_hardware_file_may_be_named_and_need_not() {
        assert_eq!(parse(&[]).unwrap().hardware, None);
        assert_eq!(parse(&["--hardware", "node.json"]).unwrap().hardware, Some("node.json".into()));
    }

    #[test]
    fn hardware_is_shown_in_either_form() {
        for (more, json) in [(&[][..], false), (&["-o", "json"], true)] {
            let command = ["pact-agent", "hardware"].iter().chain(more);
            assert_eq!(Arguments::try_parse_from(command).unwrap().command.output().is_json(), json);
        }
    }

    #[test]
    fn a_timeout_belongs_to_once() {
        assert!(parse(&["--timeout", "5s"]).is_err());
        assert_eq!(parse(&["--once", "--timeout", "5s"]).unwrap().timeout, Duration::from_secs(5));
        assert_eq!(parse(&["--once"]).unwrap().timeout, Duration::from_secs(30));
    }

    #[test]
    fn a_time_needs_its_unit() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000)] {
            assert_eq!(span(text), Ok(Duration::from_millis(millis)));
        }
        for text in ["", "30", "s", "0s", "-1s", "1.5s", "1d", "99999999999s", "１s"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
