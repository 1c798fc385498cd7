//! The history of one node, or of one certificate: every fact that tells of it, as recorded.
//!
//! `pact-replay history` calls it. All facts of the log are read ([`crate::told`]).
//!
//! **Invariant:** what is told comes from a log whose bytes are sound from the first fact to the last.

use std::path::Path;

use events::fact::Record;
use events::stream::StreamName;
use events::vocabulary::{NodeId, Serial};

use crate::mentions;
use crate::reader::Reader;
use crate::told::{Tale, TellError, Told};

/// Why a history cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// `NODE_NOT_FOUND`
    #[error("no fact tells of {node_id}")]
    NodeNotFound {
        /// Who was asked for.
        node_id: NodeId,
    },
    /// `SERIAL_NOT_FOUND`
    #[error("no fact names a certificate with the serial number {serial}")]
    SerialNotFound {
        /// What was asked for.
        serial: Serial,
    },
    /// The log cannot be told.
    #[error(transparent)]
    Log(#[from] TellError),
}

/// The facts of a node, oldest first.
///
/// # Errors
/// If there is none, or the log is not sound.
pub fn history(data_dir: &Path, node_id: &NodeId) -> Result<Vec<Told>, HistoryError> {
    let stream = StreamName::Node(node_id.clone());
    let told = collect(data_dir, |record| record.version_of(&stream).is_some())?;
    if told.is_empty() { Err(HistoryError::NodeNotFound { node_id: node_id.clone() }) } else { Ok(told) }
}

/// The facts that name a certificate, oldest first: its issuance, confirmation, supersession, revocation.
///
/// # Errors
/// If there is none, or the log is not sound.
pub fn of_serial(data_dir: &Path, serial: Serial) -> Result<Vec<Told>, HistoryError> {
    let told = collect(data_dir, |record| mentions::serials(&record.fact).contains(&serial))?;
    if told.is_empty() { Err(HistoryError::SerialNotFound { serial }) } else { Ok(told) }
}

fn collect(data_dir: &Path, tells: impl Fn(&Record) -> bool) -> Result<Vec<Told>, TellError> {
    let reader = Reader::open(data_dir)?;
    Tale::of(&reader).filter(|told| told.as_ref().map_or(true, |told| tells(&told.record))).collect()
}
