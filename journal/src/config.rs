//! The journal's configuration: one struct, one file, `journal.toml`. Unknown keys are errors.
//!
//! `init` writes the file, `serve` reads it. Not here: the identity of the journal, which is no setting
//! ([`crate::data_dir::Identity`]).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// See the module. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where agents connect. Port 0: any free one, told by `endpoints.json`.
    pub agent_listen: SocketAddr,
    /// Where operators connect.
    pub operator_listen: SocketAddr,
    /// Where the other journals will connect; nothing listens here before there is a quorum.
    pub cluster_listen: SocketAddr,
    /// Where probes and metrics are answered, without TLS: /livez, /readyz, /metrics. Port 0: any free one.
    pub http_listen: SocketAddr,
    /// The names and addresses in the server certificate; the first one is told to agents.
    pub advertise: Vec<String>,
    /// Life of a node's certificate, 3 days by default; at least 30.
    pub certificate_ttl_secs: u64,
    /// Life of an authority's certificate, 45 days by default; at least three times a node's.
    pub authority_ttl_secs: u64,
    /// How long a node may be away before it is believed gone, 5 minutes by default; 1 to 86400 (R19).
    pub grace_period_secs: u64,
    /// How many callers without a full hardware match are answered a minute, 100 by default; half of it for one source
    /// (R22). 1 to 100,000.
    pub unknown_per_minute: u32,
    /// Whether the listeners answer gRPC server reflection.
    pub reflection: bool,
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
            unknown_per_minute: 100,
            reflection: false,
        }
    }
}

/// Why a configuration is not usable. Names the file and, where there is one, key and line.
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
    /// The file is no TOML, or a key is unknown or has another type.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A value is outside its limits.
    #[error("{}: {key} = {value}: {limit}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        limit: &'static str,
    },
}

impl Config {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Parse { path: path.to_owned(), message: error.to_string() })?;
        config.check(path)?;
        Ok(config)
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

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let limit = |key, value, limit| Err(ConfigError::Limit { path: path.to_owned(), key, value, limit });
        if !(30..=31_536_000).contains(&self.certificate_ttl_secs) {
            return limit("certificate_ttl_secs", self.certificate_ttl_secs, "from 30 to 31536000 seconds");
        }
        if self.authority_ttl_secs < 3 * self.certificate_ttl_secs {
            let limit_text = "at least three times certificate_ttl_secs";
            return limit("authority_ttl_secs", self.authority_ttl_secs, limit_text);
        }
        if self.authority_ttl_secs > 315_360_000 {
            return limit("authority_ttl_secs", self.authority_ttl_secs, "at most 315360000 seconds");
        }
        if !(1..=86_400).contains(&self.grace_period_secs) {
            return limit("grace_period_secs", self.grace_period_secs, "from 1 to 86400 seconds");
        }
        if !(1..=100_000).contains(&self.unknown_per_minute) {
            return limit("unknown_per_minute", self.unknown_per_minute.into(), "from 1 to 100000");
        }
        if self.advertise.is_empty() {
            return limit("advertise", 0, "at least one name or address of the server certificate");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Config::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_is_the_default() {
        let advertise = vec!["localhost".to_owned()];
        assert_eq!(read("advertise = [\"localhost\"]"), Ok(Config { advertise, ..Config::default() }));
    }

    #[test]
    fn a_journal_without_a_name_is_refused() {
        assert!(read("").unwrap_err().contains("advertise"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let advertise = vec!["::1".to_owned()];
        let config = Config { certificate_ttl_secs: 60, advertise, ..Config::default() };
        assert_eq!(read(&toml::to_string(&config).unwrap()), Ok(config));
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_key_and_line() {
        let error = read("reflection = true\nagent_listne = \"127.0.0.1:1\"\n").unwrap_err();
        assert!(error.contains("agent_listne") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_value_outside_its_limits_is_an_error_that_names_them() {
        assert!(read("certificate_ttl_secs = 29").unwrap_err().contains("from 30"));
        assert!(read("authority_ttl_secs = 60").unwrap_err().contains("three times"));
        assert!(read("unknown_per_minute = 0").unwrap_err().contains("from 1 to 100000"));
        assert!(read("unknown_per_minute = 100001").unwrap_err().contains("unknown_per_minute = 100001"));
    }
}
