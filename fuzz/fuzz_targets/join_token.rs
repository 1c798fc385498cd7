//! Join tokens, as a person copies them: `proto::join_token`.
//!
//! A token has one text; its secret is known again by its hash, and shows in no error and no `Debug`.

#![no_main]

use events::vocabulary::SecretHash;
use libfuzzer_sys::fuzz_target;
use proto::join_token::{JoinSecret, JoinToken};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<JoinToken>() {
        Ok(token) => {
            assert_eq!(*token.to_text(), text.trim());
            let (secret, pin) = text.trim().split_once(':').expect("a token has two halves");
            assert!(token.secret.is_that_of(&SecretHash::of(secret.as_bytes())));
            assert!(!token.secret.is_that_of(&SecretHash::new([0; 32])));
            // The pin is no secret, and whoever makes a token of two equal halves tells it themselves.
            assert!(secret == pin || !format!("{token:?}").contains(secret));
            let alone: JoinSecret = secret.parse().expect("a token's half is a secret");
            assert_eq!(*alone.to_text(), secret);
        }
        Err(error) => {
            // Which digits a refused text has changes nothing of what is said about it.
            let other: String =
                text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
            assert_eq!(other.parse::<JoinToken>().map(|_| ()), Err(error));
        }
    }
});
