//! Join tokens, as a person copies them: `proto::join_token`.
//!
//! A token has one text; its secret is known again by its hash, and shows in no error and no `Debug`.

#![no_main]

use events::vocabulary::SecretHash;
use libfuzzer_sys::fuzz_target;
use proto::join_token::{JoinSecret, JoinToken};

/// So many letters of a text do not stand in a message by chance.
const TOLD: usize = 24;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<JoinToken>() {
        Ok(token) => {
            assert_eq!(*token.to_text(), text.trim());
            let (secret, _) = text.trim().split_once(':').expect("a token has two halves");
            assert!(token.secret.is_that_of(&SecretHash::of(secret.as_bytes())));
            assert!(!token.secret.is_that_of(&SecretHash::new([0; 32])));
            assert!(!format!("{token:?}").contains(secret));
            let alone: JoinSecret = secret.parse().expect("a token's half is a secret");
            assert_eq!(*alone.to_text(), secret);
        }
        Err(error) => {
            let told = format!("{error} {error:?}");
            let shown = text.as_bytes().windows(TOLD).any(|piece| told.as_bytes().windows(TOLD).any(|shown| shown == piece));
            assert!(!shown || told.contains(text), "{told}");
        }
    }
});
