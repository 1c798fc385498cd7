//! A fact lies in the streams of its subject and of everything that it claims or releases, subject first, 1 to 32 of
//! them, and in no other (R2).

use crate::fact::Record;
use crate::stream::MAX_STREAMS;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "streams_are_complete";

pub(super) fn check(_: &Before<'_>, record: &Record) -> Result<(), String> {
    let count = record.streams.len();
    ensure((1..=MAX_STREAMS).contains(&count), || format!("it lies in {count} streams"))?;
    let (mut given, mut complete) = (record.streams.iter(), true);
    record.fact.each_stream(|shall| complete &= given.next().is_some_and(|at| at.name == shall));
    ensure(complete && given.next().is_none(), || {
        let names: Vec<String> = record.fact.streams().iter().map(ToString::to_string).collect();
        format!("it shall lie in {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use crate::samples::{Log, node, registered};
    use crate::stream::{StreamName, StreamVersion};

    #[test]
    fn rule_02_a_fact_without_a_claim_or_with_one_too_many_is_found() {
        let log = Log::new();
        let good = log.next_of("n1", registered(1, &[1, 2]));
        assert_eq!(log.broken_by(good.clone()), [""; 0]);
        let mut fewer = good.clone();
        fewer.streams.pop();
        let mut more = good.clone();
        more.streams.push(StreamVersion { name: StreamName::Node(node("n2")), version: 1 });
        let mut turned = good;
        turned.streams.reverse();
        for planted in [fewer, more] {
            assert_eq!(log.broken_by(planted), [super::NAME]);
        }
        assert!(log.broken_by(turned).contains(&super::NAME));
    }

    #[test]
    fn rule_02_a_fact_in_no_stream_is_found() {
        let log = Log::new();
        let mut planted = log.next_of("n1", registered(1, &[1]));
        planted.streams.clear();
        assert_eq!(log.broken_by(planted), [super::NAME]);
    }
}
