//! The command line of `pact`: flags, then the environment, then the user's file.
//!
//! `main` parses it; [`Global::journals`] turns it into the [`Journals`] that all verbs ask.
//!
//! Not here, on purpose: what a verb takes (it stands beside the verb), and the checks of names and addresses of nodes,
//! which are the journal's.
//!
//! **Invariant:** what is missing is told at once, each with its flag, its variable and its key.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use proto::{
    channel::JournalAddress,
    logging::LogFormat,
    manual::{self, Completion},
    outcome::Failure,
    pem_file::{Credential, Trust},
};
use tokio::runtime;

use crate::{
    answer::{Answer, Output},
    config::UserConfig,
    connection::Journals,
    duration, events, journal, node, operator, status, vcluster,
};

const EXAMPLES: &str = "\
Examples:
  export PACT_ENDPOINTS=https://127.0.0.1:9446
  export PACT_CA=j1/bootstrap/domain-ca.pem
  export PACT_CREDENTIAL=j1/bootstrap/operator.pem
  pact node enroll compute-042 --mac aa:bb:cc:dd:ee:01
  pact node list
  pact node enroll --batch nodes.csv
  pact node inspect compute-042 -o json
  pact vcluster set prod --overlay prod.tar
  pact operator create alice --role pact-platform-admin --out alice.pem
  pact journal members
  pact status
  pact events tail --follow
  source <(pact completion bash)

What is not given stands in ~/.config/pact/config.toml ($XDG_CONFIG_HOME): endpoints, ca, credential, timeout, output

Exit codes:
  0  done
  1  failed, or refused by the journal
  2  wrong usage
  3  no journal could be reached, or the time was over
  4  not authorized";

const COMPLETION_EXAMPLES: &str = "\
Examples:
  pact completion bash > /etc/bash_completion.d/pact
  pact completion zsh > \"${fpath[1]}/_pact\"
  pact completion fish > ~/.config/fish/completions/pact.fish
  source <(pact completion bash)        for this shell only";

const MAN_EXAMPLES: &str = "\
Examples:
  pact man | man -l -
  pact man > /usr/local/share/man/man1/pact.1";

/// Commands a pact domain: which nodes may enroll, which may no longer, and what they are configured by.
#[derive(Debug, Parser)]
#[command(name = "pact", version, after_help = EXAMPLES)]
pub struct Args {
    /// Flags of all verbs.
    #[command(flatten)]
    pub global: Global,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// What `pact` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Asks a journal.
    #[command(flatten)]
    Noun(Noun),

    /// Print a script with which your shell completes verbs and flags
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion(Completion),

    /// Print the manual page
    #[command(after_help = MAN_EXAMPLES)]
    Man {},
}

impl Command {
    /// The user's configuration; of no account where no journal is asked: a shell that starts must not fail over it.
    ///
    /// # Errors
    /// If it cannot be read or is wrong.
    pub fn config(&self) -> Result<UserConfig, Failure> {
        match self {
            Self::Completion(_) | Self::Man {} => Ok(UserConfig::of_user().unwrap_or_default()),
            Self::Noun(_) => UserConfig::of_user(),
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// If the journals to ask are not known, an argument cannot be used, or a journal refuses or cannot be reached.
    pub fn run(self, global: &Global, config: &UserConfig) -> Result<Answer, Failure> {
        let noun = match self {
            Self::Completion(completion) => return Ok(Answer::Bytes(completion.script(Args::command()))),
            Self::Man {} => return Ok(Answer::Bytes(manual::page(Args::command()))),
            Self::Noun(noun) => noun,
        };
        let journals = global.journals(config)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::other(format!("the runtime did not start: {error}")))?;
        let answer = runtime.block_on(noun.run(&journals, global.output(config)));
        // A look-up of a name runs on a thread of its own that cannot be stopped: waiting for it would outlive --timeout.
        runtime.shutdown_background();
        answer
    }
}

/// What a command is about.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// The nodes of the domain
    #[command(subcommand)]
    Node(node::Verb),

    /// What the nodes are configured by
    #[command(subcommand)]
    Vcluster(vcluster::Verb),

    /// Those who command the domain
    #[command(subcommand)]
    Operator(operator::Verb),

    /// The journals of the quorum
    #[command(subcommand)]
    Journal(journal::Verb),

    /// The authorities that sign certificates
    #[command(subcommand)]
    Authority(status::AuthorityVerb),

    /// What happened
    #[command(subcommand)]
    Events(events::Verb),

    /// The domain in a few numbers
    Status(status::ShowStatus),
}

