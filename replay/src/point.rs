//! A point in a log, as people name it: a fact by its place, or a moment.
//!
//! The command line parses it; [`crate::state`], [`crate::diff`] and [`crate::export`] go there.
//!
//! **Invariant:** a moment means the facts that were recorded until then, itself included; the log's own time counts.

use std::str::FromStr;

use events::codec::Chain;
use events::fact::Record;
use events::vocabulary::Timestamp;
use serde_json::{Value, json};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// After this fact.
    Seq(u64),
    /// After the last fact that was recorded until then.
    Time(Timestamp),
}

/// A text that names no point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the seq of a fact, or a time such as 2026-01-31T12:00:00Z")]
pub struct InvalidPoint;

/// A point that lies outside of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// There is nothing to point at.
    #[error("the log has no facts")]
    Empty,
    /// No fact has this place.
    #[error("there is no fact {seq}: the facts of the log are 1 to {last}")]
    NoSuchFact {
        /// The place that was named.
        seq: u64,
        /// The last place.
        last: u64,
    },
    /// The log is younger.
    #[error("nothing was recorded until {time}: the first fact is of {first}")]
    BeforeTheFirst {
        /// The moment that was named.
        time: Timestamp,
        /// When the first fact was recorded.
        first: Timestamp,
    },
    /// The wrong way round.
    #[error("the first of the two points lies behind the second")]
    Reversed,
}

/// A place in a log that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The fact.
    pub seq: u64,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its link of the chain.
    pub head: Chain,
}

impl Mark {
    /// As documents name it.
    pub fn to_json(&self) -> Value {
        json!({"seq": self.seq, "recorded_at": self.recorded_at, "head": self.head.to_string()})
    }
}

impl Point {
    /// Whether a fact lies before the point, or at it.
    pub fn reaches(self, record: &Record) -> bool {
        match self {
            Self::Seq(seq) => record.seq <= seq,
            Self::Time(time) => record.recorded_at <= time,
        }
    }

    /// Whether two points of one kind are the wrong way round. Of two kinds only the log can tell.
    pub fn is_behind(self, other: Self) -> bool {
        match (self, other) {
            (Self::Seq(own), Self::Seq(other)) => own > other,
            (Self::Time(own), Self::Time(other)) => own > other,
            (Self::Seq(_), Self::Time(_)) | (Self::Time(_), Self::Seq(_)) => false,
        }
    }
}

impl FromStr for Point {
    type Err = InvalidPoint;

    fn from_str(text: &str) -> Result<Self, InvalidPoint> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map(Self::Seq).map_err(|_| InvalidPoint)
        } else {
            text.parse().map(Self::Time).map_err(|_| InvalidPoint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_a_place_and_anything_else_is_a_moment() {
        assert_eq!("42".parse(), Ok(Point::Seq(42)));
        let time = Timestamp::from_millis(1_767_225_600_000);
        assert_eq!("2026-01-01T01:00:00+01:00".parse(), Ok(Point::Time(time)));
        for text in ["", "-1", "now", "2026-01-01", "99999999999999999999"] {
            assert_eq!(text.parse::<Point>(), Err(InvalidPoint), "{text}");
        }
    }

    #[test]
    fn only_points_of_one_kind_are_compared_without_the_log() {
        let time = |millis| Point::Time(Timestamp::from_millis(millis));
        assert!(Point::Seq(2).is_behind(Point::Seq(1)) && time(2).is_behind(time(1)));
        assert!(!Point::Seq(1).is_behind(Point::Seq(1)) && !time(1).is_behind(time(1)));
        assert!(!Point::Seq(2).is_behind(time(1)) && !time(2).is_behind(Point::Seq(1)));
    }
}
