//! The join tokens, by the hash of their secret: until when they open the quorum to a journal, and to which one they did.
//!
//! **Invariant:** none is ever forgotten: a consumed token stays consumed.

use std::collections::BTreeMap;

use crate::domain::Event;
use crate::fact::Record;
use crate::member::TokenState;
use crate::stream::StreamName;
use crate::vocabulary::{JoinTokenId, JournalId, SecretHash, Timestamp};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinTokens(BTreeMap<SecretHash, JoinToken>);

/// One token as the view knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// How people name it.
    pub token_id: JoinTokenId,
    /// When it was created.
    pub created_at: Timestamp,
    /// From then on it opens nothing.
    pub expires_at: Timestamp,
    /// The journal that came by it.
    pub consumed_by: Option<JournalId>,
    /// Whether the domain was restored since, so that it opens nothing any more (R27).
    pub void: bool,
    /// The version of its stream.
    pub version: u64,
}

impl JoinTokens {
    /// A token by the hash of its secret.
    pub fn get(&self, secret: &SecretHash) -> Option<&JoinToken> {
        self.0.get(secret)
    }

    /// All tokens, by hash.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretHash, &JoinToken)> {
        self.0.iter()
    }

    /// What is known of a token.
    pub fn state(&self, secret: &SecretHash) -> TokenState {
        match self.get(secret) {
            None => TokenState::Unknown,
            Some(token) if token.void => TokenState::Void,
            Some(token) => {
                TokenState::Created { expires_at: token.expires_at, consumed_by: token.consumed_by.clone() }
            }
        }
    }

    pub(super) fn fold(&mut self, event: &Event, record: &Record) {
        match event {
            Event::JoinTokenCreated { token_id, secret_sha256, expires_at } => {
                let version = record.version_of(&StreamName::Join(*secret_sha256)).unwrap_or(0);
                let (created_at, expires_at) = (record.recorded_at, *expires_at);
                let (token_id, consumed_by, void) = (*token_id, None, false);
                let token = JoinToken { token_id, created_at, expires_at, consumed_by, void, version };
                self.0.entry(*secret_sha256).or_insert(token);
            }
            Event::Restored(_) => self.0.values_mut().for_each(|token| token.void = true),
            Event::JoinTokenConsumed { secret_sha256, journal } => {
                // No sound log consumes what was never created; the auditor says so.
                let Some(token) = self.0.get_mut(secret_sha256) else { return };
                token.version = record.version_of(&StreamName::Join(*secret_sha256)).unwrap_or(token.version);
                token.consumed_by = Some(journal.clone());
            }
            Event::Created(_)
            | Event::RemarkErased { .. }
            | Event::DefaultSet { .. }
            | Event::LevelRaised { .. } => {}
        }
    }
}
