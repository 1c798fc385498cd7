//! Authorities are not trusted any more: what they signed ends, and the node may enroll again (design §7).

use std::collections::BTreeSet;

use crate::node::event::{DistrustCause, Event};
use crate::node::state::{Held, State};
use crate::vocabulary::{AuthorityId, Serial, Timestamp};

use super::Decision;

/// The certificates of a node that end when these authorities are not trusted any more: those that they signed and that
/// still open something, or may again after a warm reboot; with the current one also the one in its overlap, whoever signed
/// that.
pub fn distrusted(state: &State, authorities: &BTreeSet<AuthorityId>, now: Timestamp) -> Vec<Serial> {
    let lives = |held: &&Held| state.usable_until(held.certificate.serial).is_some_and(|until| until > now);
    let signed = |held: &&Held| authorities.contains(&held.certificate.authority);
    let current = state.current().filter(lives);
    let overlap = state.overlap().filter(lives);
    let ended: [Option<&Held>; 2] = if current.as_ref().is_some_and(signed) {
        [current, overlap]
    } else {
        [None, overlap.filter(signed)]
    };
    let replaced = state.all_replaced(now).map(|replaced| &replaced.held).filter(signed);
    ended.into_iter().flatten().chain(replaced).map(|held| held.certificate.serial).collect()
}

pub(super) fn distrust(state: &State, authorities: &BTreeSet<AuthorityId>, now: Timestamp) -> Decision {
    let serials = distrusted(state, authorities, now);
    if serials.is_empty() {
        return Decision::Nothing;
    }
    Decision::Record(vec![Event::CertificateRevoked { cause: DistrustCause::JournalEvicted, serials }])
}
