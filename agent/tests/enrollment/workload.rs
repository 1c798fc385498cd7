//! A node where SPIRE runs, as far as its Workload API goes (R11): the real agent, a real journal, and a server on the official
//! stubs of the API (`workload_api.py`, in the environment of `scripts/install-judges.sh`).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use proto::pb::NodeState;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    agent_process::{RunningAgent, assert_refused, ended, run_at},
    journal_under_test::JournalUnderTest,
};

const SPIFFE_ID: &str = "spiffe://site.example/pact/compute-042";

/// SPIRE, as a node and a journal know it.
struct Spire {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    bundle: rcgen::Certificate,
    editions: u32,
    server: Option<Child>,
}

impl Drop for Spire {
    fn drop(&mut self) {
        self.goes();
    }
}

impl Spire {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![SanType::URI("spiffe://site.example".try_into().unwrap())];
        let bundle = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("bundle.pem"), bundle.pem()).unwrap();
        fs::write(directory.path().join("bundle.der"), bundle.der()).unwrap();
        Self { directory, issuer: Issuer::new(params, key), bundle, editions: 0, server: None }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn endpoint(&self) -> String {
        format!("unix://{}", self.file("api.sock").display())
    }

    /// What journals are started with that take its identities.
    fn flags(&self) -> Vec<String> {
        let bundle = self.file("bundle.pem").display().to_string();
        ["--workload-trust-domain", "site.example", "--workload-bundle", &bundle].map(str::to_owned).to_vec()
    }

    /// Gives the node an identity, or the next one.
    fn issues(&mut self, spiffe_id: &str, life: time::Duration) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::ExplicitNoCa;
        params.subject_alt_names = vec![SanType::URI(spiffe_id.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let now = time::OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now - time::Duration::seconds(5), now + life);
        let svid = params.signed_by(&key, &self.issuer).unwrap();
        self.editions += 1;
        fs::write(self.file("id"), spiffe_id).unwrap();
        fs::write(self.file("svid.der"), svid.der()).unwrap();
        fs::write(self.file("key.der"), key.serialize_der()).unwrap();
        fs::write(self.file("serial.next"), self.editions.to_string()).unwrap();
        fs::rename(self.file("serial.next"), self.file("serial")).unwrap();
    }

    /// Its Workload API appears.
    fn comes(&mut self) {
        fs::remove_file(self.file("api.sock")).ok();
        self.server = Some(serve(&self.endpoint(), self.directory.path()));
    }

    /// And goes.
    fn goes(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().ok();
            server.wait().ok();
        }
    }
}

/// A Workload API at an endpoint.
fn serve(endpoint: &str, directory: &Path) -> Child {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/pact/venv/bin");
    let python = env::var_os("PACT_JUDGES_DIR").map_or_else(home, PathBuf::from).join("python3");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/enrollment/workload_api.py");
    let mut command = Command::new(&python);
    command.arg(program).arg(endpoint).arg(directory).stdin(Stdio::null());
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; scripts/install-judges.sh makes it", python.display()))
}

async fn journal_with(spire: &Spire, more: &[&str]) -> JournalUnderTest {
    let flags = spire.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let journal = JournalUnderTest::start_with(&flags).await;
    journal.register("compute-042", 1).await;
    journal
}

fn agent(journal: &JournalUnderTest, endpoint: &str) -> RunningAgent {
    let mut command = run_at(journal, &journal.hardware(1));
    RunningAgent::start(
        command.env("SPIFFE_ENDPOINT_SOCKET", endpoint).arg("--state-dir").arg(journal.file("state")),
    )
}

