//! The client's connection against real servers on loopback, each wrong in its own way.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, transport::Server};

use super::*;
use crate::{
    outcome::Exit,
    pb::{
        EnrollRequest, EnrollResponse, RenewCertRequest,
        enrollment_service_client::EnrollmentServiceClient,
        enrollment_service_server::{EnrollmentService, EnrollmentServiceServer},
    },
    reason::Reason,
    refusal::Refusal,
};

/// Far beyond what loopback needs, so that a slow machine does not fail a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate authority of a test.
struct Ca {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn trust(&self) -> Trust {
        Trust::of(vec![self.certificate.clone()]).unwrap()
    }

    fn issue(&self, params: CertificateParams) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    fn credential(&self) -> Credential {
        let (chain, key) = self.issue(CertificateParams::default());
        Credential::new(chain, key).unwrap()
    }
}

/// Certificate parameters of a server with one name.
fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

/// What the test's server thinks of clients' certificates.
#[derive(Debug, Clone)]
struct Judge {
    verdict: Option<CertificateError>,
    mandatory: bool,
}

const LENIENT: Judge = Judge { verdict: None, mandatory: false };

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match &self.verdict {
            Some(error) => Err(rustls::Error::InvalidCertificate(error.clone())),
            None => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &tls::provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Refuses every enrollment, with a delay.
struct Refusing;

fn overloaded() -> Refusal {
    Refusal::new(Reason::Overloaded, "come back later").retry_after(Duration::from_millis(1500))
}

#[tonic::async_trait]
impl EnrollmentService for Refusing {
    async fn enroll(&self, _: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        Err(overloaded().into())
    }

    async fn renew_cert(&self, _: Request<RenewCertRequest>) -> Result<Response<EnrollResponse>, Status> {
        Err(Status::internal("it broke"))
    }

    async fn bind_identity(
        &self,
        _: Request<crate::pb::BindIdentityRequest>,
    ) -> Result<Response<crate::pb::BindIdentityResponse>, Status> {
        Err(Status::internal("it broke"))
    }
}

async fn listen() -> (TcpListener, JournalAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("https://127.0.0.1:{port}").parse().unwrap())
}

fn server_config(ca: &Ca, params: CertificateParams, judge: Judge) -> ServerConfig {
    let (chain, key) = ca.issue(params);
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)
        .unwrap()
        .with_client_cert_verifier(Arc::new(judge))
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![tls::ALPN_H2.to_vec()];
    config
}

/// How the test's server ends a connection.
#[derive(Clone, Copy)]
enum Close {
    /// It tells the client (close_notify).
    Politely,
    /// It drops the connection, as a process that dies.
    Rudely,
}

/// A server that takes one connection after another; `close` ends the open one.
struct TestServer {
    address: JournalAddress,
    close: mpsc::UnboundedSender<Close>,
}

async fn serve(config: ServerConfig) -> TestServer {
    let (listener, address) = listen().await;
    let (close, mut closing) = mpsc::unbounded_channel();
    let (connections, incoming) = mpsc::unbounded_channel::<Result<DuplexStream, io::Error>>();
    let grpc = Server::builder().add_service(EnrollmentServiceServer::new(Refusing));
    tokio::spawn(grpc.serve_with_incoming(UnboundedReceiverStream::new(incoming)));
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let (mut outer, inner) = tokio::io::duplex(64 * 1024);
            connections.send(Ok(inner)).unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut stream, &mut outer) => {}
                how = closing.recv() => if let Some(Close::Politely) = how {
                    stream.shutdown().await.ok();
                }
            }
        }
    });
    TestServer { address, close }
}

async fn open(server: &TestServer, ca: &Ca) -> Result<Connection, ConnectError> {
    Connection::open(&server.address, &ca.trust(), None, PATIENCE).await
}

async fn enroll(connection: &Connection) -> Failure {
    let answer = EnrollmentServiceClient::new(connection.channel()).enroll(EnrollRequest::default()).await;
    connection.failure(&answer.unwrap_err())
}

#[tokio::test]
async fn a_refusal_crosses_a_real_connection() {
    let ca = Ca::new();
    let server = serve(server_config(&ca, named("127.0.0.1"), LENIENT)).await;
    let connection = open(&server, &ca).await.unwrap();
    assert_eq!(enroll(&connection).await, Failure::Refused(overloaded()));
    assert_eq!(connection.refused(), None);
}