impl Noun {
    /// Asks a journal for it.
    ///
    /// # Errors
    /// If an argument cannot be used, or the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals, output: Output) -> Result<Answer, Failure> {
        match self {
            Self::Node(verb) => verb.run(journals).await,
            Self::Vcluster(verb) => verb.run(journals, output).await,
            Self::Operator(verb) => verb.run(journals).await,
            Self::Journal(verb) => verb.run(journals).await,
            Self::Authority(verb) => verb.run(journals).await,
            Self::Events(verb) => verb.run(journals, output).await,
            Self::Status(show) => show.run(journals).await,
        }
    }
}

/// The flags that every verb takes.
#[derive(Debug, ClapArgs)]
pub struct Global {
    /// Operators' listener of a journal; several are tried in their order
    #[arg(
        long = "endpoint",
        global = true,
        env = "PACT_ENDPOINTS",
        hide_env_values = true,
        value_name = "https://HOST:PORT",
        value_delimiter = ',',
        help_heading = "Connection"
    )]
    pub endpoints: Vec<String>,

    /// PEM file with the domain CA certificate, whom to trust
    #[arg(
        long,
        global = true,
        env = "PACT_CA",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Connection"
    )]
    pub ca: Option<OsString>,

    /// PEM file with your certificate chain and key
    #[arg(
        long,
        global = true,
        env = "PACT_CREDENTIAL",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Connection"
    )]
    pub credential: Option<OsString>,

    /// How long everything may take, as 500ms, 10s or 2m; of a batch, connecting and each part of 1000 rows [default: 10s]
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        value_parser = duration::parse,
        help_heading = "Connection"
    )]
    pub timeout: Option<Duration>,

    /// Form of the answer on stdout [default: table]
    #[arg(short, long, global = true, value_enum, help_heading = "Output")]
    pub output: Option<Output>,

    /// Form of the log on stderr; RUST_LOG chooses what is logged
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Output")]
    pub log_format: LogFormat,
}

/// How long everything may take if nobody says so.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Global {
    /// The form of the answer.
    pub fn output(&self, config: &UserConfig) -> Output {
        self.output.or(config.kept.output).unwrap_or_default()
    }

    /// Reads the files and addresses that the flags name, else the user's file.
    ///
    /// # Errors
    /// [`Failure::Usage`] if one is missing, names all that are; or if an address or file cannot be used.
    pub fn journals(&self, config: &UserConfig) -> Result<Journals, Failure> {
        let given_endpoints = self.endpoints.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let mut endpoints = given_endpoints.map(address).collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            endpoints.clone_from(&config.kept.endpoints);
        }
        let or_kept = |flag: &Option<OsString>, kept: &Option<PathBuf>| {
            given(flag.as_deref()).map(Path::to_owned).or_else(|| kept.clone())
        };
        let ca = or_kept(&self.ca, &config.kept.ca);
        let credential = or_kept(&self.credential, &config.kept.credential);
        let (Some(ca), Some(credential), false) = (&ca, &credential, endpoints.is_empty()) else {
            return Err(missing(
                [
                    endpoints
                        .is_empty()
                        .then_some(("--endpoint https://HOST:PORT or set PACT_ENDPOINTS", "endpoints")),
                    ca.is_none().then_some(("--ca FILE or set PACT_CA", "ca")),
                    credential
                        .is_none()
                        .then_some(("--credential FILE or set PACT_CREDENTIAL", "credential")),
                ],
                config,
            ));
        };
        let timeout = self.timeout.or(config.kept.timeout).unwrap_or(TIMEOUT);
        let (trust, own) = (Trust::read(ca)?, Credential::read(credential)?);
        Ok(Journals::new(endpoints, trust, own, timeout).reading(credential))
    }
}

/// Flag and variable of each thing that is missing, then the file that all may stand in, by their keys.
fn missing(things: [Option<(&str, &str)>; 3], config: &UserConfig) -> Failure {
    let (given, keys): (Vec<&str>, Vec<&str>) = things.into_iter().flatten().unzip();
    let (given, keys) = (given.join("; give "), keys.join(", "));
    Failure::Usage(format!("give {given}; or write {keys} into {}", config.shown()))
}

/// An empty value counts as none: it is how scripts and unit files take a variable back.
fn given(text: Option<&OsStr>) -> Option<&Path> {
    text.filter(|text| !text.is_empty()).map(Path::new)
}

