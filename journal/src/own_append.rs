//! Appends that the journal makes by itself: when it is founded, and about its authorities.

use events::append::Append;
use events::fact::Fact;
use events::stream::{StreamName, StreamVersion};
use events::vocabulary::{JournalId, Principal, Timestamp};

use crate::log::{Log, ReadError};
use crate::random::{self, RandomError};

/// Why an append could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OwnAppendError {
    /// The log cannot be read.
    #[error("the log could not be read")]
    Read(#[from] ReadError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// An append of the journal's own facts. `reads`: what the decision depended on besides the streams of the facts;
/// both with the versions that they have now, so decide on views taken after this call or while nobody else writes.
pub fn own_append(
    log: &Log,
    journal: &JournalId,
    facts: Vec<Fact>,
    reads: &[StreamName],
    now: Timestamp,
) -> Result<Append, OwnAppendError> {
    let mut names: Vec<StreamName> =
        facts.iter().flat_map(Fact::streams).chain(reads.iter().cloned()).collect();
    names.sort();
    names.dedup();
    let expects = names
        .into_iter()
        .map(|name| log.version(&name).map(|version| StreamVersion { name, version }))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Append {
        append_id: random::append_id()?,
        decided_at: now,
        principal: Principal::Journal(journal.clone()),
        proposed_by: journal.clone(),
        source: None,
        assurance: None,
        expects,
        facts,
        remarks: vec![],
    })
}
