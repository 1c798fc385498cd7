//! What the user says: the command line of `pact-agent`, the environment that stands in for it, a file that stands in for
//! both ([`crate::config_file`]), and for the first process of a machine the kernel's command line, which stands in for all.
//!
//! `main` parses it; [`crate::run::Agent::of`] reads the files that it names.
//!
//! Not here, on purpose: options that do not work yet.

use std::{env, ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Arg, Args, Command as Usage, CommandFactory, FromArgMatches, Id, Parser, Subcommand, ValueEnum,
    builder::Resettable,
};
use events::vocabulary::Timestamp;
use proto::{
    channel::JournalAddress,
    logging::LogFormat,
    manual::{self, Completion},
    outcome::Failure,
};
use spiffe::transport::Endpoint;

use crate::{
    config_file::{self, ConfigFile},
    kernel_command_line::KernelCommandLine,
};

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
            // What a file says counts over it.
            Command::Run(run) if run.config.is_some() => run.kernel = Some(kernel.clone()),
            Command::Run(run) => run.take_from_kernel(kernel),
            Command::Hardware(_)
            | Command::Status(_)
            | Command::BecomeService(_)
            | Command::Completion(_)
            | Command::Man {} => {}
        }
    }
}

impl RunArguments {
    /// What all sources together say: a file stands in for what is not said, and the kernel's command line for the rest.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn settled(&self) -> Result<Self, Failure> {
        let mut settled = self.clone();
        if let Some(path) = &self.config {
            settled.take_from_file(config_file::read(path)?);
        }
        if let Some(kernel) = &self.kernel {
            settled.take_from_kernel(kernel);
        }
        Ok(settled)
    }

    fn take_from_file(&mut self, file: ConfigFile) {
        let ConfigFile {
            journals,
            ca,
            hardware,
            image_built_at,
            state_dir,
            services,
            workload_api,
            bootstrap_identity,
        } = file;
        if self.journals.is_empty() {
            self.journals = journals;
        }
        self.ca = self.ca.take().or(ca);
        self.hardware = self.hardware.take().or(hardware);
        self.image_built_at = self.image_built_at.or(image_built_at);
        self.state_dir = self.state_dir.take().or(state_dir);
        self.services = self.services.or(services);
        self.workload_api = self.workload_api.take().or(workload_api);
        self.bootstrap_identity = self.bootstrap_identity.take().or(bootstrap_identity);
    }

    fn take_from_kernel(&mut self, kernel: &KernelCommandLine) {
        if self.journals.is_empty() {
            self.journals.clone_from(&kernel.journals);
        }
        if self.ca.is_none() {
            self.ca.clone_from(&kernel.ca);
        }
        self.image_built_at = self.image_built_at.or(kernel.image_built_at);
        self.workload_api = self.workload_api.take().or_else(|| kernel.workload_api.clone());
    }
}

/// What the kernel's command line says need not be said again.
fn usage(kernel: Option<&KernelCommandLine>) -> Usage {
    let (no_journal, no_ca) =
        kernel.map_or((false, false), |told| (told.journals.is_empty(), told.ca.is_none()));
    let told = |argument: Arg, is_told: bool| {
        if is_told { argument.required_unless_present(Resettable::<Id>::Reset) } else { argument }
    };
    Arguments::command().mut_subcommand("run", |run| {
        run.mut_arg("journals", |journals| told(journals, !no_journal)).mut_arg("ca", |ca| told(ca, !no_ca))
    })
}

/// The commands of `pact-agent`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enrolls, and stays enrolled until SIGTERM or SIGINT.
    Run(Box<RunArguments>),
    /// Shows what this machine would present, and why each network interface does or does not count.
    Hardware(HardwareArguments),
    /// Shows how it is with the running agent.
    Status(StatusArguments),
    /// Becomes the program of a service; the agent calls it for itself.
    #[command(hide = true)]
    BecomeService(BecomeServiceArguments),
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
            Self::Status(status) => status.output,
            Self::BecomeService(_) | Self::Completion(_) | Self::Man {} => Output::Text,
        }
    }
}

impl Command {
    /// What the commands for packages print; of the others nothing.
    pub fn page(&self) -> Vec<u8> {
        match self {
            Self::Completion(completion) => completion.script(Arguments::command()),
            Self::Man {} => manual::page(Arguments::command()),
            Self::Run(_) | Self::Hardware(_) | Self::Status(_) | Self::BecomeService(_) => vec![],
        }
    }
}

