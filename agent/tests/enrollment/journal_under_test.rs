//! A real journal for these tests: `pact-journal init` and `serve` in a temporary directory, and an operator's calls.
//!
//! The binaries are looked for in `PACT_BIN_DIR`, or where cargo puts them. Dropping kills the journal.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use proto::channel::Channel;
use proto::{
    channel::Connection,
    pb::{
        DecommissionNodeRequest, HardwareIdentity, InspectNodeRequest, Node, NodeState, RegisterNodeRequest,
        RevokeNodeRequest, node_service_client::NodeServiceClient,
    },
    pem_file::{Credential, Trust},
};
use tempfile::TempDir;
use tokio::time::{self, Instant};

/// Far beyond what loopback needs, so that a slow machine does not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running journal with the domain `test`.
pub struct JournalUnderTest {
    process: Child,
    directory: TempDir,
    /// The agents' listener, `https://HOST:PORT`.
    pub agents: String,
    operators: String,
}

impl Drop for JournalUnderTest {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.file("journal.log")).unwrap_or_default();
            eprintln!("the journal's log:\n{log}");
        }
    }
}

/// A binary of pact: beside the agent that cargo built, unless `PACT_BIN_DIR` says otherwise.
fn binary(name: &str) -> PathBuf {
    let beside =
        || Path::new(env!("CARGO_BIN_EXE_pact-agent")).parent().map(Path::to_owned).unwrap_or_default();
    let path = env::var_os("PACT_BIN_DIR").map_or_else(beside, PathBuf::from).join(name);
    assert!(path.is_file(), "there is no {}: `make build` puts it there", path.display());
    path
}

impl JournalUnderTest {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with flags of `serve`.
    pub async fn start_with(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is a directory for temporary files");
        let data_dir = directory.path().join("j1");
        let init = Command::new(binary("pact-journal"))
            .args(["init", "--domain", "test", "--agent-listen", "127.0.0.1:0"])
            .args(["--operator-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
            .args(["--cluster-listen", "127.0.0.1:0"])
            .args(["-o", "json", "--data-dir"])
            .arg(&data_dir)
            .output()
            .expect("pact-journal is a program");
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let log = File::create(directory.path().join("journal.log")).expect("the directory is ours");
        let mut process = serve(&data_dir, flags, log);
        let endpoints = endpoints(&mut process, &data_dir).await;
        let url = |name: &str| format!("https://{}", endpoints[name].as_str().unwrap_or_default());
        Self { process, agents: url("agent"), operators: url("operator"), directory }
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is our child");
        fs::remove_file(self.file("j1/endpoints.json")).ok();
    }

    /// Starts it again at the same addresses.
    pub async fn serve_again(&mut self, flags: &[&str]) {
        let data_dir = self.file("j1");
        let address = |url: &str| url.trim_start_matches("https://").to_owned();
        let (agents, operators) = (address(&self.agents), address(&self.operators));
        let same = ["--agent-listen", agents.as_str(), "--operator-listen", operators.as_str()];
        let log = File::options().append(true).open(self.file("journal.log")).expect("it was made");
        self.process = serve(&data_dir, &[&same[..], flags].concat(), log);
        endpoints(&mut self.process, &data_dir).await;
    }

    /// A path in this test's own directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn ca(&self) -> PathBuf {
        self.file("j1/bootstrap/domain-ca.pem")
    }

    /// Writes the hardware file of a machine.
    pub fn hardware(&self, number: u8) -> PathBuf {
        let path = self.file(&format!("hardware-{number}.json"));
        let text = format!(r#"{{"macs":["{}"],"bmc_serial":"SN{number}","uuid":null}}"#, mac(number));
        fs::write(&path, text).expect("the directory is ours");
        path
    }

    /// A connection with the certificate of the first operator.
    pub async fn operator(&self) -> Connection {
        let trust = Trust::read(&self.ca()).expect("init wrote it");
        let operator = Credential::read(&self.file("j1/bootstrap/operator.pem")).expect("init wrote it");
        let address = self.operators.parse().expect("the journal told it");
        Connection::open(&address, &trust, Some(&operator), PATIENCE).await.expect("the journal serves")
    }

    async fn nodes(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.operator().await.channel())
    }

    /// Registers a machine as a node.
    pub async fn register(&self, node_id: &str, number: u8) {
        self.register_with(None, node_id, number).await;
    }

    /// The same, as a node of a vCluster.
    pub async fn register_in(&self, vcluster: &str, node_id: &str, number: u8) {
        self.register_with(Some(vcluster.to_owned()), node_id, number).await;
    }

    async fn register_with(&self, vcluster_id: Option<String>, node_id: &str, number: u8) {
        let hardware = HardwareIdentity {
            mac_addresses: vec![mac(number)],
            bmc_serial: format!("SN{number}"),
            ..Default::default()
        };
        let request = RegisterNodeRequest {
            node_id: node_id.to_owned(),
            hardware_identity: Some(hardware),
            vcluster_id,
            ..Default::default()
        };
        self.nodes().await.register_node(request).await.expect("nobody has this name or hardware");
    }

    pub async fn revoke(&self, node_id: &str) {
        let request = RevokeNodeRequest { node_id: node_id.to_owned(), reason: "a test".to_owned() };
        self.nodes().await.revoke_node(request).await.expect("the node is registered");
    }

    /// Decommissions a node without force; else with which reason that was refused.
    pub async fn decommission(&self, node_id: &str) -> Result<(), String> {
        let operator = self.operator().await;
        let request = DecommissionNodeRequest { node_id: node_id.to_owned(), ..Default::default() };
        let answer = NodeServiceClient::new(operator.channel()).decommission_node(request).await;
        answer.map(drop).map_err(|status| operator.failure(&status).reason_text().to_owned())
    }

    /// Waits until a node is in a state.
    pub async fn sees(&self, node_id: &str, state: NodeState) -> Node {
        self.sees_that(node_id, |node| node.state() == state).await
    }

    /// Waits until a node is as it should be.
    pub async fn sees_that(&self, node_id: &str, condition: impl Fn(&Node) -> bool) -> Node {
        let mut nodes = self.nodes().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = InspectNodeRequest { node_id: node_id.to_owned(), min_seq: None };
            let answer = nodes.inspect_node(request).await.expect("the node is registered");
            let node = answer.into_inner().node.expect("an answer has a node");
            if condition(&node) {
                return node;
            }
            assert!(Instant::now() < deadline, "{node_id} is still {node:?}");
            time::sleep(LOOK_EVERY).await;
        }
    }
}

fn serve(data_dir: &Path, flags: &[&str], log: File) -> Child {
    Command::new(binary("pact-journal"))
        .args(["serve", "--data-dir"])
        .arg(data_dir)
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("pact-journal is a program")
}

/// The MAC address of a machine.
pub fn mac(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

async fn endpoints(process: &mut Child, data_dir: &Path) -> serde_json::Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read(data_dir.join("endpoints.json"));
        if let Some(endpoints) = text.ok().and_then(|text| serde_json::from_slice(&text).ok()) {
            return endpoints;
        }
        let ended = process.try_wait().expect("it is our child");
        assert!(ended.is_none(), "pact-journal serve ended: {ended:?}");
        assert!(Instant::now() < deadline, "pact-journal serve is not ready");
        time::sleep(LOOK_EVERY).await;
    }
}
