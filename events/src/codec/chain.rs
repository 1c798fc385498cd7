//! The chain over all facts (R6): whoever knows the head knows that no earlier fact was changed.

use std::fmt;

use crate::vocabulary::sha256;
use crate::vocabulary::{CertificateHash, LogId};

/// What every link begins with.
const LABEL: &[u8] = b"pact chain v1\0";

/// One link: the hash over the log's beginning and the bodies of all facts so far.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// `chain₀ = SHA-256("pact log v1\0" ‖ log_id ‖ SHA-256(domain CA))`.
    pub fn start(log: LogId, domain_ca: CertificateHash) -> Self {
        Self(sha256(&[b"pact log v1\0", log.as_bytes(), domain_ca.as_bytes()]))
    }

    /// `chainₙ = SHA-256("pact chain v1\0" ‖ chainₙ₋₁ ‖ leafₙ)` with `leaf = SHA-256(0x00 ‖ body)`.
    pub fn next(&self, body: &[u8]) -> Self {
        let leaf = sha256(&[&[0], body]);
        // In one piece: the hash takes it at once, without a buffer of its own.
        let mut link = [0; LABEL.len() + 64];
        let (label, rest) = link.split_at_mut(LABEL.len());
        let (before, this) = rest.split_at_mut(32);
        label.copy_from_slice(LABEL);
        before.copy_from_slice(&self.0);
        this.copy_from_slice(&leaf);
        Self(sha256(&[&link]))
    }

    /// A link as it was stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}
