//! TLS itself: version 1.3 only, and no resumption, by which a revoked client would come back (R10).

use std::io;
use std::sync::Arc;

use proto::channel::ConnectionRefusal;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::journal_process::{Journal, shared};
use crate::openssl::Openssl;

use super::{agents_door, enrolled};

/// HTTP/2's first words: the preface and empty SETTINGS (RFC 9113, 3.4).
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// A client that would resume if it were given a ticket.
fn eager(journal: &Journal, shown: Option<CertifiedKey>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(journal.dir.trust().certificates().iter().cloned());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), proto::tls::provider());
    let builder = ClientConfig::builder_with_provider(proto::tls::provider())
        .with_protocol_versions(proto::tls::VERSIONS)
        .expect("ring has TLS 1.3")
        .with_webpki_verifier(verifier.build().expect("there is a root"));
    let mut config = match shown {
        Some(shown) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::new(shown)))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

/// Connects and reads what the journal says first: behind any tickets.
async fn connect(journal: &Journal, config: Arc<ClientConfig>) -> io::Result<Option<HandshakeKind>> {
    let address = journal.agents_address();
    let tcp = TcpStream::connect((address.host(), address.port())).await?;
    let mut stream = TlsConnector::from(config).connect(address.server_name().clone(), tcp).await?;
    stream.write_all(HELLO).await?;
    stream.read_u8().await?;
    Ok(stream.get_ref().1.handshake_kind())
}

/// Connects once to the agents' listener, with a certificate or without.
pub async fn first_bytes(journal: &Journal, shown: Option<CertifiedKey>) -> io::Result<()> {
    connect(journal, eager(journal, shown)).await.map(drop)
}

#[tokio::test]
async fn rule_10_no_session_is_resumed() {
    let journal = shared();
    let node = enrolled(&journal).await;
    let with_certificate = CertifiedKey::clone(&node.credential.certified_key());
    for shown in [None, Some(with_certificate)] {
        let config = eager(&journal, shown);
        for _ in 0..3 {
            let kind = connect(&journal, Arc::clone(&config)).await.unwrap();
            assert_eq!(kind, Some(HandshakeKind::Full));
        }
    }
}

#[tokio::test]
async fn rule_10_a_revoked_client_that_kept_its_session_does_not_come_back() {
    let journal = shared();
    let node = enrolled(&journal).await;
    let config = eager(&journal, Some(CertifiedKey::clone(&node.credential.certified_key())));
    connect(&journal, Arc::clone(&config)).await.unwrap();
    journal.operator().await.revoke(&node.machine.node_id).await.unwrap();
    let error = connect(&journal, config).await.unwrap_err();
    assert!(error.to_string().contains("Revoked"), "{error}");
    assert_eq!(agents_door(&journal, &node.credential).await, Some(ConnectionRefusal::Revoked));
}

#[tokio::test]
async fn only_tls_1_3_is_spoken() {
    let journal = shared();
    let openssl = Openssl::new();
    for address in [journal.agents_address(), journal.operators_address()] {
        let connect = |version: &str| {
            openssl.run(&format!(
                "s_client -connect {}:{} {version} -alpn h2",
                address.host(),
                address.port()
            ))
        };
        let (succeeded, told) = connect("-tls1_3");
        assert!(succeeded && told.contains("TLSv1.3"), "{told}");
        let (succeeded, told) = connect("-tls1_2");
        assert!(!succeeded && told.contains("alert protocol version"), "{told}");
    }
}
