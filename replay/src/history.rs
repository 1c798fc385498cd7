//! The history of one node: every fact that lies in its stream, as recorded.
//!
//! `pact-replay history` calls it. All facts of the log are read and the chain is checked on the way: the journal's
//! index of subjects is its own claim and is not believed.
//!
//! **Invariant:** what is told comes from a log whose bytes are sound from the first fact to the last.

use std::path::Path;

use events::codec::Chain;
use events::fact::Record;
use events::invariants::Violation;
use events::stream::StreamName;
use events::vocabulary::{NodeId, Remark};

use crate::reader::{OpenError, ReadError, Reader};

/// Why a history cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// `NODE_NOT_FOUND`
    #[error("no fact tells of {node_id}")]
    NodeNotFound {
        /// Who was asked for.
        node_id: NodeId,
    },
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The log cannot be read to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A later release wrote the log (R26).
    #[error("fact {seq} has format {format}, which is not known to this release; upgrade")]
    LaterFormat {
        /// The first such fact.
        seq: u64,
        /// Its format.
        format: u8,
    },
    /// The bytes of a fact are not sound, of whatever node it tells.
    #[error("the log is damaged; `pact-replay verify` lists how")]
    Damaged(#[source] Violation),
}

/// One fact of a history.
#[derive(Debug, Clone)]
pub struct Told {
    /// The fact in its envelope.
    pub record: Record,
    /// The texts beside it that were not erased.
    pub remarks: Vec<Remark>,
    /// Its link of the chain.
    pub chain: Chain,
}

/// The facts of a node, oldest first.
pub fn history(data_dir: &Path, node_id: &NodeId) -> Result<Vec<Told>, HistoryError> {
    let stream = StreamName::Node(node_id.clone());
    let mut told = vec![];
    for entry in Reader::open(data_dir)?.facts() {
        let entry = entry?;
        if let Some(format) = entry.later_format() {
            return Err(HistoryError::LaterFormat { seq: entry.seq, format });
        }
        if let Some(violation) = entry.violations().next() {
            return Err(HistoryError::Damaged(violation));
        }
        if let (Some(record), Some(chain)) = (entry.record, entry.chain)
            && record.version_of(&stream).is_some()
        {
            told.push(Told { record, remarks: entry.remarks, chain });
        }
    }
    if told.is_empty() { Err(HistoryError::NodeNotFound { node_id: node_id.clone() }) } else { Ok(told) }
}
