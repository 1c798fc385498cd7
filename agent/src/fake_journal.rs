//! A small fake of a journal for this crate's unit tests: real TCP, TLS and gRPC on loopback, scripted answers.
//!
//! Not here, on purpose: any rule of a journal. The tests in `agent/tests` run the real one.

mod authority;
mod boot_script;
mod judge;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use events::vocabulary::CertificateHash;
use proto::{
    channel::JournalAddress,
    pb::{
        AgentMessage, BindIdentityRequest, BindIdentityResponse, BootConfigRequest, EnrollRequest,
        EnrollResponse, JournalMessage, RenewCertRequest, agent_message,
        agent_message::Hello,
        boot_config_service_server::{BootConfigService, BootConfigServiceServer},
        enrollment_service_server::{EnrollmentService, EnrollmentServiceServer},
        journal_message,
    },
    pem_file::Trust,
    refusal::Refusal,
};
use rustls::CertificateError;
use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

pub(crate) use self::{
    authority::FakeAuthority,
    boot_script::{BootScript, Configured},
};
use self::{
    boot_script::{BootDesk, Chunks},
    judge::{Judge, Verdicts},
};
use crate::{journals::Journals, key::NodeKey};

/// What the fake does with one Enroll or RenewCert.
#[derive(Debug)]
pub(crate) enum Scripted {
    Issue,
    IssueForAnotherKey,
    Refuse(Refusal),
    /// Ends all connections instead of an answer.
    HangUp,
}

/// What a test sees and changes while the fake runs.
#[derive(Debug)]
struct Stage {
    authority: Arc<FakeAuthority>,
    script: Mutex<VecDeque<Scripted>>,
    enroll_requests: Mutex<Vec<EnrollRequest>>,
    renew_requests: Mutex<Vec<RenewCertRequest>>,
    subscriptions: Mutex<Vec<mpsc::Sender<Result<JournalMessage, Status>>>>,
    issued: Mutex<Vec<Vec<u8>>>,
    server: CertificateHash,
    evicted: Mutex<Vec<Vec<u8>>>,
    verdicts: Verdicts,
    away_until: Mutex<Option<Instant>>,
    hellos: Mutex<Vec<Hello>>,
    boot: Mutex<BootDesk>,
    ignores_subscriptions: AtomicBool,
    subscription_refusal: Mutex<Option<Refusal>>,
    goodbye_refusal: Mutex<Option<Refusal>>,
    refuses_one_goodbye: AtomicBool,
    holds_boot: watch::Sender<bool>,
    goodbyes: AtomicUsize,
    cut: watch::Sender<usize>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// A journal that answers as its script says, and issues when the script is over.
#[derive(Debug, Clone)]
pub(crate) struct FakeJournal {
    address: JournalAddress,
    stage: Arc<Stage>,
}

impl FakeJournal {
    pub(crate) async fn start(script: Vec<Scripted>) -> Self {
        Self::with_authority(FakeAuthority::new(), script).await
    }

    pub(crate) async fn with_authority(authority: FakeAuthority, script: Vec<Scripted>) -> Self {
        Self::of(Arc::new(authority), script).await
    }

    /// Another journal of the same domain. It issues what it is asked.
    pub(crate) async fn sibling(&self) -> Self {
        Self::of(Arc::clone(&self.stage.authority), Vec::new()).await
    }

