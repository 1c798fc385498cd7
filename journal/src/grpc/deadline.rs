//! How long a caller waits for its answer, as gRPC tells it: the header `grpc-timeout` (gRPC over HTTP/2, Requests).
//!
//! The queue in front of the actors asks ([`crate::admission`]): who would wait longer gets no place (R21).

use std::time::Duration;

use tonic::metadata::MetadataMap;

use super::CALL_DEADLINE;

/// What a caller that says nothing is taken to wait. Agents wait 15 s, and want an answer before that.
const UNSAID: Duration = Duration::from_secs(10);

/// How long the caller waits; never longer than the call may take at all.
pub fn patience(metadata: &MetadataMap) -> Duration {
    let said = metadata.get("grpc-timeout").and_then(|said| said.to_str().ok()).and_then(parse);
    said.unwrap_or(UNSAID).min(CALL_DEADLINE)
}

/// At most eight digits and a unit. What is not of that form is not said.
fn parse(said: &str) -> Option<Duration> {
    let unit = said.chars().next_back().filter(char::is_ascii)?;
    let digits = &said[..said.len() - 1];
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(count * 3600)),
        'M' => Some(Duration::from_secs(count * 60)),
        'S' => Some(Duration::from_secs(count)),
        'm' => Some(Duration::from_millis(count)),
        'u' => Some(Duration::from_micros(count)),
        'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str) -> Duration {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", said.parse().unwrap());
        patience(&metadata)
    }

    #[test]
    fn rule_21_what_the_caller_says_counts_up_to_the_deadline_of_a_call() {
        for (said, expected) in [
            ("1S", Duration::from_secs(1)),
            ("250m", Duration::from_millis(250)),
            ("15000000u", Duration::from_secs(15)),
            ("0n", Duration::ZERO),
            ("2M", CALL_DEADLINE),
            ("99999999H", CALL_DEADLINE),
        ] {
            assert_eq!(told(said), expected, "{said}");
        }
    }

    #[test]
    fn what_is_no_timeout_is_not_said() {
        assert_eq!(patience(&MetadataMap::new()), UNSAID);
        for said in ["", "S", "5", "5s", "-5S", "+5S", "123456789S", "5 S", "1.5S"] {
            assert_eq!(told(said), UNSAID, "{said}");
        }
    }
}
