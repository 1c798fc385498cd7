//! The line of known callers in front of the actors (R21, stage two in its simple form): a place, or at once a time to
//! come back.
//!
//! [`super::Admission`] gives each Enroll and RenewCert a place here until it is answered. Who has a place goes on at
//! once: the actors, the authority's workers and the log's writer serve in the order in which they were asked, so to
//! hold callers back here would only add a hop. What is decided here is whether one more would be served in time.
//!
//! **Invariant:** never more than [`PLACES`] have a place, and nobody gets one who would wait beyond its deadline at
//! the pace of the last seconds.

use std::time::{Duration, Instant};

use super::pace::Pace;
use super::slots::Slots;

/// Places at most. A request waits with its task, its parsed certificate request (8 KiB at most) and its HTTP/2 stream:
/// less than 16 KB, 64 MB in all. At the usual pace that is two seconds of work.
pub const PLACES: usize = 4096;
/// With so few in the line everybody gets a place: some dozens keep the workers and one entry of the log busy, and
/// what is measured with fewer is not the pace of a storm.
pub const FEW: usize = 64;
/// Nobody is sent away for much longer than this: the pace may have changed by then.
const LONGEST: Duration = Duration::from_secs(30);

/// See the module. Pure: time is passed in.
#[derive(Debug)]
pub struct Line {
    depth: usize,
    pace: Pace,
    slots: Slots,
}

impl Line {
    /// Nobody waits.
    pub fn new(now: Instant) -> Self {
        Self { depth: 0, pace: Pace::new(now), slots: Slots::default() }
    }

    /// One more, who waits at most so long. `Err`: there is no place; when to come back.
    pub fn enter(&mut self, now: Instant, patience: Duration) -> Result<(), Duration> {
        self.pace.pass(now, self.is_busy());
        if self.depth < FEW || (self.depth < PLACES && self.wait() <= patience) {
            self.depth += 1;
            return Ok(());
        }
        let drained = self.wait().min(LONGEST);
        let apart = Duration::from_secs_f64(1.0 / self.pace.rate());
        Err(self.slots.draw(now, drained, apart, LONGEST))
    }

    /// One was answered, or gave up: who gave up was not served.
    pub fn leave(&mut self, now: Instant, served: bool) {
        let busy = self.is_busy();
        self.pace.pass(now, busy);
        if served && busy {
            self.pace.serve();
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// How many have a place.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Until everybody in the line is served.
    fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.depth as f64 / self.pace.rate())
    }

    fn is_busy(&self) -> bool {
        self.depth >= FEW
    }
}

#[cfg(test)]
mod tests;