    async fn of(authority: Arc<FakeAuthority>, script: Vec<Scripted>) -> Self {
        let (listener, address) = listen().await;
        let verdicts = Verdicts::default();
        let (server, config) = authority.server_config(Judge { verdicts: Arc::clone(&verdicts) });
        let stage = Arc::new(Stage {
            authority,
            script: Mutex::new(script.into()),
            enroll_requests: Mutex::default(),
            renew_requests: Mutex::default(),
            subscriptions: Mutex::default(),
            issued: Mutex::default(),
            server,
            evicted: Mutex::default(),
            verdicts,
            away_until: Mutex::default(),
            hellos: Mutex::default(),
            boot: Mutex::default(),
            ignores_subscriptions: AtomicBool::new(false),
            subscription_refusal: Mutex::default(),
            goodbye_refusal: Mutex::default(),
            refuses_one_goodbye: AtomicBool::new(false),
            holds_boot: watch::channel(false).0,
            goodbyes: AtomicUsize::new(0),
            cut: watch::channel(0).0,
        });
        let journal = Self { address, stage };
        let (connections, incoming) = mpsc::unbounded_channel::<Result<DuplexStream, io::Error>>();
        let grpc = Server::builder()
            .add_service(EnrollmentServiceServer::new(journal.clone()))
            .add_service(BootConfigServiceServer::new(journal.clone()));
        tokio::spawn(grpc.serve_with_incoming(UnboundedReceiverStream::new(incoming)));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let stage = Arc::clone(&journal.stage);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                if locked(&stage.away_until).is_some_and(|until| Instant::now() < until) {
                    continue;
                }
                let cut = stage.cut.subscribe();
                tokio::spawn(carry(tcp, acceptor.clone(), connections.clone(), cut));
            }
        });
        journal
    }

    /// Addresses at which nobody listens.
    pub(crate) async fn nowhere() -> Journals {
        let (listener, address) = listen().await;
        drop(listener);
        let trust = Trust::of(vec![FakeAuthority::new().certificate]).unwrap();
        Journals::new(trust, vec![address]).unwrap()
    }

    pub(crate) fn address(&self) -> &JournalAddress {
        &self.address
    }

    pub(crate) fn journals(&self) -> Journals {
        let trust = Trust::of(vec![self.stage.authority.certificate.clone()]).unwrap();
        Journals::new(trust, vec![self.address.clone()]).unwrap()
    }

    pub(crate) fn enroll_requests(&self) -> Vec<EnrollRequest> {
        locked(&self.stage.enroll_requests).clone()
    }

    pub(crate) fn renew_requests(&self) -> Vec<RenewCertRequest> {
        locked(&self.stage.renew_requests).clone()
    }

    /// From now on, what TLS says to the certificates that were issued so far.
    pub(crate) fn judge(&self, verdict: &CertificateError) {
        let issued = locked(&self.stage.issued).clone();
        locked(&self.stage.verdicts).extend(issued.into_iter().map(|leaf| (leaf, verdict.clone())));
    }

    /// From now on, what TLS says to a certificate that another journal issued.
    pub(crate) fn judge_also(&self, certificate: &[u8], verdict: &CertificateError) {
        locked(&self.stage.verdicts).insert(certificate.to_vec(), verdict.clone());
    }

    /// Ends all connections, and for a while every new one before TLS.
    pub(crate) fn leave_for(&self, span: Duration) {
        *locked(&self.stage.away_until) = Some(Instant::now() + span);
        self.cut();
    }

    /// SHA-256 of the certificate that it shows.
    pub(crate) fn server(&self) -> Vec<u8> {
        self.stage.server.as_bytes().to_vec()
    }

    /// From now on, answers tell that journals with these certificates were evicted.
    pub(crate) fn tell_evicted(&self, certificates: &[Vec<u8>]) {
        *locked(&self.stage.evicted) = certificates.to_vec();
    }

    /// From now on, no new subscription gets an answer.
    pub(crate) fn ignore_subscriptions(&self) {
        self.stage.ignores_subscriptions.store(true, Ordering::SeqCst);
    }

    /// From now on, a goodbye is answered by this.
    pub(crate) fn refuse_goodbyes(&self, refusal: Refusal) {
        *locked(&self.stage.goodbye_refusal) = Some(refusal);
    }

    /// The next goodbye is answered by this.
    pub(crate) fn refuse_next_goodbye(&self, refusal: Refusal) {
        self.refuse_goodbyes(refusal);
        self.stage.refuses_one_goodbye.store(true, Ordering::SeqCst);
    }

    /// Whether answers to requests for the boot configuration are held back.
    pub(crate) fn hold_boot(&self, hold: bool) {
        self.stage.holds_boot.send_replace(hold);
    }

    /// Waits until so many subscriptions were asked for.
    pub(crate) async fn was_asked_to_subscribe(&self, times: usize) {
        Self::sees(|| self.subscribed_from().len() >= times).await;
    }

    /// Waits until the boot configuration was asked for so many times.
    pub(crate) async fn was_asked_to_configure(&self, times: usize) {
        Self::sees(|| self.known_revisions().len() >= times).await;
    }

    async fn sees(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < deadline, "it never happened");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// From now on, a new subscription is answered by this; `None`: it is taken.
    pub(crate) fn refuse_subscriptions(&self, refusal: Option<Refusal>) {
        *locked(&self.stage.subscription_refusal) = refusal;
    }

    /// From now on, the node is configured so. Nobody is told.
    pub(crate) fn configure(&self, configured: Configured) {
        locked(&self.stage.boot).configured = configured;
    }

    /// What happens to the next requests for the boot configuration.
    pub(crate) fn script_boot(&self, script: impl IntoIterator<Item = BootScript>) {
        locked(&self.stage.boot).script.extend(script);
    }

    /// The known revision of every request for the boot configuration.
    pub(crate) fn known_revisions(&self) -> Vec<u64> {
        locked(&self.stage.boot).known_revisions.clone()
    }

    /// The `from_seq` of every subscription.
    pub(crate) fn subscribed_from(&self) -> Vec<u64> {
        locked(&self.stage.hellos).iter().map(|hello| hello.from_seq).collect()
    }

    /// Ends all connections without a word.
    pub(crate) fn cut(&self) {
        self.stage.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Tells all subscribers.
    pub(crate) async fn tell(&self, message: journal_message::Message) {
        let subscriptions = locked(&self.stage.subscriptions).clone();
        for subscription in subscriptions {
            subscription.send(Ok(JournalMessage { message: Some(message.clone()) })).await.ok();
        }
    }

    pub(crate) fn goodbyes(&self) -> usize {
        self.stage.goodbyes.load(Ordering::SeqCst)
    }

    fn issue(&self, csr: &[u8]) -> Response<EnrollResponse> {
        let mut answer = self.stage.authority.answer(csr);
        answer.evicted_journals = locked(&self.stage.evicted).clone();
        locked(&self.stage.issued).push(answer.certificate.clone());
        Response::new(answer)
    }

    async fn play(&self, csr: &[u8]) -> Result<Response<EnrollResponse>, Status> {
        let next = locked(&self.stage.script).pop_front().unwrap_or(Scripted::Issue);
        match next {
            Scripted::Issue => Ok(self.issue(csr)),
            Scripted::IssueForAnotherKey => {
                let other = NodeKey::generate().unwrap();
                Ok(self.issue(other.csr()))
            }
            Scripted::Refuse(refusal) => Err(refusal.into()),
            Scripted::HangUp => {
                self.cut();
                std::future::pending().await
            }
        }
    }
}

