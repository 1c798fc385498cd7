//! The only place that knows bincode (docs/adr/0006): standard configuration, a limit on reading *and* writing.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a value cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Its bytes would be more than a reader accepts.
    #[error("{bytes} bytes are more than the limit of {limit}")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many a reader accepts.
        limit: usize,
    },
    /// bincode refuses it.
    #[error("the value cannot be encoded")]
    Encode(#[source] Box<bincode::error::EncodeError>),
}

/// Why bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More than the limit.
    #[error("{bytes} bytes are more than the limit of {limit}")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// Fewer bytes than the layout needs.
    #[error("the value ends early")]
    Truncated,
    /// A format of a later release (R26).
    #[error("format {format} is not known to this release; upgrade")]
    UnknownFormat {
        /// Its number.
        format: u8,
    },
    /// Bytes that no writer of this format writes.
    #[error("the bytes cannot be decoded")]
    Decode(#[source] Box<bincode::error::DecodeError>),
    /// Bytes after the value.
    #[error("{bytes} bytes are left over")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// A fact whose streams do not begin with its subject, or are none or too many (R2).
    #[error("the fact does not lie in its subject's stream")]
    Misplaced,
}

/// Writes a value of at most `LIMIT` bytes.
pub fn encode<const LIMIT: usize>(value: &impl Serialize) -> Result<Vec<u8>, EncodeError> {
    let bytes = bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| EncodeError::Encode(Box::new(error)))?;
    if bytes.len() > LIMIT {
        Err(EncodeError::TooLarge { bytes: bytes.len(), limit: LIMIT })
    } else {
        Ok(bytes)
    }
}

/// Reads a value of at most `LIMIT` bytes that fills them to the last. Lengths inside are checked before memory is
/// taken for them.
pub fn decode<T: DeserializeOwned, const LIMIT: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > LIMIT {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), limit: LIMIT });
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, read) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| DecodeError::Decode(Box::new(error)))?;
    if read == bytes.len() { Ok(value) } else { Err(DecodeError::LeftOver { bytes: bytes.len() - read }) }
}
