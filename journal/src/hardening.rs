//! What a journal asks of the system for itself: files for its owner only, memory that stays inside
//! ([`proto::hardening`], R9), as many open files as there may be.
//!
//! What the system refuses is a warning: a journal on such a machine is worse, not wrong.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// Lets the process have as many open files as the system permits: each connection is one, and a log that cannot open
/// its next file is broken.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}

/// Before any key is made.
pub fn apply() {
    proto::hardening::apply();
    // Whatever is made is for its owner only; files that others may read say so themselves.
    umask(Mode::from_raw_mode(0o077));
}
