//! `journal.toml`, as an administrator writes it, and a variable over it: `journal::config`.
//!
//! What follows a zero byte is the value of the variable that the byte behind it names. A configuration that is read
//! is within all limits and written again the same; one that is not has mistakes that say where, in few words.

#![no_main]

use std::ffi::OsString;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use toml::Table;

#[path = "../../journal/src/config/mod.rs"]
mod config;

use config::keys::KEYS;
use config::layers::{Environment, merge};
use config::settings::Settings;

/// A mistake shows 80 characters of a value, of up to 4 bytes, and the rest is ours.
const MISTAKE_BYTES: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, over) = text.split_once('\0').unwrap_or((text, ""));
    let file = Path::new("journal.toml");
    let key = over.bytes().next().map(|at| &KEYS[usize::from(at) % KEYS.len()]);
    let environment = key.map(|key| (key.variable(), OsString::from(over.get(1..).unwrap_or_default())));
    let environment: Environment = environment.into_iter().collect();

    match merge(file, text, &environment, &Settings::default()) {
        Ok(config) => {
            let table = Table::try_from(&config).expect("a configuration is a table");
            for key in &KEYS {
                assert!(key.takes(&table[key.name]), "{} = {}", key.name, table[key.name]);
            }
            let written = toml::to_string_pretty(&config).expect("init writes it");
            let again = merge(file, &written, &Environment::default(), &Settings::default());
            assert_eq!(again, Ok(config));
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            for mistake in mistakes {
                assert!(!mistake.place.is_empty() && !mistake.wrong.is_empty());
                assert!(mistake.to_string().len() <= MISTAKE_BYTES, "{mistake}");
                assert!(!mistake.to_string().contains('\n'), "{mistake}");
            }
        }
    }
});
