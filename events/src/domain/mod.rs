//! The life of the domain itself: created once, with its log; restored when most of its journals are lost ([`restore()`]).
//! Join tokens and erased remarks are its facts too.
//!
//! Not here: the domain CA's key, which never enters the log (design §7).

use serde::{Deserialize, Serialize};

use crate::level::Level;
use crate::vocabulary::{
    Der, Digest, DomainId, JoinTokenId, JournalId, LogId, OperatorId, Overlay, RemarkHash, SecretHash,
    Timestamp,
};

mod restore;

pub use restore::{Restore, RestoreRejection, restore};

/// A fact about the domain. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The first fact of every log.
    #[serde(rename = "DomainCreated")]
    Created(Created),
    /// An operator, or `init`, allowed one journal to join.
    JoinTokenCreated {
        /// How people name the token.
        token_id: JoinTokenId,
        /// SHA-256 of its secret; the secret is nowhere (R23).
        secret_sha256: SecretHash,
        /// From then on it opens nothing.
        expires_at: Timestamp,
    },
    /// A personal remark was erased from an earlier fact (R4).
    RemarkErased {
        /// The fact that keeps the hash.
        seq: u64,
        /// The hash of what was erased.
        remark: RemarkHash,
    },
    /// Nodes in no vCluster are configured by this overlay from here on.
    #[serde(rename = "DomainDefaultSet")]
    DefaultSet {
        /// Which.
        overlay: Overlay,
    },
    /// A journal came by a join token; in one append with its Joining ([`crate::member`]).
    JoinTokenConsumed {
        /// SHA-256 of the token's secret.
        secret_sha256: SecretHash,
        /// The journal.
        journal: JournalId,
    },
    /// From here on facts of this format level may be written: all voters and learners read it (R26).
    LevelRaised {
        /// Higher than before.
        level: Level,
    },
    /// The log goes on without the journals of before, of which most are lost; nothing that they let in opens anything
    /// any more (R27).
    #[serde(rename = "DomainRestored")]
    Restored(Restored),
}

/// What is said of a restored domain. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The last fact of before: what was recorded behind it, if anything was, is lost.
    pub restored_seq: u64,
    /// The link of the chain up to there.
    pub restored_head: Digest,
    /// The only journal from here on.
    pub founder: JournalId,
    /// Its number in Raft, which nobody had.
    pub raft_id: u64,
    /// The one operator who may go on, with a new certificate.
    pub operator: OperatorId,
}

/// What is said of a new domain. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its name.
    pub domain_id: DomainId,
    /// The identity of its log.
    pub log_id: LogId,
    /// The certificate of its domain CA, by which everybody trusts servers.
    pub domain_ca: Der,
    /// The first journal.
    pub founder: JournalId,
}

/// What is known of the domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// The log is empty.
    #[default]
    Unknown,
    /// It exists.
    Created(Created),
}

/// An order about the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begin.
    Create(Created),
    /// Allow one journal to join.
    CreateJoinToken {
        /// A fresh id.
        token_id: JoinTokenId,
        /// SHA-256 of the secret.
        secret_sha256: SecretHash,
        /// When it ends.
        expires_at: Timestamp,
        /// At this time.
        now: Timestamp,
    },
    /// Erase a remark.
    EraseRemark {
        /// The fact.
        seq: u64,
        /// The hash in it.
        remark: RemarkHash,
        /// Whether the fact holds this hash; the log knows.
        held: bool,
    },
}

/// Why an order about the domain is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is a domain in this log.
    #[error("the log has a domain already")]
    AlreadyCreated,
    /// There is none yet.
    #[error("the log has no domain yet")]
    NotCreated,
    /// The token would be born dead.
    #[error("the token would expire before it exists")]
    ExpiresInThePast,
    /// The fact holds no such remark.
    #[error("the fact {seq} holds no such remark")]
    NoSuchRemark {
        /// The fact.
        seq: u64,
    },
}