/// The options of `pact-agent run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArguments {
    /// A file (TOML) that stands in for flags and environment: journals, ca, hardware, image_built_at, state_dir, services, workload_api, bootstrap_identity.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The agents' listener of a journal. Any one is enough, several are better. [kernel: pact.journal=].
    #[arg(
        long = "journal",
        value_name = "https://HOST:PORT",
        env = "PACT_JOURNALS",
        value_delimiter = ',',
        required_unless_present = "config"
    )]
    pub journals: Vec<JournalAddress>,
    /// The domain CA certificate (PEM): only journals of this domain are trusted. [kernel: pact.ca=].
    #[arg(long, value_name = "FILE", env = "PACT_CA", required_unless_present = "config")]
    pub ca: Option<PathBuf>,
    /// Presents this in place of the machine's own hardware: {"macs":["aa:bb:cc:dd:ee:01"],"bmc_serial":"SN1","uuid":null}.
    #[arg(long, value_name = "FILE.json")]
    pub hardware: Option<PathBuf>,
    /// When this machine's image was built, as 2026-01-31T12:00:00Z. A clock that says an earlier time is wrong: it keeps the
    /// machine from no journal, and is set by the first that enrolls it. Needs CAP_SYS_TIME. [kernel: pact.image_built_at=].
    #[arg(long, value_name = "TIME", env = "PACT_IMAGE_BUILT_AT")]
    pub image_built_at: Option<Timestamp>,
    /// Keeps the last boot configuration here, so that a restart without any journal goes on with it, and answers
    /// `pact-agent status` here. Made if it is not there. Never holds a key.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Runs the services that the boot configuration declares. Only the first process of a machine does, unless told.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub services: Option<bool>,
    /// Where SPIRE's agent, or another SPIFFE Workload API, gives this node an identity: unix:///PATH or tcp://ADDRESS:PORT. It may
    /// appear late, or never. What it gives is bound to the node and used in place of its certificate. [kernel: pact.workload_api=].
    #[arg(long, value_name = "ENDPOINT", env = "SPIFFE_ENDPOINT_SOCKET", value_parser = endpoint)]
    pub workload_api: Option<Endpoint>,
    /// A certificate and its key (PEM) that the image holds, shown at the first enrollment. It opens nothing that does not open without
    /// it: a journal that refuses it is asked without.
    #[arg(long, value_name = "FILE")]
    pub bootstrap_identity: Option<PathBuf>,
    /// What the kernel's command line says, if a file may say it before.
    #[arg(skip)]
    pub kernel: Option<KernelCommandLine>,
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

/// The options of `pact-agent status`.
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub struct StatusArguments {
    /// The state directory of the agent that is asked, if it has one.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The form of what goes to stdout.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// What a service is started with.
#[derive(Debug, Args)]
pub struct BecomeServiceArguments {
    /// The process that it ends with.
    pub agent: u32,
    /// Its program and arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
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
  pact-agent run --config /etc/pact/agent.toml --state-dir /var/lib/pact --services
  pact-agent run --journal https://j1:9443 --ca domain-ca.pem --image-built-at 2026-01-31T12:00:00Z";

const STATUS_EXAMPLES: &str = "Examples:
  pact-agent status
  pact-agent status --state-dir /var/lib/pact -o json";

const HARDWARE_EXAMPLES: &str = "Examples:
  pact-agent hardware                        as root: the serial and the UUID are not for others
  pact-agent hardware -o json > node.json    for `pact-agent run --hardware node.json`";

/// Reads the endpoint of a Workload API.
fn endpoint(text: &str) -> Result<Endpoint, String> {
    Endpoint::parse(text).map_err(|error| error.to_string())
}

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
        Ok(run_of(Arguments::try_parse_from(LEAST.iter().chain(more))?))
    }

    fn run_of(arguments: Arguments) -> RunArguments {
        let Command::Run(run) = arguments.command else { panic!("it is no run") };
        *run
    }

    fn parse_beside(kernel: &str, command: &[&str]) -> Result<RunArguments, clap::Error> {
        let kernel = KernelCommandLine::parse(kernel.as_bytes()).unwrap();
        Ok(run_of(Arguments::of(Some(&kernel), command.iter().map(OsString::from))?))
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
    fn what_a_file_says_need_not_be_said_and_counts_over_the_kernel_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.toml");
        std::fs::write(&file, "ca = \"file.pem\"\nservices = true\nstate_dir = \"file\"\n").unwrap();
        let kernel = "pact.journal=https://k1:9443 pact.ca=kernel.pem";
        let file = file.display().to_string();
        let settled = |flags: &[&str]| {
            let command = [&["pact-agent", "run", "--config", &file], flags].concat();
            let run = parse_beside(kernel, &command).unwrap().settled().unwrap();
            (run.journals[0].to_string(), run.ca.unwrap().display().to_string(), run.services)
        };
        let k1 = || "https://k1:9443".to_owned();
        assert_eq!(settled(&[]), (k1(), "file.pem".to_owned(), Some(true)));
        let flags = ["--ca", "flag.pem", "--services=false"];
        assert_eq!(settled(&flags), (k1(), "flag.pem".to_owned(), Some(false)));
    }

    #[test]
    fn rule_11_a_workload_api_is_named_by_flag_file_or_kernel_and_checked() {
        let told = |run: &RunArguments| run.workload_api.clone();
        let endpoint = |text| Endpoint::parse(text).ok();
        for text in ["unix:///run/spire/agent.sock", "tcp://10.0.2.2:8081"] {
            assert_eq!(told(&parse(&["--workload-api", text]).unwrap()), endpoint(text));
        }
        for text in
            ["", "/run/spire/agent.sock", "http://10.0.2.2:1", "tcp://host:1", "tcp://10.0.2.2", "unix://a/b"]
        {
            assert!(parse(&["--workload-api", text]).is_err(), "{text}");
        }
        let run = parse_beside("pact.workload_api=tcp://10.0.2.2:8081", &LEAST).unwrap();
        assert_eq!(told(&run), endpoint("tcp://10.0.2.2:8081"));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("agent.toml");
        std::fs::write(&file, "workload_api = \"unix:///run/a.sock\"\n").unwrap();
        let file = file.display().to_string();
        let command = [&LEAST[..], &["--config", &file]].concat();
        let run = parse_beside("pact.workload_api=tcp://10.0.2.2:8081", &command).unwrap();
        assert_eq!(told(&run.settled().unwrap()), endpoint("unix:///run/a.sock"));
    }

    #[test]
    fn services_run_if_a_flag_says_so() {
        assert_eq!(parse(&[]).unwrap().services, None);
        assert_eq!(parse(&["--services"]).unwrap().services, Some(true));
        assert_eq!(parse(&["--services=false"]).unwrap().services, Some(false));
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
