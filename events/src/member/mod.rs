//! The life of one journal as a member of the quorum: it joins as a learner, votes, is evicted (design §7).
//!
//! The founder is a member by the fact that created the domain, and votes from then on; all others come by a join token
//! and their own key, by which the way in can be gone again after a lost answer. The journals decide with it at the
//! cluster's and the operators' listeners; `replay` checks logs with it.
//!
//! Not here: the membership of Raft, which the leader brings into line with these facts, and keys and certificates, of
//! which only hashes are told.
//!
//! **Invariant:** the name of an evicted journal and the Raft id of any journal are never given again (R27).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain;
use crate::fact::Fact;
use crate::vocabulary::{CertificateHash, JournalId, KeyHash, RemarkHash, SecretHash, Timestamp};

mod decide;
#[cfg(test)]
mod tests;

pub use decide::decide;

/// Who has not become a voter this long after its Joining is given up (§7).
pub const JOINING_FOR: Duration = Duration::from_secs(600);

/// The Raft id of the journal that created the domain.
pub const FOUNDER_RAFT_ID: u64 = 1;

/// The longest endpoint in bytes: a host name has 253 (RFC 1035), the rest is for scheme and port.
pub const MAX_ENDPOINT: usize = 300;

/// Where a journal listens, as others reach it. **Stored** (R6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// For the other journals: `HOST:PORT`.
    pub cluster: String,
    /// For agents: `https://HOST:PORT`.
    pub agent: String,
    /// For operators: `https://HOST:PORT`.
    pub operator: String,
}

/// A fact about one journal. **Stored** (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It was let in and learns the log; it does not vote yet. In one append with the consumption of its token.
    #[serde(rename = "JournalJoining")]
    Joining {
        /// Its number in Raft.
        raft_id: u64,
        /// Where it listens.
        endpoints: Endpoints,
        /// Its server certificate.
        certificate: CertificateHash,
        /// Its key, by which it may ask again.
        key: KeyHash,
        /// The token by which it came: SHA-256 of the secret.
        token: SecretHash,
    },
    /// It votes.
    #[serde(rename = "JournalJoined")]
    Joined,
    /// It is no member any more, nor ever again: an operator's order, or it had not joined for [`JOINING_FOR`].
    #[serde(rename = "JournalEvicted")]
    Evicted {
        /// What was said.
        reason: Option<RemarkHash>,
    },
    /// It listens elsewhere or has another server certificate; of the founder also the first time.
    #[serde(rename = "JournalAnnounced")]
    Announced {
        /// Where it listens.
        endpoints: Endpoints,
        /// Its server certificate.
        certificate: CertificateHash,
    },
}

/// What is known of one journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// No fact tells of it.
    #[default]
    Unknown,
    /// It belongs to the quorum.
    Member(Member),
    /// It belonged to it.
    Evicted {
        /// Its number in Raft, which nobody gets again (R27).
        raft_id: u64,
    },
}

/// A journal that belongs to the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number in Raft.
    pub raft_id: u64,
    /// Whether it votes.
    pub standing: Standing,
    /// Where it listens. None: the founder has not said yet.
    pub endpoints: Option<Endpoints>,
    /// Its server certificate. None: the founder has not said yet.
    pub certificate: Option<CertificateHash>,
    /// The key with which it joined. None: the founder joined nobody.
    pub key: Option<KeyHash>,
}

/// Whether a member votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Not yet.
    Joining {
        /// When it was let in.
        since: Timestamp,
    },
    /// It does.
    Joined,
}

/// An order about one journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let it in by a token.
    Join {
        /// Where it listens.
        endpoints: Endpoints,
        /// The server certificate that it would get.
        certificate: CertificateHash,
        /// Its key.
        key: KeyHash,
        /// The token that it presented.
        token: TokenClaim,
        /// The next Raft id.
        raft_id: u64,
        /// At this time.
        now: Timestamp,
    },
    /// It has caught up and votes.
    Confirm,
    /// It says where it listens and what its server certificate is.
    Announce {
        /// Where it listens.
        endpoints: Endpoints,
        /// Its server certificate.
        certificate: CertificateHash,
    },
    /// Take it out.
    Evict {
        /// What was said.
        reason: Option<RemarkHash>,
        /// Whether it is the only one that votes.
        last: bool,
    },
    /// Take it out if it did not become a voter in time.
    GiveUp {
        /// At this time.
        now: Timestamp,
    },
}

/// A join token as its presenter's request meets it: what the views know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaim {
    /// SHA-256 of the presented secret.
    pub secret_sha256: SecretHash,
    /// What is known of it.
    pub state: TokenState,
}

/// What is known of a join token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenState {
    /// No fact tells of it.
    Unknown,
    /// It was created before the domain was restored, and opens nothing any more (R27).
    Void,
    /// It was created.
    Created {
        /// From then on it opens nothing.
        expires_at: Timestamp,
        /// The journal that came by it.
        consumed_by: Option<JournalId>,
    },
}

