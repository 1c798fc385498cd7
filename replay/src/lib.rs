//! Who checks: `pact-replay` reads a log with its own reader, and by the stored bytes alone.
//!
//! [`reader`] takes the facts from a journal's data directory, [`verify`] checks the chain and every invariant after
//! every fact, [`history`] tells what happened to one node. [`command`] is the command line.
//!
//! Not here, on purpose: anything of the journal. That this crate uses `events` only is the proof that the stored
//! bytes suffice (design §2).
//!
//! **Invariant:** nothing is ever written, locked or created beside the log; a journal may run meanwhile.

pub mod command;
mod fact_text;
pub mod history;
pub mod reader;
pub mod verify;
