//! When a journal's server certificate is renewed, and how loudly it is told that it was not (design §7). Pure.

use std::time::Duration;

use events::vocabulary::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

/// So long before the end a certificate that cannot be renewed is an alert, not a warning (design §7).
pub const ALERT: Duration = Duration::from_secs(10 * 24 * 3600);

/// A failed try is repeated after this part of the time that is left …
const PART: u32 = 100;
/// … at most so soon, so that a certificate that is nearly over is not asked for without a pause,
const SOONEST: Duration = Duration::from_secs(5);
/// and at most so late: whoever brings the domain CA's key need not wait for it.
const LATEST: Duration = Duration::from_secs(3600);

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub not_before: Timestamp,
    /// Until.
    pub not_after: Timestamp,
}

/// How it stands with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It is young.
    None,
    /// It should be another one by now.
    Due,
    /// And there are 10 days left or fewer.
    Alert,
    /// It is over.
    Over,
}

impl Validity {
    /// What a certificate says, to the second. None: the bytes are no certificate.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let moment = |seconds: i64| {
            u64::try_from(seconds).ok().map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)))
        };
        let validity = certificate.validity();
        Some(Self {
            not_before: moment(validity.not_before.timestamp())?,
            not_after: moment(validity.not_after.timestamp())?,
        })
    }

    /// Whether less than a third of its life is left: after 20 of 30 days.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.left(now) < self.not_after.since(self.not_before) / 3
    }

    /// How it stands with it.
    pub fn urgency(&self, now: Timestamp) -> Urgency {
        match self.left(now) {
            Duration::ZERO => Urgency::Over,
            _ if !self.is_due(now) => Urgency::None,
            left if left <= ALERT => Urgency::Alert,
            _ => Urgency::Due,
        }
    }

    /// How long to wait after a try that failed.
    pub fn pause(&self, now: Timestamp) -> Duration {
        (self.left(now) / PART).clamp(SOONEST, LATEST)
    }

    fn left(&self, now: Timestamp) -> Duration {
        self.not_after.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + secs * 1000)
    }

    /// Valid for so many days from second 0 on.
    fn of(days: u64) -> Validity {
        Validity { not_before: at(0), not_after: at(days * DAY) }
    }

    #[test]
    fn a_certificate_of_30_days_is_due_after_20_and_not_before() {
        assert!(!of(30).is_due(at(20 * DAY - 1)));
        assert!(!of(30).is_due(at(20 * DAY)));
        assert!(of(30).is_due(at(20 * DAY + 1)));
        assert!(of(30).is_due(at(31 * DAY)), "also when it is over");
    }

    #[test]
    fn it_is_a_warning_at_first_and_an_alert_10_days_before_the_end() {
        let table = [
            (of(90), 60 * DAY, Urgency::None),
            (of(90), 60 * DAY + 1, Urgency::Due),
            (of(90), 80 * DAY - 1, Urgency::Due),
            (of(90), 80 * DAY, Urgency::Alert),
            (of(90), 90 * DAY - 1, Urgency::Alert),
            (of(90), 90 * DAY, Urgency::Over),
            (of(30), 20 * DAY, Urgency::None),
            (of(30), 20 * DAY + 1, Urgency::Alert),
            // The domain CA ends soon: what it signs is young, and there is nothing better.
            (of(6), DAY, Urgency::None),
            (of(6), 5 * DAY, Urgency::Alert),
        ];
        for (validity, secs, urgency) in table {
            assert_eq!(validity.urgency(at(secs)), urgency, "{validity:?} after {secs} s");
        }
    }

    #[test]
    fn a_failed_try_is_repeated_the_sooner_the_less_time_is_left() {
        assert_eq!(of(30).pause(at(20 * DAY)), LATEST);
        assert_eq!(of(30).pause(at(30 * DAY - 100_000)), Duration::from_secs(1000));
        assert_eq!(of(30).pause(at(30 * DAY - 60)), SOONEST);
        assert_eq!(of(30).pause(at(40 * DAY)), SOONEST);
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_validity() {
        assert_eq!(Validity::of(b"none"), None);
    }
}
