//! The services that an overlay declares: a small TOML form, read with limits. Pure.
//!
//! ```toml
//! pact_services = 1                       # the first line: without it an overlay is only kept
//!
//! [[service]]
//! name = "chronyd"
//! command = ["/usr/sbin/chronyd", "-d"]   # no shell; the program's path is absolute
//! time_sync = true                        # starts before all that are not
//! order = 10                              # then in this order, 100 if not said, and by name
//! wait_secs = 5                           # the next ones wait until it has ended, at most so long; 0 if not said
//! restart = "always"                      # or "on-failure", "never"
//! stop_within_secs = 10                   # SIGTERM, and SIGKILL after so long
//! in_maintenance = true                   # also runs in maintenance mode
//! environment = { TZ = "UTC" }
//! ```
//!
//! [`super`] reads the overlay of every boot configuration.
//!
//! Not here, on purpose: whether a program is there. And an overlay that is not of this form may be anything.
//!
//! **Invariant:** what is read can be started as it stands: no word holds a zero byte, and all is within the limits below. No
//! error shows a value: operators put secrets into overlays (R23).

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Deserialize;

/// How an overlay of this form begins.
const MARK: &str = "pact_services";
/// The one version of the form.
const FORM: i64 = 1;
/// An overlay of this form has at most this many bytes: it is read on every node at one moment.
pub const DECLARATION_BYTES: usize = 256 * 1024;
/// So many services: a node of a cluster runs a few.
pub const SERVICES: usize = 64;
/// A command has so many words, and an environment so many variables.
pub const WORDS: usize = 64;
/// A word or a variable has so many bytes.
pub const WORD_BYTES: usize = 4096;
/// A name has so many characters.
pub const NAME_BYTES: usize = 64;
/// No service is waited for longer.
pub const WAIT_SECS: u64 = 60;
/// No service has longer to stop: a machine that shuts down does not wait for more.
pub const STOP_SECS: u64 = 60;

/// When a service is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Whenever it has ended.
    #[default]
    Always,
    /// When it has failed.
    OnFailure,
    /// Never.
    Never,
}

/// A service that runs on a node.
#[derive(Clone, PartialEq, Eq)]
pub struct Service {
    /// No other has it.
    pub name: String,
    /// The program's absolute path, and its arguments.
    pub command: Vec<String>,
    /// All of its environment, but for `PATH` if it is not among them.
    pub environment: BTreeMap<String, String>,
    /// Those with a lower one start before.
    pub order: u16,
    /// When it is started again.
    pub restart: Restart,
    /// Whether it starts before all that are not.
    pub time_sync: bool,
    /// Whether it runs in maintenance mode, too.
    pub in_maintenance: bool,
    /// How long the next ones wait for its end.
    pub wait: Duration,
    /// How long it has to stop.
    pub stop_within: Duration,
}

impl fmt::Debug for Service {
    /// Without what operators keep secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Service {
    /// Where it stands among those that start.
    pub fn rank(&self) -> (bool, u16, &str) {
        (!self.time_sync, self.order, &self.name)
    }

    /// Whether a process of the other is one of this.
    pub fn is_run_alike(&self, other: &Self) -> bool {
        (&self.command, &self.environment) == (&other.command, &other.environment)
    }
}

/// Why the services of an overlay cannot be run. Shows names and places, and no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// It is larger than it may be.
    #[error("an overlay that declares services has at most {DECLARATION_BYTES} bytes")]
    TooLarge,
    /// It is no text.
    #[error("an overlay that declares services is UTF-8 text")]
    NoText,
    /// A later release may read it.
    #[error("{MARK} must be {FORM}: this release reads no other form")]
    Form,
    /// It is not of the form.
    #[error("line {line}: {wrong}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// In what way.
        wrong: String,
    },
    /// Too many.
    #[error("at most {SERVICES} services can be declared")]
    TooMany,
    /// A service is not within the limits.
    #[error("service {number}: {field} {must}")]
    Field {
        /// Counted from 1.
        number: usize,
        /// Which key.
        field: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// Two have one name.
    #[error("service {number} has the name of another")]
    SameName {
        /// The second; counted from 1.
        number: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    pact_services: i64,
    #[serde(default)]
    service: Vec<Declared>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: String,
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default = "middle")]
    order: u16,
    #[serde(default)]
    restart: Restart,
    #[serde(default)]
    time_sync: bool,
    #[serde(default)]
    in_maintenance: bool,
    #[serde(default)]
    wait_secs: u64,
    #[serde(default = "a_while")]
    stop_within_secs: u64,
}

