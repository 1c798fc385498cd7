//! Labels: what operators note beside a node. pact itself never reads a meaning into them.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// At most 32 pairs of key (1–63 characters of `[A-Za-z0-9._/-]`) and value (at most 128 bytes, no control characters).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Labels(BTreeMap<String, String>);

/// Why labels are not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    /// No `=` in a text such as `rack=r12`.
    #[error("a label is written KEY=VALUE")]
    NoValue,
    /// The key is empty, too long or has other characters.
    #[error("a label's key has 1 to 63 letters, digits, '.', '_', '/' and '-'")]
    Key,
    /// The value is too long or has control characters.
    #[error("a label's value has at most 128 bytes and no control characters")]
    Value,
    /// More than 32.
    #[error("a node has at most 32 labels")]
    TooMany,
}

impl Labels {
    const MAX: usize = 32;

    /// Checks each pair. Of equal keys the last one counts.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidLabel> {
        let mut labels = BTreeMap::new();
        for (key, value) in pairs {
            let allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-');
            if !(1..=63).contains(&key.len()) || !key.bytes().all(allowed) {
                return Err(InvalidLabel::Key);
            }
            if value.len() > 128 || value.chars().any(char::is_control) {
                return Err(InvalidLabel::Value);
            }
            labels.insert(key, value);
            if labels.len() > Self::MAX {
                return Err(InvalidLabel::TooMany);
            }
        }
        Ok(Self(labels))
    }

    /// The pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl FromStr for Labels {
    type Err = InvalidLabel;

    /// One pair, as in `rack=r12`.
    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let (key, value) = text.split_once('=').ok_or(InvalidLabel::NoValue)?;
        Self::new([(key.to_owned(), value.to_owned())])
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::<String, String>::deserialize(from)?).map_err(de::Error::custom)
    }
}
