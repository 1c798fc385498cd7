//! The value of one fact: `chain(32) ‖ u32 len (big-endian) ‖ body ‖ remarks`.
//!
//! The chain covers the body; the remarks behind it are the one thing that can be erased (R4).

use serde::Deserialize;

use crate::fact::Record;
use crate::level::{self, Level};
use crate::stream::{MAX_STREAMS, StreamVersion};
use crate::vocabulary::{AppendId, Remark, RemarkHash, StoredRemark};

use super::binary::{DecodeError, EncodeError, decode, decode_beginning, encode};
use super::chain::Chain;
use super::shortcut;

/// The first byte of a body.
const FORMAT: u8 = 1;
/// A body has at most this many bytes after its format (R6).
const BODY_LIMIT: usize = 1 << 20;
/// The remarks of one fact: two of 1 KB, with room.
const REMARKS_LIMIT: usize = 1 << 14;

/// A value taken apart, nothing of it decoded: the chain is checked before anything is believed.
#[derive(Debug, Clone, Copy)]
pub struct StoredValue<'a> {
    /// The link that this fact adds.
    pub chain: Chain,
    /// `format ‖ bincode(Record)`.
    pub body: &'a [u8],
    remarks: &'a [u8],
}

impl<'a> StoredValue<'a> {
    /// Takes a value apart.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let (chain, rest) = value.split_first_chunk::<32>().ok_or(DecodeError::Truncated)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(DecodeError::Truncated)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| DecodeError::Truncated)?;
        let (body, remarks) = rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        Ok(Self { chain: Chain::from_bytes(*chain), body, remarks })
    }

    /// Puts a value together.
    pub fn write(chain: &Chain, body: &[u8], remarks: &[Remark]) -> Result<Vec<u8>, EncodeError> {
        let tail = if remarks.is_empty() { vec![] } else { encode::<REMARKS_LIMIT>(&remarks)? };
        let too_large = |_| EncodeError::TooLarge { bytes: body.len(), limit: BODY_LIMIT };
        let length = u32::try_from(body.len()).map_err(too_large)?;
        Ok([chain.as_bytes().as_slice(), &length.to_be_bytes(), body, &tail].concat())
    }

    /// The remarks that were not erased.
    pub fn remarks(&self) -> Result<Vec<Remark>, DecodeError> {
        if self.remarks.is_empty() { Ok(vec![]) } else { decode::<Vec<Remark>, REMARKS_LIMIT>(self.remarks) }
    }

    /// The hashes of the remarks that were not erased; takes no memory for their texts.
    pub fn remark_hashes(&self) -> Result<impl Iterator<Item = RemarkHash> + use<'a>, DecodeError> {
        let only = shortcut::read_remark(self.remarks).filter(|_| self.remarks.len() <= REMARKS_LIMIT);
        let several = if only.is_some() || self.remarks.is_empty() {
            vec![]
        } else {
            decode::<Vec<StoredRemark<'a>>, REMARKS_LIMIT>(self.remarks)?
        };
        Ok(only.into_iter().chain(several).map(|remark| remark.hash()))
    }

    /// The same value without a remark: chain and body stay as they are.
    pub fn without(&self, erased: RemarkHash) -> Result<Vec<u8>, DecodeError> {
        let kept: Vec<Remark> =
            self.remarks()?.into_iter().filter(|remark| remark.hash() != erased).collect();
        Self::write(&self.chain, self.body, &kept).map_err(|_| DecodeError::Truncated)
    }
}

/// The body of a fact.
pub fn encode_body(record: &Record) -> Result<Vec<u8>, EncodeError> {
    let mut body = encode::<BODY_LIMIT>(record)?;
    body.insert(0, FORMAT);
    Ok(body)
}

/// Reads a body. Format 1 is the only one so far; a later release lifts it to its own.
pub fn decode_body(body: &[u8]) -> Result<Record, DecodeError> {
    decode_boxed(body).map(|record| *record)
}

/// [`decode_body`] of a fact that the reader must understand, and also what comes after it (R26). Only for a body of which
/// the chain says that it is as it was written. Boxed, for whoever reads years of facts: one has hundreds of bytes, and is not
/// moved about once it is read.
///
/// # Errors
/// As [`decode_body`]; and if the fact needs a higher level than is read.
pub fn decode_body_up_to(body: &[u8], reads: Level) -> Result<Box<Record>, DecodeError> {
    let record = decode_boxed(body)?;
    level::legible(&record.fact, reads).map_err(DecodeError::AboveLevel)?;
    Ok(record)
}

/// What a body says first of its fact.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Outline {
    /// See [`Record::seq`].
    pub seq: u64,
    /// See [`Record::streams`].
    pub streams: Vec<StreamVersion>,
    /// See [`Record::append_id`].
    pub append_id: AppendId,
}

/// Reads the beginning of a body, for whoever passes facts on: a tenth of the work of reading all of it, which is not looked
/// at. So this says nothing of whether the body can be read.
///
/// # Errors
/// As [`decode_body`], of the beginning.
pub fn outline(body: &[u8]) -> Result<Outline, DecodeError> {
    let (format, rest) = body.split_first().ok_or(DecodeError::Truncated)?;
    if *format != FORMAT {
        return Err(DecodeError::UnknownFormat { format: *format });
    }
    decode_beginning::<Outline, BODY_LIMIT>(rest)
}

fn decode_boxed(body: &[u8]) -> Result<Box<Record>, DecodeError> {
    let (format, rest) = body.split_first().ok_or(DecodeError::Truncated)?;
    if *format != FORMAT {
        return Err(DecodeError::UnknownFormat { format: *format });
    }
    let shortcut = || (rest.len() <= BODY_LIMIT).then(|| shortcut::read(rest)).flatten();
    let record = shortcut().map_or_else(|| decode::<Box<Record>, BODY_LIMIT>(rest), Ok)?;
    let first = record.streams.first().is_some_and(|at| record.fact.is_about(&at.name));
    if first && record.streams.len() <= MAX_STREAMS { Ok(record) } else { Err(DecodeError::Misplaced) }
}
