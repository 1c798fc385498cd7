//! One line of an exported log (`pact-replay export --format jsonl`): a fact in words, and its stored value beside them, so that
//! the chain can be computed from the file alone.
//!
//! `replay` writes and reads such files, the journal reads one to go on with the log. Not here: files, and whether the words
//! say what the bytes say.
//!
//! **Invariant:** a line that is taken apart was written as an export writes it: all readers read the same.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The member of a line that has the stored value, in base64.
pub const STORED: &str = "stored";

/// A stored value has at most 1 MiB and some: in base64 and again as words it is shorter than this.
pub const LONGEST_LINE: usize = 8 << 20;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineDamage {
    /// Longer than any fact can be.
    #[error("the line is longer than {LONGEST_LINE} bytes")]
    TooLong,
    /// Cut off, or edited.
    #[error("the line is no JSON object")]
    NotJson,
    /// JSON of somebody else.
    #[error("the line has no seq, or no stored bytes")]
    NotAFact,
    /// The bytes are not written as base64.
    #[error("the stored bytes of the line are no base64")]
    NotBase64,
    /// A member twice, or other spaces or escapes: different readers would read different things.
    #[error("the line is not written as an export writes it")]
    WrittenOtherwise,
    /// The words were edited.
    #[error("the line says of {member:?} something else than its stored bytes")]
    Words {
        /// Where.
        member: String,
    },
}

/// All members of a line.
///
/// # Errors
/// If it is too long, or no JSON object.
pub fn words(line: &[u8]) -> Result<Map<String, Value>, LineDamage> {
    if line.len() > LONGEST_LINE {
        return Err(LineDamage::TooLong);
    }
    serde_json::from_slice(line).map_err(|_| LineDamage::NotJson)
}

/// The place that a line names and its words; the stored value replaces what is in `value`.
///
/// # Errors
/// If no export writes such a line.
pub fn take_apart(line: &[u8], value: &mut Vec<u8>) -> Result<(u64, Map<String, Value>), LineDamage> {
    let mut words = words(line)?;
    let length = line.strip_suffix(b"\n").unwrap_or(line).len();
    if serde_json::to_vec(&words).map_or(0, |written| written.len()) != length {
        return Err(LineDamage::WrittenOtherwise);
    }
    let stored = words.remove(STORED);
    let seq = words.get("seq").and_then(Value::as_u64).ok_or(LineDamage::NotAFact)?;
    let stored = stored.as_ref().and_then(Value::as_str).ok_or(LineDamage::NotAFact)?;
    value.clear();
    STANDARD.decode_vec(stored, value).map_err(|_| LineDamage::NotBase64)?;
    Ok((seq, words))
}

/// The stored value as a line has it.
pub fn in_base64(stored: &[u8]) -> String {
    STANDARD.encode(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stored: &[u8]) -> String {
        serde_json::json!({"seq": 7, STORED: in_base64(stored), "type": "X"}).to_string()
    }

    #[test]
    fn a_line_is_taken_apart() {
        let mut value = b"of the line before".to_vec();
        let (seq, words) = take_apart((line(b"bytes") + "\n").as_bytes(), &mut value).unwrap();
        assert_eq!((seq, value.as_slice()), (7, b"bytes".as_slice()));
        assert!(words.get("type").is_some() && words.get(STORED).is_none());
    }

    #[test]
    fn a_line_of_somebody_else_is_refused() {
        let spaced = line(b"bytes").replace(':', ": ");
        for (text, damage) in [
            ("[]", LineDamage::NotJson),
            ("{", LineDamage::NotJson),
            ("{}", LineDamage::NotAFact),
            (r#"{"seq":1}"#, LineDamage::NotAFact),
            (r#"{"seq":1,"stored":"*"}"#, LineDamage::NotBase64),
            (r#"{"seq":1,"seq":2,"stored":""}"#, LineDamage::WrittenOtherwise),
            (spaced.as_str(), LineDamage::WrittenOtherwise),
        ] {
            assert_eq!(take_apart(text.as_bytes(), &mut vec![]), Err(damage), "{text}");
        }
        let long = vec![b' '; LONGEST_LINE + 1];
        assert_eq!(take_apart(&long, &mut vec![]), Err(LineDamage::TooLong));
    }
}
