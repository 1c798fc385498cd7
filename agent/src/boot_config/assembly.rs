//! Puts the chunks of a boot configuration together and checks them. Pure.
//!
//! [`super::fetch`] feeds it with what a journal sends.
//!
//! **Invariant:** no sequence of chunks makes it panic, or hold more room than twice what was received, than what was
//! announced, or than [`OVERLAY_BYTES`].

use std::sync::Arc;

use events::vocabulary::{Digest, VClusterId};
use proto::pb::{
    ConfigChunk,
    config_chunk::{Chunk, Complete, Overlay as Part},
};

use super::{BootConfig, OVERLAY_BYTES, Overlay, PART_BYTES};

/// Parts of less than 1 KB on average are only a burden.
const PARTS: u32 = 10 * 1024;

/// What is wrong with a boot configuration. The journal is to blame, or what lies between.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootConfigError {
    /// Neither a part nor the end.
    #[error("a chunk of the boot configuration is neither a part nor its end")]
    UnknownChunk,
    /// More than a part and its names.
    #[error("a chunk of the boot configuration is larger than the largest part")]
    MessageTooLarge,
    /// The number of parts is no number of parts.
    #[error("an overlay of {total} parts was announced; 1 to {PARTS} are possible")]
    Total {
        /// How many were announced.
        total: u32,
    },
    /// A part is missing, doubled or in the wrong place, or one too many.
    #[error("part {found} of the overlay came instead of part {expected} of {total}")]
    OutOfOrder {
        /// Which came.
        found: u32,
        /// Which should have come.
        expected: u32,
        /// How many were announced.
        total: u32,
    },
    /// A part is too large, or without content though it is not the only one.
    #[error("part {index} of the overlay has {bytes} bytes; 1 to {PART_BYTES} are possible")]
    PartSize {
        /// Which part.
        index: u32,
        /// How many bytes it has.
        bytes: usize,
    },
    /// More than [`OVERLAY_BYTES`].
    #[error("the overlay has more than {OVERLAY_BYTES} bytes")]
    TooLarge,
    /// A part or the end says something else than the parts before it.
    #[error("the chunks of the boot configuration differ in their {field}")]
    Differs {
        /// In what.
        field: &'static str,
    },
    /// The announced hash is none.
    #[error("the SHA-256 of the overlay has {bytes} bytes instead of 32")]
    HashLength {
        /// How many it has.
        bytes: usize,
    },
    /// The vCluster's name is none.
    #[error("the boot configuration is of a vCluster whose name is invalid")]
    VCluster,
    /// An overlay without the fact that set it.
    #[error("the overlay has no revision")]
    NoRevision,
    /// The end came before the last part.
    #[error("the overlay ended after {received} of {total} parts")]
    Truncated {
        /// How many parts came.
        received: u32,
        /// How many were announced.
        total: u32,
    },
    /// The bytes are not those that were announced.
    #[error("the overlay's SHA-256 is {found}, not {announced} as announced")]
    Altered {
        /// Of what came.
        found: Digest,
        /// What the journal said.
        announced: Digest,
    },
    /// The end came without the overlay, though the node does not have it.
    #[error("the overlay of revision {revision} was not sent, and this node does not have it")]
    NotSent {
        /// Which overlay.
        revision: u64,
    },
    /// The answer shows less than the node has seen: this journal lags behind.
    #[error("the boot configuration shows the facts up to {shown}, not up to {least}")]
    Behind {
        /// Up to where it shows the facts.
        shown: u64,
        /// Up to where it should.
        least: u64,
    },
    /// Something came after the end.
    #[error("a chunk came after the end of the boot configuration")]
    AfterTheEnd,
    /// The stream ended without the end.
    #[error("the boot configuration ended without saying that it is complete")]
    NotComplete,
}

use BootConfigError as Error;

/// A boot configuration that arrives.
pub(super) struct Assembly<'h> {
    held: Option<&'h BootConfig>,
    parts: Option<Parts>,
    complete: Option<BootConfig>,
}

