//! File, environment and command line on top of each other: for each key the uppermost value counts.
//!
//! [`super::Config::load`] calls [`merge`]. Everything is checked, also what something above it overrides: a file that is
//! wrong stays wrong when the flag that hid it is gone.
//!
//! **Invariant:** every mistake says which of the three it is in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::keys::{KEYS, Key};
use super::settings::Settings;
use super::{Config, Mistake};

/// How the environment variables of all keys begin.
pub const PREFIX: &str = "PACT_JOURNAL_";
/// As many errors of form are told: after the first ones the rest is guessing.
const FORM_ERRORS_MAX: usize = 20;
/// As much of a wrong value is shown.
const SHOWN_CHARS: usize = 80;

/// The environment variables that begin with [`PREFIX`].
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Those of this process. An empty one counts as none: it is how scripts and unit files take a variable back.
    pub fn of_process() -> Self {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// Variables that stand for no key. They may be another program's, as a cluster's scheduler names services.
    pub fn strangers(&self) -> Vec<&str> {
        let known: BTreeSet<String> = KEYS.iter().map(Key::variable).collect();
        self.0.keys().map(String::as_str).filter(|name| !known.contains(*name)).collect()
    }
}

impl FromIterator<(String, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, OsString)>>(variables: I) -> Self {
        let ours =
            variables.into_iter().filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty());
        Self(ours.collect())
    }
}

/// What counts so far, where it stands, and what is wrong.
#[derive(Default)]
struct Merged {
    values: Table,
    places: BTreeMap<&'static str, String>,
    mistakes: Vec<Mistake>,
    /// Keys with a mistake in any layer: what hangs on them cannot be judged.
    doubtful: BTreeSet<&'static str>,
}

/// Reads the text of a file, then what stands over it.
///
/// # Errors
/// All mistakes that can be found.
pub fn merge(
    path: &Path,
    text: &str,
    environment: &Environment,
    settings: &Settings,
) -> Result<Config, Vec<Mistake>> {
    let mut merged = Merged::default();
    merged.take_file(path, text);
    merged.take_environment(environment);
    merged.take_settings(settings);
    merged.finish()
}

