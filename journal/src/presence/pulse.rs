//! A sign of life of the machine at the other end of a connection: how often something was read from it, and the way to have
//! it asked for one.
//!
//! The edge counts, and pings when it is asked to; [`super::contests`] and [`super::soundings`] compare. The words are encrypted
//! for the connection's keys, so only the machine that opened it makes it beat: by what it says, and by its answers to the
//! pings of HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// See the module. Its clones are one.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    beats: AtomicU64,
    asked: AtomicBool,
    waker: AtomicWaker,
}

impl Pulse {
    /// Something was read.
    pub fn beat(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn beats(&self) -> u64 {
        self.0.beats.load(Ordering::Relaxed)
    }

    /// Has the machine pinged, soon; it answers with a beat, if it lives.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Whether a ping is asked for, once; else whom to wake when one is.
    pub fn take_asked(&self, waker: &Waker) -> bool {
        self.0.waker.register(waker);
        self.0.asked.swap(false, Ordering::AcqRel)
    }

    /// Whether both are of one connection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