impl<'h> Assembly<'h> {
    /// Of a node that holds this already.
    pub(super) fn new(held: Option<&'h BootConfig>) -> Self {
        Self { held, parts: None, complete: None }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// If it cannot come here. The rest is of no use then.
    pub(super) fn take(&mut self, chunk: ConfigChunk) -> Result<(), Error> {
        if self.complete.is_some() {
            return Err(Error::AfterTheEnd);
        }
        match chunk.chunk {
            Some(Chunk::Overlay(part)) => match &mut self.parts {
                Some(parts) => parts.add(part),
                none @ None => {
                    *none = Some(Parts::begin(part)?);
                    Ok(())
                }
            },
            Some(Chunk::Complete(complete)) => {
                self.complete = Some(self.close(complete)?);
                Ok(())
            }
            None => Err(Error::UnknownChunk),
        }
    }

    /// What arrived, when the stream has ended.
    ///
    /// # Errors
    /// If it did not say that it is complete.
    pub(super) fn finish(self) -> Result<BootConfig, Error> {
        self.complete.ok_or(Error::NotComplete)
    }

    fn close(&mut self, Complete { vcluster_id, revision, seq }: Complete) -> Result<BootConfig, Error> {
        let least = self.held.map_or(0, |held| held.seq).max(revision);
        if seq < least {
            return Err(Error::Behind { shown: seq, least });
        }
        let overlay = match self.parts.take() {
            Some(parts) => Some(parts.close(&vcluster_id, revision)?),
            None => self.held_overlay(revision)?,
        };
        let vcluster = match vcluster_id.as_str() {
            "" => None,
            name => Some(name.parse::<VClusterId>().map_err(|_| Error::VCluster)?),
        };
        Ok(BootConfig { vcluster, revision, seq, overlay })
    }

    fn held_overlay(&self, revision: u64) -> Result<Option<Arc<Overlay>>, Error> {
        if revision == 0 {
            return Ok(None);
        }
        let held = self.held.filter(|held| held.revision == revision).and_then(|held| held.overlay.clone());
        held.map(Some).ok_or(Error::NotSent { revision })
    }
}

/// The parts of an overlay that came so far: at least one.
struct Parts {
    vcluster_id: String,
    revision: u64,
    total: u32,
    announced: Digest,
    received: u32,
    bytes: Vec<u8>,
}

impl Parts {
    fn begin(part: Part) -> Result<Self, Error> {
        let Part { vcluster_id, revision, index, total, data, sha256 } = part;
        if !(1..=PARTS).contains(&total) {
            return Err(Error::Total { total });
        }
        if index != 0 {
            return Err(Error::OutOfOrder { found: index, expected: 0, total });
        }
        if revision == 0 {
            return Err(Error::NoRevision);
        }
        check_size(index, total, &data)?;
        let announced = <[u8; 32]>::try_from(sha256.as_slice())
            .map_err(|_| Error::HashLength { bytes: sha256.len() })
            .map(Digest::new)?;
        // The first part is not copied. Most overlays have no other.
        Ok(Self { vcluster_id, revision, total, announced, received: 1, bytes: data })
    }

    fn add(&mut self, part: Part) -> Result<(), Error> {
        let Part { vcluster_id, revision, index, total, data, sha256 } = part;
        self.agrees(&vcluster_id, revision)?;
        if total != self.total {
            return Err(Error::Differs { field: "number of parts" });
        }
        if sha256 != self.announced.as_bytes() {
            return Err(Error::Differs { field: "SHA-256" });
        }
        if index != self.received || index >= total {
            return Err(Error::OutOfOrder { found: index, expected: self.received, total });
        }
        check_size(index, total, &data)?;
        self.append(&data)?;
        self.received += 1;
        Ok(())
    }

    fn agrees(&self, vcluster_id: &str, revision: u64) -> Result<(), Error> {
        if revision != self.revision {
            return Err(Error::Differs { field: "revision" });
        }
        if vcluster_id != self.vcluster_id {
            return Err(Error::Differs { field: "vCluster" });
        }
        Ok(())
    }

    /// Room doubles, so that no byte is moved often, up to what was announced.
    fn append(&mut self, data: &[u8]) -> Result<(), Error> {
        let needed = self.bytes.len() + data.len();
        if needed > OVERLAY_BYTES {
            return Err(Error::TooLarge);
        }
        if needed > self.bytes.capacity() {
            let announced = (self.total as usize).saturating_mul(PART_BYTES).min(OVERLAY_BYTES);
            let room = (2 * self.bytes.len()).clamp(needed, announced.max(needed));
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    fn close(self, vcluster_id: &str, revision: u64) -> Result<Arc<Overlay>, Error> {
        // A vCluster without an overlay has the domain's default, which belongs to none.
        let of_the_domain = self.vcluster_id.is_empty();
        self.agrees(if of_the_domain { "" } else { vcluster_id }, revision)?;
        if self.received < self.total {
            return Err(Error::Truncated { received: self.received, total: self.total });
        }
        let found = Digest::of(&self.bytes);
        if found != self.announced {
            return Err(Error::Altered { found, announced: self.announced });
        }
        Ok(Arc::new(Overlay { bytes: self.bytes, sha256: found }))
    }
}

/// An overlay without content is one part without content.
fn check_size(index: u32, total: u32, data: &[u8]) -> Result<(), Error> {
    let only = total == 1;
    if data.len() > PART_BYTES || (data.is_empty() && !only) {
        return Err(Error::PartSize { index, bytes: data.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
