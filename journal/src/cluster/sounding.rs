//! What one journal tells another of a node's machine, in their words on the wire. Total in both directions.

use std::time::Duration;

use proto::pb::SoundResponse;
use proto::pb::sound_response::Sounding as Wire;

use crate::presence::soundings::Sounding;

/// The longest wait that is believed: no question takes longer.
const LONGEST: Duration = Duration::from_secs(60);

pub(super) fn to_wire(found: Sounding) -> SoundResponse {
    let (sounding, wait) = match found {
        Sounding::Answers => (Wire::Answers, Duration::ZERO),
        Sounding::Silent => (Wire::Silent, Duration::ZERO),
        Sounding::Open(wait) => (Wire::Open, wait),
        Sounding::Unknown => (Wire::Unspecified, Duration::ZERO),
    };
    SoundResponse { sounding: sounding.into(), wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) }
}

pub(super) fn of_wire(told: &SoundResponse) -> Sounding {
    match told.sounding() {
        Wire::Answers => Sounding::Answers,
        Wire::Silent => Sounding::Silent,
        Wire::Open => Sounding::Open(Duration::from_millis(told.wait_ms).min(LONGEST)),
        // Also a word that this release does not know.
        Wire::Unspecified => Sounding::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_and_an_unknown_word_is_not_known() {
        let wait = Duration::from_millis(1500);
        for found in [Sounding::Answers, Sounding::Silent, Sounding::Open(wait), Sounding::Unknown] {
            assert_eq!(of_wire(&to_wire(found)), found);
        }
        assert_eq!(of_wire(&SoundResponse { sounding: 9, wait_ms: 0 }), Sounding::Unknown);
        let long = SoundResponse { sounding: Wire::Open.into(), wait_ms: u64::MAX };
        assert_eq!(of_wire(&long), Sounding::Open(LONGEST));
    }
}
