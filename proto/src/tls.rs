//! The one place that builds the crypto provider, and the one choice of protocol: ring, TLS 1.3.
//!
//! The client's side ([`crate::channel`]) and the journal's acceptor take both from here.
//!
//! Not here, on purpose: verifiers and configurations; they differ by side.
//!
//! **Invariant:** a process has one provider. Two in one binary make rustls panic when it has to choose by itself, so
//! nothing is installed as the process's default: every configuration is built with this one.

use std::sync::{Arc, LazyLock};

use rustls::{
    SupportedProtocolVersion,
    crypto::{
        CryptoProvider,
        ring::{
            cipher_suite::{
                TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
            },
            kx_group::{SECP256R1, SECP384R1, X25519},
        },
    },
};

/// The protocol versions that pact speaks.
pub const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// HTTP/2, the one application protocol that pact offers and takes (RFC 7301).
pub const ALPN_H2: &[u8] = b"h2";

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    // In this order: processors have instructions for SHA-256, ring uses none for SHA-384. All three resist every known attack.
    let cipher_suites =
        vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    // ring computes with P-256 faster than with X25519; both are offered and taken.
    let kx_groups = vec![SECP256R1, X25519, SECP384R1];
    Arc::new(CryptoProvider { cipher_suites, kx_groups, ..rustls::crypto::ring::default_provider() })
});

/// The crypto provider of the process: ring.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
