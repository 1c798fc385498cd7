//! Moments: [`events::vocabulary::Timestamp`] and `google.protobuf.Timestamp`.
//!
//! Functions, not `From`: both types belong to others.

use events::vocabulary::Timestamp;

/// A `google.protobuf.Timestamp` before 1970, after 9999, or not normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time between 1970 and 9999")]
pub struct InvalidMoment;

/// Writes a moment, with the precision of a millisecond.
pub fn to_wire(moment: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(moment.as_secs()).expect("a moment is not after the year 9999");
    let millis = i32::try_from(moment.as_millis() % 1000).expect("a remainder of 1000 is small");
    prost_types::Timestamp { seconds, nanos: millis * 1_000_000 }
}

/// Reads a moment; what is finer than a millisecond is cut off.
///
/// # Errors
/// If it lies outside the years that [`Timestamp`] can hold.
pub fn from_wire(wire: &prost_types::Timestamp) -> Result<Timestamp, InvalidMoment> {
    let seconds = u64::try_from(wire.seconds).map_err(|_| InvalidMoment)?;
    let nanos = u64::try_from(wire.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or(InvalidMoment)?;
    let millis = seconds.checked_mul(1000).and_then(|whole| whole.checked_add(nanos / 1_000_000));
    let millis = millis.ok_or(InvalidMoment)?;
    let moment = Timestamp::from_millis(millis);
    // `from_millis` stops at the end of the year 9999.
    if moment.as_millis() == millis { Ok(moment) } else { Err(InvalidMoment) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_moment_reads_back(millis in 0u64..=253_402_300_799_999) {
            let moment = Timestamp::from_millis(millis);
            prop_assert_eq!(from_wire(&to_wire(moment)), Ok(moment));
        }

        #[test]
        fn no_wire_time_panics(seconds: i64, nanos: i32) {
            from_wire(&prost_types::Timestamp { seconds, nanos }).ok();
        }
    }

    #[test]
    fn times_beyond_the_range_are_refused() {
        for (seconds, nanos) in [(-1, 0), (253_402_300_800, 0), (i64::MAX, 0), (0, -1), (0, 1_000_000_000)] {
            let wire = prost_types::Timestamp { seconds, nanos };
            assert_eq!(from_wire(&wire), Err(InvalidMoment), "{wire:?}");
        }
    }
}
