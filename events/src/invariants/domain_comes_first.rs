//! The first fact of a log, and no other, is DomainCreated: the chain begins with what it says (R6).

use crate::domain;
use crate::fact::{Fact, Record};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "domain_comes_first";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let begins = matches!(record.fact, Fact::Domain(domain::Event::Created(_)));
    let first = past.views.seq == 0;
    ensure(begins == first, || {
        let what = if first { "the log does not begin with its domain" } else { "the domain exists already" };
        what.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use crate::fact::Fact;
    use crate::samples::{Log, domain_created, join_token, node, registered};

    #[test]
    fn a_log_that_begins_otherwise_is_found() {
        let log = Log::default();
        assert_eq!(log.broken_by(log.next(join_token())), [super::NAME]);
        assert_eq!(log.broken_by(log.next(Fact::Node(node("n1"), registered(1, &[1])))), [super::NAME]);
    }

    #[test]
    fn a_second_domain_is_found() {
        let log = Log::enrolled();
        assert_eq!(log.broken_by(log.next(domain_created())), [super::NAME]);
    }
}
