//! A fact's seq is one more than that of the fact before; the first is 1 (R6).

use crate::fact::Record;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "seq_has_no_gaps";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let before = past.views.seq;
    ensure(before.checked_add(1) == Some(record.seq), || format!("it follows fact {before}"))
}

#[cfg(test)]
mod tests {
    use crate::fact::Record;
    use crate::samples::{Log, goodbye};

    #[test]
    fn rule_06_a_gap_and_a_repetition_are_found() {
        let log = Log::enrolled();
        let next = log.next_of("n1", goodbye());
        for seq in [next.seq + 1, next.seq - 1, 0, u64::MAX] {
            assert_eq!(log.broken_by(Record { seq, ..next.clone() }), [super::NAME]);
        }
    }
}
