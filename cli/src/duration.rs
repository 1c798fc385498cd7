//! Spans of time as operators write them: `500ms`, `10s`, `2m`, `1h`, `30d`.
//!
//! `args` parses flags with it.
//!
//! **Invariant:** what is parsed is longer than nothing. A timeout of zero would fail everything.

use std::time::Duration;

/// Units and their milliseconds. A unit that ends like a shorter one stands before it.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A text that is no span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// No whole number, or no unit.
    #[error("write a whole number and its unit: 500ms, 10s, 2m, 1h or 30d")]
    Form,
    /// Zero.
    #[error("it must be longer than zero")]
    Zero,
    /// More milliseconds than fit into 64 bits.
    #[error("it is too long")]
    TooLong,
}

/// Reads a whole number with its unit.
///
/// # Errors
/// If number or unit is missing or unknown, or the span is zero or beyond 64 bits of milliseconds.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let (digits, millis) = UNITS
        .iter()
        .find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, *millis)))
        .ok_or(InvalidDuration::Form)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidDuration::Form);
    }
    // Only digits: what does not parse is too large.
    let number: u64 = digits.parse().map_err(|_| InvalidDuration::TooLong)?;
    match number.checked_mul(millis) {
        Some(0) => Err(InvalidDuration::Zero),
        Some(millis) => Ok(Duration::from_millis(millis)),
        None => Err(InvalidDuration::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_its_unit_is_read() {
        for (text, millis) in [
            ("1ms", 1),
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("30d", 2_592_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_with_a_unit_is_refused() {
        for text in ["", "10", "s", "ms", "1.5s", "-1s", "+1s", "1 s", " 1s", "10S", "1w", "1s1s", "１s"] {
            assert_eq!(parse(text), Err(InvalidDuration::Form), "{text:?}");
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert_eq!(parse("0s"), Err(InvalidDuration::Zero));
        assert_eq!(parse("18446744073709551615h"), Err(InvalidDuration::TooLong));
        assert_eq!(parse("99999999999999999999ms"), Err(InvalidDuration::TooLong));
    }
}
