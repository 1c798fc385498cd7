//! The file that `pact-agent run --config` names: what neither flags nor the environment say, and before what the kernel's
//! command line says.
//!
//! ```toml
//! journals = ["https://j1:9443", "https://j2:9443"]
//! ca = "/etc/pact/domain-ca.pem"
//! hardware = "/etc/pact/hardware.json"
//! image_built_at = "2026-01-31T12:00:00Z"
//! state_dir = "/var/lib/pact"
//! services = true
//! workload_api = "unix:///run/spire/agent.sock"
//! bootstrap_identity = "/etc/pact/bootstrap.pem"
//! ```
//!
//! [`crate::arguments`] reads it. Each key means what the flag of its name means.
//!
//! Not here, on purpose: secrets, and what only one call of the program is about (`--once`, `-o`).
//!
//! **Invariant:** an unknown key is a mistake, and a mistake is told with its line.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use events::vocabulary::Timestamp;
use proto::{channel::JournalAddress, outcome::Failure};
use serde::Deserialize;
use spiffe::transport::Endpoint;

/// A file of eight keys has a few hundred bytes; what is much larger is another file.
const FILE_BYTES: u64 = 64 * 1024;
/// A message shows so many characters of a line.
const SHOWN: usize = 80;

/// What stands in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ConfigFile {
    /// `--journal`
    pub journals: Vec<JournalAddress>,
    /// `--ca`
    pub ca: Option<PathBuf>,
    /// `--hardware`
    pub hardware: Option<PathBuf>,
    /// `--image-built-at`
    pub image_built_at: Option<Timestamp>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--services`
    pub services: Option<bool>,
    /// `--workload-api`
    pub workload_api: Option<Endpoint>,
    /// `--bootstrap-identity`
    pub bootstrap_identity: Option<PathBuf>,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// As the user named it.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It is larger than any.
    #[error("{path} is no configuration: it is larger than {FILE_BYTES} bytes")]
    TooLarge {
        /// As the user named it.
        path: String,
    },
    /// A line is wrong.
    #[error("{path}, line {line}: {shown}: {wrong}")]
    Line {
        /// As the user named it.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        shown: String,
        /// What is wrong with it.
        wrong: String,
    },
}

impl From<ConfigFileError> for Failure {
    fn from(error: ConfigFileError) -> Self {
        Self::Usage(error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    #[serde(default)]
    journals: Vec<toml::Spanned<String>>,
    ca: Option<PathBuf>,
    hardware: Option<PathBuf>,
    image_built_at: Option<toml::Spanned<String>>,
    state_dir: Option<PathBuf>,
    services: Option<bool>,
    workload_api: Option<toml::Spanned<String>>,
    bootstrap_identity: Option<PathBuf>,
}

/// Reads a file.
///
/// # Errors
/// If it cannot be read, or a line of it is wrong.
pub fn read(path: &Path) -> Result<ConfigFile, ConfigFileError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| ConfigFileError::Unreadable { path: name.clone(), source })?;
    parse(&name, &bytes)
}

/// The same, of text in hand; `path` stands for the file in errors.
///
/// # Errors
/// If a line is wrong.
pub fn parse(path: &str, bytes: &[u8]) -> Result<ConfigFile, ConfigFileError> {
    if bytes.len() as u64 > FILE_BYTES {
        return Err(ConfigFileError::TooLarge { path: path.to_owned() });
    }
    let text = String::from_utf8_lossy(bytes);
    let at = |at: usize, wrong: String| {
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let shown = text.lines().nth(line - 1).unwrap_or_default().trim().chars().take(SHOWN).collect();
        ConfigFileError::Line { path: path.to_owned(), line, shown, wrong }
    };
    let keys: Keys = toml::from_str(&text).map_err(|error| {
        let wrong = error.message().lines().next().unwrap_or_default().chars().take(2 * SHOWN).collect();
        at(error.span().map_or(0, |span| span.start), wrong)
    })?;
    let mut journals = Vec::new();
    for journal in keys.journals {
        let address = journal.get_ref().parse::<JournalAddress>();
        journals.push(address.map_err(|error| at(journal.span().start, error.to_string()))?);
    }
    let image_built_at = keys.image_built_at.map(|time| {
        let must = "it must be a time, as \"2026-01-31T12:00:00Z\"";
        time.get_ref().parse::<Timestamp>().map_err(|_| at(time.span().start, must.to_owned()))
    });
    let workload_api = keys.workload_api.map(|endpoint| {
        let parsed = Endpoint::parse(endpoint.get_ref());
        parsed.map_err(|error| at(endpoint.span().start, error.to_string()))
    });
    Ok(ConfigFile {
        journals,
        ca: keys.ca,
        hardware: keys.hardware,
        image_built_at: image_built_at.transpose()?,
        state_dir: keys.state_dir,
        services: keys.services,
        workload_api: workload_api.transpose()?,
        bootstrap_identity: keys.bootstrap_identity,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"journals = ["https://j1:9443", "https://j2:9443"]
ca = "/etc/pact/domain-ca.pem"
hardware = "/etc/pact/hardware.json"
image_built_at = "2026-01-31T12:00:00Z"
state_dir = "/var/lib/pact"
services = true
workload_api = "unix:///run/spire/agent.sock"
"#;

    fn wrong(text: &str) -> String {
        parse("agent.toml", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn every_key_is_read_and_none_must_be_there() {
        let read = parse("agent.toml", WHOLE.as_bytes()).unwrap();
        let journals: Vec<String> = read.journals.iter().map(ToString::to_string).collect();
        assert_eq!(journals, ["https://j1:9443", "https://j2:9443"]);
        assert_eq!((read.ca, read.services), (Some("/etc/pact/domain-ca.pem".into()), Some(true)));
        assert_eq!(read.state_dir, Some("/var/lib/pact".into()));
        assert!(read.hardware.is_some() && read.image_built_at.is_some() && read.workload_api.is_some());
        assert_eq!(parse("agent.toml", b"").unwrap(), ConfigFile::default());
    }

    #[test]
    fn a_mistake_is_told_with_key_and_line() {
        for (text, told) in [
            (
                "# mine\n\nstate-dir = \"/x\"\n",
                "agent.toml, line 3: state-dir = \"/x\": unknown field `state-dir`",
            ),
            (
                "services = 1\n",
                "agent.toml, line 1: services = 1: invalid type: integer `1`, expected a boolean",
            ),
            ("ca = \"a\"\nca = \"b\"\n", "agent.toml, line 2: ca = \"b\": duplicate key"),
            ("ca = \"a\nservices = true\n", "agent.toml, line 1: ca = \"a: "),
            (
                "ca = \"a\"\njournals = [\"http://j1:9443\"]\n",
                "agent.toml, line 2: journals = [\"http://j1:9443\"]: ",
            ),
            ("workload_api = \"/run/a.sock\"\n", "agent.toml, line 1: workload_api = \"/run/a.sock\": "),
            (
                "image_built_at = \"noon\"\n",
                "agent.toml, line 1: image_built_at = \"noon\": it must be a time",
            ),
        ] {
            assert!(wrong(text).starts_with(told), "{}", wrong(text));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>, at in 0..WHOLE.len(), byte: u8) {
            parse("agent.toml", &bytes).ok();
            let mut damaged = WHOLE.as_bytes().to_vec();
            damaged[at] = byte;
            if let Err(error) = parse("agent.toml", &damaged) {
                prop_assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}
