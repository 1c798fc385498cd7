//! The floor: what the cryptography of one full boot costs a server, and nothing else. A journal cannot be cheaper.
//!
//! [`crate::storm`] measures it while the boots go on, and puts the journal's own costs beside it. One round is a TLS 1.3 handshake without client certificate, the check of a certificate request, the signature of a
//! certificate, and a handshake with that certificate, known by its hash and not by its chain (R10).
//!
//! Counted is the processor time of one thread (`CLOCK_THREAD_CPUTIME_ID`) while the server's side works; the client's side
//! runs in the same thread and is not counted. There are no sockets: bytes go from one buffer to the other. Why in the
//! midst of the storm: what a core does in a microsecond varies by a third from one second to the next on machines that
//! share theirs with others, and is less while its neighbours work, for a journal as for its floor. Before each round that
//! counts go two that do not: a thread that has just slept meets cold caches, which a busy journal does not.
//!
//! Not here, on purpose: what a journal adds (sockets, HTTP/2, actors, the log). It is rebuilt here, and not taken from
//! `journal`, because the load must not depend on what it loads.

use std::{
    fmt, io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use agent::key::NodeKey;
use events::vocabulary::CertificateHash;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SignatureAlgorithm,
};
use rustix::time::{ClockId, clock_gettime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, ConnectionCommon, DigitallySignedStruct,
    DistinguishedName as RustlsName, Error, RootCertStore, ServerConfig, ServerConnection, SideData,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use serde::Serialize;
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// Fewer make no median; after a short storm the rest is done at once.
const ROUNDS_MIN: usize = 20;
/// Between two samples: they take about two percent of one core.
const PAUSE: Duration = Duration::from_millis(200);
/// Rounds before the one that counts.
const WARM_UP: usize = 2;
/// Flights of a handshake: TLS 1.3 needs two from each side, and one more from each if the client guessed the group wrong.
const FLIGHTS: usize = 8;
/// The name that the server's certificate is for.
const SERVER: &str = "localhost";
/// The name of the node in the certificate: as long as those of a storm.
const NODE: &str = "storm-000000";

/// What each part costs, in microseconds of one core.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Floor {
    /// A TLS 1.3 handshake, server's side, without client certificate.
    pub handshake_us: f64,
    /// Reading a certificate request and checking its proof of possession.
    pub csr_check_us: f64,
    /// Building and signing a certificate.
    pub signature_us: f64,
    /// A TLS 1.3 handshake, server's side, with a client certificate that is known by its hash.
    pub mutual_handshake_us: f64,
}

/// Why the floor could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// No key, request or certificate could be made or read.
    #[error("the floor could not be measured: {0}")]
    Certificate(String),
    /// One side did not take the other's handshake.
    #[error("the floor could not be measured: the handshake failed")]
    Handshake(#[from] Error),
    /// A handshake did not come to its end.
    #[error("the floor could not be measured: the handshake got stuck")]
    Stuck(#[from] io::Error),
}

impl From<rcgen::Error> for FloorError {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error.to_string())
    }
}

impl Floor {
    /// All parts together.
    pub fn total_us(&self) -> f64 {
        self.handshake_us + self.csr_check_us + self.signature_us + self.mutual_handshake_us
    }
}

/// A thread that measures until it is told to stop, or dropped.
pub struct Sampling {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<Floor, FloorError>>>,
}

