//! A real journal for a test: `pact-journal init`, then `serve`, on loopback in a folder that goes with the test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A journal starts in less than a second; a busy machine takes longer.
const READY: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// The files of a domain, as `init` makes them.
pub struct Domain {
    folder: TempDir,
}

impl Domain {
    /// Makes a domain on free ports of loopback.
    pub fn init(name: &str) -> Self {
        let domain = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let output = pact_journal()
            .args(["init", "--domain", name, "-o", "json", "--agent-listen", "127.0.0.1:0"])
            .args(["--operator-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
            .args(["--cluster-listen", "127.0.0.1:0", "--data-dir"])
            .arg(domain.data_dir())
            .output()
            .expect("pact-journal lies in PACT_BIN_DIR or beside the tests");
        assert!(output.status.success(), "{output:?}");
        domain
    }

    /// The domain CA certificate.
    pub fn ca(&self) -> PathBuf {
        self.data_dir().join("bootstrap/domain-ca.pem")
    }

    /// The first operator's certificate and key.
    pub fn operator(&self) -> PathBuf {
        self.data_dir().join("bootstrap/operator.pem")
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("j1")
    }
}

/// A journal that serves until it is dropped.
pub struct Journal {
    // Before the folder: a field is dropped in its order.
    process: Served,
    domain: Domain,
    operator_endpoint: String,
    agent_endpoint: String,
}

/// A machine that lives: an agent.
pub struct Machine {
    _agent: Served,
}

/// The process, which does not outlive its test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Journal {
    /// Makes a domain and serves it; returns when the journal is ready.
    pub fn start(domain: &str) -> Self {
        let domain = Domain::init(domain);
        let log = domain.folder.path().join("log");
        let mut process = pact_journal()
            .args(["serve", "--data-dir"])
            .arg(domain.data_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("it can be written"))
            .spawn()
            .map(Served)
            .expect("pact-journal starts");
        let endpoints = ready(&mut process.0, &domain.data_dir().join("endpoints.json"), &log);
        let [operator_endpoint, agent_endpoint] = ["operator", "agent"]
            .map(|listener| format!("https://{}", endpoints[listener].as_str().expect("an address")));
        Self { process, domain, operator_endpoint, agent_endpoint }
    }

    /// A machine with this one address, which asks to be a node until it is dropped.
    pub fn machine(&self, mac: &str) -> Machine {
        let folder = self.domain.folder.path();
        let hardware = folder.join(format!("{}.json", mac.replace(':', "")));
        fs::write(&hardware, format!(r#"{{"macs":["{mac}"],"bmc_serial":null,"uuid":null}}"#))
            .expect("written");
        let agent = program("pact-agent")
            .args(["run", "--journal", &self.agent_endpoint, "--ca"])
            .arg(self.domain.ca())
            .arg("--hardware")
            .arg(hardware)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Machine { _agent: Served(agent.expect("pact-agent lies in PACT_BIN_DIR or beside the tests")) }
    }

    /// Where its operators connect.
    pub fn operator_endpoint(&self) -> &str {
        &self.operator_endpoint
    }

    /// `pact` as the domain's first operator, all told by the environment.
    pub fn pact(&self) -> Command {
        let mut pact = Command::new(env!("CARGO_BIN_EXE_pact"));
        pact.env_remove("RUST_LOG")
            .env("XDG_CONFIG_HOME", "/no/such/folder")
            .env("PACT_ENDPOINTS", &self.operator_endpoint)
            .env("PACT_CA", self.domain.ca())
            .env("PACT_CREDENTIAL", self.domain.operator());
        pact
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.0.kill().expect("it runs");
        self.process.0.wait().expect("it ends");
    }
}

/// Waits until the journal has written where it listens.
fn ready(process: &mut Child, endpoints: &Path, log: &Path) -> Value {
    let deadline = Instant::now() + READY;
    loop {
        // A file that is half written does not parse.
        let read = fs::read(endpoints).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(endpoints) = read {
            return endpoints;
        }
        let ended = process.try_wait().expect("it ends");
        let late = Instant::now() >= deadline;
        assert!(ended.is_none() && !late, "{ended:?}: {}", fs::read_to_string(log).unwrap_or_default());
        thread::sleep(LOOK);
    }
}

pub fn pact_journal() -> Command {
    program("pact-journal")
}

fn program(name: &str) -> Command {
    let beside = || {
        let test = env::current_exe().expect("this test has a file");
        test.parent().and_then(Path::parent).expect("tests lie in target/release/deps").to_owned()
    };
    let folder = env::var_os("PACT_BIN_DIR").map_or_else(beside, PathBuf::from);
    Command::new(folder.join(name))
}
