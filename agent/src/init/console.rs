//! Where a machine says what it does: `/dev/console`.
//!
//! The kernel opens it for its first process only where the image has that file; [`super::FirstProcess::begin`] does it
//! again once `/dev` is there.
//!
//! **Invariant:** of a machine that is not the agent's nothing is touched.

use std::{fs::File, io};

use rustix::{
    fs::{Mode, OFlags, open},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};

/// Takes the console as stdin, stdout and stderr. It does not become the agent's terminal: no key on it is a signal.
///
/// # Errors
/// If there is none.
pub(super) fn take() -> io::Result<()> {
    let console = open("/dev/console", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&console)?;
    dup2_stdout(&console)?;
    dup2_stderr(&console)?;
    Ok(())
}

/// Reads nothing from now on: what was there is taken.
///
/// # Errors
/// If there is no `/dev/null`.
pub(super) fn read_nothing() -> io::Result<()> {
    Ok(dup2_stdin(File::open("/dev/null")?)?)
}
