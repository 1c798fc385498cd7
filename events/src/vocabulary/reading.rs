//! How words are read back from what was stored: without taking memory for a copy, and bytes not one by one.
//!
//! Reading is what a journal's start and an auditor do with every fact of years. Only `Deserialize` of the words calls
//! this; what the bytes are is [`crate::codec`]'s matter.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// A word that is stored as its text.
pub(super) fn parsed<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    struct Text<T>(PhantomData<T>);
    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    from.deserialize_str(Text(PhantomData))
}

/// A word that is stored as its text and checks that itself, byte by byte: nothing asks before whether the bytes are UTF-8.
pub(super) fn checked<'de, T, E, D>(from: D, check: fn(&[u8]) -> Result<T, E>) -> Result<T, D::Error>
where
    E: fmt::Display,
    D: Deserializer<'de>,
{
    struct Bytes<T, E>(fn(&[u8]) -> Result<T, E>);
    impl<T, E: fmt::Display> Visitor<'_> for Bytes<T, E> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_bytes<F: Error>(self, bytes: &[u8]) -> Result<T, F> {
            (self.0)(bytes).map_err(F::custom)
        }

        fn visit_str<F: Error>(self, text: &str) -> Result<T, F> {
            self.visit_bytes(text.as_bytes())
        }
    }
    if from.is_human_readable() {
        from.deserialize_str(Bytes(check))
    } else {
        from.deserialize_bytes(Bytes(check))
    }
}

/// `N` bytes as they are, from a stored fact; `N` is a multiple of 8.
///
/// bincode reads an array of bytes one by one, at the price of a number each. A floating-point number is the one thing
/// that it stores as eight bytes without a length, so that is what they are read as; to its bits and back nothing of it
/// changes, whatever number it is.
pub(super) fn bytes<'de, const N: usize, D: Deserializer<'de>>(from: D) -> Result<[u8; N], D::Error> {
    struct Words<const N: usize>;
    impl<'de, const N: usize> Visitor<'de> for Words<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<[u8; N], A::Error> {
            let mut bytes = [0; N];
            for part in bytes.as_chunks_mut::<8>().0 {
                let word: Option<f64> = words.next_element()?;
                *part = word.ok_or_else(|| A::Error::invalid_length(0, &self))?.to_bits().to_le_bytes();
            }
            Ok(bytes)
        }
    }
    const { assert!(N.is_multiple_of(8), "whole words") };
    from.deserialize_tuple(N / 8, Words)
}

#[cfg(test)]
mod tests {
    use crate::codec::{decode, encode};
    use crate::vocabulary::{AppendId, Digest, NodeId};

    #[test]
    fn bytes_are_read_back_whatever_number_they_would_be() {
        let quiet = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
        let signalling = [1, 0, 0, 0, 0, 0, 0xf0, 0xff];
        let infinite = [0, 0, 0, 0, 0, 0, 0xf0, 0x7f];
        let subnormal = [1, 0, 0, 0, 0, 0, 0, 0x80];
        for word in [quiet, signalling, infinite, subnormal, [0xff; 8], [0; 8], [1, 2, 3, 4, 5, 6, 7, 8]] {
            let digest = Digest::new(std::array::from_fn(|at| word[at % 8]));
            let stored = encode::<64>(&digest).unwrap();
            assert_eq!(stored, digest.as_bytes());
            assert_eq!(decode::<Digest, 64>(&stored).unwrap(), digest);
        }
    }

    #[test]
    fn too_few_bytes_are_refused() {
        assert!(decode::<AppendId, 64>(&[7; 15]).is_err());
        assert!(decode::<NodeId, 64>(&[3, b'n', b'1']).is_err());
        assert!(decode::<NodeId, 64>(&[2, b'N', b'1']).is_err());
        assert_eq!(decode::<NodeId, 64>(&[2, b'n', b'1']).unwrap().as_str(), "n1");
    }
}
