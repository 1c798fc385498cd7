//! A new agent takes the place of this one, as the same process, with the same key and certificate.
//!
//! `init::live` calls [`replace`] when it is asked to; the new agent calls [`take`] before anything else. What it needs to
//! know goes through sealed memory that is its stdin: it has no name, lies on no disk, and is gone when stdin is something
//! else. All other files are closed by the kernel.
//!
//! Not here, on purpose: what is handed over ([`crate::session`]); processes that the agent started, which stay children of
//! this process, but of which the new agent only hears when they end.
//!
//! **Invariant:** nothing else is taken for a session: stdin must be memory that nobody can write any more.

use std::{
    env,
    fs::File,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create},
    stdio::stdin,
};
use zeroize::Zeroizing;

use super::console;

/// A session has a key, some certificates and addresses.
const SESSION_BYTES: u64 = 1024 * 1024;

/// Becomes the agent at a path, with this session. Comes back only if that fails.
pub(super) fn replace(path: &Path, session: Option<&[u8]>) -> io::Error {
    let stdin = match session.map(sealed).transpose() {
        Ok(memory) => memory.map_or_else(Stdio::null, Stdio::from),
        Err(error) => return error,
    };
    Command::new(path).args(env::args_os().skip(1)).stdin(stdin).exec()
}

/// Where the agent that runs lies, and the next one will.
pub(super) fn path() -> io::Result<PathBuf> {
    env::current_exe()
}

fn sealed(session: &[u8]) -> io::Result<File> {
    let memory = memfd_create("pact-session", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut memory = File::from(memory);
    memory.write_all(session)?;
    fcntl_add_seals(&memory, SEALS)?;
    Ok(memory)
}

const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// What the agent before has left, if it has.
pub(super) fn take() -> Option<Zeroizing<Vec<u8>>> {
    let sealed = fcntl_get_seals(stdin()).is_ok_and(|seals| seals.contains(SEALS));
    let session = sealed.then(read_all)?;
    console::read_nothing().ok();
    session.ok()
}

/// Opened anew, it is read from its beginning.
fn read_all() -> io::Result<Zeroizing<Vec<u8>>> {
    let memory = File::open("/proc/self/fd/0")?;
    let length = memory.metadata()?.len().min(SESSION_BYTES);
    // With all of its room at once: no part of the key is left behind where it grew.
    let mut session = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0)));
    memory.take(length).read_to_end(&mut session)?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lies_in_memory_that_nobody_can_write() {
        let mut memory = sealed(b"session").unwrap();
        assert!(fcntl_get_seals(&memory).unwrap().contains(SEALS));
        assert!(memory.write_all(b"x").is_err() && memory.set_len(0).is_err());
    }

    #[test]
    fn what_is_no_sealed_memory_is_no_session() {
        assert!(take().is_none());
    }
}