impl Sampling {
    /// Begins.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn begin() -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("floor".to_owned()).spawn(move || {
            let mut rounds = Rounds::default();
            while stopped.recv_timeout(PAUSE) == Err(mpsc::RecvTimeoutError::Timeout) {
                rounds.sample()?;
            }
            rounds.complete()
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// The median of all rounds. Call it where waiting for some tenths of a second harms nobody.
    ///
    /// # Errors
    /// If a part does not work at all.
    ///
    /// # Panics
    /// If the thread did.
    pub fn end(mut self) -> Result<Floor, FloorError> {
        drop(self.stop.take());
        let thread = self.thread.take().expect("it is taken here only");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// What each round cost.
#[derive(Default)]
struct Rounds {
    place: Option<Place>,
    handshake: Vec<Duration>,
    csr_check: Vec<Duration>,
    signature: Vec<Duration>,
    mutual_handshake: Vec<Duration>,
}

impl Rounds {
    fn sample(&mut self) -> Result<(), FloorError> {
        let counted = self.handshake.len();
        for _ in 0..=WARM_UP {
            let parts =
                [&mut self.handshake, &mut self.csr_check, &mut self.signature, &mut self.mutual_handshake];
            parts.into_iter().for_each(|part| part.truncate(counted));
            self.add()?;
        }
        Ok(())
    }

    fn complete(mut self) -> Result<Floor, FloorError> {
        while self.handshake.len() < ROUNDS_MIN {
            self.sample()?;
        }
        Ok(Floor {
            handshake_us: median(&mut self.handshake),
            csr_check_us: median(&mut self.csr_check),
            signature_us: median(&mut self.signature),
            mutual_handshake_us: median(&mut self.mutual_handshake),
        })
    }

    fn add(&mut self) -> Result<(), FloorError> {
        let place = match &mut self.place {
            Some(place) => place,
            none => none.insert(Place::new()?),
        };
        // A key of its own for each round, as each node has.
        let key = NodeKey::generate().map_err(|error| FloorError::Certificate(error.to_string()))?;
        self.handshake.push(place.handshake(None)?);
        let mut clock = ServerClock::default();
        let proven = clock.count(|| check(key.csr()))?;
        self.csr_check.push(clock.0);
        let mut clock = ServerClock::default();
        let certificate = clock.count(|| place.authority.sign(&proven))?;
        self.signature.push(clock.0);
        self.mutual_handshake.push(place.handshake(Some((&key, certificate)))?);
        Ok(())
    }
}

/// Processor time of this thread while the server's side works.
#[derive(Default)]
struct ServerClock(Duration);

impl ServerClock {
    fn count<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = now();
        let done = work();
        self.0 += now().saturating_sub(before);
        done
    }
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Processor time is never negative, and its nanoseconds are below a second.
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |middle| middle.as_secs_f64() * 1e6)
}

/// As the journal does it: nothing may be left over, and the request is signed by its own key.
fn check(csr: &[u8]) -> Result<ProvenKey, FloorError> {
    let wrong = |why: String| FloorError::Certificate(why);
    let (rest, request) =
        X509CertificationRequest::from_der(csr).map_err(|error| wrong(error.to_string()))?;
    if !rest.is_empty() {
        return Err(wrong("the request has bytes left over".to_owned()));
    }
    request.verify_signature().map_err(|error| wrong(error.to_string()))?;
    let point = &request.certification_request_info.subject_pki.subject_public_key.data;
    Ok(ProvenKey(point.to_vec()))
}

/// The P-256 point of a request that is signed by its own key.
struct ProvenKey(Vec<u8>);

impl PublicKeyData for ProvenKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// The two sides of a connection, as a journal and its nodes are set up.
struct Place {
    authority: Authority,
    roots: Arc<RootCertStore>,
    server_chain: Vec<CertificateDer<'static>>,
    server_key: PrivatePkcs8KeyDer<'static>,
}

impl Place {
    fn new() -> Result<Self, FloorError> {
        let authority = Authority::new()?;
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![SERVER.to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&pair, &authority.issuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone())?;
        let server_key = PrivatePkcs8KeyDer::from(pair.serialize_der());
        let server_chain = vec![leaf.der().clone()];
        Ok(Self { authority, roots: Arc::new(roots), server_chain, server_key })
    }

