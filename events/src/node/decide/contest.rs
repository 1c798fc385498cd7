//! Two machines claim to be one node (R14): when that begins, and when an operator has settled it.

use crate::node::command::Contest;
use crate::node::event::Event;
use crate::node::rejection::Rejection;
use crate::node::state::State;

use super::Decision;

/// One fact when it begins. It says nothing against the certificate that stands; nobody hears of the decision.
pub(super) fn contest(state: &State, contest: Contest) -> Decision {
    let State::Active { enrollment, current, overlap } = state else { return Decision::Nothing };
    let mut held = [current].into_iter().chain(overlap).map(|held| &held.certificate);
    // What was true when the machine asked may be over: the stream is another's, or the key has become the node's own.
    let answers = held.clone().any(|certificate| certificate.serial == contest.serial);
    let own = held.any(|certificate| certificate.spki_sha256 == contest.key);
    let matched = enrollment.hardware.is_matched_by(&contest.presented);
    if enrollment.contested || !answers || own || !matched {
        return Decision::Nothing;
    }
    Decision::Record(vec![Event::Contested {
        serial: contest.serial,
        rival_spki_sha256: contest.key,
        presented: contest.presented,
        boot_id: contest.boot_id,
    }])
}

pub(super) fn resolve(state: &State) -> Result<Decision, Rejection> {
    match state {
        State::Unknown => Err(Rejection::NotFound),
        State::Registered { enrollment }
        | State::Active { enrollment, .. }
        | State::Inactive { enrollment, .. }
        | State::Revoked { enrollment } => Ok(if enrollment.contested {
            Decision::Record(vec![Event::Resolved {}])
        } else {
            Decision::Nothing
        }),
    }
}
