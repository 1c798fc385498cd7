//! The life of one authority: the ephemeral CA of one journal process (R9). Announced, later retired.
//!
//! Its key lives in that process's memory only; here is its public side. `journal::authority` holds the key.
//!
//! **Invariant:** a certificate is signed only by an authority that was announced before and is not retired.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::vocabulary::{CertificateHash, Der, JournalId, Serial, Timestamp};

/// How long an authority's certificate is valid unless configured otherwise (R9).
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(45 * 24 * 3600);

/// A fact about one authority. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It exists; committed before its first signature.
    #[serde(rename = "AuthorityAnnounced")]
    Announced(Announced),
    /// Its last certificate has expired; nobody needs its certificate any more.
    #[serde(rename = "AuthorityRetired")]
    Retired {},
}

/// What is said of a new authority. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Counts the authorities of one journal, from 1.
    pub generation: u32,
    /// The journal in whose memory the key lives.
    pub journal_id: JournalId,
    /// The serial number of its certificate.
    pub serial: Serial,
    /// The hash of its certificate.
    pub sha256: CertificateHash,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until; nothing that it signs is valid longer.
    pub not_after: Timestamp,
    /// Its self-signed certificate.
    pub der: Der,
}

/// What is known of one authority.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// No fact tells of it.
    #[default]
    Unknown,
    /// It may sign, or has signed certificates that still live.
    Announced(Announced),
    /// It is over.
    Retired(Announced),
}

/// An order about one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A journal made a key and announces its certificate.
    Announce(Announced),
    /// A journal finds that no certificate of it lives any more.
    Retire {
        /// When the last certificate that it signed ends; none if it signed none.
        last_not_after: Option<Timestamp>,
        /// Whether the process that holds its key still uses it.
        in_use: bool,
        /// At this time.
        now: Timestamp,
    },
}

/// Why an order about an authority is refused. The journal asked wrongly; no caller sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The id is in use.
    #[error("the authority is announced already")]
    AlreadyAnnounced,
    /// Nobody knows it.
    #[error("no such authority")]
    NotAnnounced,
    /// Certificates of it still live, or it still signs.
    #[error("the authority is still needed")]
    StillNeeded,
}

/// Decides a command. An empty answer: it is so already.
pub fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
    match (state, command) {
        (State::Unknown, Command::Announce(announced)) => Ok(vec![Event::Announced(announced)]),
        (State::Announced(_) | State::Retired(_), Command::Announce(_)) => Err(Rejection::AlreadyAnnounced),
        (State::Unknown, Command::Retire { .. }) => Err(Rejection::NotAnnounced),
        (State::Retired(_), Command::Retire { .. }) => Ok(vec![]),
        (State::Announced(_), Command::Retire { last_not_after, in_use, now }) => {
            let lives = last_not_after.is_some_and(|end| end > now);
            if in_use || lives { Err(Rejection::StillNeeded) } else { Ok(vec![Event::Retired {}]) }
        }
    }
}

/// Folds a fact. Total.
pub fn evolve(state: State, event: &Event) -> State {
    match (state, event) {
        (_, Event::Announced(announced)) => State::Announced(announced.clone()),
        (State::Announced(announced) | State::Retired(announced), Event::Retired {}) => {
            State::Retired(announced)
        }
        (State::Unknown, Event::Retired {}) => State::Unknown,
    }
}

impl State {
    /// It signs nothing any more, and nobody waits for what it signed: the domain was restored without its journal (R27).
    #[must_use]
    pub fn voided(self) -> Self {
        evolve(self, &Event::Retired {})
    }

    /// What was said when it was announced.
    pub fn announced(&self) -> Option<&Announced> {
        match self {
            Self::Unknown => None,
            Self::Announced(announced) | Self::Retired(announced) => Some(announced),
        }
    }

    /// Whether it may have signed a certificate at this time: announced, not retired, its own certificate valid.
    pub fn may_sign(&self, at: Timestamp) -> bool {
        match self {
            Self::Announced(announced) => announced.not_before <= at && at < announced.not_after,
            Self::Unknown | Self::Retired(_) => false,
        }
    }
}

/// Whether a journal should replace an authority now: at a third of its life (15 of 45 days, R9), so that what it
/// signs never has to live shorter than configured.
pub fn is_due_for_replacement(announced: &Announced, now: Timestamp) -> bool {
    let life = announced.not_after.since(announced.not_before);
    now.since(announced.not_before) >= life / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced() -> Announced {
        let der = Der::new(vec![1]);
        Announced {
            generation: 1,
            journal_id: "j1".parse().unwrap(),
            serial: Serial::from_random([1; 16]),
            sha256: CertificateHash::of(der.as_bytes()),
            not_before: Timestamp::from_millis(0),
            not_after: Timestamp::from_millis(45_000),
            der,
        }
    }

    fn after(commands: &[Command]) -> State {
        commands.iter().fold(State::Unknown, |state, command| {
            let events = decide(&state, command.clone()).expect("the history is allowed");
            events.iter().fold(state, evolve)
        })
    }

    fn retire(last: Option<u64>, in_use: bool) -> Command {
        let last_not_after = last.map(Timestamp::from_millis);
        Command::Retire { last_not_after, in_use, now: Timestamp::from_millis(1000) }
    }

    #[test]
    fn rule_09_an_authority_is_announced_once() {
        let state = after(&[Command::Announce(announced())]);
        assert_eq!(state, State::Announced(announced()));
        assert_eq!(decide(&state, Command::Announce(announced())), Err(Rejection::AlreadyAnnounced));
    }

    #[test]
    fn rule_09_an_authority_is_retired_when_its_last_certificate_has_expired() {
        let state = after(&[Command::Announce(announced())]);
        assert_eq!(decide(&state, retire(Some(1001), false)), Err(Rejection::StillNeeded));
        assert_eq!(decide(&state, retire(None, true)), Err(Rejection::StillNeeded));
        assert_eq!(decide(&state, retire(Some(1000), false)), Ok(vec![Event::Retired {}]));
        assert_eq!(decide(&State::Unknown, retire(None, false)), Err(Rejection::NotAnnounced));
    }

    #[test]
    fn a_retired_authority_stays_retired_and_signs_nothing() {
        let state = after(&[Command::Announce(announced()), retire(None, false)]);
        assert_eq!(decide(&state, retire(None, false)), Ok(vec![]));
        assert_eq!(decide(&state, Command::Announce(announced())), Err(Rejection::AlreadyAnnounced));
        assert!(!state.may_sign(Timestamp::from_millis(1)));
    }

    #[test]
    fn rule_09_an_authority_is_due_for_replacement_at_a_third_of_its_life() {
        assert!(!is_due_for_replacement(&announced(), Timestamp::from_millis(14_999)));
        assert!(is_due_for_replacement(&announced(), Timestamp::from_millis(15_000)));
    }
}