    /// What the server's side of a handshake costs.
    fn handshake(&self, node: Option<(&NodeKey, CertificateDer<'static>)>) -> Result<Duration, FloorError> {
        let known = node.as_ref().map(|(_, certificate)| CertificateHash::of(certificate));
        let (server, client) = (self.server(known)?, self.client(node)?);
        let name = ServerName::try_from(SERVER).expect("it is a name");
        let mut client = ClientConnection::new(Arc::new(client), name)?;
        let server = Arc::new(server);
        let mut clock = ServerClock::default();
        let mut server = clock.count(|| ServerConnection::new(server))?;
        for _ in 0..FLIGHTS {
            if !client.is_handshaking() && !server.is_handshaking() {
                return Ok(clock.0);
            }
            let said = flight(&mut client)?;
            clock.count(|| hear(&mut server, &said))?;
            let said = clock.count(|| flight(&mut server))?;
            hear(&mut client, &said)?;
        }
        Err(FloorError::Stuck(io::ErrorKind::TimedOut.into()))
    }

    /// As the journal's acceptor is set up: no resumption, no tickets.
    fn server(&self, known: Option<CertificateHash>) -> Result<ServerConfig, FloorError> {
        let provider = proto::tls::provider();
        let verifier = KnownByHash { known, schemes: provider.signature_verification_algorithms };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(proto::tls::VERSIONS)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(self.server_chain.clone(), PrivateKeyDer::Pkcs8(self.server_key.clone_key()))?;
        config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn client(&self, node: Option<(&NodeKey, CertificateDer<'static>)>) -> Result<ClientConfig, FloorError> {
        let builder = ClientConfig::builder_with_provider(proto::tls::provider())
            .with_protocol_versions(proto::tls::VERSIONS)?
            .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match node {
            Some((key, certificate)) => {
                let wrong = |why: &str| FloorError::Certificate(why.to_owned());
                let credential = key.credential(vec![certificate]).map_err(wrong)?;
                let resolver = rustls::sign::SingleCertAndKey::from(credential.certified_key());
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![proto::tls::ALPN_H2.to_vec()];
        Ok(config)
    }
}

/// All that one side has to say at this moment.
fn flight<D: SideData>(side: &mut ConnectionCommon<D>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    while side.wants_write() {
        side.write_tls(&mut said)?;
    }
    Ok(said)
}

fn hear<D: SideData>(side: &mut ConnectionCommon<D>, mut said: &[u8]) -> Result<(), FloorError> {
    while !said.is_empty() {
        side.read_tls(&mut said)?;
        side.process_new_packets()?;
    }
    Ok(())
}

/// The authority of a journal.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Result<Self, FloorError> {
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("floor");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&pair)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, pair), certificate })
    }

    /// A certificate with all that R8 puts into a node's.
    fn sign(&self, key: &ProvenKey) -> Result<CertificateDer<'static>, FloorError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("pact-service-agent/{NODE}@floor"));
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://floor/agent/{NODE}").try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.der().clone())
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// Knows one certificate by its hash. The peer must show that it holds the key; no chain is looked at.
struct KnownByHash {
    known: Option<CertificateHash>,
    schemes: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for KnownByHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownByHash")
    }
}

impl ClientCertVerifier for KnownByHash {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[RustlsName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.known == Some(CertificateHash::of(end_entity)) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_takes_time_and_the_mutual_handshake_the_most() {
        let floor = Sampling::begin().unwrap().end().unwrap();
        let Floor { handshake_us, csr_check_us, signature_us, mutual_handshake_us } = floor;
        assert!(csr_check_us > 0.0 && signature_us > 0.0, "{floor:?}");
        // It verifies one signature more, which costs more than half of the other handshake.
        assert!(mutual_handshake_us > handshake_us, "{floor:?}");
        let sum = handshake_us + csr_check_us + signature_us + mutual_handshake_us;
        assert!((floor.total_us() - sum).abs() < 1e-9);
    }

    #[test]
    fn a_certificate_that_is_not_known_is_refused_in_the_handshake() {
        let place = Place::new().unwrap();
        let key = NodeKey::generate().unwrap();
        let certificate = place.authority.sign(&check(key.csr()).unwrap()).unwrap();
        let mut client = place.client(Some((&key, certificate))).unwrap();
        client.resumption = rustls::client::Resumption::disabled();
        let mut client =
            ClientConnection::new(Arc::new(client), ServerName::try_from(SERVER).unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::new(place.server(None).unwrap())).unwrap();
        let mut outcome = Ok(());
        for _ in 0..FLIGHTS {
            outcome = outcome.and_then(|()| hear(&mut server, &flight(&mut client).unwrap()));
            if outcome.is_err() {
                break;
            }
            hear(&mut client, &flight(&mut server).unwrap()).unwrap();
        }
        assert!(matches!(outcome, Err(FloorError::Handshake(Error::InvalidCertificate(_)))), "{outcome:?}");
    }

    #[test]
    fn a_request_that_was_changed_is_refused() {
        let mut csr = NodeKey::generate().unwrap().csr().to_vec();
        assert!(check(&csr).is_ok());
        let last = csr.len() - 1;
        csr[last] ^= 1;
        assert!(check(&csr).is_err());
    }

    #[test]
    fn the_middle_is_taken_of_many_rounds() {
        let micros = Duration::from_micros;
        assert!((median(&mut [micros(9), micros(1), micros(5)]) - 5.0).abs() < 1e-9);
    }
}
