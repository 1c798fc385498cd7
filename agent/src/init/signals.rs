//! What signals ask of the first process of a machine.
//!
//! | signal | asks |
//! |---|---|
//! | SIGTERM, SIGPWR | for a goodbye, and power off |
//! | SIGINT (Ctrl-Alt-Del) | for a goodbye, and a reboot |
//! | SIGUSR2 | for the agent that lies at its path now, with the same key and certificate |
//!
//! **Invariant:** they are caught before anything is waited for: the kernel drops those that its first process does not
//! catch.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::run::Leaving;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Say goodbye and switch the machine off.
    PowerOff,
    /// Say goodbye and start the machine again.
    Reboot,
    /// Become the agent that lies at this one's path now.
    Succeed,
}

impl Asked {
    /// What it means for the agent.
    pub(super) fn leaving(self) -> Leaving {
        match self {
            Self::PowerOff | Self::Reboot => Leaving::Goodbye,
            Self::Succeed => Leaving::ToSuccessor,
        }
    }
}

/// Those that are caught.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    power: Signal,
    interrupt: Signal,
    succeed: Signal,
}

impl Signals {
    /// Catches them.
    ///
    /// # Errors
    /// If that cannot be.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            // tokio has no name for it.
            power: signal(SignalKind::from_raw(rustix::process::Signal::POWER.as_raw()))?,
            interrupt: signal(SignalKind::interrupt())?,
            succeed: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::PowerOff,
            _ = self.power.recv() => Asked::PowerOff,
            _ = self.interrupt.recv() => Asked::Reboot,
            _ = self.succeed.recv() => Asked::Succeed,
        }
    }
}
