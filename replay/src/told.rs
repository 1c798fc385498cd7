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

use crate::reader::{Entry, Facts, OpenError, ReadError, Reader};

/// Why a log cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read further.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A later release wrote it (R26).
    #[error("fact {seq} has format {format}, which is not known to this release; upgrade")]
    LaterFormat {
        /// The first such fact.
        seq: u64,
        /// Its format.
        format: u8,
    },
    /// The bytes of a fact are not sound.
    #[error("the log is damaged; `pact-replay verify` lists how")]
    Damaged(#[source] Violation),
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
}

impl Iterator for Tale<'_> {
    type Item = Result<Told, TellError>;

    fn next(&mut self) -> Option<Self::Item> {
        let told = self.facts.next()?.map_err(TellError::from).and_then(checked);
        Some(told)
    }
}

fn checked(entry: Entry) -> Result<Told, TellError> {
    if let Some(format) = entry.later_format() {
        return Err(TellError::LaterFormat { seq: entry.seq, format });
    }
    if let Some(violation) = entry.violations().next() {
        return Err(TellError::Damaged(violation));
    }
    let record = entry.record.expect("a fact without record is damaged");
    let chain = entry.chain.expect("a fact without link is damaged");
    Ok(Told { record, remarks: entry.remarks, chain })
}