async fn status(journal: &JournalUnderTest) -> serde_json::Value {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_pact-agent"));
    let output =
        ended(command.args(["status", "-o", "json", "--state-dir"]).arg(journal.file("state"))).await;
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits until the agent goes by the identity, or by its certificate (`None`).
async fn goes_by(agent: &mut RunningAgent, spiffe_id: Option<&str>) -> serde_json::Value {
    loop {
        let told = agent.tells("identity").await;
        if told["spiffe_id"].as_str() == spiffe_id {
            return told;
        }
    }
}

#[tokio::test]
async fn rule_11_spire_appears_late_rotates_and_goes_and_the_node_is_there_all_the_time() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    let mut agent = agent(&journal, &spire.endpoint());
    agent.tells("configured").await;
    let enrolled = journal.sees_that("compute-042", |node| node.confirmed).await;
    assert_eq!(status(&journal).await["identity"], "certificate");

    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let first = goes_by(&mut agent, Some(SPIFFE_ID)).await;
    journal.sees_that("compute-042", |node| node.spiffe_id.as_deref() == Some(SPIFFE_ID)).await;
    let told = status(&journal).await;
    assert_eq!((&told["identity"], &told["spiffe_id"]), (&"workload".into(), &SPIFFE_ID.into()));
    assert_eq!(told["phase"], "active");

    // Rotated: another end, the same name, and nothing is bound again.
    let bound = journal.sees("compute-042", NodeState::Active).await.version;
    spire.issues(SPIFFE_ID, time::Duration::seconds(24));
    let second = goes_by(&mut agent, Some(SPIFFE_ID)).await;
    assert_ne!(first["not_after"], second["not_after"]);

    // SPIRE goes: before the identity ends, the node has a certificate with another key.
    spire.goes();
    goes_by(&mut agent, None).await;
    let node = journal.sees_that("compute-042", |node| node.confirmed && node.version > bound).await;
    assert_ne!(node.certificate.unwrap().serial, enrolled.certificate.unwrap().serial);
    assert_eq!(node.state, i32::from(NodeState::Active));

    // And comes again.
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    goes_by(&mut agent, Some(SPIFFE_ID)).await;

    agent.signal(Signal::TERM);
    let output = agent.end().await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    journal.sees("compute-042", NodeState::Inactive).await;
}

#[tokio::test]
async fn rule_11_a_revoked_node_is_cut_on_its_workload_identity_and_ends_with_4() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let mut agent = agent(&journal, &spire.endpoint());
    goes_by(&mut agent, Some(SPIFFE_ID)).await;
    journal.revoke("compute-042").await;
    assert_refused(&agent.end().await, 4, "CERTIFICATE_REVOKED");
}

#[tokio::test]
async fn rule_20_the_enrollment_is_renewed_over_the_workload_identity_and_the_node_stays_with_that() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &["--certificate-ttl-secs", "30"]).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let mut agent = agent(&journal, &spire.endpoint());
    goes_by(&mut agent, Some(SPIFFE_ID)).await;
    for _ in 0..2 {
        agent.tells("renewed").await;
        agent.tells("subscribed").await;
        assert_eq!(status(&journal).await["identity"], "workload");
        let node = journal.sees_that("compute-042", |node| node.confirmed).await;
        assert_eq!(node.state, i32::from(NodeState::Active));
    }
}

#[tokio::test]
async fn rule_11_an_identity_that_proves_another_node_leaves_the_node_with_its_certificate() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    journal.register("compute-043", 2).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    spire.comes();
    let mut first = agent(&journal, &spire.endpoint());
    goes_by(&mut first, Some(SPIFFE_ID)).await;
    let mut command = run_at(&journal, &journal.hardware(2));
    let mut second = RunningAgent::start(command.env("SPIFFE_ENDPOINT_SOCKET", spire.endpoint()));
    second.tells("configured").await;
    let node = journal.sees_that("compute-043", |node| node.confirmed).await;
    assert_eq!((node.state, node.spiffe_id), (i32::from(NodeState::Active), None));
    second.signal(Signal::TERM);
    let told = second.end().await;
    assert_eq!(told.status.code(), Some(0));
    let stderr = String::from_utf8_lossy(&told.stderr);
    assert!(stderr.contains("WORKLOAD_IDENTITY_CONFLICT"), "{stderr}");
}

#[tokio::test]
async fn rule_11_a_workload_api_that_is_absent_silent_or_nonsense_keeps_the_node_from_nothing() {
    let spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    let silent = spire.file("silent.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&silent).unwrap();
    let nonsense = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nonsense.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write;
        for stream in nonsense.incoming().flatten() {
            (&stream).write_all(&[0xff; 4096]).ok();
        }
    });
    for endpoint in [
        "unix:///no/such/socket".to_owned(),
        format!("unix://{}", silent.display()),
        format!("tcp://127.0.0.1:{port}"),
    ] {
        let mut agent = agent(&journal, &endpoint);
        agent.tells("configured").await;
        assert_eq!(status(&journal).await["identity"], "certificate", "{endpoint}");
        agent.signal(Signal::TERM);
        assert_eq!(agent.end().await.status.code(), Some(0), "{endpoint}");
    }
}

#[tokio::test]
async fn rule_11_a_workload_api_is_spoken_to_over_tcp_too() {
    let mut spire = Spire::new();
    let journal = journal_with(&spire, &[]).await;
    spire.issues(SPIFFE_ID, time::Duration::hours(1));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    spire.server = Some(serve(&endpoint, spire.directory.path()));
    let mut agent = agent(&journal, &endpoint);
    goes_by(&mut agent, Some(SPIFFE_ID)).await;
    assert!(!spire.bundle.der().is_empty());
}
