//! Takes the status of processes whose parents have ended: only the first process of a machine gets them, and without it
//! each would keep its number for ever.
//!
//! `init::live` keeps it up. Not here, on purpose: the agent's own processes ([`crate::children`]).
//!
//! **Invariant:** it waits for nothing but the next end of a process.

use std::{convert::Infallible, io};

use tokio::signal::unix::{SignalKind, signal};

use crate::children;

/// Reaps for ever.
///
/// # Errors
/// If signals cannot be caught, or `/proc` cannot be read.
pub(super) async fn reap() -> io::Result<Infallible> {
    let mut ended = signal(SignalKind::child())?;
    loop {
        #[cfg(feature = "planted-panics")]
        crate::panics::panic_if_asked("reaper");
        let reaped = children::reap_inherited()?;
        if reaped > 0 {
            tracing::debug!(reaped, "processes without a parent have ended");
        }
        tokio::select! {
            _ = ended.recv() => {}
            () = children::given_up() => {}
        }
    }
}
