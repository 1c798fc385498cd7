//! A certificate as text (RFC 7468), as other tools read it.

use events::vocabulary::Der;
use pem::{EncodeConfig, LineEnding, Pem, encode_config};

/// The certificate with these bytes.
pub fn of(der: &Der) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    encode_config(&Pem::new("CERTIFICATE", der.as_bytes()), lines)
}
