//! Keeps what a process holds in memory inside it (R9): no core dump, no debugger of the same user, no swap.
//!
//! `pact-journal` and `pact-agent` call [`apply`] before they make or read a key. What the system refuses is a warning:
//! on a machine with swap that is worse, not wrong.
//!
//! The whole memory is locked, not the pages of keys alone: libraries copy keys (ring, rustls, and what encodes them),
//! and nobody says where to. Locked is only what is in use (`MCL_ONFAULT`): whole thread stacks would cost memory for
//! nothing.
//!
//! Not here, on purpose: the limit of open files, which is no secret's business; wiping keys, which their owners do.
//!
//! **Invariant:** no allocation fails for want of a limit: memory is locked only where no limit of locked memory counts.

use rustix::{
    io,
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
    thread::{CapabilitySet, capabilities},
};

/// Forbids core dumps and debuggers, and locks memory, as far as the system permits.
pub fn apply() {
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps could not be forbidden");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process could not be made undumpable");
    }
    lock_memory();
}

fn lock_memory() {
    if !may_lock_everything() {
        tracing::warn!(
            "memory is not locked, because the limit of locked memory is finite: keys may get into swap"
        );
        return;
    }
    if let Err(error) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        tracing::warn!(%error, "memory could not be locked: keys may get into swap");
    }
}

/// With a limit, a later allocation beyond it would fail and end the process. It does not count for who may lock memory
/// at will (`CAP_IPC_LOCK`), as root may; who may raise it, does.
fn may_lock_everything() -> bool {
    let limit = getrlimit(Resource::Memlock);
    let at_will = capabilities(None).is_ok_and(|granted| granted.effective.contains(CapabilitySet::IPC_LOCK));
    at_will || limit.current.is_none() || raised(limit).is_ok()
}

fn raised(limit: Rlimit) -> io::Result<()> {
    match limit.maximum {
        Some(_) => Err(io::Errno::PERM),
        None => setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None }),
    }
}
