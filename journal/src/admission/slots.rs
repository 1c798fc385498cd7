//! When those who are sent away shall come back: one after another, not all at once (R21, R22).
//!
//! Used by [`super::line`] and [`super::strangers`]. Nothing is kept for anybody: a slot is a wait, not a place.
//!
//! **Invariant:** a wait is never shorter than the least one asked for, and never more than the span longer.

use std::time::{Duration, Instant};

/// The next free slot. Pure: time is passed in.
#[derive(Debug, Default)]
pub struct Slots {
    next: Option<Instant>,
}

impl Slots {
    /// How long one more has to wait: at least so long, and so far apart from the one before. Who does not fit into
    /// the span begins a second round through it: nobody may be sent away for ever, and two at one moment are few.
    pub fn draw(&mut self, now: Instant, least: Duration, apart: Duration, span: Duration) -> Duration {
        let first = now + least;
        let slot = self.next.filter(|next| (first..=first + span).contains(next)).unwrap_or(first);
        self.next = Some(slot + apart);
        slot.duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn rule_21_those_who_are_sent_away_come_back_one_after_another() {
        let (mut slots, now) = (Slots::default(), Instant::now());
        let mut draw = || slots.draw(now, millis(100), millis(20), millis(50)).as_millis();
        assert_eq!([draw(), draw(), draw()], [100, 120, 140]);
        assert_eq!([draw(), draw()], [100, 120], "then a second round");
    }

    #[test]
    fn slots_that_have_passed_are_forgotten() {
        let (mut slots, now) = (Slots::default(), Instant::now());
        slots.draw(now, millis(100), millis(20), millis(5000));
        let later = now + millis(10_000);
        assert_eq!(slots.draw(later, millis(100), millis(20), millis(5000)), millis(100));
    }

    proptest! {
        #[test]
        fn no_wait_is_cut_short_or_without_a_bound(
            draws in prop::collection::vec((0u64..2000, 0u64..5000, 0u64..1000), 1..200),
        ) {
            let (mut slots, mut now, span) = (Slots::default(), Instant::now(), millis(3000));
            for (passed, least, apart) in draws {
                now += millis(passed);
                let wait = slots.draw(now, millis(least), millis(apart), span);
                prop_assert!(wait >= millis(least) && wait <= millis(least) + span);
            }
        }
    }
}
