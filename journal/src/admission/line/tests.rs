//! The line on virtual time, in front of a server of a known speed that serves in order.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

const STEP: Duration = Duration::from_millis(1);
/// Between two that come for the first time.
const HANDSHAKE: Duration = Duration::from_micros(200);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Callers that come back as they are told, and a server.
struct Storm {
    line: Line,
    now: Instant,
    began: Instant,
    patience: Duration,
    /// Who asks when.
    asks: BTreeMap<(Instant, usize), ()>,
    waiting: VecDeque<(usize, Instant)>,
    /// How long each served caller had its place, and when it was served after the beginning.
    served: Vec<(Duration, Duration)>,
    sent_away: usize,
    deepest: usize,
    /// What the server could have served and has not yet.
    credit: f64,
}

impl Storm {
    /// They come as fast as handshakes let them.
    fn of(callers: usize, patience: Duration) -> Self {
        let now = Instant::now();
        let at = |caller: usize| now + HANDSHAKE * u32::try_from(caller).unwrap();
        Self {
            line: Line::new(now),
            now,
            began: now,
            patience,
            asks: (0..callers).map(|caller| ((at(caller), caller), ())).collect(),
            waiting: VecDeque::new(),
            served: vec![],
            sent_away: 0,
            deepest: 0,
            credit: 0.0,
        }
    }

    /// Goes on for some time with so many served a second.
    fn go_on(&mut self, span: Duration, a_second: f64) {
        let end = self.now + span;
        while self.now < end {
            self.now += STEP;
            while let Some(((at, caller), ())) = self.asks.pop_first() {
                if at > self.now {
                    self.asks.insert((at, caller), ());
                    break;
                }
                match self.line.enter(self.now, self.patience) {
                    Ok(()) => self.waiting.push_back((caller, self.now)),
                    Err(wait) => {
                        self.sent_away += 1;
                        self.asks.insert((self.now + wait, caller), ());
                    }
                }
            }
            self.deepest = self.deepest.max(self.line.depth());
            self.credit =
                if self.waiting.is_empty() { 0.0 } else { self.credit + STEP.as_secs_f64() * a_second };
            while self.credit >= 1.0 {
                self.credit -= 1.0;
                let Some((_, since)) = self.waiting.pop_front() else { break };
                self.line.leave(self.now, true);
                self.served.push((self.now - since, self.now - self.began));
            }
        }
    }
}

#[test]
fn rule_21_a_storm_that_fits_is_served_without_a_refusal() {
    let mut storm = Storm::of(4000, secs(10));
    storm.go_on(secs(3), 2500.0);
    assert_eq!((storm.served.len(), storm.sent_away), (4000, 0));
}

#[test]
fn rule_21_beyond_the_bound_callers_come_back_in_time_and_all_are_served() {
    let mut storm = Storm::of(20_000, secs(10));
    storm.go_on(secs(16), 2500.0);

    assert_eq!(storm.served.len(), 20_000);
    assert_eq!(storm.deepest, PLACES);
    assert!(storm.served.iter().all(|(waited, _)| *waited <= secs(10)), "each within its deadline");
    // 20,000 at 2,500 a second are 8 seconds: at least half of the time nobody was missing.
    let last = storm.served.iter().map(|(_, at)| *at).max().unwrap();
    assert!(last <= secs(16), "{last:?}");
    assert!(storm.sent_away <= 6 * 20_000, "{} asked in vain", storm.sent_away);
}

#[test]
fn rule_21_short_patience_is_told_at_once_and_leaves_no_place_behind() {
    let now = Instant::now();
    let mut line = Line::new(now);
    let entered = (0..1000).filter(|_| line.enter(now, Duration::from_millis(200)).is_ok()).count();
    // At 1,000 a second 200 are served within 200 ms.
    assert!((200..=201).contains(&entered), "{entered}");
    assert_eq!(line.depth(), entered);
    for _ in 0..entered {
        line.leave(now, false);
    }
    assert_eq!(line.depth(), 0);
}

#[test]
fn rule_21_the_slots_are_spread_over_the_drain() {
    let now = Instant::now();
    let mut line = Line::new(now);
    while line.enter(now, secs(1)).is_ok() {}
    let waits: Vec<Duration> = (0..1000).map(|_| line.enter(now, secs(1)).unwrap_err()).collect();
    // 1,000 places are taken at 1,000 a second; each slot is 1 ms after the one before.
    assert!(waits[0] >= secs(1));
    assert!(waits.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_millis(1)), "{waits:?}");
}

#[test]
fn rule_21_after_a_standstill_the_line_opens_again() {
    // given a server that stands still with many in the line
    let mut storm = Storm::of(1000, secs(10));
    storm.go_on(secs(20), 0.0);
    let newcomer = storm.line.enter(storm.now, secs(10));
    assert!(newcomer.is_err_and(|wait| wait <= 2 * LONGEST));

    // when it goes on
    storm.go_on(secs(3), 2500.0);

    // then
    assert_eq!(storm.line.depth(), 0);
    assert_eq!(storm.line.enter(storm.now, secs(10)), Ok(()));
    let next = (0..2000).filter(|_| storm.line.enter(storm.now, secs(10)).is_ok()).count();
    assert_eq!(next, 2000, "the next storm fits again");
}

proptest! {
    #[test]
    fn rule_21_the_line_is_bounded_and_every_refusal_says_when(
        steps in prop::collection::vec((0u64..500, 0usize..3000, 0usize..3000, 0u64..20_000), 1..40),
    ) {
        let mut now = Instant::now();
        let mut line = Line::new(now);
        for (passed, come, go, patience) in steps {
            now += Duration::from_millis(passed);
            for _ in 0..come {
                if let Err(wait) = line.enter(now, Duration::from_millis(patience)) {
                    prop_assert!(line.depth() >= FEW);
                    prop_assert!(!wait.is_zero() && wait <= 2 * LONGEST, "{wait:?}");
                }
            }
            prop_assert!(line.depth() <= PLACES);
            for served in 0..go.min(line.depth()) {
                line.leave(now, served % 3 > 0);
            }
        }
        while line.depth() > 0 {
            line.leave(now, false);
        }
        prop_assert_eq!(line.enter(now, Duration::ZERO), Ok(()));
    }
}
