//! Who checks: `pact-replay` reads a log with its own reader, and by the stored bytes alone.
//!
//! | module | does |
//! |---|---|
//! | [`reader`] | takes the facts from a journal's data directory, or from an exported file |
//! | [`told`] | lets them be told as long as they are sound |
//! | [`verify`] | checks the chain and every invariant after every fact |
//! | [`against`] | compares the bytes of two logs |
//! | [`state`] | shows all views at a point of the log |
//! | [`diff`] | compares two such points |
//! | [`history`] | tells what happened to a node or a certificate |
//! | [`explain`] | tells all about one fact, in words |
//! | [`export`] | writes facts for other tools |
//! | [`command`] | is the command line |
//!
//! Not here, on purpose: anything of the journal. That this crate uses `events` only is the proof that the stored
//! bytes suffice (design §2).
//!
//! **Invariant:** nothing is ever written, locked or created beside the log; a journal may run meanwhile.

pub mod against;
pub mod command;
mod continuity;
pub mod diff;
pub mod explain;
pub mod export;
mod fact_text;
pub mod history;
pub mod mentions;
mod pem_text;
pub mod point;
pub mod reader;
mod sentence;
pub mod state;
pub mod told;
pub mod verify;
