//! SPIRE, as a node and a journal know it: an authority of its own, its bundle in a file, and a Workload API on the official stubs
//! (`workload_api.py`, in the environment of `scripts/install-judges.sh`). Dropped, its Workload API ends.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use tempfile::TempDir;

pub const SPIFFE_ID: &str = "spiffe://site.example/pact/compute-042";

/// SPIRE, as a node and a journal know it.
pub struct Spire {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    editions: u32,
    server: Option<Child>,
}

impl Drop for Spire {
    fn drop(&mut self) {
        self.goes();
    }
}

impl Spire {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![SanType::URI("spiffe://site.example".try_into().unwrap())];
        let bundle = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("bundle.pem"), bundle.pem()).unwrap();
        fs::write(directory.path().join("bundle.der"), bundle.der()).unwrap();
        Self { directory, issuer: Issuer::new(params, key), editions: 0, server: None }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.file("api.sock").display())
    }

    /// What journals are started with that take its identities.
    pub fn flags(&self) -> Vec<String> {
        let bundle = self.file("bundle.pem").display().to_string();
        ["--workload-trust-domain", "site.example", "--workload-bundle", &bundle].map(str::to_owned).to_vec()
    }

    /// Gives the node an identity, or the next one.
    pub fn issues(&mut self, spiffe_id: &str, life: time::Duration) {
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
    pub fn comes(&mut self) {
        fs::remove_file(self.file("api.sock")).ok();
        self.comes_at(&self.endpoint(), |python| Command::new(python));
    }

    /// The same at another endpoint, by a program that is started so.
    pub fn comes_at(&mut self, endpoint: &str, start: impl FnOnce(&Path) -> Command) {
        let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/pact/venv/bin");
        let python = env::var_os("PACT_JUDGES_DIR").map_or_else(home, PathBuf::from).join("python3");
        assert!(python.exists(), "there is no {}; scripts/install-judges.sh makes it", python.display());
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/enrollment/workload_api.py");
        let mut command = start(&python);
        command.arg(program).arg(endpoint).arg(self.directory.path()).stdin(Stdio::null());
        self.server = Some(command.spawn().expect("it is a program"));
    }

    /// And goes.
    pub fn goes(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().ok();
            server.wait().ok();
        }
    }
}
