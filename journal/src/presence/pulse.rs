//! A sign of life of the machine at the other end of a connection: how often something was read from it.
//!
//! The edge counts; [`super::contests`] compares. The words are encrypted for the connection's keys, so only the machine that
//! opened it makes it beat: by what it says, and by its answers to the pings of HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module. Its clones are one.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Something was read.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
