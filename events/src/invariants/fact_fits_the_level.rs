//! No fact needs a higher format level than the log has, and a level is only ever raised (R26): otherwise a member met what
//! it cannot read.

use crate::domain;
use crate::fact::{Fact, Record};
use crate::level;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "fact_fits_the_level";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let present = past.views.level;
    if let Fact::Domain(domain::Event::LevelRaised { level }) = &record.fact {
        return ensure(*level > present, || format!("level {present} is raised to {level}"));
    }
    let after = level::after(present, &record.fact);
    after
        .map(drop)
        .map_err(|above| format!("it needs level {}, and the log's is {}", above.needs, above.level))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Log, default_set, level_raised};

    #[test]
    fn rule_26_a_fact_above_the_level_is_found() {
        let mut log = Log::new();
        assert_eq!(log.broken_by(log.planted(default_set(b"1"))), [super::NAME]);
        log.append(vec![level_raised(2)]);
        assert_eq!(log.broken_by(log.next(default_set(b"1"))), [""; 0]);
    }

    #[test]
    fn rule_26_a_level_that_is_not_raised_is_found() {
        let mut log = Log::new();
        assert_eq!(log.broken_by(log.next(level_raised(1))), [super::NAME]);
        log.append(vec![level_raised(3)]);
        for (level, breaks) in [(4, vec![]), (3, vec![super::NAME]), (2, vec![super::NAME])] {
            assert_eq!(log.broken_by(log.next(level_raised(level))), breaks, "{level}");
        }
        assert_eq!(log.views().level.number(), 3);
    }
}
