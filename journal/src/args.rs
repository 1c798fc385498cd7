//! The command line of `pact-journal`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use events::domain;
use events::vocabulary::{DomainId, JournalId, OperatorId};
use proto::join_token::{InvalidJoinToken, JoinToken};
use proto::logging::LogFormat;
use proto::manual::Completion;

use crate::config::Config;
use crate::config::settings::Settings;
use crate::init::Plan;
use crate::join;
use crate::restore;

/// Decides who may exist in a cluster, and writes it down.
#[derive(Debug, Parser)]
#[command(name = "pact-journal", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Args {
    /// How log lines on stderr look; RUST_LOG says which.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  pact-journal dev
  pact-journal init --data-dir /var/lib/pact --domain hpc --advertise journal1.example.org
  pact-journal config check --config /var/lib/pact/journal.toml
  pact-journal serve --data-dir /var/lib/pact";

const SERVE_EXAMPLES: &str = "\
Examples:
  pact-journal serve --data-dir /var/lib/pact
  pact-journal serve --data-dir /var/lib/pact --agent-listen 10.0.0.5:9443
  PACT_JOURNAL_UNKNOWN_PER_MINUTE=1000 pact-journal serve --data-dir /var/lib/pact

All keys, their limits and variables: docs/configuration.md";

const JOIN_EXAMPLES: &str = "\
Examples:
  pact journal join-token create -o json          on an operator's machine
  pact-journal join --data-dir /var/lib/pact --advertise journal2.example.org \\
      --join-addr journal1.example.org:9444 --join-token @/run/join-token

A token on the command line can be seen by all users of the machine: @FILE reads it from a file.
The journal at --join-addr must hold the domain CA key. Afterwards start it with `pact-journal serve`.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  pact-journal restore --data-dir /var/lib/pact/new --from /var/lib/pact/j3 --advertise journal3.example.org
  pact-journal restore --data-dir /var/lib/pact/new --from /backup/j3 --domain-ca-key /media/domain-ca.key --operator alice

For the day when most of the journals have lost their data, and only then: stop what is left of them first. It needs the
domain CA key. No certificate of before opens anything afterwards: nodes enroll again by themselves, other journals join
by new tokens, and DIR/bootstrap/operator.pem is the one operator's new credential. LOG is not changed.";

const RECOVER_EXAMPLES: &str = "\
Examples:
  pact-journal recover-operator --data-dir /var/lib/pact/j1 --name rescue --out rescue.pem

For the day when no operator certificate is left. Run it beside the journal while that serves, on its machine, as a user
who may read DIR; it needs the domain CA key. The new operator is an administrator for 30 days; names are never given
twice. A journal that is the only one may also stand still.";

const DEV_EXAMPLES: &str = "\
Examples:
  pact-journal dev                    then paste the line that it prints into another shell
  pact-journal dev --journals 3       a quorum: any of them may be asked, one may be lost
  pact-journal dev --data-dir ./play  keeps everything; the next one goes on with it
  pact-journal dev > dev.env &        in a script: when the file holds its line, `. ./dev.env`";

const RENEW_EXAMPLES: &str = "\
Examples:
  pact-journal renew-certificate --data-dir /var/lib/pact
  pact-journal renew-certificate --data-dir /var/lib/pact --domain-ca-key /media/usb/domain-ca.key

Needed only if no journal of the domain holds the domain CA key: else each renews its certificate by itself when a third of its
life is left. A new key and a certificate of 30 days for the names in `advertise` are written to DIR/server.pem; a journal that
runs takes them up within seconds, and no connection ends. The domain CA key is read and copied nowhere.";

const CONFIG_EXAMPLES: &str = "\
Examples:
  pact-journal config check --config /var/lib/pact/journal.toml

Exit codes: 0 ok, 2 not usable. All keys: docs/configuration.md";

/// What `pact-journal` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a domain: its CA, its log, its first journal and first operator.
    #[command(after_help = "Examples:\n  pact-journal init --data-dir /var/lib/pact --domain hpc -o json")]
    Init(Box<Init>),
    /// Serve agents and operators until SIGTERM or SIGINT.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<Serve>),
    /// Join the quorum of a domain by a join token, then serve.
    #[command(after_help = JOIN_EXAMPLES)]
    Join(Box<Join>),
    /// Go on with the log of a domain most of whose journals are lost, as the only journal.
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(Box<Restore>),
    /// Make an administrator by the domain CA key.
    #[command(after_help = RECOVER_EXAMPLES)]
    RecoverOperator(RecoverOperator),
    /// Serve a throw-away domain on loopback, and print the shell variables to use it with.
    #[command(after_help = DEV_EXAMPLES)]
    Dev(Dev),
    /// Renew the server certificate by hand, where the domain CA key is; the journal may run meanwhile.
    #[command(after_help = RENEW_EXAMPLES)]
    RenewCertificate(RenewCertificate),
    /// Look at configurations.
    #[command(subcommand, after_help = CONFIG_EXAMPLES)]
    Config(ConfigVerb),
    /// Print a script with which your shell completes commands and flags.
    #[command(after_help = "Examples:\n  pact-journal completion bash > /etc/bash_completion.d/pact-journal")]
    Completion(Completion),
    /// Print the manual page.
    #[command(after_help = "Examples:\n  pact-journal man | man -l -")]
    Man {},
}

