//! Who may tell a process of this binary to stop: signals, and whoever started it by no longer being there.
//!
//! `serve`, `join` and `dev` wait for it. Made before anything else is: whoever stops a process at once is heard, too.

use std::io;
use std::os::fd::AsFd;

use futures_util::future::select_all;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{self, SignalKind, signal};

/// See the module.
pub struct Stop {
    signals: Vec<unix::Signal>,
    /// Open as long as whoever started this process lives: the kernel closes it, whatever ends that one.
    starter: Option<pipe::Receiver>,
}

impl Stop {
    /// SIGTERM and SIGINT.
    ///
    /// # Errors
    /// If the system gives no signals.
    pub fn of_service() -> io::Result<Self> {
        Self::by(&[SignalKind::terminate(), SignalKind::interrupt()])
    }

    /// Also SIGHUP, which a terminal says that is closed, and SIGQUIT.
    ///
    /// # Errors
    /// As [`Stop::of_service`].
    pub fn of_terminal() -> io::Result<Self> {
        Self::by(&[
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ])
    }

    fn by(kinds: &[SignalKind]) -> io::Result<Self> {
        let signals = kinds.iter().map(|kind| signal(*kind)).collect::<io::Result<_>>()?;
        Ok(Self { signals, starter: None })
    }

    /// Also the end of stdin, which must be a pipe whose other end the starter holds.
    ///
    /// # Errors
    /// If it is none.
    pub fn or_end_of_stdin(mut self) -> io::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        self.starter = Some(pipe::Receiver::from_owned_fd(stdin)?);
        Ok(self)
    }

    /// Resolves when somebody asks for it. May be dropped while it waits, and called again.
    pub async fn asked(&mut self) {
        let Self { signals, starter } = self;
        let signals = select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
        tokio::select! {
            _ = signals => {}
            () = gone(starter.as_mut()) => {}
        }
    }
}

/// What comes in is of no account, only its end is.
async fn gone(starter: Option<&mut pipe::Receiver>) {
    let Some(starter) = starter else { return std::future::pending().await };
    let mut ignored = [0; 64];
    while starter.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {}
}