impl Merged {
    fn take_file(&mut self, path: &Path, text: &str) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let place = |at: usize| format!("{}, line {}", path.display(), line(text, at));
        let mut broken_lines = BTreeSet::new();
        for error in errors.iter().take(FORM_ERRORS_MAX) {
            let at = error.span().map_or(0, |span| span.start);
            // What follows the first error of a line follows from it.
            if broken_lines.insert(line(text, at)) {
                let shown = text.lines().nth(line(text, at) - 1).unwrap_or_default().trim();
                let place = format!("{}: {}", place(at), shortened(shown));
                self.mistakes.push(Mistake { place, wrong: error.message().replace('\n', ", ") });
            }
        }
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let (at, name) = (name.span().start, name.get_ref());
            let Some(key) = Key::named(name) else {
                if !broken_lines.contains(&line(text, at)) {
                    let place = format!("{}: {}", place(at), shortened(name));
                    self.mistakes.push(Mistake { place, wrong: "there is no such key".to_owned() });
                }
                continue;
            };
            if broken_lines.contains(&line(text, at)) {
                self.doubtful.insert(key.name);
                continue;
            }
            let shown = text.get(value.span()).unwrap_or_default();
            let place = format!("{}: {name} = {}", place(at), shortened(shown));
            self.take(key, place, plain(value.get_ref()));
        }
    }

    fn take_environment(&mut self, environment: &Environment) {
        for key in &KEYS {
            let variable = key.variable();
            let Some(value) = environment.0.get(&variable) else { continue };
            let place = format!("environment: {variable}={}", shortened(&value.to_string_lossy()));
            self.take(key, place, value.to_str().and_then(|text| key.of_text(text)));
        }
    }

    fn take_settings(&mut self, settings: &Settings) {
        let flags = match Table::try_from(settings) {
            Ok(flags) => flags,
            Err(error) => {
                let place = "command line".to_owned();
                return self.mistakes.push(Mistake { place, wrong: error.to_string() });
            }
        };
        for key in &KEYS {
            let Some(value) = flags.get(key.name) else { continue };
            let place = format!("command line: {} {}", key.flag(), shortened(&value.to_string()));
            self.take(key, place, Some(value.clone()));
        }
    }

    /// A value counts if the key takes it.
    fn take(&mut self, key: &'static Key, place: String, value: Option<Value>) {
        match value.filter(|value| key.takes(value)) {
            Some(value) => {
                self.values.insert(key.name.to_owned(), value);
                self.places.insert(key.name, place);
            }
            None => {
                self.doubtful.insert(key.name);
                self.mistakes.push(Mistake { place, wrong: format!("must be {}", key.limits()) });
            }
        }
    }

    /// Defaults for the rest; then what two keys must be to each other.
    fn finish(mut self) -> Result<Config, Vec<Mistake>> {
        match Config::deserialize(std::mem::take(&mut self.values)) {
            Ok(config) => {
                self.check_together(&config);
                if self.mistakes.is_empty() { Ok(config) } else { Err(self.mistakes) }
            }
            Err(error) => {
                let place = "configuration".to_owned();
                self.mistakes.push(Mistake { place, wrong: error.message().to_owned() });
                Err(self.mistakes)
            }
        }
    }

    fn check_together(&mut self, config: &Config) {
        if config.advertise.is_empty() && !self.doubtful.contains("advertise") {
            let wrong = "give at least one name or address of the server certificate".to_owned();
            self.mistakes.push(Mistake { place: "advertise is missing".to_owned(), wrong });
        }
        if config.authority_ttl_secs < 3 * config.certificate_ttl_secs {
            let wrong = format!(
                "an authority must live at least three times as long as a node's certificate, {} s",
                3 * config.certificate_ttl_secs
            );
            self.blame(["authority_ttl_secs", "certificate_ttl_secs"], &config.authority_ttl_secs, wrong);
        }
        let (domain, bundle) = (&config.workload_trust_domain, &config.workload_bundle);
        if domain.is_empty() != bundle.as_os_str().is_empty() {
            let wrong = "workload_trust_domain and workload_bundle are given both, or neither".to_owned();
            self.blame(["workload_trust_domain", "workload_bundle"], domain, wrong);
        }
        let listeners = [
            ("agent_listen", config.agent_listen),
            ("operator_listen", config.operator_listen),
            ("cluster_listen", config.cluster_listen),
            ("http_listen", config.http_listen),
        ];
        for (at, (name, address)) in listeners.iter().enumerate() {
            for (other, taken) in listeners.iter().take(at).filter(|(_, taken)| overlap(address, taken)) {
                let wrong = format!("{name} and {other} listen on the same address: {address} and {taken}");
                self.blame([name, other], address, wrong);
            }
        }
    }

    /// Tells a mistake that lies between two keys, where one of them was set; of none that is doubtful by itself.
    fn blame(&mut self, keys: [&'static str; 2], value: &dyn std::fmt::Display, wrong: String) {
        if keys.iter().any(|key| self.doubtful.contains(key)) {
            return;
        }
        let place = keys.iter().find_map(|key| self.places.get(key).cloned());
        let place = place.unwrap_or_else(|| format!("default: {} = {value}", keys[0]));
        self.mistakes.push(Mistake { place, wrong });
    }
}

/// Whether two listeners would get in each other's way. Port 0 is any free one.
fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    let covers =
        |all: &SocketAddr, some: &SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || some.is_ipv4());
    let (same, either) = (one.ip() == other.ip(), covers(one, other) || covers(other, one));
    one.port() != 0 && one.port() == other.port() && (same || either)
}

/// The line of a place in a text, from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// A value of the file, if it is of a type that any key has.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Integer)
        }
        DeValue::Boolean(switch) => Some(Value::Boolean(*switch)),
        DeValue::Array(values) => {
            values.iter().map(|value| plain(value.get_ref())).collect::<Option<Vec<_>>>().map(Value::Array)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

fn shortened(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
