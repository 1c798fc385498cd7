//! What an evicted journal had signed ends, and the node may come again (design §7).

use std::collections::BTreeSet;

use super::*;
use crate::vocabulary::AuthorityId;

/// The authorities of these numbers; the samples' certificates are of number 1.
fn distrust(secs: u64, numbers: &[u8]) -> Command {
    let authorities: BTreeSet<AuthorityId> = numbers.iter().copied().map(authority_id).collect();
    Command::Distrust { authorities, now: at(secs) }
}

/// Renewed at another journal: 2 is of the authority 2, its predecessor 1 of the authority 1.
fn is_renewed_elsewhere() -> Vec<(u64, Event)> {
    let next = Certificate { authority: authority_id(2), ..certificate(2, 900) };
    let renewal = issued(Cause::Renewed, 1, next, &[supersedes(1, 300)], None);
    [is_active(), vec![(900, renewal), (1000, confirmed(2))]].concat()
}

#[test]
fn a_certificate_of_a_distrusted_authority_ends_and_others_stand() {
    for given in [is_unconfirmed(), is_active(), is_inactive()] {
        check(&given, distrust(10, &[1]), record(distrusted(&[1])));
        check(&given, distrust(10, &[2, 3]), NOTHING);
        check(&given, distrust(10, &[]), NOTHING);
    }
    for given in [vec![], is_registered(), is_put_away(), is_revoked()] {
        check(&given, distrust(10, &[1]), NOTHING);
    }
}

#[test]
fn what_has_expired_needs_no_end() {
    check(&is_active(), distrust(3 * DAY - 1, &[1]), record(distrusted(&[1])));
    check(&is_active(), distrust(3 * DAY, &[1]), NOTHING);
    check(&is_renewed_elsewhere(), distrust(1299, &[1]), record(distrusted(&[1])));
    check(&is_renewed_elsewhere(), distrust(1300, &[1]), NOTHING);
}

#[test]
fn a_current_certificate_ends_with_its_predecessor_and_a_predecessor_alone() {
    check(&is_renewed(), distrust(1001, &[1]), record(distrusted(&[2, 1])));
    check(&is_renewed_elsewhere(), distrust(1001, &[2]), record(distrusted(&[2, 1])));
    check(&is_renewed_elsewhere(), distrust(1001, &[1]), record(distrusted(&[1])));
    let still = state(&[is_renewed_elsewhere(), vec![(1001, distrusted(&[1]))]].concat());
    assert_eq!((still.usable_until(serial(2)).is_some(), still.usable_until(serial(1))), (true, None));
}

#[test]
fn a_node_without_its_certificate_is_inactive_and_enrolls_again() {
    let gone = [is_active(), vec![(10, distrusted(&[1]))]].concat();
    assert!(matches!(state(&gone), State::Inactive { current: None, .. }));
    check(&gone, distrust(11, &[1]), NOTHING);
    check(&gone, renew(11, 1, 9), Err(Rejection::SerialSuperseded));
    check(&gone, confirm(11, 1), Err(Rejection::SerialSuperseded));
    check(&gone, enroll(11, hardware(&[1]), 9), record(re_enrolled(9, 11, &[], &[1])));
}