/// Why an order about a journal is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// `TOKEN_UNKNOWN`
    #[error("no such join token")]
    TokenUnknown,
    /// `TOKEN_EXPIRED`
    #[error("the join token has expired; create another one")]
    TokenExpired,
    /// `TOKEN_CONSUMED`
    #[error("another journal has joined by this token; create another one")]
    TokenConsumed,
    /// `JOURNAL_ALREADY_EXISTS`: another key holds the name.
    #[error("there is a journal of this name with another key; choose another --journal-id")]
    AlreadyExists,
    /// `JOURNAL_ALREADY_EXISTS`: it votes, and this is its key.
    #[error(
        "the journal of this name votes already, and this is its key: serve its own data directory; another journal needs another \
         --journal-id, and a --data-dir beside which no DIR.joining lies"
    )]
    VotesAlready,
    /// `JOURNAL_ALREADY_EXISTS`: the name belonged to an evicted journal.
    #[error(
        "a journal of this name was evicted, and a name is never used again; choose another --journal-id"
    )]
    NameUsed,
    /// `JOURNAL_NOT_FOUND`
    #[error("no such journal")]
    NotFound,
    /// `JOURNAL_EVICTED`
    #[error("the journal was evicted")]
    Evicted,
    /// `LAST_JOURNAL`: afterwards nobody could decide anything.
    #[error("this is the last journal that votes; add another one first")]
    LastJournal,
    /// `ENDPOINT_INVALID`
    #[error("an endpoint has 1 to {MAX_ENDPOINT} visible ASCII characters")]
    EndpointInvalid,
}

impl Event {
    /// The facts to append: the event, and before a Joining the consumption of its token, in one append (R2).
    pub fn into_facts(self, journal: &JournalId) -> Vec<Fact> {
        let consumed = match &self {
            Self::Joining { token, .. } => Some(Fact::Domain(domain::Event::JoinTokenConsumed {
                secret_sha256: *token,
                journal: journal.clone(),
            })),
            Self::Joined | Self::Evicted { .. } | Self::Announced { .. } => None,
        };
        consumed.into_iter().chain([Fact::Member(journal.clone(), self)]).collect()
    }
}

/// Folds a recorded fact. Total.
pub fn evolve(state: State, event: &Event, recorded_at: Timestamp) -> State {
    match (state, event) {
        (State::Unknown, Event::Joining { raft_id, endpoints, certificate, key, .. }) => {
            State::Member(Member {
                raft_id: *raft_id,
                standing: Standing::Joining { since: recorded_at },
                endpoints: Some(endpoints.clone()),
                certificate: Some(*certificate),
                key: Some(*key),
            })
        }
        (State::Member(member), Event::Joined) => {
            State::Member(Member { standing: Standing::Joined, ..member })
        }
        (State::Member(member), Event::Announced { endpoints, certificate }) => State::Member(Member {
            endpoints: Some(endpoints.clone()),
            certificate: Some(*certificate),
            ..member
        }),
        (state @ State::Member(_), Event::Evicted { .. }) => state.ended(),
        // What does not fit changes nothing: above all, nothing brings an evicted journal back.
        (state @ (State::Member(_) | State::Evicted { .. }), Event::Joining { .. })
        | (
            state @ (State::Unknown | State::Evicted { .. }),
            Event::Joined | Event::Evicted { .. } | Event::Announced { .. },
        ) => state,
    }
}

impl State {
    /// The journal that created the domain, or restored it: it votes from that fact on.
    pub const fn founder(raft_id: u64) -> Self {
        Self::Member(Member {
            raft_id,
            standing: Standing::Joined,
            endpoints: None,
            certificate: None,
            key: None,
        })
    }

    /// It is no member any more, nor ever again: it was evicted, or the domain was restored without it (R27).
    #[must_use]
    pub fn ended(self) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Member(Member { raft_id, .. }) | Self::Evicted { raft_id } => Self::Evicted { raft_id },
        }
    }

    /// The member, unless it was evicted or never was one.
    pub const fn member(&self) -> Option<&Member> {
        match self {
            Self::Member(member) => Some(member),
            Self::Unknown | Self::Evicted { .. } => None,
        }
    }

    /// Its number in Raft, also after it was evicted.
    pub const fn raft_id(&self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Member(Member { raft_id, .. }) | Self::Evicted { raft_id } => Some(*raft_id),
        }
    }
}

impl Member {
    /// Whether it votes.
    pub const fn votes(&self) -> bool {
        match self.standing {
            Standing::Joined => true,
            Standing::Joining { .. } => false,
        }
    }

    /// Whether it has been joining for so long that it is given up.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        match self.standing {
            Standing::Joined => false,
            Standing::Joining { since } => now.since(since) >= JOINING_FOR,
        }
    }
}

impl Endpoints {
    /// Whether each is a text that may be stored: not empty, of at most [`MAX_ENDPOINT`] visible ASCII characters.
    pub fn are_storable(&self) -> bool {
        [&self.cluster, &self.agent, &self.operator].into_iter().all(|endpoint| {
            (1..=MAX_ENDPOINT).contains(&endpoint.len())
                && endpoint.bytes().all(|byte| byte.is_ascii_graphic())
        })
    }
}