#[tokio::test]
async fn a_failure_of_the_journal_is_no_refusal() {
    let ca = Ca::new();
    let server = serve(server_config(&ca, named("127.0.0.1"), LENIENT)).await;
    let connection = open(&server, &ca).await.unwrap();
    let mut client = EnrollmentServiceClient::new(connection.channel());
    let status = client.renew_cert(RenewCertRequest::default()).await.unwrap_err();
    let failure = connection.failure(&status);
    assert_eq!((failure.reason_text(), failure.exit()), ("FAILED", Exit::Failed));
}

#[tokio::test]
async fn a_server_of_another_domain_is_not_trusted() {
    let (ours, theirs) = (Ca::new(), Ca::new());
    let server = serve(server_config(&theirs, named("127.0.0.1"), LENIENT)).await;
    let error = open(&server, &ours).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotTrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("not signed by the domain CA"), "{error}");
    assert_eq!(Failure::from(error).exit(), Exit::Unreachable);
}

#[tokio::test]
async fn a_server_with_another_name_is_not_trusted() {
    let ca = Ca::new();
    let server = serve(server_config(&ca, named("elsewhere.example"), LENIENT)).await;
    let error = open(&server, &ca).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotTrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("does not carry the name `127.0.0.1`"), "{error}");
}

#[tokio::test]
async fn a_server_whose_certificate_has_expired_is_not_trusted() {
    let ca = Ca::new();
    let mut params = named("127.0.0.1");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    let server = serve(server_config(&ca, params, LENIENT)).await;
    let error = open(&server, &ca).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotTrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("has expired"), "{error}");
}

#[tokio::test]
async fn an_evicted_journal_is_refused_and_told_so_though_the_domain_ca_signed_its_certificate() {
    let ca = Ca::new();
    let (evicted, other) = (
        serve(server_config(&ca, named("127.0.0.1"), LENIENT)).await,
        serve(server_config(&ca, named("127.0.0.1"), LENIENT)).await,
    );
    let shown = open(&evicted, &ca).await.unwrap().server();
    let trust = ca.trust().without(vec![CertificateHash::of(b"another"), shown]);

    // Also while the first verification is remembered.
    let error = Connection::open(&evicted.address, &trust, None, PATIENCE).await.unwrap_err();

    assert!(matches!(error, ConnectError::Evicted { .. }), "{error:?}");
    let failure = Failure::from(error);
    assert_eq!((failure.reason_text(), failure.exit()), ("JOURNAL_EVICTED", Exit::Unreachable));
    let connection = Connection::open(&other.address, &trust, None, PATIENCE).await.unwrap();
    assert_ne!(connection.server(), shown);
    assert_eq!(enroll(&connection).await, Failure::Refused(overloaded()));
    assert!(Connection::open(&evicted.address, &trust.without(vec![]), None, PATIENCE).await.is_ok());
}

#[tokio::test]
async fn rule_10_alerts_about_the_certificate_reach_the_caller_by_name() {
    let ca = Ca::new();
    for (verdict, refusal, name) in [
        (CertificateError::Revoked, ConnectionRefusal::Revoked, "CERTIFICATE_REVOKED"),
        (CertificateError::Expired, ConnectionRefusal::Expired, "CERTIFICATE_EXPIRED"),
        (CertificateError::UnknownIssuer, ConnectionRefusal::Unknown, "CERTIFICATE_UNKNOWN"),
        (CertificateError::ApplicationVerificationFailure, ConnectionRefusal::Unknown, "CERTIFICATE_UNKNOWN"),
    ] {
        let judge = Judge { verdict: Some(verdict), mandatory: false };
        let server = serve(server_config(&ca, named("127.0.0.1"), judge)).await;
        let (trust, credential) = (ca.trust(), ca.credential());
        let connection =
            Connection::open(&server.address, &trust, Some(&credential), PATIENCE).await.unwrap();

        let first = enroll(&connection).await;
        let second = enroll(&connection).await;

        assert_eq!((first.reason_text(), first.exit()), (name, Exit::NotAuthorized));
        assert_eq!(second, Failure::ConnectionRefused(refusal));
        assert_eq!(connection.refused(), Some(refusal));
    }
}