fn middle() -> u16 {
    100
}

fn a_while() -> u64 {
    10
}

/// The services that an overlay declares, in the order of their start. `None`: it is not of this form.
///
/// # Errors
/// If it is of this form and cannot be used.
pub fn read(overlay: &[u8]) -> Result<Option<Vec<Service>>, DeclarationError> {
    if !is_of_this_form(overlay) {
        return Ok(None);
    }
    if overlay.len() > DECLARATION_BYTES {
        return Err(DeclarationError::TooLarge);
    }
    let text = std::str::from_utf8(overlay).map_err(|_| DeclarationError::NoText)?;
    let document: Document = toml::from_str(text).map_err(|error| placed(text, &error))?;
    if document.pact_services != FORM {
        return Err(DeclarationError::Form);
    }
    if document.service.len() > SERVICES {
        return Err(DeclarationError::TooMany);
    }
    let mut services = Vec::new();
    for (number, declared) in (1..).zip(document.service) {
        let service = checked(number, declared)?;
        if services.iter().any(|other: &Service| other.name == service.name) {
            return Err(DeclarationError::SameName { number });
        }
        services.push(service);
    }
    services.sort_by(|one, other| one.rank().cmp(&other.rank()));
    Ok(Some(services))
}

/// Its first line says so. Of ten megabytes of something else no more is looked at.
fn is_of_this_form(overlay: &[u8]) -> bool {
    let rest = overlay.strip_prefix(MARK.as_bytes());
    rest.is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'='))
}

/// Says where, and of a value not what it is.
fn placed(text: &str, error: &toml::de::Error) -> DeclarationError {
    let at = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let message = error.message().lines().next().unwrap_or_default();
    let names_a_key = ["missing field", "unknown field"].iter().any(|kind| message.starts_with(kind));
    // Behind the comma stand all keys that there are; a key of somebody's own may be long.
    let key = message.split(',').next().unwrap_or_default();
    let wrong = if names_a_key && key.len() <= 2 * NAME_BYTES {
        key.to_owned()
    } else {
        "this is not TOML, or a value is of the wrong kind".to_owned()
    };
    DeclarationError::Line { line, wrong }
}

fn checked(number: usize, declared: Declared) -> Result<Service, DeclarationError> {
    let field = |field, is_right, must| {
        if is_right { Ok(()) } else { Err(DeclarationError::Field { number, field, must }) }
    };
    let Declared { name, command, environment, order, restart, time_sync, in_maintenance, .. } = declared;
    field(
        "name",
        is_name(&name),
        "must have 1 to 64 of a-z, 0-9, `-`, `_` and `.`, a letter or digit first",
    )?;
    let program = command.first().is_some_and(|program| program.starts_with('/'));
    field("command", program, "must begin with the absolute path of a program")?;
    let words = command.len() <= WORDS && command.iter().all(|word| is_word(word));
    field("command", words, "must have at most 64 words of at most 4096 bytes, none of them zero")?;
    let names = environment.len() <= WORDS && environment.keys().all(|name| is_variable(name));
    field("environment", names, "must have at most 64 variables, named by letters, digits and `_`")?;
    let values = environment.values().all(|value| is_word(value));
    field("environment", values, "must have values of at most 4096 bytes, none of them zero")?;
    field("wait_secs", declared.wait_secs <= WAIT_SECS, "must be at most 60")?;
    let stops = (1..=STOP_SECS).contains(&declared.stop_within_secs);
    field("stop_within_secs", stops, "must be from 1 to 60")?;
    let (wait, stop_within) =
        (Duration::from_secs(declared.wait_secs), Duration::from_secs(declared.stop_within_secs));
    Ok(Service { name, command, environment, order, restart, time_sync, in_maintenance, wait, stop_within })
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let first = name.bytes().next().is_some_and(plain);
    first && name.len() <= NAME_BYTES && name.bytes().all(|byte| plain(byte) || b"-_.".contains(&byte))
}

fn is_word(word: &str) -> bool {
    word.len() <= WORD_BYTES && !word.contains('\0')
}

fn is_variable(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let first = name.bytes().next().is_some_and(letter);
    first && name.len() <= NAME_BYTES && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
#[path = "tests/declaration.rs"]
mod tests;
