//! The budget on virtual time: what is granted in a minute, to whom, and what is remembered.

use proptest::prelude::*;

use super::*;

fn source(number: u32) -> Source {
    Source::V4(number.to_be_bytes())
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn rule_22_a_source_has_half_of_the_budget_and_all_have_it_together() {
    let now = Instant::now();
    let mut strangers = Strangers::new(100, now);
    let mut granted = |source| (0..1000).filter(|_| strangers.draw(source, now).is_ok()).count();
    assert_eq!(granted(source(1)), 50);
    assert_eq!(granted(source(2)), 50);
    assert_eq!(granted(source(3)), 0, "all have spent the whole");
}

#[test]
fn rule_22_the_wait_ends_when_there_is_room_again() {
    let now = Instant::now();
    let mut strangers = Strangers::new(60, now);
    while strangers.draw(source(1), now).is_ok() {}

    // Half of 60 a minute: one more every two seconds.
    let wait = strangers.draw(source(1), now).unwrap_err();
    assert!(wait >= secs(2) && wait <= secs(2) + SPREAD, "{wait:?}");
    assert!(strangers.draw(source(1), now + secs(2) - Duration::from_millis(1)).is_err());
    assert_eq!(strangers.draw(source(1), now + secs(2)), Ok(()));
}

#[test]
fn rule_22_those_who_are_refused_at_one_moment_come_back_at_different_ones() {
    let now = Instant::now();
    let mut strangers = Strangers::new(600, now);
    while strangers.draw(source(1), now).is_ok() {}
    let mut waits: Vec<Duration> = (0..100).map(|_| strangers.draw(source(1), now).unwrap_err()).collect();
    waits.dedup();
    assert_eq!(waits.len(), 100);
}

#[test]
fn rule_22_the_smallest_budget_still_answers_one_a_minute() {
    let now = Instant::now();
    let mut strangers = Strangers::new(1, now);
    assert_eq!(strangers.draw(source(1), now), Ok(()));
    assert!(strangers.draw(source(1), now + secs(59)).is_err());
    assert_eq!(strangers.draw(source(1), now + secs(60)), Ok(()));
}

#[test]
fn rule_22_memory_is_bounded_and_no_newcomer_makes_a_debt_forgotten() {
    // given a source that has spent its half, and more sources than can be remembered
    let now = Instant::now();
    let mut strangers = Strangers::new(1_000_000, now);
    while strangers.draw(source(0), now).is_ok() {}
    for number in 1..=3 * SOURCES as u32 {
        strangers.draw(source(number), now).ok();
    }

    // then
    assert_eq!(strangers.remembered(), SOURCES);
    assert!(strangers.draw(source(0), now).is_err(), "its debt stands");
}

#[test]
fn rule_22_sources_that_owe_nothing_any_more_are_forgotten() {
    let now = Instant::now();
    let mut strangers = Strangers::new(1000, now);
    for number in 0..500 {
        strangers.draw(source(number), now).ok();
    }
    // One new source looks at two old ones.
    let later = now + secs(120);
    for number in 1000..1300 {
        strangers.draw(source(number), later).ok();
    }
    assert_eq!(strangers.remembered(), 300);
}

proptest! {
    /// A bucket holds a minute's worth and fills once a minute: never more than that, whoever asks, however often.
    #[test]
    fn rule_22_no_time_grants_more_than_the_bucket_and_what_fills_it(
        per_minute in 1u32..500,
        calls in prop::collection::vec((0u64..2000, 0u32..6), 1..600),
    ) {
        let began = Instant::now();
        let mut now = began;
        let mut strangers = Strangers::new(per_minute, now);
        let (mut all, mut each) = (0u32, [0u32; 6]);
        for (passed, from) in calls {
            now += Duration::from_millis(passed);
            if strangers.draw(source(from), now).is_ok() {
                all += 1;
                each[from as usize] += 1;
            }
            let filled = |count: u32| f64::from(count) * (1.0 + now.duration_since(began).as_secs_f64() / 60.0) + 1.0;
            prop_assert!(f64::from(all) <= filled(per_minute));
            for granted in each {
                prop_assert!(f64::from(granted) <= filled((per_minute / 2).max(1)));
            }
            prop_assert!(strangers.remembered() <= SOURCES);
        }
    }
}
