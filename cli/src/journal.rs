//! `pact journal …`: the journals of the quorum. One file a verb.
//!
//! `main` runs the verb that the command line names.
//!
//! Not here, on purpose: joining itself; the new journal does it (`pact-journal join`).
//!
//! **Invariant:** the secret of a join token is printed once, to stdout, and is in no other output.

mod evict;
mod join_token;
mod members;
mod transfer_leader;

use std::fmt;

use clap::Subcommand;
use events::vocabulary::Timestamp;
use proto::{convert::moment, outcome::Failure, pb};
use serde::Serialize;

use crate::{answer::Answer, connection::Journals};

const EXAMPLES: &str = "\
Examples:
  pact journal members
  pact journal join-token create --expires 1h
  pact journal evict j3";

/// What to do with the journals of the quorum.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Verb {
    /// Show the journals that are or were in the quorum
    Members(members::Members),
    /// The tokens by which journals join
    #[command(subcommand)]
    JoinToken(join_token::Verb),
    /// Take a journal out of the quorum for good
    Evict(evict::Evict),
    /// Make another voter the leader
    TransferLeader(transfer_leader::TransferLeader),
}

impl Verb {
    /// Asks a journal for it.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        match self {
            Self::Members(members) => members.run(journals).await,
            Self::JoinToken(verb) => verb.run(journals).await,
            Self::Evict(evict) => evict.run(journals).await,
            Self::TransferLeader(transfer) => transfer.run(journals).await,
        }
    }
}

/// A journal as `-o json` prints it. Every field is always there; null: unknown to the journal that answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MemberJson {
    /// The name.
    pub journal_id: String,
    /// Its number in Raft.
    pub raft_id: u64,
    /// `joining`, `learner`, `voter` or `evicted`.
    pub standing: String,
    /// Whether it leads.
    pub leader: bool,
    /// Where it listens for journals.
    pub cluster: Option<String>,
    /// Where it listens for agents.
    pub agent: Option<String>,
    /// Where it listens for operators.
    pub operator: Option<String>,
    /// The last fact that it has applied.
    pub applied_seq: Option<u64>,
    /// How many entries of Raft it is behind the leader.
    pub lag: Option<u64>,
    /// Until when its server certificate is valid.
    pub certificate_not_after: Option<Timestamp>,
    /// How long ago it was heard of.
    pub last_heard_ms: Option<u64>,
    /// The release that it runs.
    pub version: Option<String>,
    /// The format level up to which it reads facts.
    pub format_level: Option<u32>,
    /// How many certificates ended with its eviction; only if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

/// A new join token as `-o json` prints it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct JoinTokenJson {
    /// The token, for `pact-journal join --join-token`.
    pub token: String,
    /// How people name it.
    pub token_id: String,
    /// From then on it opens nothing.
    pub expires_at: Timestamp,
}

impl fmt::Debug for JoinTokenJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinTokenJson({})", self.token_id)
    }
}

/// Reads the journal of a journal's answer.
fn readable(wire: Option<pb::Member>) -> Result<MemberJson, Failure> {
    let wire = wire.ok_or_else(|| Failure::other("the journal's answer holds no journal"))?;
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    let not_after = wire.certificate_not_after.as_ref().map(moment::from_wire).transpose();
    let certificate_not_after = not_after.map_err(|_| {
        Failure::other(format!(
            "the journal's answer about journal `{}` has no readable certificate_not_after",
            wire.journal_id
        ))
    })?;
    Ok(MemberJson {
        journal_id: wire.journal_id,
        raft_id: wire.raft_id,
        standing: wire.standing,
        leader: wire.leader,
        cluster: said(wire.cluster_endpoint),
        agent: said(wire.agent_endpoint),
        operator: said(wire.operator_endpoint),
        applied_seq: wire.applied_seq,
        lag: wire.lag,
        certificate_not_after,
        last_heard_ms: wire.last_heard_ms,
        version: wire.version,
        format_level: wire.format_level,
        revoked: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_journal_is_null() {
        let wire = pb::Member { journal_id: "j2".to_owned(), raft_id: 2, ..pb::Member::default() };
        let read = readable(Some(wire)).unwrap();
        let expected = MemberJson { journal_id: "j2".to_owned(), raft_id: 2, ..MemberJson::default() };
        assert_eq!(read, expected);
    }

    #[test]
    fn an_answer_without_its_journal_or_with_an_impossible_time_is_told() {
        assert_eq!(readable(None).unwrap_err().to_string(), "the journal's answer holds no journal");
        let never = prost_types::Timestamp { seconds: -1, nanos: 0 };
        let wire = pb::Member { certificate_not_after: Some(never), ..pb::Member::default() };
        assert!(readable(Some(wire)).unwrap_err().to_string().contains("certificate_not_after"));
    }

    #[test]
    fn rule_23_a_join_token_is_not_in_what_is_told_of_it_for_debugging() {
        let made = JoinTokenJson {
            token: "secret:pin".to_owned(),
            token_id: "01J".to_owned(),
            expires_at: Timestamp::default(),
        };
        assert_eq!(format!("{made:?}"), "JoinTokenJson(01J)");
    }
}