/// What can be done with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Say `ok`, or every mistake that can be found in a file; changes and starts nothing.
    #[command(after_help = CONFIG_EXAMPLES)]
    Check(Check),
}

/// See [`Command::Init`].
#[derive(Debug, ClapArgs)]
pub struct Init {
    /// Where the journal's data shall lie. Must not exist.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The name of the trust domain, at most 40 characters.
    #[arg(long, value_name = "NAME")]
    pub domain: DomainId,
    /// The name of this journal.
    #[arg(long, value_name = "ID", default_value = "j1")]
    pub journal_id: JournalId,
    /// Where agents will connect. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().agent_listen)]
    pub agent_listen: SocketAddr,
    /// Where operators will connect. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().operator_listen)]
    pub operator_listen: SocketAddr,
    /// Where the other journals will connect. Port 0: any free one, as long as there are no others.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().cluster_listen)]
    pub cluster_listen: SocketAddr,
    /// Where probes and metrics will be answered, over plain HTTP. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().http_listen)]
    pub http_listen: SocketAddr,
    /// A host name or address for the server certificate [default: localhost, 127.0.0.1, ::1 and the host's name].
    #[arg(long, value_name = "HOST")]
    pub advertise: Vec<String>,
    /// How the result is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// See [`Command::Join`].
#[derive(Debug, ClapArgs)]
pub struct Join {
    /// Where the journal's data shall lie. Must not exist.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The cluster listener of the journal that holds the domain CA key.
    #[arg(long, value_name = "HOST:PORT")]
    pub join_addr: String,
    /// The join token, or @FILE that holds it.
    #[arg(long, value_name = "SECRET:SHA256")]
    pub join_token: TokenSource,
    /// The name of this journal; none that was ever used in the domain [default: j and its Raft id, or the next that is free].
    #[arg(long, value_name = "ID")]
    pub journal_id: Option<JournalId>,
    /// Where agents will connect. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().agent_listen)]
    pub agent_listen: SocketAddr,
    /// Where operators will connect. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().operator_listen)]
    pub operator_listen: SocketAddr,
    /// Where the other journals will connect.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().cluster_listen)]
    pub cluster_listen: SocketAddr,
    /// Where probes and metrics will be answered, over plain HTTP. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().http_listen)]
    pub http_listen: SocketAddr,
    /// A host name or address for the server certificate [default: localhost, 127.0.0.1, ::1 and the host's name].
    #[arg(long, value_name = "HOST")]
    pub advertise: Vec<String>,
}

/// See [`Command::Restore`].
#[derive(Debug, ClapArgs)]
pub struct Restore {
    /// Where the new journal's data shall lie. Must not exist.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The log that is left: the data directory of a journal or a copy of one, or a file of `pact-replay export`.
    #[arg(long, value_name = "LOG")]
    pub from: PathBuf,
    /// An overlay that was set, of which an exported file has the hash only; repeat it for each.
    #[arg(long, value_name = "FILE")]
    pub overlay: Vec<PathBuf>,
    /// The domain CA key; it stays where it is [default: LOG/bootstrap/domain-ca.key, of which DIR gets a copy].
    #[arg(long, value_name = "FILE")]
    pub domain_ca_key: Option<PathBuf>,
    /// The administrator who goes on; all other operators are revoked [default: admin].
    #[arg(long, value_name = "NAME")]
    pub operator: Option<OperatorId>,
    /// The name of the new journal; none that was ever used in the domain [default: j and its Raft id].
    #[arg(long, value_name = "ID")]
    pub journal_id: Option<JournalId>,
    /// Where agents will connect. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().agent_listen)]
    pub agent_listen: SocketAddr,
    /// Where operators will connect. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().operator_listen)]
    pub operator_listen: SocketAddr,
    /// Where the other journals will connect. Port 0: any free one, as long as there are no others.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().cluster_listen)]
    pub cluster_listen: SocketAddr,
    /// Where probes and metrics will be answered, over plain HTTP. Port 0: any free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().http_listen)]
    pub http_listen: SocketAddr,
    /// A host name or address for the server certificate [default: localhost, 127.0.0.1, ::1 and the host's name].
    #[arg(long, value_name = "HOST")]
    pub advertise: Vec<String>,
    /// How the result is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

impl Restore {
    /// What it asks for.
    pub fn plan(&self) -> restore::Plan {
        let config = Config {
            agent_listen: self.agent_listen,
            operator_listen: self.operator_listen,
            cluster_listen: self.cluster_listen,
            http_listen: self.http_listen,
            advertise: advertised(&self.advertise),
            ..Config::default()
        };
        restore::Plan {
            data_dir: self.data_dir.clone(),
            from: self.from.clone(),
            overlays: self.overlay.clone(),
            domain_ca_key: self.domain_ca_key.clone(),
            restore: domain::Restore { founder: self.journal_id.clone(), operator: self.operator.clone() },
            config,
        }
    }
}

/// See [`Command::RecoverOperator`].
#[derive(Debug, ClapArgs)]
pub struct RecoverOperator {
    /// The data directory of a journal of the domain.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The name of the new administrator; none that was ever used.
    #[arg(long, value_name = "NAME")]
    pub name: OperatorId,
    /// Where certificate and key are written; must not exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The domain CA key [default: DIR/bootstrap/domain-ca.key].
    #[arg(long, value_name = "FILE")]
    pub domain_ca_key: Option<PathBuf>,
    /// How the result is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// A join token on the command line, or where it stands.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// Itself.
    Text(JoinToken),
    /// In this file.
    File(PathBuf),
}

impl FromStr for TokenSource {
    type Err = InvalidJoinToken;

    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        match text.strip_prefix('@') {
            Some(path) => Ok(Self::File(path.into())),
            None => text.trim().parse().map(Self::Text),
        }
    }
}

impl Join {
    /// What it asks for, with the token in hand.
    pub fn plan(&self, token: JoinToken) -> join::Plan {
        let config = Config {
            agent_listen: self.agent_listen,
            operator_listen: self.operator_listen,
            cluster_listen: self.cluster_listen,
            http_listen: self.http_listen,
            advertise: advertised(&self.advertise),
            ..Config::default()
        };
        join::Plan {
            data_dir: self.data_dir.clone(),
            join_addr: self.join_addr.clone(),
            token,
            journal_id: self.journal_id.clone(),
            config,
        }
    }
}

/// The names of the server certificate: those given, or those of this machine.
fn advertised(given: &[String]) -> Vec<String> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let host = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let host = Some(host).filter(|host| !host.is_empty() && host != "localhost");
    ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter().chain(host).collect()
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}

