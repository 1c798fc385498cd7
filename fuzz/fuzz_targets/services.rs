//! Overlays that declare services, as an operator writes them: `agent::services::declaration`.
//!
//! What is read can be started as it stands and is within the limits; what is wrong is told in few words, without a value.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../agent/src/services/declaration.rs"]
mod declaration;

use declaration::{DeclarationError, SERVICES, STOP_SECS, Service, WAIT_SECS, WORD_BYTES, WORDS, read};

/// A place, a key of at most two names' length, and our own words.
const ERROR_BYTES: usize = 512;

fn assert_startable(service: &Service) {
    let Service { name, command, environment, wait, stop_within, .. } = service;
    assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
    assert!(command[0].starts_with('/') && command.len() <= WORDS && environment.len() <= WORDS);
    for word in command.iter().chain(environment.values()) {
        assert!(word.len() <= WORD_BYTES && !word.contains('\0'));
    }
    assert!(environment.keys().all(|name| !name.is_empty() && !name.contains(['=', '\0'])));
    assert!(wait.as_secs() <= WAIT_SECS && (1..=STOP_SECS).contains(&stop_within.as_secs()));
    assert!(!format!("{service:?}").contains(command[0].as_str()));
}

fuzz_target!(|bytes: &[u8]| {
    match read(bytes) {
        Ok(None) => {}
        Ok(Some(services)) => {
            assert!(services.len() <= SERVICES);
            services.iter().for_each(assert_startable);
            for pair in services.windows(2) {
                assert!(pair[0].rank() < pair[1].rank() && pair[0].name != pair[1].name);
            }
        }
        Err(error) => {
            assert!(error.to_string().len() <= ERROR_BYTES, "{error}");
            if let DeclarationError::Line { line, .. } = error {
                assert!(line <= 1 + bytes.iter().filter(|byte| **byte == b'\n').count());
            }
        }
    }
});
