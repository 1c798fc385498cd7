//! The token with which a journal joins a quorum, as one line of text: `SECRET:SHA256`, both of 64 lower-case hex digits.
//!
//! `pact-journal init` writes one. Whoever joins reads it: the second half is the only certificate that it trusts at
//! first, the first half is what it shows there (design §7).
//!
//! Not here, on purpose: whether a token is still good; a fact holds the hash of its secret, and that fact ends.
//!
//! **Invariant:** the secret shows in no `Debug` and no error, is wiped when it is dropped, and is compared in constant
//! time (R23). A token has one text: what is read is written alike.

use std::{fmt, str::FromStr};

use events::vocabulary::{CertificateHash, SecretHash};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Hex digits of a half, which has 32 bytes.
const DIGITS: usize = 64;

/// The half that only the joiner may know.
#[derive(Clone)]
pub struct JoinSecret(Zeroizing<[u8; 32]>);

/// A whole token.
#[derive(Debug, Clone)]
pub struct JoinToken {
    /// What the joiner shows.
    pub secret: JoinSecret,
    /// SHA-256 of the domain CA certificate: the one that the joiner trusts before it knows any other.
    pub domain_ca: CertificateHash,
}

/// A text that is no join token, or no secret of one. Says nothing of what stood there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJoinToken {
    /// There are not two halves with one colon between them.
    #[error("a join token is SECRET:SHA256; copy the whole line")]
    Halves,
    /// The first half is not 64 lower-case hex digits.
    #[error("the first half of the join token is not {DIGITS} lower-case hex digits")]
    Secret,
    /// The second half is not 64 lower-case hex digits.
    #[error("the second half of the join token is not {DIGITS} lower-case hex digits")]
    DomainCa,
}

impl JoinSecret {
    /// Takes random bytes as a secret.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let secret = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        secret
    }

    /// What is stored in its place: SHA-256 of its hex digits.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.to_text().as_bytes())
    }

    /// Whether it is the one whose hash was stored. Takes equally long for each wrong one.
    pub fn is_that_of(&self, stored: &SecretHash) -> bool {
        self.hash().as_bytes().ct_eq(stored.as_bytes()).into()
    }

    /// Its hex digits, to be shown to a journal.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut digits = Zeroizing::new(String::with_capacity(DIGITS));
        push_hex(&mut digits, &self.0[..]);
        digits
    }
}

impl JoinToken {
    /// Its text, without a line break.
    pub fn to_text(&self) -> Zeroizing<String> {
        // As long as it gets: a text that grew would leave a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * DIGITS + 1));
        push_hex(&mut text, &self.secret.0[..]);
        text.push(':');
        push_hex(&mut text, self.domain_ca.as_bytes());
        text
    }
}

impl FromStr for JoinSecret {
    type Err = InvalidJoinToken;

    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        bytes(text).map(Self).ok_or(InvalidJoinToken::Secret)
    }
}

impl FromStr for JoinToken {
    type Err = InvalidJoinToken;

    /// Blanks around it do not count: a file ends with a line break.
    fn from_str(text: &str) -> Result<Self, InvalidJoinToken> {
        let (secret, domain_ca) = text.trim().split_once(':').ok_or(InvalidJoinToken::Halves)?;
        if domain_ca.contains(':') {
            return Err(InvalidJoinToken::Halves);
        }
        let domain_ca = bytes(domain_ca).ok_or(InvalidJoinToken::DomainCa)?;
        Ok(Self { secret: secret.parse()?, domain_ca: CertificateHash::new(*domain_ca) })
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(..)")
    }
}

/// Exactly 64 lower-case hex digits.
fn bytes(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != DIGITS {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.extend(digits.map(|digit| char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 })));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
    const PIN: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn refused(text: &str) -> InvalidJoinToken {
        text.parse::<JoinToken>().unwrap_err()
    }

    #[test]
    fn a_token_is_read_as_the_file_that_init_writes() {
        let token: JoinToken = format!("{SECRET}:{PIN}\n").parse().unwrap();
        assert_eq!(token.domain_ca.to_string(), PIN);
        assert_eq!(*token.secret.to_text(), SECRET);
        assert_eq!(*token.to_text(), format!("{SECRET}:{PIN}"));
    }

    #[test]
    fn a_token_that_is_not_whole_is_refused_by_the_half_that_is_wrong() {
        use InvalidJoinToken::{DomainCa, Halves, Secret};
        for (text, why) in [
            ("", Halves),
            (SECRET, Halves),
            (&format!("{SECRET}:{PIN}:{PIN}"), Halves),
            (&format!("{}:{PIN}", &SECRET[1..]), Secret),
            (&format!("{}:{PIN}", SECRET.to_uppercase()), Secret),
            (&format!("{SECRET} :{PIN}"), Secret),
            (&format!("{SECRET}:{}", &PIN[..63]), DomainCa),
            (&format!("{SECRET}:{}", PIN.to_uppercase()), DomainCa),
            (":", DomainCa),
        ] {
            assert_eq!(refused(text), why, "{text}");
        }
    }

    #[test]
    fn rule_23_only_the_secret_whose_hash_is_stored_is_that_of_the_fact() {
        let stored = SecretHash::of(SECRET.as_bytes());
        let secret: JoinSecret = SECRET.parse().unwrap();
        assert!(secret.is_that_of(&stored));
        assert_eq!(secret.hash(), stored);
        assert!(!JoinSecret::new([7; 32]).is_that_of(&stored));
        for bit in 0..256 {
            let mut near = *stored.as_bytes();
            near[bit / 8] ^= 1 << (bit % 8);
            assert!(!secret.is_that_of(&SecretHash::new(near)), "{bit}");
        }
    }

    #[test]
    fn rule_23_the_secret_shows_neither_in_debug_nor_in_an_error() {
        let token: JoinToken = format!("{SECRET}:{PIN}").parse().unwrap();
        let told = format!("{token:?} {}", refused(&format!("{SECRET}:{}", &PIN[..9])));
        assert!(told.contains("JoinSecret(..)") && !told.contains(&SECRET[..8]), "{told}");
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic_and_what_is_read_is_written_alike(text in "[0-9a-fA-F:\\s\u{e9}]{120,140}|[0-9a-f]{64}:[0-9a-f]{64}|.*") {
            if let Ok(token) = text.parse::<JoinToken>() {
                prop_assert_eq!(&**token.to_text(), text.trim());
            }
        }

        #[test]
        fn every_secret_is_read_back(secret: [u8; 32], pin: [u8; 32]) {
            let token = JoinToken { secret: JoinSecret::new(secret), domain_ca: CertificateHash::new(pin) };
            let read: JoinToken = token.to_text().parse().unwrap();
            prop_assert!(read.secret.is_that_of(&token.secret.hash()));
            prop_assert_eq!(read.domain_ca, token.domain_ca);
        }
    }
}
