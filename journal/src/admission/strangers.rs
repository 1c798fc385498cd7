//! The budget of callers whom nobody registered (R22): so many answers a minute in all, and half of it a source.
//!
//! [`super::Admission`] draws on it after the gate's look-up and before any cryptography on the request. Known callers
//! never come here. Each budget is a bucket told by one moment (the generic cell rate algorithm): when it will be full
//! again. So an entry is small, nothing has to be refilled, and a call is constant work.
//!
//! Sources are remembered only while their bucket is not full: a full one is as good as none. None is forgotten sooner,
//! whoever comes: else a caller with many addresses could have its own debts forgotten. When there is no room for a new
//! source, it shares one bucket with all others like it.
//!
//! Not here, on purpose: a budget a target node. It would let anybody lock a node out by asking in its name.
//!
//! **Invariant:** at most [`SOURCES`] sources are remembered, and no bucket that is not full is forgotten.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::slots::Slots;
use super::source::Source;

/// Sources remembered: some 100 bytes each. Only answers make entries, and an entry is full again after a minute at
/// most: with the default of 100 a minute there are never more than 200.
pub const SOURCES: usize = 4096;
/// A budget is counted by the minute.
const MINUTE: Duration = Duration::from_secs(60);
/// Those who are refused come back within this much more than they must: an agent that waits to be registered should
/// not wait much longer than that.
const SPREAD: Duration = Duration::from_secs(60);
/// Looks at the oldest entries for each new one: more than one, so that the full ones always go faster than new ones
/// come.
const LOOKS: usize = 2;

/// See the module. Pure: time is passed in.
#[derive(Debug)]
pub struct Strangers {
    all: Rate,
    each: Rate,
    /// When the bucket of all is full.
    full_at: Instant,
    sources: HashMap<Source, Instant>,
    /// The remembered sources, in the order in which they are looked at.
    looked_at: VecDeque<Source>,
    /// When the bucket of those is full for whom there was no room.
    others_full_at: Instant,
    slots: Slots,
}

/// How fast a bucket fills, and how much it holds: a minute's worth.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// One more after so long.
    interval: Duration,
    /// How far ahead `full_at` may be for one more to fit.
    tolerance: Duration,
}

impl Rate {
    fn per_minute(count: u32) -> Self {
        let interval = MINUTE / count.max(1);
        Self { interval, tolerance: MINUTE - interval }
    }

    /// How long until one more fits; nothing, if it does now.
    fn wait(&self, full_at: Instant, now: Instant) -> Duration {
        full_at.saturating_duration_since(now).saturating_sub(self.tolerance)
    }

    fn drawn(&self, full_at: Instant, now: Instant) -> Instant {
        full_at.max(now) + self.interval
    }
}

impl Strangers {
    /// A full budget of so many answers a minute.
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            all: Rate::per_minute(per_minute),
            each: Rate::per_minute(per_minute / 2),
            full_at: now,
            sources: HashMap::new(),
            looked_at: VecDeque::new(),
            others_full_at: now,
            slots: Slots::default(),
        }
    }

    /// One more unknown caller. `Err`: there is no answer left for it; when to come back. What is refused draws
    /// nothing: to ask too often does not make the wait longer for anybody.
    pub fn draw(&mut self, source: Source, now: Instant) -> Result<(), Duration> {
        let own = self.sources.get(&source).copied();
        let own_full_at = own.unwrap_or_else(|| self.of_newcomer(now));
        let wait = self.all.wait(self.full_at, now).max(self.each.wait(own_full_at, now));
        if !wait.is_zero() {
            return Err(self.slots.draw(now, wait, self.all.interval, SPREAD));
        }
        self.full_at = self.all.drawn(self.full_at, now);
        let full_at = self.each.drawn(own_full_at, now);
        if own.is_some() || self.sources.len() < SOURCES {
            if self.sources.insert(source, full_at).is_none() {
                self.looked_at.push_back(source);
            }
        } else {
            self.others_full_at = full_at;
        }
        Ok(())
    }

    /// How many sources are remembered.
    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.sources.len()
    }

    /// The bucket that a source without one has: a full one, if there is room for it.
    fn of_newcomer(&mut self, now: Instant) -> Instant {
        for _ in 0..LOOKS {
            let Some(oldest) = self.looked_at.pop_front() else { break };
            if self.sources.get(&oldest).is_some_and(|full_at| *full_at > now) {
                self.looked_at.push_back(oldest);
            } else {
                self.sources.remove(&oldest);
            }
        }
        if self.sources.len() < SOURCES { now } else { self.others_full_at }
    }
}

#[cfg(test)]
mod tests;
