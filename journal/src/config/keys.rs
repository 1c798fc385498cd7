//! What each key of `journal.toml` may hold, once for the file, the environment and the command line.
//!
//! [`super::layers`] checks values by it, and the tests compare `docs/configuration.md` with it.
//!
//! **Invariant:** [`KEYS`] names exactly the fields of [`super::Config`], in their order.

use std::net::SocketAddr;
use std::path::Path;

use events::vocabulary::TrustDomain;
use rustls::pki_types::ServerName;
use toml::Value;

/// The most names that a journal advertises: a certificate with more would not fit into a handshake's first messages.
const NAMES_MAX: usize = 64;

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file. The flag has dashes, the variable capitals.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// A limit that depends on another key, as the end of a sentence.
    pub besides: &'static str,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IP address and a port.
    Address,
    /// Host names or IP addresses, at least one.
    Names,
    /// A whole number of seconds.
    Seconds {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A whole number of something that the key names.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// True or false.
    Switch,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The trust domain of others, or nothing.
    TrustDomain,
    /// A file by its whole path, or nothing.
    File,
}

/// All keys.
pub const KEYS: [Key; 16] = [
    key("agent_listen", Kind::Address),
    key("operator_listen", Kind::Address),
    key("cluster_listen", Kind::Address),
    key("http_listen", Kind::Address),
    key("advertise", Kind::Names),
    key("certificate_ttl_secs", Kind::Seconds { min: 30, max: 31_536_000 }),
    Key {
        name: "authority_ttl_secs",
        kind: Kind::Seconds { min: 90, max: 315_360_000 },
        besides: ", and at least three times certificate_ttl_secs",
    },
    key("grace_period_secs", Kind::Seconds { min: 1, max: 86_400 }),
    // A lost leader is replaced within 4 s: twice that, and the journals do not go stale whenever one is.
    key("stale_after_secs", Kind::Seconds { min: 10, max: 600 }),
    key("unconfirmed_alert_secs", Kind::Seconds { min: 1, max: 86_400 }),
    key("unknown_per_minute", Kind::Count { min: 1, max: 100_000 }),
    key("warm_reboot", Kind::Word(&["off", "claimed"])),
    key("reflection", Kind::Switch),
    key("disk_reserve_bytes", Kind::Count { min: 0, max: 1 << 50 }),
    Key { name: "workload_trust_domain", kind: Kind::TrustDomain, besides: WORKLOADS },
    Key { name: "workload_bundle", kind: Kind::File, besides: WORKLOADS },
];

/// Neither means anything alone.
const WORKLOADS: &str = "; workload_trust_domain and workload_bundle are given both, or neither";

const fn key(name: &'static str, kind: Kind) -> Key {
    let besides = match kind {
        Kind::Address => ", and no two listeners on one",
        Kind::Names
        | Kind::Seconds { .. }
        | Kind::Count { .. }
        | Kind::Switch
        | Kind::Word(_)
        | Kind::TrustDomain
        | Kind::File => "",
    };
    Key { name, kind, besides }
}

impl Key {
    /// The key of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("{}{}", super::layers::PREFIX, self.name.to_uppercase())
    }

    /// Its flag.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// What it must be, as the end of a sentence.
    pub fn limits(&self) -> String {
        let own = match self.kind {
            Kind::Address => "an IP address with its port, like 10.0.0.5:9443 or [::1]:0".to_owned(),
            Kind::Names => format!("1 to {NAMES_MAX} host names or IP addresses, without ports"),
            Kind::Seconds { min, max } => format!("a whole number of seconds from {min} to {max}"),
            Kind::Count { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Switch => "true or false".to_owned(),
            Kind::Word(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                quoted.join(" or ")
            }
            Kind::TrustDomain => "a SPIFFE trust domain like example.org, or empty".to_owned(),
            Kind::File => "the whole path of a file, or empty".to_owned(),
        };
        format!("{own}{}", self.besides)
    }

    /// Reads a value from text, as a variable holds it: names stand between commas.
    pub fn of_text(&self, text: &str) -> Option<Value> {
        let text = text.trim();
        let value = match self.kind {
            Kind::Address | Kind::Word(_) | Kind::TrustDomain | Kind::File => Value::String(text.to_owned()),
            Kind::Names => {
                Value::Array(text.split(',').map(|name| Value::String(name.trim().to_owned())).collect())
            }
            Kind::Seconds { .. } | Kind::Count { .. } => Value::Integer(text.parse().ok()?),
            Kind::Switch => Value::Boolean(text.parse().ok()?),
        };
        Some(value)
    }

    /// Whether the key may hold this value.
    pub fn takes(&self, value: &Value) -> bool {
        match self.kind {
            Kind::Address => value.as_str().is_some_and(|text| text.parse::<SocketAddr>().is_ok()),
            Kind::Names => value.as_array().is_some_and(|names| {
                (1..=NAMES_MAX).contains(&names.len())
                    && names.iter().all(|name| name.as_str().is_some_and(is_name))
            }),
            Kind::Seconds { min, max } | Kind::Count { min, max } => value
                .as_integer()
                .and_then(|number| u64::try_from(number).ok())
                .is_some_and(|number| (min..=max).contains(&number)),
            Kind::Switch => value.is_bool(),
            Kind::Word(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Kind::TrustDomain => {
                value.as_str().is_some_and(|text| text.is_empty() || text.parse::<TrustDomain>().is_ok())
            }
            Kind::File => value.as_str().is_some_and(|text| text.is_empty() || Path::new(text).is_absolute()),
        }
    }
}

fn is_name(text: &str) -> bool {
    ServerName::try_from(text).is_ok()
}
