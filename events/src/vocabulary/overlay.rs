//! An overlay as facts tell of it: its hash and size. Its bytes lie beside the facts (design §8).

use serde::{Deserialize, Serialize};

use super::OverlayHash;

/// An overlay has at most this many bytes (design §8).
pub const MAX_OVERLAY_BYTES: usize = 10 << 20;

/// Which bytes a node is configured by. **Stored** (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// SHA-256 of the bytes.
    pub sha256: OverlayHash,
    /// How many there are.
    pub size: u32,
}

/// More bytes than an overlay may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the overlay has {bytes} bytes; at most {MAX_OVERLAY_BYTES} are allowed")]
pub struct OverlayTooLarge {
    /// How many it has.
    pub bytes: usize,
}

impl Overlay {
    /// Of these bytes.
    ///
    /// # Errors
    /// If they are more than [`MAX_OVERLAY_BYTES`].
    pub fn of(bytes: &[u8]) -> Result<Self, OverlayTooLarge> {
        let size = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= MAX_OVERLAY_BYTES);
        let size = size.ok_or(OverlayTooLarge { bytes: bytes.len() })?;
        Ok(Self { sha256: OverlayHash::of(bytes), size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_of_ten_mebibytes_fits_and_one_byte_more_does_not() {
        let bytes = vec![0; MAX_OVERLAY_BYTES + 1];
        assert_eq!(Overlay::of(&bytes[..MAX_OVERLAY_BYTES]).unwrap().size, 10 << 20);
        assert_eq!(Overlay::of(&bytes), Err(OverlayTooLarge { bytes: MAX_OVERLAY_BYTES + 1 }));
        assert_eq!(Overlay::of(b"").unwrap().sha256, OverlayHash::of(b""));
    }
}
