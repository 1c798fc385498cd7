//! How many connections each listener may have open: each is a file, and the log needs files too.
//!
//! **Invariant:** operators get in when agents are too many.

use crate::grpc::Limits;
use crate::http;

/// Files that are not connections of agents or operators: the database keeps at most 256 open.
const OWN_FILES: usize = 400 + http::CONNECTIONS;

/// Shares the open files: the log, threads and listeners first, then operators, who must get in when agents are too
/// many.
pub fn shared(open_files: u64) -> (Limits, Limits) {
    let files = usize::try_from(open_files).unwrap_or(usize::MAX).min(1 << 20);
    let operators = (files / 16).clamp(8, 256);
    let agents = files.saturating_sub(OWN_FILES + operators).max(8);
    let agents = Limits { open: agents, anonymous: (agents / 2).min(2048) };
    (agents, Limits { open: operators, anonymous: operators / 4 })
}