async fn listen() -> (TcpListener, JournalAddress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("https://127.0.0.1:{port}").parse().unwrap())
}

/// Carries one connection from TLS to gRPC, until it ends or is cut.
async fn carry(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    connections: mpsc::UnboundedSender<Result<DuplexStream, io::Error>>,
    mut cut: watch::Receiver<usize>,
) {
    let Ok(mut stream) = acceptor.accept(tcp).await else { return };
    let (mut outer, inner) = tokio::io::duplex(64 * 1024);
    connections.send(Ok(inner)).unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut stream, &mut outer) => {}
        _ = cut.changed() => {}
    }
}

#[tonic::async_trait]
impl EnrollmentService for FakeJournal {
    async fn enroll(&self, request: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        let request = request.into_inner();
        locked(&self.stage.enroll_requests).push(request.clone());
        self.play(&request.csr).await
    }

    async fn renew_cert(
        &self,
        request: Request<RenewCertRequest>,
    ) -> Result<Response<EnrollResponse>, Status> {
        let request = request.into_inner();
        locked(&self.stage.renew_requests).push(request.clone());
        self.play(&request.csr).await
    }

    async fn bind_identity(
        &self,
        _: Request<BindIdentityRequest>,
    ) -> Result<Response<BindIdentityResponse>, Status> {
        Err(Status::unimplemented("no workload identity is bound here"))
    }
}

#[tonic::async_trait]
impl BootConfigService for FakeJournal {
    type StreamBootConfigStream = Chunks;
    type SubscribeConfigUpdatesStream = ReceiverStream<Result<JournalMessage, Status>>;

    async fn stream_boot_config(
        &self,
        request: Request<BootConfigRequest>,
    ) -> Result<Response<Self::StreamBootConfigStream>, Status> {
        let known_revision = request.into_inner().known_revision;
        // Decided before it is held back: an answer may be overtaken.
        let answer = locked(&self.stage.boot).play(known_revision);
        self.stage.holds_boot.subscribe().wait_for(|holds| !holds).await.ok();
        answer.map(Response::new)
    }

    async fn subscribe_config_updates(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::SubscribeConfigUpdatesStream>, Status> {
        let mut messages = request.into_inner();
        let hello = messages.message().await?.and_then(|first| first.message);
        let Some(agent_message::Message::Hello(hello)) = hello else {
            return Err(Status::invalid_argument("the first message must be a hello"));
        };
        locked(&self.stage.hellos).push(hello);
        if self.stage.ignores_subscriptions.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if let Some(refusal) = locked(&self.stage.subscription_refusal).clone() {
            return Err(refusal.into());
        }
        let (outgoing, answers) = mpsc::channel(8);
        locked(&self.stage.subscriptions).push(outgoing.clone());
        let stage = Arc::clone(&self.stage);
        tokio::spawn(async move {
            while let Ok(Some(said)) = messages.message().await {
                if matches!(said.message, Some(agent_message::Message::Goodbye(_))) {
                    stage.goodbyes.fetch_add(1, Ordering::SeqCst);
                    let refusal = locked(&stage.goodbye_refusal).clone();
                    if stage.refuses_one_goodbye.swap(false, Ordering::SeqCst) {
                        *locked(&stage.goodbye_refusal) = None;
                    }
                    if let Some(refusal) = refusal {
                        outgoing.send(Err(refusal.into())).await.ok();
                    }
                    locked(&stage.subscriptions).retain(|other| !other.same_channel(&outgoing));
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// A workload identity with a key of its own.
pub(crate) fn svid(spiffe_id: &str) -> Arc<crate::workload_identity::Svid> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(spiffe_id.try_into().unwrap())];
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Arc::new(crate::workload_identity::Svid::new(vec![der], &key.serialize_der()).unwrap())
}