/// Decides a command.
pub fn decide(state: &State, command: Command) -> Result<Event, Rejection> {
    match (state, command) {
        (State::Unknown, Command::Create(created)) => Ok(Event::Created(created)),
        (State::Created(_), Command::Create(_)) => Err(Rejection::AlreadyCreated),
        (State::Unknown, Command::CreateJoinToken { .. } | Command::EraseRemark { .. }) => {
            Err(Rejection::NotCreated)
        }
        (State::Created(_), Command::CreateJoinToken { token_id, secret_sha256, expires_at, now }) => {
            if expires_at <= now {
                return Err(Rejection::ExpiresInThePast);
            }
            Ok(Event::JoinTokenCreated { token_id, secret_sha256, expires_at })
        }
        (State::Created(_), Command::EraseRemark { seq, remark, held }) => {
            if held {
                Ok(Event::RemarkErased { seq, remark })
            } else {
                Err(Rejection::NoSuchRemark { seq })
            }
        }
    }
}

/// Decides an order to set the overlay of the nodes in no vCluster, over the one that stands. None: it is so already.
///
/// # Errors
/// Before there is a domain.
pub fn set_default(
    state: &State,
    present: Option<Overlay>,
    overlay: Overlay,
) -> Result<Option<Event>, Rejection> {
    match state {
        State::Unknown => Err(Rejection::NotCreated),
        State::Created(_) => Ok((present != Some(overlay)).then_some(Event::DefaultSet { overlay })),
    }
}

/// Decides to raise the log's level to what all members read. None: it is there already (R26).
///
/// # Errors
/// Before there is a domain.
pub fn raise_level(state: &State, present: Level, readable: Level) -> Result<Option<Event>, Rejection> {
    match state {
        State::Unknown => Err(Rejection::NotCreated),
        State::Created(_) => Ok((readable > present).then_some(Event::LevelRaised { level: readable })),
    }
}

/// Folds a fact. Total.
pub fn evolve(state: State, event: &Event) -> State {
    match event {
        Event::Created(created) => State::Created(created.clone()),
        Event::JoinTokenCreated { .. }
        | Event::RemarkErased { .. }
        | Event::DefaultSet { .. }
        | Event::JoinTokenConsumed { .. }
        | Event::LevelRaised { .. }
        | Event::Restored(_) => state,
    }
}

impl State {
    /// What was said when it was created.
    pub fn created(&self) -> Option<&Created> {
        match self {
            Self::Unknown => None,
            Self::Created(created) => Some(created),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created() -> Created {
        Created {
            domain_id: "hpc".parse().unwrap(),
            log_id: LogId::new([3; 16]),
            domain_ca: Der::new(vec![1]),
            founder: "j1".parse().unwrap(),
        }
    }

    #[test]
    fn a_log_has_one_domain() {
        let event = decide(&State::Unknown, Command::Create(created())).unwrap();
        let state = evolve(State::Unknown, &event);
        assert_eq!(state.created(), Some(&created()));
        assert_eq!(decide(&state, Command::Create(created())), Err(Rejection::AlreadyCreated));
    }

    #[test]
    fn a_join_token_must_live_and_belongs_to_a_domain() {
        let token = |expires| Command::CreateJoinToken {
            token_id: JoinTokenId::new(Timestamp::default(), 1),
            secret_sha256: SecretHash::of(b"secret"),
            expires_at: Timestamp::from_millis(expires),
            now: Timestamp::from_millis(10),
        };
        assert_eq!(decide(&State::Unknown, token(11)), Err(Rejection::NotCreated));
        assert_eq!(decide(&State::Created(created()), token(10)), Err(Rejection::ExpiresInThePast));
        assert!(decide(&State::Created(created()), token(11)).is_ok());
    }

    #[test]
    fn rule_26_a_level_is_raised_to_what_all_read_and_never_lowered() {
        let state = State::Created(created());
        let raised = |present, readable| raise_level(&state, Level::new(present), Level::new(readable));
        assert_eq!(raised(1, 2), Ok(Some(Event::LevelRaised { level: Level::SECOND })));
        assert_eq!(raised(2, 2), Ok(None));
        assert_eq!(raised(2, 1), Ok(None));
        assert_eq!(raise_level(&State::Unknown, Level::FIRST, Level::SECOND), Err(Rejection::NotCreated));
    }

    #[test]
    fn rule_04_only_a_remark_that_a_fact_holds_is_erased() {
        let erase = |held| Command::EraseRemark { seq: 7, remark: RemarkHash::of(b"x"), held };
        assert_eq!(decide(&State::Created(created()), erase(false)), Err(Rejection::NoSuchRemark { seq: 7 }));
        assert!(decide(&State::Created(created()), erase(true)).is_ok());
    }
}
