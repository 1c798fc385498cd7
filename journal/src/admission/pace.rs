//! How fast this journal serves: an average over the last seconds in which it had enough to do (R21).
//!
//! Used by [`super::line`]. Only busy time counts: how much is served while few ask tells what is asked, not what can
//! be served.

use std::time::{Duration, Instant};

/// What is assumed before anything was measured, a second: less than half of what two cores do, and what a disk that
/// takes 20 ms to sync still reaches with twenty orders an entry.
pub const ASSUMED: f64 = 1000.0;
/// The assumption weighs as much as so many seconds of measuring: it is soon outweighed.
const WEIGHT: f64 = 0.1;
/// How far back the average reaches, in seconds: long enough that one slow sync is no collapse, short enough that a
/// real one is seen before many have been let in.
const REACH: f64 = 2.0;
/// After so long without enough to do, what was measured is forgotten: what was slow then (a full disk, a paused
/// machine) says nothing about the next storm.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// Slower is not told: a wait of years is no better than one that is too long for everybody.
const SLOWEST: f64 = 0.1;

/// See the module. Pure: time is passed in.
#[derive(Debug)]
pub struct Pace {
    /// Served in busy time, faded.
    served: f64,
    /// Seconds of busy time, faded in the same way.
    busy: f64,
    idle: Duration,
    at: Instant,
}

impl Pace {
    /// Nothing was measured yet.
    pub fn new(now: Instant) -> Self {
        Self { served: ASSUMED * WEIGHT, busy: WEIGHT, idle: Duration::ZERO, at: now }
    }

    /// The time since the last call was busy or not.
    pub fn pass(&mut self, now: Instant, busy: bool) {
        let passed = now.saturating_duration_since(self.at);
        self.at = now;
        if busy {
            self.idle = Duration::ZERO;
            let kept = (-passed.as_secs_f64() / REACH).exp();
            self.served *= kept;
            self.busy = self.busy * kept + REACH * (1.0 - kept);
            return;
        }
        self.idle += passed;
        if self.idle >= FORGOTTEN {
            *self = Self::new(now);
        }
    }

    /// One was served in busy time.
    pub fn serve(&mut self) {
        self.served += 1.0;
    }

    /// Served a second.
    pub fn rate(&self) -> f64 {
        (self.served / self.busy).max(SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves so many a second for some seconds, with always enough to do.
    fn serve(pace: &mut Pace, now: &mut Instant, a_second: u32, seconds: u32) {
        for _ in 0..a_second * seconds {
            *now += Duration::from_secs(1) / a_second;
            pace.pass(*now, true);
            pace.serve();
        }
    }

    fn is_about(pace: &Pace, expected: f64) {
        assert!((pace.rate() / expected - 1.0).abs() < 0.05, "{} is not {expected}", pace.rate());
    }

    #[test]
    fn rule_21_the_rate_follows_what_is_served_within_seconds() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        is_about(&pace, ASSUMED);
        serve(&mut pace, &mut now, 3000, 8);
        is_about(&pace, 3000.0);
        serve(&mut pace, &mut now, 200, 15);
        is_about(&pace, 200.0);
    }

    #[test]
    fn rule_21_time_without_enough_to_do_does_not_slow_the_rate() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        serve(&mut pace, &mut now, 3000, 8);
        now += Duration::from_secs(9);
        pace.pass(now, false);
        is_about(&pace, 3000.0);
    }

    #[test]
    fn rule_21_a_standstill_is_seen_and_after_idle_time_forgotten() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        now += Duration::from_secs(60);
        pace.pass(now, true);
        is_about(&pace, SLOWEST);
        for _ in 0..10 {
            now += Duration::from_secs(1);
            pace.pass(now, false);
        }
        is_about(&pace, ASSUMED);
    }
}