/// See [`Command::Serve`].
#[derive(Debug, ClapArgs)]
pub struct Serve {
    /// The directory that `init` made.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The configuration [default: DIR/journal.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What counts over the configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// Stop also when stdin ends, a pipe whose other end the starter holds; for programs that start journals.
    #[arg(long, hide = true)]
    pub until_stdin_ends: bool,
}

/// See [`Command::RenewCertificate`].
#[derive(Debug, ClapArgs)]
pub struct RenewCertificate {
    /// The journal's data directory.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// The domain CA's key [default: DIR/bootstrap/domain-ca.key].
    #[arg(long, value_name = "FILE")]
    pub domain_ca_key: Option<PathBuf>,
    /// The configuration, for the names in `advertise` [default: DIR/journal.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// See [`Command::Dev`].
#[derive(Debug, ClapArgs)]
pub struct Dev {
    /// How many journals serve it, as one quorum [default: 1, or as many as there are in --data-dir].
    #[arg(long, value_name = "NUMBER", value_parser = PossibleValuesParser::new(["1", "3", "5"]).try_map(|text| text.parse::<u8>()))]
    pub journals: Option<u8>,
    /// Where the domain lies and stays; without it, in a temporary directory that goes with the process.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// See [`ConfigVerb::Check`].
#[derive(Debug, ClapArgs)]
pub struct Check {
    /// The file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

impl Init {
    /// What to make.
    pub fn plan(&self) -> Plan {
        let advertise = advertised(&self.advertise);
        let config = Config {
            agent_listen: self.agent_listen,
            operator_listen: self.operator_listen,
            cluster_listen: self.cluster_listen,
            http_listen: self.http_listen,
            advertise,
            ..Config::default()
        };
        let (domain_id, journal_id) = (self.domain.clone(), self.journal_id.clone());
        Plan { data_dir: self.data_dir.clone(), domain_id, journal_id, config }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_joins_needs_no_name() {
        let line =
            ["pact-journal", "join", "--data-dir", "j2", "--join-addr", "j1:9444", "--join-token", "@token"];
        for (more, name) in [(&[][..], None), (&["--journal-id", "j7"], Some("j7"))] {
            let Command::Join(join) = Args::try_parse_from(line.iter().chain(more)).unwrap().command else {
                panic!("it joins")
            };
            assert_eq!(join.journal_id.as_ref().map(JournalId::as_str), name);
        }
    }
}
