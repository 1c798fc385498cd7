//! How far the members' clocks are apart, and whether this one's is the wrong one (R24).
//!
//! Raft's messages carry clocks both ways. A leader knows those of all who answer, and tells everybody what lies in the
//! middle; a follower compares its own with that. A message may have been on its way for any time, also because this
//! process stood still meanwhile: so every reading is a span, between the earliest and the latest that the other clock can
//! say now, and nobody is called wrong who is right for some of it.
//!
//! Not here: what a member with a wrong clock does about it ([`crate::cluster`]), and what it answers.
//!
//! **Invariant:** a clock that is right is never called wrong because a message was late.

use std::collections::BTreeMap;
use std::time::Duration;

use events::vocabulary::Timestamp;
use parking_lot::Mutex;

use crate::boottime::Moment;

/// A member further than this from the median neither leads nor is ready (R24).
pub const MAX_SKEW: Duration = Duration::from_secs(10);

/// What a leader can say of its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// Most of the voters have the same time.
    Right,
    /// They have another one.
    Wrong,
    /// Those that were heard do not agree with each other, and none of them is in the middle.
    Unknown,
}

/// After so long a clock may have drifted from what it said: two cheap ones part by a second at the most.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// A span of ms; of moments since 1970, or of how far a clock is ahead.
type Span = (i64, i64);

/// What another clock, or the median of all, said at a moment of ours: something within the span.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Moment,
    said: Span,
}

impl Reading {
    /// Said in a message that was sent after `sent` and has arrived now.
    fn new((earliest, latest): (Timestamp, Timestamp), sent: Moment, now: Moment) -> Self {
        let late = millis(now.since(sent));
        Self { at: now, said: (whole(earliest), whole(latest).saturating_add(late)) }
    }

    /// How far it is ahead of ours. None: it is too old to say.
    fn ahead(&self, ours: Timestamp, now: Moment) -> Option<Span> {
        let since = now.since(self.at);
        let shift = millis(since) - whole(ours);
        let (earliest, latest) = self.said;
        (since < FORGOTTEN).then(|| (earliest.saturating_add(shift), latest.saturating_add(shift)))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    others: Mutex<BTreeMap<u64, Reading>>,
    median: Mutex<Option<Reading>>,
}

impl Clocks {
    /// Another member answered what was sent at `sent`, and its clock said this meanwhile.
    pub(super) fn heard(&self, member: u64, theirs: Timestamp, sent: Moment, now: Moment) {
        self.others.lock().insert(member, Reading::new((theirs, theirs), sent, now));
    }

    /// A leader told what lies in the middle of all clocks, in a message that was sent after `sent`.
    pub(super) fn told(&self, median: (Timestamp, Timestamp), sent: Moment, now: Moment) {
        *self.median.lock() = Some(Reading::new(median, sent, now));
    }

    /// What lies in the middle of all clocks that were heard and our own, for the others. None: nobody else was heard.
    pub(super) fn median(&self, ours: Timestamp, now: Moment) -> Option<(Timestamp, Timestamp)> {
        let (earliest, latest) = self.middle(ours, now)?;
        let moment = |ahead: i64| {
            let millis = whole(ours).saturating_add(ahead);
            Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
        };
        Some((moment(earliest), moment(latest)))
    }

    /// How far our clock is from the median: as a leader by what all said, else by what a leader told.
    pub(super) fn skew(&self, leads: bool, ours: Timestamp, now: Moment) -> Duration {
        let told = || self.median.lock().and_then(|median| median.ahead(ours, now));
        let heard = || self.middle(ours, now);
        let middle = if leads { heard().or_else(told) } else { told().or_else(heard) };
        middle.map_or(Duration::ZERO, distance)
    }

    /// How far a member's clock is from the median, by what a leader heard. None: nothing was heard of it.
    pub(super) fn skew_of(&self, member: u64, ours: Timestamp, now: Moment) -> Option<Duration> {
        let (earliest, latest) = self.others.lock().get(&member)?.ahead(ours, now)?;
        let (from, to) = self.middle(ours, now)?;
        // Both are spans: zero if they may be the same.
        Some(distance((from.saturating_sub(latest), to.saturating_sub(earliest))))
    }

    /// Whether it is known what this clock is worth: a leader told the median, or all these others were heard.
    pub(super) fn compared(&self, others: impl IntoIterator<Item = u64>, now: Moment) -> bool {
        let known = |reading: &Reading| now.since(reading.at) < FORGOTTEN;
        self.median.lock().as_ref().is_some_and(known) || {
            let heard = self.others.lock();
            others.into_iter().all(|member| heard.get(&member).is_some_and(known))
        }
    }

