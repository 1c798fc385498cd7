//! The only place that knows bincode (docs/adr/0006): standard configuration, a limit on reading *and* writing.

use serde::{Deserialize, Serialize};

use crate::level::AboveLevel;

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
    /// A type of fact, or another choice, that a later release added to this format (R26).
    #[error("a type is not known to this release; upgrade")]
    UnknownType(#[source] Box<bincode::error::DecodeError>),
    /// It can be read, but says that what follows cannot be understood (R26).
    #[error("this release reads format level {}, and level {} is needed; upgrade", .0.level, .0.needs)]
    AboveLevel(AboveLevel),
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

impl DecodeError {
    /// Whether a later release would read it. Only of bytes that are known to be as they were written, by a chain, a
    /// checksum or TLS, does this say more than that they are damaged.
    pub const fn needs_upgrade(&self) -> bool {
        match self {
            Self::UnknownFormat { .. } | Self::UnknownType(_) | Self::AboveLevel(_) => true,
            Self::TooLarge { .. }
            | Self::Truncated
            | Self::Decode(_)
            | Self::LeftOver { .. }
            | Self::Misplaced => false,
        }
    }
}

/// serde's words for a number that stands for no variant; bincode passes them on as text.
const NO_VARIANT: &str = "expected variant index";

fn unread(error: bincode::error::DecodeError) -> DecodeError {
    let error = Box::new(error);
    if error.to_string().contains(NO_VARIANT) {
        DecodeError::UnknownType(error)
    } else {
        DecodeError::Decode(error)
    }
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

/// Reads a value of at most `LIMIT` bytes that fills them to the last; it may borrow from them. A length inside that lies is
/// refused before memory is taken for it, beyond a small multiple of the bytes at hand.
pub fn decode<'de, T: Deserialize<'de>, const LIMIT: usize>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    if bytes.len() > LIMIT {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), limit: LIMIT });
    }
    let (value, read) = decode_claiming(bytes).map_err(unread)?;
    if read == bytes.len() { Ok(value) } else { Err(DecodeError::LeftOver { bytes: bytes.len() - read }) }
}

/// [`decode`] of a value behind which more may come.
pub(super) fn decode_beginning<'de, T: Deserialize<'de>, const LIMIT: usize>(
    bytes: &'de [u8],
) -> Result<T, DecodeError> {
    if bytes.len() > LIMIT {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), limit: LIMIT });
    }
    decode_claiming(bytes).map(|(value, _)| value).map_err(unread)
}

/// bincode's own limit bounds what it *claims* before it takes memory, and it claims a number at the width of its type:
/// up to 16 bytes for one on disk. With the limit of the bytes themselves it would refuse to read what was rightly
/// written; so it is 16 times the next step
/// over the bytes at hand.
fn decode_claiming<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
) -> Result<(T, usize), bincode::error::DecodeError> {
    use bincode::serde::borrow_decode_from_slice as read;
    const KIB: usize = 1 << 10;
    const SMALL: usize = KIB + 1;
    const MEDIUM: usize = 64 * KIB + 1;
    const LARGE: usize = 1024 * KIB + 1;
    let config = bincode::config::standard();
    match bytes.len() {
        0..SMALL => read(bytes, config.with_limit::<{ 16 * SMALL }>()),
        SMALL..MEDIUM => read(bytes, config.with_limit::<{ 16 * MEDIUM }>()),
        MEDIUM..LARGE => read(bytes, config.with_limit::<{ 16 * LARGE }>()),
        LARGE.. => read(bytes, config.with_limit::<{ 1024 * LARGE }>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;

    use crate::vocabulary::{BootId, Der, Labels};

    fn is_refused_before_allocation<T: DeserializeOwned>(bytes: &[u8]) -> bool {
        match decode::<T, { 1 << 20 }>(bytes) {
            Err(DecodeError::Decode(error)) => matches!(*error, bincode::error::DecodeError::LimitExceeded),
            Ok(_) | Err(_) => false,
        }
    }

    #[test]
    fn rule_06_a_length_that_lies_takes_no_memory() {
        let sixty_four_bit = [253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let a_gigabyte = [252, 0, 0, 0, 0x40, b'x'];
        let a_megabyte = [252, 0, 0, 0x10, 0, b'x'];
        for bytes in [&sixty_four_bit[..], &a_gigabyte, &a_megabyte] {
            assert!(is_refused_before_allocation::<Der>(bytes), "{bytes:?}");
            assert!(is_refused_before_allocation::<BootId>(bytes), "{bytes:?}");
            assert!(decode::<Labels, { 1 << 20 }>(bytes).is_err(), "{bytes:?}");
            assert!(decode::<Vec<Der>, { 1 << 20 }>(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn rule_26_a_variant_of_a_later_release_says_upgrade_and_other_bytes_are_damaged() {
        #[derive(serde::Deserialize)]
        enum Known {
            One,
            Two(u8),
        }
        let read = |bytes: &[u8]| decode::<Vec<Known>, 100>(bytes);
        let known = read(&[2, 0, 1, 7]).unwrap();
        assert!(matches!(known[..], [Known::One, Known::Two(7)]));
        let later = read(&[1, 2, 9]).map(drop).unwrap_err();
        assert!(matches!(later, DecodeError::UnknownType(_)) && later.needs_upgrade(), "{later:?}");
        assert!(later.to_string().contains("upgrade"), "{later}");
        for damaged in [&[2, 0][..], &[1, 0, 0], &[1, 1]] {
            let error = read(damaged).map(drop).unwrap_err();
            assert!(!error.needs_upgrade(), "{error:?}");
        }
    }

    #[test]
    fn rule_06_small_numbers_are_read_up_to_the_limit() {
        let numbers = vec![1_u64; 60_000];
        let bytes = encode::<65_536>(&numbers).unwrap();
        assert_eq!(decode::<Vec<u64>, 65_536>(&bytes).unwrap(), numbers);
    }

    #[test]
    fn rule_06_the_limit_holds_for_writing_and_reading() {
        let value = Der::new(vec![7; 99]);
        let bytes = encode::<100>(&value).unwrap();
        assert_eq!(decode::<Der, 100>(&bytes).unwrap(), value);
        assert!(matches!(encode::<99>(&value), Err(EncodeError::TooLarge { bytes: 100, limit: 99 })));
        let refused = decode::<Der, 99>(&bytes);
        assert!(matches!(refused, Err(DecodeError::TooLarge { bytes: 100, limit: 99 })));
    }
}
