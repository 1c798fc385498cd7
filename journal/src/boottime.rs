//! A clock that only goes forward, and goes on while the process is stopped or the machine sleeps (CLOCK_BOOTTIME).
//!
//! How old a proof is counts on it (R17), not on the clock on the wall, which can be set, nor on the monotonic one of
//! timers, which sleeps with the machine. Moments of two processes have nothing to do with each other.

use std::sync::Arc;
use std::time::Duration;

/// A moment on this clock, in ms. The first is 1, so that 0 can say never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(u64);

/// Where moments come from: the system, in tests another.
pub type Boottime = Arc<dyn Fn() -> Moment + Send + Sync>;

impl Moment {
    /// The moment so many ms after the clock began.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the clock began.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// So many ms before.
    pub const fn before(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }
}

/// The present moment.
pub fn now() -> Moment {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Moment(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000).saturating_add(1))
}