    /// What this clock is worth to stamp facts with, by those of all other voters. Where most of all voters agree, those
    /// that are not heard do not matter. Where they do not, and one of them is missing or there is none in the middle, only a
    /// median that was told before can tell.
    pub(super) fn worth(&self, others: &[u64], ours: Timestamp, now: Moment) -> Worth {
        let judge = |distance: Duration| if distance <= MAX_SKEW { Worth::Right } else { Worth::Wrong };
        let distances: Vec<Duration> = {
            let heard = self.others.lock();
            let ahead = others.iter().filter_map(|member| heard.get(member)?.ahead(ours, now));
            ahead.map(distance).collect()
        };
        let agree = 1 + distances.iter().filter(|distance| **distance <= MAX_SKEW).count();
        if agree > others.len().div_ceil(2) {
            return Worth::Right;
        }
        // Between two contradicting clocks lies everything; a third, also of a learner, decides.
        let narrow = |(earliest, latest): &Span| latest.saturating_sub(*earliest) <= millis(MAX_SKEW);
        if distances.len() == others.len()
            && let Some(middle) = self.middle(ours, now).filter(narrow)
        {
            return judge(distance(middle));
        }
        let told = self.median.lock().and_then(|median| median.ahead(ours, now));
        told.map_or(Worth::Unknown, |median| judge(distance(median)))
    }

