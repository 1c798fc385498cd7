//! The facts of one append follow each other under one time, at most 16 of them, and its id never comes again: an
//! append is recorded once, whole (R1, R7).

use crate::append::MAX_FACTS;
use crate::fact::Record;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "append_is_whole";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let id = &record.append_id;
    match past.last_append().filter(|last| last.append_id == *id) {
        None => ensure(!past.knows_append(id), || format!("the append {id} came before, and was over")),
        Some(last) => {
            let one_time = last.decided_at == record.decided_at && last.recorded_at == record.recorded_at;
            ensure(one_time, || format!("the append {id} has facts of different times"))?;
            ensure(last.facts < MAX_FACTS, || format!("the append {id} has more than {MAX_FACTS} facts"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fact::Record;
    use crate::samples::{Log, at, goodbye, reactivated, registered};

    #[test]
    fn rule_07_an_append_that_comes_again_is_found() {
        let mut log = Log::enrolled();
        let append_id = log.records[3].append_id;
        log.of("n1", goodbye());
        let again = Record { append_id, ..log.next_of("n1", reactivated(1)) };
        assert_eq!(log.broken_by(again), [super::NAME]);
    }

    #[test]
    fn rule_07_an_append_of_two_times_is_found() {
        let log = Log::enrolled();
        let append_id = log.records.last().unwrap().append_id;
        let next = Record { append_id, ..log.next_of("n1", goodbye()) };
        assert_eq!(log.broken_by(next.clone()), [""; 0]);
        assert_eq!(log.broken_by(Record { decided_at: at(1), ..next.clone() }), [super::NAME]);
        assert_eq!(log.broken_by(Record { recorded_at: at(1), ..next }), [super::NAME]);
    }

    #[test]
    fn rule_01_an_append_of_too_many_facts_is_found() {
        let mut log = Log::new();
        let append_id = log.next_of("n1", registered(1, &[1])).append_id;
        for number in 1..=16 {
            let next = Record { append_id, ..log.next_of(&format!("n{number}"), registered(1, &[number])) };
            log.records.push(next);
        }
        assert_eq!(log.last_breaks(), [""; 0]);
        let next = Record { append_id, ..log.next_of("n17", registered(1, &[17])) };
        assert_eq!(log.broken_by(next), [super::NAME]);
    }
}
