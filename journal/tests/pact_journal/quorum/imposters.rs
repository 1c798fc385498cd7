//! The man in the middle of a join: whoever cannot show a journal's certificate under the pinned domain CA never hears
//! the secret (design §7).

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::journal_process::{ANSWERED, DataDirectory};

const URI: &str = "spiffe://test/journal/j1";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// HTTP/2's preface, behind which the request comes.
const PREFACE: usize = 24;

/// What an imposter shows, and where it differs from a journal of the domain.
struct Leaf {
    own_authority: bool,
    expired: bool,
    usage: ExtendedKeyUsagePurpose,
    host: &'static str,
    uri: &'static str,
}

/// As the domain CA would sign it for a journal: nothing is wrong with it.
const PROPER: Leaf = Leaf {
    own_authority: false,
    expired: false,
    usage: ExtendedKeyUsagePurpose::ServerAuth,
    host: "127.0.0.1",
    uri: URI,
};

fn issuer(key: KeyPair) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, "pact-domain-ca/test");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    Issuer::new(params, key)
}

/// The chain that is shown: the leaf, then the real domain CA certificate, which anybody can get.
fn chain(dir: &DataDirectory, leaf: &Leaf) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let real = fs::read_to_string(dir.path().join("bootstrap/domain-ca.key")).unwrap();
    let authority = if leaf.own_authority { KeyPair::generate() } else { KeyPair::from_pem(&real) };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    let host = leaf
        .host
        .parse()
        .map_or_else(|_| SanType::DnsName(leaf.host.try_into().unwrap()), SanType::IpAddress);
    params.subject_alt_names = vec![host, SanType::URI(leaf.uri.try_into().unwrap())];
    params.extended_key_usages = vec![leaf.usage.clone()];
    let now = SystemTime::now();
    let end = if leaf.expired { now - DAY } else { now + DAY };
    (params.not_before, params.not_after) = ((now - 30 * DAY).into(), end.into());
    let certificate = params.signed_by(&key, &issuer(authority.unwrap())).unwrap();
    let mut chain = vec![certificate.der().clone()];
    chain.extend(dir.trust().certificates().iter().cloned());
    (chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// A server for one connection; what it heard behind the handshake.
async fn imposter(
    (chain, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
) -> (SocketAddr, oneshot::Receiver<Vec<u8>>) {
    let mut config = ServerConfig::builder_with_provider(proto::tls::provider())
        .with_protocol_versions(proto::tls::VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; PREFACE];
        let read = match TlsAcceptor::from(Arc::new(config)).accept(stream).await {
            Ok(mut stream) => stream.read(&mut bytes).await.unwrap_or_default(),
            Err(_) => 0,
        };
        bytes.truncate(read);
        tell.send(bytes).ok();
    });
    (address, heard)
}

/// Has a journal join behind a server that shows this; what the server heard, and what the journal said.
async fn heard_by(leaf: &Leaf) -> (Vec<u8>, i32, String) {
    let real = DataDirectory::init("test");
    let token = fs::read_to_string(real.path().join("bootstrap/join-token")).unwrap();
    let (door, heard) = imposter(chain(&real, leaf)).await;
    let dir = DataDirectory::to_join();
    let joining = tokio::task::spawn_blocking(move || {
        let refused = dir.join_refused("j2", &door.to_string(), token.trim());
        assert!(!dir.path().exists(), "nothing half is left");
        refused
    });
    let (code, said) = joining.await.unwrap();
    let heard = tokio::time::timeout(ANSWERED, heard).await.expect("somebody connected").unwrap();
    (heard, code, said)
}

async fn hears_nothing(leaf: &Leaf) {
    let (heard, code, said) = heard_by(leaf).await;
    assert!(heard.is_empty(), "{said}");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("error: SERVER_NOT_TRUSTED: "), "{said}");
}

#[tokio::test]
async fn a_server_with_a_journals_certificate_of_the_domain_is_spoken_to() {
    let (heard, code, _) = heard_by(&PROPER).await;
    assert!(heard.starts_with(b"PRI * HTTP/2.0"), "the control of the tests below: {heard:?}");
    assert_ne!(code, 0);
}

#[tokio::test]
async fn who_appends_the_real_domain_ca_certificate_to_a_chain_of_its_own_hears_nothing() {
    hears_nothing(&Leaf { own_authority: true, ..PROPER }).await;
}

#[tokio::test]
async fn an_expired_certificate_hears_nothing() {
    hears_nothing(&Leaf { expired: true, ..PROPER }).await;
}

#[tokio::test]
async fn a_clients_certificate_hears_nothing() {
    hears_nothing(&Leaf { usage: ExtendedKeyUsagePurpose::ClientAuth, ..PROPER }).await;
}

#[tokio::test]
async fn a_journals_certificate_for_another_host_hears_nothing() {
    hears_nothing(&Leaf { host: "127.0.0.2", ..PROPER }).await;
    hears_nothing(&Leaf { host: "j1.example", ..PROPER }).await;
}

#[tokio::test]
async fn a_certificate_that_is_no_journals_hears_nothing() {
    hears_nothing(&Leaf { uri: "spiffe://test/agent/j1", ..PROPER }).await;
    hears_nothing(&Leaf { uri: "spiffe://test/operator/journal", ..PROPER }).await;
}