    /// How far the median is ahead of our clock. Of an even number of clocks all between the two in the middle: with
    /// two members, neither can say who is wrong.
    fn middle(&self, ours: Timestamp, now: Moment) -> Option<Span> {
        let heard: Vec<Span> =
            self.others.lock().values().filter_map(|reading| reading.ahead(ours, now)).collect();
        let (mut earliest, mut latest): (Vec<i64>, Vec<i64>) = heard.into_iter().chain([(0, 0)]).unzip();
        earliest.sort_unstable();
        latest.sort_unstable();
        let clocks = earliest.len();
        let middle = (*earliest.get((clocks - 1) / 2)?, *latest.get(clocks / 2)?);
        (clocks > 1).then_some(middle)
    }
}

/// How far a span is from zero.
fn distance((earliest, latest): Span) -> Duration {
    let off =
        if earliest <= 0 && latest >= 0 { 0 } else { earliest.unsigned_abs().min(latest.unsigned_abs()) };
    Duration::from_millis(off)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn whole(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 1_800_000_000_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(DAY.checked_add_signed(millis).unwrap())
    }

    fn moment(millis: u64) -> Moment {
        Moment::from_millis(1_000_000 + millis)
    }

    /// What a leader knows whose others said this within a millisecond.
    fn heard(ahead: &[i64]) -> Clocks {
        let clocks = Clocks::default();
        for (member, ahead) in (2..).zip(ahead) {
            clocks.heard(member, at(*ahead), moment(0), moment(0));
        }
        clocks
    }

    fn skew(clocks: &Clocks, leads: bool) -> i64 {
        millis(clocks.skew(leads, at(0), moment(0)))
    }

    #[test]
    fn rule_24_the_clock_of_the_few_is_the_wrong_one() {
        for (others, own) in [
            (vec![], 0),
            (vec![60_000], 0),
            (vec![-60_000], 0),
            (vec![60_000, 60_400], 60_000),
            (vec![-60_000, -59_000], 59_000),
            (vec![60_000, 0], 0),
            (vec![60_000, -60_000], 0),
            (vec![60_000, 60_000, 0], 0),
            (vec![60_000, 61_000, 62_000], 60_000),
            (vec![9_999, 9_999], 9_999),
        ] {
            assert_eq!(skew(&heard(&others), true), own, "{others:?}");
        }
    }

    #[test]
    fn rule_24_a_leader_knows_whose_clock_is_wrong() {
        let of = |clocks: &Clocks, member| clocks.skew_of(member, at(0), moment(0)).map(millis);
        let clocks = heard(&[60_000, 3]);
        assert_eq!((of(&clocks, 2), of(&clocks, 3), of(&clocks, 4)), (Some(59_997), Some(0), None));
        assert_eq!(of(&heard(&[60_000]), 2), Some(0), "two members cannot say who is wrong");
    }

    #[test]
    fn rule_24_a_follower_judges_itself_by_the_median_that_its_leader_tells() {
        let clocks = Clocks::default();
        assert_eq!(skew(&clocks, false), 0, "it has heard nothing");
        clocks.told((at(10_001), at(10_400)), moment(0), moment(0));
        assert_eq!(skew(&clocks, false), 10_001);
        clocks.told((at(-300), at(-100)), moment(0), moment(0));
        assert_eq!(skew(&clocks, false), 100);
        clocks.told((at(-100), at(40_000)), moment(0), moment(0));
        assert_eq!(skew(&clocks, false), 0, "between the two in the middle");
    }

    #[test]
    fn rule_24_who_stood_still_is_not_wrong_because_a_message_is_old() {
        // A follower spoke at 0, stood still, and reads at 60 s what was sent to it soon after 0.
        let clocks = Clocks::default();
        clocks.told((at(5), at(5)), moment(0), moment(60_000));
        assert_eq!(clocks.skew(false, at(60_000), moment(60_000)), Duration::ZERO);
        // So does a leader with an answer.
        clocks.heard(2, at(5), moment(0), moment(60_000));
        clocks.heard(3, at(5), moment(0), moment(60_000));
        assert_eq!(clocks.skew(true, at(60_000), moment(60_000)), Duration::ZERO);
    }

    #[test]
    fn rule_24_a_clock_that_is_set_is_noticed_without_another_message() {
        let clocks = heard(&[0, 0]);
        let later = |ours: i64| millis(clocks.skew(true, at(ours), moment(1_000)));
        assert_eq!(later(1_000), 0);
        assert_eq!(later(61_000), 60_000, "forward");
        assert_eq!(later(-59_000), 60_000, "back");
    }

    #[test]
    fn rule_24_what_was_heard_an_hour_ago_says_nothing_any_more() {
        let clocks = heard(&[60_000, 60_000]);
        let after = |millis: u64| clocks.skew(true, at(millis.cast_signed()), moment(millis));
        assert_eq!(after(3_599_999), Duration::from_secs(60));
        assert_eq!(after(3_600_000), Duration::ZERO);
        assert!(clocks.compared([2, 3], moment(3_599_999)) && !clocks.compared([2, 3], moment(3_600_000)));
    }

    #[test]
    fn rule_24_a_clock_is_compared_once_the_median_was_told_or_everybody_was_heard() {
        let clocks = heard(&[0]);
        assert!(clocks.compared([2], moment(0)) && !clocks.compared([2, 3], moment(0)));
        clocks.told((at(0), at(0)), moment(0), moment(0));
        assert!(clocks.compared([2, 3], moment(0)));
    }

    fn worth(clocks: &Clocks, voters: u64) -> Worth {
        clocks.worth(&(2..=voters).collect::<Vec<_>>(), at(0), moment(0))
    }

    #[test]
    fn rule_24_a_leader_knows_its_clock_once_most_voters_agree_with_it_or_all_were_heard() {
        use Worth::{Right, Unknown, Wrong};
        for (heard_of, voters, expected) in [
            (&[][..], 1, Right),
            (&[], 2, Unknown),
            (&[], 3, Unknown),
            // One of three is away, and the other one agrees: two of three.
            (&[9_000], 3, Right),
            // It does not: nobody can say who of the two is wrong.
            (&[-45_000], 3, Unknown),
            (&[45_000], 3, Unknown),
            (&[-45_000, -45_000], 3, Wrong),
            (&[-45_000, 45_000], 3, Right),
            // Of two there is no third to ask, unless one learns.
            (&[9_000], 2, Right),
            (&[45_000], 2, Unknown),
            (&[-45_000, -45_000], 2, Wrong),
            (&[-45_000, 0], 2, Right),
            (&[0, -45_000, -45_000], 4, Unknown),
            (&[0], 5, Unknown),
            (&[0, 45_000], 5, Unknown),
            (&[0, 0], 5, Right),
            (&[45_000, 45_000, 45_000], 5, Unknown),
            (&[45_000, 45_000, 45_000, 0], 5, Wrong),
        ] {
            assert_eq!(worth(&heard(heard_of), voters), expected, "{heard_of:?} of {voters}");
        }
    }

    #[test]
    fn rule_24_where_too_few_are_heard_the_median_that_was_told_before_counts() {
        for (median, expected) in [(0, Worth::Right), (-45_000, Worth::Wrong)] {
            let clocks = heard(&[-45_000]);
            clocks.told((at(median), at(median)), moment(0), moment(0));
            assert_eq!(worth(&clocks, 3), expected, "{median}");
        }
    }
}
