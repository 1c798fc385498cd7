//! Keeps the authority's key inside the process (R9): no core dump, no debugger of the same user, no swap.
//!
//! What the system refuses is a warning: a journal on a machine with swap is worse, not wrong.

use rustix::fs::Mode;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

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
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps could not be forbidden");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process could not be made undumpable");
    }
    // Whatever is made is for its owner only; files that others may read say so themselves.
    umask(Mode::from_raw_mode(0o077));
    lock_memory();
}

/// Only without a limit: with one, a later allocation beyond it would fail and end the process.
fn lock_memory() {
    if getrlimit(Resource::Memlock).current.is_some() {
        tracing::warn!(
            "memory is not locked, because the limit of locked memory is finite: keys may get into swap"
        );
        return;
    }
    // Only pages in use: to lock whole thread stacks would cost memory for nothing.
    if let Err(error) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        tracing::warn!(%error, "memory could not be locked: keys may get into swap");
    }
}
