//! A node has one current certificate, and at most one in overlap: every issuance supersedes all that were usable, and
//! only a renewal leaves its predecessor an overlap, of at most 5 minutes (R15). An operator's former
//! certificate lives on for 5 minutes ([`crate::operator`]).

use crate::fact::{Fact, Record};
use crate::node::{Cause, Event, Held, OVERLAP, Supersession};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "one_current_certificate";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Node(_, Event::CertificateIssued { cause, supersedes, .. }) = &record.fact else {
        return Ok(());
    };
    let state = past.node();
    let held = || state.current().into_iter().chain(state.overlap());
    let now = record.decided_at.max(record.recorded_at);
    for Held { certificate, .. } in held() {
        let serial = certificate.serial;
        let usable = state.usable_until(serial).is_some_and(|until| until > now);
        let superseded = supersedes.iter().filter(|over| over.serial == serial).count();
        ensure(superseded == 1 || (superseded == 0 && !usable), || {
            format!("the certificate {serial} would stay current beside the new one")
        })?;
    }
    for Supersession { serial, overlap_secs } in supersedes {
        ensure(held().any(|old| old.certificate.serial == *serial), || {
            format!("it supersedes {serial}, which the node does not have")
        })?;
        let predecessor = state.current().is_some_and(|old| old.certificate.serial == *serial);
        let may_overlap = predecessor && matches!(cause, Cause::Renewed);
        let longest = if may_overlap { OVERLAP.as_secs() } else { 0 };
        ensure(u64::from(*overlap_secs) <= longest, || {
            format!("it leaves {serial} an overlap of {overlap_secs} s; at most {longest} s are allowed")
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::samples::{DAY, Log, goodbye, re_enrolled, renewed, supersedes};

    #[test]
    fn rule_15_a_renewal_that_supersedes_nothing_is_found() {
        let mut log = Log::enrolled();
        assert_eq!(log.broken_by_node("n1", renewed(2, 0, &[])), [super::NAME]);
        log.of("n1", renewed(2, 0, &[supersedes(1, 300)]));
        for over in [&[supersedes(2, 300)][..], &[supersedes(1, 0)]] {
            assert_eq!(log.broken_by_node("n1", renewed(3, 0, over)), [super::NAME]);
        }
        let good = renewed(3, 0, &[supersedes(2, 300), supersedes(1, 0)]);
        assert_eq!(log.broken_by_node("n1", good), [""; 0]);
    }

    #[test]
    fn rule_15_an_overlap_too_long_or_of_the_wrong_certificate_is_found() {
        let mut log = Log::enrolled();
        assert_eq!(log.broken_by_node("n1", renewed(2, 0, &[supersedes(1, 301)])), [super::NAME]);
        log.of("n1", renewed(2, 0, &[supersedes(1, 300)]));
        let two = renewed(3, 0, &[supersedes(2, 300), supersedes(1, 1)]);
        assert_eq!(log.broken_by_node("n1", two), [super::NAME]);
    }

    #[test]
    fn rule_15_only_a_renewal_leaves_an_overlap() {
        let mut log = Log::enrolled();
        log.of("n1", goodbye());
        assert_eq!(log.broken_by_node("n1", re_enrolled(2, 0, &[supersedes(1, 1)], &[1])), [super::NAME]);
        assert_eq!(log.broken_by_node("n1", re_enrolled(2, 0, &[], &[1])), [super::NAME]);
        assert_eq!(log.broken_by_node("n1", re_enrolled(2, 0, &[supersedes(1, 0)], &[1])), [""; 0]);
        log.wait(3 * DAY);
        assert_eq!(log.broken_by_node("n1", re_enrolled(2, 3 * DAY, &[], &[1])), [""; 0]);
    }

    #[test]
    fn rule_15_a_supersession_of_anything_else_is_found() {
        let log = Log::enrolled();
        let foreign = renewed(2, 0, &[supersedes(1, 300), supersedes(50, 0)]);
        assert_eq!(log.broken_by_node("n1", foreign), [super::NAME]);
        let twice = renewed(2, 0, &[supersedes(1, 300), supersedes(1, 0)]);
        assert_eq!(log.broken_by_node("n1", twice), [super::NAME]);
    }
}
