//! `recorded_at` never runs back, and `decided_at` is at most 60 s ahead of it (R24).
//!
//! Only ahead: `recorded_at` is the later of the leader's stamp and the fact before, so a decision may lie further
//! behind it.

use crate::append::MAX_SKEW;
use crate::fact::Record;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "time_never_runs_back";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let before = past.views.recorded_at;
    ensure(record.recorded_at >= before, || {
        format!("it was recorded at {}, the fact before at {before}", record.recorded_at)
    })?;
    ensure(record.decided_at <= record.recorded_at.plus(MAX_SKEW), || {
        format!("it was decided at {} and recorded at {}", record.decided_at, record.recorded_at)
    })
}

#[cfg(test)]
mod tests {
    use crate::fact::Record;
    use crate::samples::{Log, at, goodbye};

    #[test]
    fn rule_24_a_fact_recorded_before_the_one_before_is_found() {
        let mut log = Log::enrolled();
        log.wait(60).of("n1", goodbye());
        let next = log.next_of("n2", crate::samples::revoked(&[], &[3]));
        assert_eq!(log.broken_by(next.clone()), [""; 0]);
        assert_eq!(log.broken_by(Record { recorded_at: at(59), decided_at: at(59), ..next }), [super::NAME]);
    }

    #[test]
    fn rule_24_a_decision_more_than_60_seconds_ahead_is_found() {
        let log = Log::enrolled();
        let next = log.next_of("n1", goodbye());
        assert_eq!(log.broken_by(Record { decided_at: at(60), ..next.clone() }), [""; 0]);
        assert_eq!(log.broken_by(Record { decided_at: at(61), ..next }), [super::NAME]);
    }
}
