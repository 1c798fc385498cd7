//! What a node signs with the key of a workload identity to bind it (R11): both ends build the same bytes.
//!
//! **Invariant:** the bytes name the very certificate over whose connection they are sent: nobody else can use the signature.

use events::vocabulary::CertificateHash;

const PURPOSE: &[u8] = b"pact bind identity v1\0";

/// The bytes to sign, by the holder of the workload's key, for the connection that presents this certificate.
pub fn signed_bytes(over: &CertificateHash) -> Vec<u8> {
    [PURPOSE, over.as_bytes()].concat()
}
