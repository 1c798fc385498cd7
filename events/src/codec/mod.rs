//! The stored bytes (R6): bincode behind one module, the value's layout, the chain, the keys.
//!
//! `value = chain(32) ‖ u32 len ‖ body ‖ remarks`, `body = format u8 ‖ bincode`. Written by the journal, read by the
//! journal and by `replay`. Frozen by version: the files under `events/golden` are read by every later release.
//!
//! **Invariant:** what [`encode_body`] accepts, [`decode_body`] reads back equal; both have the same limits, so that
//! bytes that a reader would refuse are never committed.

mod binary;
mod chain;
pub mod export_line;
pub mod keys;
mod shortcut;
#[cfg(test)]
mod tests;
mod value;

pub use binary::{DecodeError, EncodeError, decode, encode};
pub use chain::Chain;
pub use value::{Outline, StoredValue, decode_body, decode_body_up_to, encode_body, outline};