#[tokio::test]
async fn a_listener_that_needs_a_certificate_says_so() {
    let ca = Ca::new();
    let judge = Judge { verdict: None, mandatory: true };
    let server = serve(server_config(&ca, named("127.0.0.1"), judge)).await;
    let connection = open(&server, &ca).await.unwrap();
    assert_eq!(enroll(&connection).await, Failure::ConnectionRefused(ConnectionRefusal::Required));
}

#[tokio::test]
async fn a_credential_is_shown_to_a_listener_that_needs_one() {
    let ca = Ca::new();
    let judge = Judge { verdict: None, mandatory: true };
    let server = serve(server_config(&ca, named("127.0.0.1"), judge)).await;
    let (trust, credential) = (ca.trust(), ca.credential());
    let connection = Connection::open(&server.address, &trust, Some(&credential), PATIENCE).await.unwrap();
    assert_eq!(enroll(&connection).await, Failure::Refused(overloaded()));
}

#[tokio::test]
async fn a_lost_connection_stays_lost() {
    let ca = Ca::new();
    for how in [Close::Politely, Close::Rudely] {
        let server = serve(server_config(&ca, named("127.0.0.1"), LENIENT)).await;
        let connection = open(&server, &ca).await.unwrap();
        assert_eq!(enroll(&connection).await, Failure::Refused(overloaded()));

        server.close.send(how).unwrap();

        // Until the client has noticed, the answer to a last request can still arrive.
        let deadline = time::Instant::now() + PATIENCE;
        let mut failure = enroll(&connection).await;
        while failure == Failure::Refused(overloaded()) && time::Instant::now() < deadline {
            failure = enroll(&connection).await;
        }
        assert_eq!(failure.exit(), Exit::Unreachable, "{failure:?}");
        assert_eq!(enroll(&connection).await.exit(), Exit::Unreachable);
    }
}

#[tokio::test]
async fn a_server_without_http2_is_incompatible() {
    let ca = Ca::new();
    let mut config = server_config(&ca, named("127.0.0.1"), LENIENT);
    config.alpn_protocols.clear();
    let server = serve(config).await;
    let error = open(&server, &ca).await.unwrap_err();
    assert!(matches!(error, ConnectError::Incompatible { .. }), "{error:?}");
}

/// A ServerHello that chooses TLS 1.2 (RFC 5246, 7.4.1.3): record and handshake header, version, random, no session,
/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no compression.
fn tls12_server_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 0x03, 0x03, 0, 42, 0x02, 0, 0, 38, 0x03, 0x03];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x2b, 0]);
    hello
}

/// A server that reads a little and answers with fixed bytes.
async fn answer_with(bytes: Vec<u8>) -> JournalAddress {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut record = [0; 5];
        tcp.read_exact(&mut record).await.unwrap();
        tcp.write_all(&bytes).await.unwrap();
        // Keeps the connection open until the client closes it.
        tcp.read_to_end(&mut Vec::new()).await.ok();
    });
    address
}

#[tokio::test]
async fn a_server_that_speaks_tls_1_2_is_refused() {
    let address = answer_with(tls12_server_hello()).await;
    let error = Connection::open(&address, &Ca::new().trust(), None, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ConnectError::Incompatible { .. }), "{error:?}");
    assert_eq!(Failure::from(error).exit(), Exit::Unreachable);
}

#[tokio::test]
async fn a_server_that_refuses_tls_1_3_is_incompatible() {
    let alert = vec![0x15, 0x03, 0x03, 0, 2, 2, 70];
    let address = answer_with(alert).await;
    let error = Connection::open(&address, &Ca::new().trust(), None, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ConnectError::Incompatible { .. }), "{error:?}");
}

#[tokio::test]
async fn where_nobody_listens_is_unreachable() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = Connection::open(&address, &Ca::new().trust(), None, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.starts_with(&format!("no journal answers at {address}: ")), "{told}");
}

#[tokio::test]
async fn a_server_that_says_nothing_meets_the_deadline() {
    // The kernel accepts for the listener, and nobody answers.
    let (_listener, address) = listen().await;
    let within = Duration::from_millis(50);
    let error = Connection::open(&address, &Ca::new().trust(), None, within).await.unwrap_err();
    assert!(matches!(error, ConnectError::Deadline { .. }), "{error:?}");
    assert_eq!(Failure::from(error).reason_text(), "DEADLINE");
}