fn address(text: &str) -> Result<JournalAddress, Failure> {
    text.parse().map_err(|error: proto::channel::InvalidAddress| Failure::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    /// A command line with the given flags, which stand for the environment too: clap treats them alike.
    fn global(flags: &[&str]) -> Global {
        let line = ["pact", "node", "list", "--endpoint=", "--ca=", "--credential="];
        let line = line.iter().copied().filter(|own| !flags.iter().any(|flag| flag.starts_with(own)));
        Args::try_parse_from(line.chain(flags.iter().copied())).unwrap().global
    }

    fn usage(flags: &[&str]) -> String {
        let failure = global(flags).journals(&UserConfig::default()).unwrap_err();
        assert!(matches!(failure, Failure::Usage(_)), "{failure:?}");
        failure.to_string()
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_help_has_examples() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  "), "{}", command.get_name());
            assert!(help.contains("pact "), "{}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Args::command());
    }

    #[test]
    fn flags_stand_before_and_after_the_verb() {
        for line in [
            ["pact", "-o", "json", "--timeout", "500ms", "node", "list"],
            ["pact", "node", "list", "--timeout", "500ms", "--output", "json"],
        ] {
            let global = Args::try_parse_from(line).unwrap().global;
            let given = (global.output, global.timeout);
            assert_eq!(given, (Some(Output::Json), Some(Duration::from_millis(500))));
        }
    }

    #[test]
    fn a_table_is_the_default_the_user_s_file_counts_over_it_and_a_flag_over_both() {
        let (unset, flag) = (global(&[]), global(&["--output=table"]));
        let mut config = UserConfig::default();
        assert_eq!((unset.output(&config), unset.log_format), (Output::Table, LogFormat::Text));
        config.kept.output = Some(Output::Json);
        assert_eq!((unset.output(&config), flag.output(&config)), (Output::Json, Output::Table));
    }

    #[test]
    fn the_user_s_file_fills_in_what_is_not_given() {
        let mut config = UserConfig::default();
        config.kept.endpoints = vec!["https://kept:1".parse().unwrap()];
        config.kept.ca = Some("/no/such/kept.pem".into());
        let told = global(&[]).journals(&config).unwrap_err().to_string();
        assert!(
            told.starts_with("give --credential FILE or set PACT_CREDENTIAL; or write credential into "),
            "{told}"
        );
        config.kept.credential = Some("/no/such/operator.pem".into());
        let told = global(&[]).journals(&config).unwrap_err().to_string();
        assert!(told.starts_with("cannot read /no/such/kept.pem: "), "{told}");
        let told = global(&["--ca=/no/such/flag.pem"]).journals(&config).unwrap_err().to_string();
        assert!(told.starts_with("cannot read /no/such/flag.pem: "), "{told}");
    }

    #[test]
    fn a_timeout_without_its_unit_is_wrong_usage() {
        let error = Args::try_parse_from(["pact", "node", "list", "--timeout", "10"]).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::ValueValidation, 2));
        assert!(error.to_string().contains("500ms, 10s, 2m"), "{error}");
    }

    #[test]
    fn endpoints_repeat_or_stand_between_commas() {
        for flags in [
            &["--endpoint=https://a:1", "--endpoint=https://b:2"][..],
            &["--endpoint=https://a:1,https://b:2"][..],
        ] {
            assert_eq!(global(flags).endpoints, ["https://a:1", "https://b:2"]);
        }
    }

    #[test]
    fn what_is_missing_is_named_by_flag_variable_and_file() {
        let all = usage(&[]);
        for name in ["--endpoint", "PACT_ENDPOINTS", "--ca", "PACT_CA", "--credential", "PACT_CREDENTIAL"] {
            assert!(all.contains(name), "{all}");
        }
        let one = usage(&["--endpoint=https://a:1", "--ca=ca.pem"]);
        let place = "~/.config/pact/config.toml";
        assert_eq!(
            one,
            format!("give --credential FILE or set PACT_CREDENTIAL; or write credential into {place}")
        );
    }

    #[test]
    fn an_empty_value_counts_as_missing() {
        let told = usage(&["--endpoint= , ,", "--ca=", "--credential=o.pem"]);
        assert_eq!(
            told,
            "give --endpoint https://HOST:PORT or set PACT_ENDPOINTS; give --ca FILE or set PACT_CA; or write \
             endpoints, ca into ~/.config/pact/config.toml"
        );
    }

    #[test]
    fn an_address_that_is_none_is_wrong_usage() {
        let told = usage(&["--endpoint=http://a:1", "--ca=ca.pem", "--credential=o.pem"]);
        assert!(told.contains("`http://a:1` is no address"), "{told}");
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_usage() {
        let told = usage(&["--endpoint=https://a:1", "--ca=/no/such.pem", "--credential=o.pem"]);
        assert!(told.starts_with("cannot read /no/such.pem: "), "{told}");
    }
}
