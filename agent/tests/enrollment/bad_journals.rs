//! The real agent at what is no sound journal: it says what is wrong, asks again, and bears it for as long as it lasts.
//!
//! Each server does one thing wrong, to everybody who connects.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proto::tls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use time::{Duration, OffsetDateTime};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{
    agent_process::{RunningAgent, run},
    journal_under_test::PATIENCE,
};

/// A domain CA, and those that it signs for.
struct Ca {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().expect("there are random numbers");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("it is sound").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn server(
        &self,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("there are random numbers");
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("it is a name");
        (params.not_before, params.not_after) = (from, until);
        let certificate = params.signed_by(&key, &self.issuer).expect("it is sound").der().clone();
        (certificate, PrivateKeyDer::try_from(key.serialize_der()).expect("it is a key"))
    }
}

/// What a server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Its certificate is over.
    Expired,
    /// Another domain signed its certificate.
    Foreign,
    /// It speaks another protocol.
    Plain,
    /// It takes connections and says nothing in them.
    Silent,
    /// It sends what is no TLS, without end.
    Endless,
    /// Within TLS it speaks no HTTP/2.
    Garbage,
    /// Within TLS it sends what is no HTTP/2, without end.
    EndlessGarbage,
    /// Within TLS it hangs up.
    HangsUp,
    /// Its HTTP/2 frames are as they should be, but it answers nothing.
    EmptyFrames,
}

/// And what the agent says of it.
const FAULTS: [(Fault, &str, &str); 9] = [
    (Fault::Expired, "SERVER_NOT_TRUSTED", "expired"),
    (Fault::Foreign, "SERVER_NOT_TRUSTED", "not signed by the domain CA"),
    (Fault::Plain, "UNREACHABLE", "127.0.0.1"),
    (Fault::Silent, "DEADLINE", "no connection to"),
    (Fault::Endless, "UNREACHABLE", "127.0.0.1"),
    (Fault::Garbage, "UNREACHABLE", "127.0.0.1"),
    (Fault::EndlessGarbage, "UNREACHABLE", "127.0.0.1"),
    (Fault::HangsUp, "UNREACHABLE", "127.0.0.1"),
    (Fault::EmptyFrames, "DEADLINE", "did not answer within"),
];

/// An empty SETTINGS frame: what every connection of HTTP/2 begins with (RFC 9113, 3.4).
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

async fn serve(fault: Fault, ca: &Ca, other: &Ca) -> Server {
    let now = OffsetDateTime::now_utc();
    let day = Duration::days(1);
    let (certificate, key) = match fault {
        Fault::Expired => ca.server(now - day - day, now - day),
        Fault::Foreign => other.server(now - day, now + day),
        Fault::Plain
        | Fault::Silent
        | Fault::Endless
        | Fault::Garbage
        | Fault::EndlessGarbage
        | Fault::HangsUp
        | Fault::EmptyFrames => ca.server(now - day, now + day),
    };
    let builder = ServerConfig::builder_with_provider(tls::provider());
    let builder =
        builder.with_protocol_versions(tls::VERSIONS).expect("they are known").with_no_client_auth();
    let mut config = builder.with_single_cert(vec![certificate], key).expect("they belong together");
    config.alpn_protocols = vec![tls::ALPN_H2.to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
    let address = listener.local_addr().expect("it is bound");
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match fault {
                    Fault::Plain => misbehave(tcp, b"HTTP/1.1 400 Bad Request\r\n\r\n", false).await,
                    Fault::Silent => misbehave(tcp, b"", false).await,
                    Fault::Endless => misbehave(tcp, &[0x16; 16 * 1024], true).await,
                    Fault::Expired
                    | Fault::Foreign
                    | Fault::Garbage
                    | Fault::EndlessGarbage
                    | Fault::HangsUp
                    | Fault::EmptyFrames => {
                        let Ok(stream) = acceptor.accept(tcp).await else { return };
                        match fault {
                            Fault::Garbage => {
                                misbehave(stream, b"no HTTP/2 at all, but some text", false).await;
                            }
                            Fault::EndlessGarbage => misbehave(stream, &[0xa5; 16 * 1024], true).await,
                            Fault::EmptyFrames => misbehave(stream, &SETTINGS, false).await,
                            Fault::HangsUp
                            | Fault::Expired
                            | Fault::Foreign
                            | Fault::Plain
                            | Fault::Silent
                            | Fault::Endless => drop(stream),
                        }
                    }
                }
            });
        }
    });
    Server { address, connections }
}

/// Says something once, or for as long as it can be said; then listens until the agent has gone.
async fn misbehave(mut stream: impl AsyncRead + AsyncWrite + Unpin, what: &[u8], without_end: bool) {
    while stream.write_all(what).await.is_ok() && without_end {}
    let mut heard = [0; 1024];
    while stream.read(&mut heard).await.is_ok_and(|length| length > 0) {}
}

fn start(directory: &tempfile::TempDir, ca: &Ca, server: &Server) -> RunningAgent {
    let file = |name: &str, text: &str| -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("the directory is ours");
        path
    };
    let hardware = file("node.json", r#"{"macs":["02:00:00:00:00:01"],"bmc_serial":null,"uuid":null}"#);
    let mut command = run();
    command.args(["--journal", &format!("https://{}", server.address), "--ca"]);
    command.arg(file("ca.pem", &ca.certificate)).arg("--hardware").arg(hardware);
    RunningAgent::start(&mut command)
}

/// What a process holds in memory, in KB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

async fn is_borne((fault, reason, message): (Fault, &str, &str)) {
    let (ca, other, directory) = (Ca::new(), Ca::new(), tempfile::tempdir().expect("there is room"));
    let server = serve(fault, &ca, &other).await;
    let agent = start(&directory, &ca, &server);

    // It has told of the first attempt when it makes the third: a stalled one may still be open beside the second.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while server.connections.load(Ordering::Relaxed) < 3 {
        assert!(tokio::time::Instant::now() < deadline, "{fault:?}: it does not ask again");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let held = resident(agent.pid());
    assert!((1..64 * 1024).contains(&held), "{fault:?}: {held} KB");
    agent.signal(Signal::TERM);

    let output = agent.end().await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{fault:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{fault:?}: {stderr}");
    let told = stderr.lines().any(|line| line.contains(reason) && line.contains(message));
    assert!(told, "{fault:?} should be {reason}, {message}: {stderr}");
}

#[tokio::test]
async fn whatever_a_journal_does_wrong_is_told_and_asked_again() {
    let all = FAULTS.map(|fault| tokio::spawn(is_borne(fault)));
    let mut broken = 0;
    for borne in all {
        broken += usize::from(borne.await.is_err());
    }
    assert_eq!(broken, 0, "each says above what was not borne");
}
