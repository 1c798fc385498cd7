//! The facts of a log as they may be told: only while their bytes are sound.
//!
//! Every verb but [`crate::verify`] reads a log through [`Tale`]. The chain is checked on the way: the journal's indexes are
//! its own claims and are not believed.
//!
//! **Invariant:** what is told comes from a log whose bytes are sound from the first fact to this one.

use events::codec::Chain;
use events::fact::Record;
use events::invariants::Violation;
use events::vocabulary::Remark;

use crate::reader::{Entry, Facts, LogError, OpenError, ReadError, Reader};

/// Why a log cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// It cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The bytes of a fact are not sound.
    #[error("the log is damaged; `pact-replay verify` lists how")]
    Damaged(#[source] Violation),
}

impl From<OpenError> for TellError {
    fn from(error: OpenError) -> Self {
        Self::Log(error.into())
    }
}

impl From<ReadError> for TellError {
    fn from(error: ReadError) -> Self {
        Self::Log(error.into())
    }
}

/// One fact.
#[derive(Debug, Clone)]
pub struct Told {
    /// The fact in its envelope.
    pub record: Record,
    /// The texts beside it that were not erased.
    pub remarks: Vec<Remark>,
    /// Its link of the chain.
    pub chain: Chain,
    /// Its stored value, if it was asked for.
    pub stored: Vec<u8>,
}

/// The facts of a log, oldest first, up to the first that is not sound.
pub struct Tale<'a> {
    facts: Facts<'a>,
}

impl<'a> Tale<'a> {
    /// From the first fact on.
    pub fn of(reader: &'a Reader) -> Self {
        Self { facts: reader.facts() }
    }

    /// The same, and each fact has its stored value.
    pub fn with_bytes(reader: &'a Reader) -> Self {
        Self { facts: reader.facts().keeping_bytes() }
    }
}

impl Iterator for Tale<'_> {
    type Item = Result<Told, TellError>;

    fn next(&mut self) -> Option<Self::Item> {
        let told = self.facts.next()?.map_err(TellError::from).and_then(checked);
        Some(told)
    }
}

fn checked(entry: Entry) -> Result<Told, TellError> {
    entry.is_of_this_release()?;
    if let Some(violation) = entry.violations().next() {
        return Err(TellError::Damaged(violation));
    }
    let record = *entry.record.expect("a fact without record is damaged");
    let chain = entry.chain.expect("a fact without link is damaged");
    Ok(Told { record, remarks: entry.remarks, chain, stored: entry.stored })
}
