//! Certificates as PEM text (RFC 7468): for files and for people.

use events::vocabulary::Der;
use pem::{EncodeConfig, LineEnding, Pem};

/// The label of a certificate.
pub(super) const CERTIFICATE: &str = "CERTIFICATE";

/// Certificates as one PEM text, in this order.
pub fn certificates_pem<'a>(certificates: impl IntoIterator<Item = &'a Der>) -> String {
    let blocks: Vec<Pem> =
        certificates.into_iter().map(|der| Pem::new(CERTIFICATE, der.as_bytes())).collect();
    blocks.iter().map(|block| pem::encode_config(block, lines())).collect()
}

/// Line feeds only; the crate's default is CR LF.
fn lines() -> EncodeConfig {
    EncodeConfig::new().set_line_ending(LineEnding::LF)
}
