//! The journal's configuration: one struct, one file, `journal.toml`, whose values the environment and the command line
//! override. Unknown keys are errors.
//!
//! `init` writes the file, `serve` and `config check` read it. [`keys`] says what each key may hold, [`layers`] puts file,
//! environment and command line on top of each other, [`settings`] are the flags.
//!
//! Not here: the identity of the journal, which is no setting ([`crate::data_dir::Identity`]).
//!
//! **Invariant:** a configuration that was read is within all limits; one that is not is refused with all its mistakes.

pub mod keys;
pub mod layers;
pub mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use layers::Environment;
use settings::Settings;

/// See the module. Times are in seconds. What each key may hold stands in [`keys::KEYS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where agents connect. Port 0: any free one, told by `endpoints.json`.
    pub agent_listen: SocketAddr,
    /// Where operators connect.
    pub operator_listen: SocketAddr,
    /// Where the other journals connect, and those that join.
    pub cluster_listen: SocketAddr,
    /// Where probes and metrics are answered, without TLS: /livez, /readyz, /metrics. Port 0: any free one.
    pub http_listen: SocketAddr,
    /// The names and addresses in the server certificate; the first one is told to agents.
    pub advertise: Vec<String>,
    /// Life of a node's certificate, 3 days by default.
    pub certificate_ttl_secs: u64,
    /// Life of an authority's certificate, 45 days by default; at least three times a node's.
    pub authority_ttl_secs: u64,
    /// How long a node may be away before it is believed gone, 5 minutes by default (R19).
    pub grace_period_secs: u64,
    /// After how long without proof of being up to date the journal refuses everything, 30 s by default (R17).
    pub stale_after_secs: u64,
    /// After how long a node that has not used its certificate needs a look, 10 minutes by default (design §5).
    pub unconfirmed_alert_secs: u64,
    /// How many callers without a full hardware match are answered a minute, 100 by default; half of it for one source
    /// (R22).
    pub unknown_per_minute: u32,
    /// Whether another boot of an active node's machine is let in before the node is given up (R14 c).
    pub warm_reboot: WarmReboot,
    /// Whether the listeners answer gRPC server reflection.
    pub reflection: bool,
    /// Below so many free bytes of disk only revocations and evictions are recorded, 256 MiB by default; 0: no reserve
    /// (R3).
    pub disk_reserve_bytes: u64,
    /// The trust domain of others whose workload identities may be bound to nodes; empty, as by default: of none (R11).
    pub workload_trust_domain: String,
    /// The certificates that vouch for them, in PEM; read again when the file changes.
    pub workload_bundle: PathBuf,
}

/// See [`Config::warm_reboot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WarmReboot {
    /// It waits until the node is given up.
    Off,
    /// On the word of its hardware identity, if the former boot answers nobody.
    Claimed,
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            agent_listen: local(9443),
            operator_listen: local(9446),
            cluster_listen: local(9444),
            http_listen: local(9445),
            advertise: vec![],
            certificate_ttl_secs: 259_200,
            authority_ttl_secs: events::authority::DEFAULT_LIFETIME.as_secs(),
            grace_period_secs: 300,
            stale_after_secs: 30,
            unconfirmed_alert_secs: 600,
            unknown_per_minute: 100,
            warm_reboot: WarmReboot::Off,
            reflection: false,
            disk_reserve_bytes: 256 << 20,
            workload_trust_domain: String::new(),
            workload_bundle: PathBuf::new(),
        }
    }
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Values that are not usable, each with where it stands.
    #[error("{}", listed(mistakes))]
    Mistakes {
        /// At least one, in the order of the file, then of the environment, then of the command line.
        mistakes: Vec<Mistake>,
    },
}

/// One value that is not usable: where it stands, with file and line, variable or flag; and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, and what stands there: `journal.toml, line 3: certificate_ttl_secs = 29`.
    pub place: String,
    /// What it must be.
    pub wrong: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.wrong)
    }
}

/// One in a line of its own; several below each other.
fn listed(mistakes: &[Mistake]) -> String {
    match mistakes {
        [mistake] => mistake.to_string(),
        _ => {
            let lines = mistakes.iter().map(|mistake| format!("\n  {mistake}"));
            format!("the configuration has {} mistakes:{}", mistakes.len(), lines.collect::<String>())
        }
    }
}

impl Config {
    /// Reads and checks a file by itself.
    ///
    /// # Errors
    /// If it cannot be read, or holds mistakes: all that can be found, with key and line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::load(path, &Environment::default(), &Settings::default())
    }

    /// Reads a file; what the environment says counts over it, and what the command line says over both.
    ///
    /// # Errors
    /// As [`Config::read`], also for mistakes in the environment and on the command line.
    pub fn load(path: &Path, environment: &Environment, settings: &Settings) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        layers::merge(path, &text, environment, settings)
            .map_err(|mistakes| ConfigError::Mistakes { mistakes })
    }

    /// Where clients reach a listener: its own address if the server certificate has it, else the first advertised
    /// name.
    pub fn endpoint(&self, listen: SocketAddr) -> String {
        let own = listen.ip().to_string();
        let host = if self.advertise.contains(&own) { &own } else { self.advertise.first().unwrap_or(&own) };
        if host.contains(':') {
            format!("https://[{host}]:{}", listen.port())
        } else {
            format!("https://{host}:{}", listen.port())
        }
    }
}
