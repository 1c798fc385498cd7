//! Three real journals that a guest reaches as 10.0.2.2, and an operator's `pact`.
//!
//! QEMU shows a guest the loopback interface of its host at that address. The journals advertise it, and so it must lead to
//! them on their own side, too: they live in a network namespace in which it is an address of the loopback interface.

use std::{
    env, fs,
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{binary, until};

/// As a guest sees its host.
pub const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The same by a name, which stands in the journals' certificates too.
pub const HOST_NAME: &str = "journals.pact.test";

/// A network namespace; dropped, it is gone.
pub struct Network(String);

impl Network {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let network = Self(format!("pact-{}-{number}", std::process::id()));
        let name = &network.0;
        succeeds(Command::new("ip").args(["netns", "add", name]));
        succeeds(network.command("ip").args(["link", "set", "lo", "up"]));
        succeeds(network.command("ip").args(["address", "add", &format!("{HOST}/32"), "dev", "lo"]));
        network
    }

    /// A program in it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program).stdin(Stdio::null());
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("PACT_") || name == "RUST_LOG") {
            command.env_remove(name);
        }
        command
    }

    /// Where the kernel shows it.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.0)
    }

    /// So many ports that nobody listens at. Nobody else is in there.
    fn ports(&self, count: usize) -> Vec<u16> {
        let listeners: Vec<_> =
            (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("there is one")).collect();
        listeners.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        Command::new("ip").args(["netns", "delete", &self.0]).status().ok();
    }
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the program is there");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

struct Journal {
    data_dir: PathBuf,
    ports: Vec<u16>,
    process: Option<Child>,
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// See the module.
pub struct Quorum {
    // Dropped before the namespace and the folder that they use.
    journals: Vec<Journal>,
    folder: TempDir,
    pub network: Network,
}

impl Drop for Quorum {
    fn drop(&mut self) {
        for journal in self.journals.iter().filter(|_| std::thread::panicking()) {
            let log = fs::read_to_string(journal.data_dir.with_extension("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the end of {}'s log:", journal.data_dir.display());
            last.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Quorum {
    /// Three journals that serve, with this in their environment.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let (network, folder) = (Network::new(), tempfile::tempdir().expect("there is room"));
        let ports = network.ports(12);
        let journals = ports.chunks(4).enumerate().map(|(at, ports)| {
            let data_dir = folder.path().join(format!("j{}", at + 1));
            Journal { data_dir, ports: ports.to_vec(), process: None }
        });
        let journals = journals.collect();
        let mut quorum = Self { journals, folder, network };
        quorum.init();
        quorum.serve(0, settings).await;
        for at in [1, 2] {
            quorum.join(at, settings).await;
            quorum.has_voters(at + 1).await;
        }
        quorum
    }

    fn listens(&self, at: usize, command: &mut Command) {
        let names = ["--agent-listen", "--operator-listen", "--cluster-listen", "--http-listen"];
        for (name, port) in names.iter().zip(&self.journals[at].ports) {
            command.args([name.to_string(), format!("0.0.0.0:{port}")]);
        }
        command.args(["--advertise", &HOST.to_string(), "--advertise", HOST_NAME]);
        command.arg("--data-dir").arg(&self.journals[at].data_dir);
    }

    fn init(&self) {
        let mut init = self.network.command(binary("pact-journal"));
        self.listens(0, init.args(["init", "--domain", "test", "--journal-id", "j1"]));
        succeeds(&mut init);
    }

    /// It serves once it has joined.
    async fn join(&mut self, at: usize, settings: &[(&str, &str)]) {
        let token = self.pact_json(&["journal", "join-token", "create"]);
        let token = token["token"].as_str().expect("a token is told").to_owned();
        let mut join = self.network.command(binary("pact-journal"));
        let door = format!("{HOST}:{}", self.journals[0].ports[2]);
        join.args(["join", "--journal-id", &format!("j{}", at + 1), "--join-addr", &door]);
        join.args(["--join-token", &token]);
        self.listens(at, &mut join);
        self.run(at, join, settings).await;
    }

    /// Starts a journal, and waits until it serves.
    pub async fn serve(&mut self, at: usize, settings: &[(&str, &str)]) {
        let mut serve = self.network.command(binary("pact-journal"));
        serve.args(["serve", "--data-dir"]).arg(&self.journals[at].data_dir);
        self.run(at, serve, settings).await;
    }

    async fn run(&mut self, at: usize, mut command: Command, settings: &[(&str, &str)]) {
        let journal = &mut self.journals[at];
        let log = File::options().create(true).append(true).open(journal.data_dir.with_extension("log"));
        command.envs(settings.iter().copied());
        command.stdout(Stdio::null()).stderr(log.expect("the folder is ours"));
        let process = journal.process.insert(command.spawn().expect("pact-journal is a program"));
        let endpoints = journal.data_dir.join("endpoints.json");
        until("the journal serves", || {
            let ended = process.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the journal ended: {ended:?}");
            fs::read(&endpoints).ok()
        })
        .await;
    }

    async fn has_voters(&self, count: usize) {
        until("they vote", || {
            // While a leader is elected nobody answers.
            let output = self.pact(&["-o", "json", "journal", "members"]);
            let voters = String::from_utf8_lossy(&output.stdout).matches(r#""standing":"voter""#).count();
            (voters == count).then_some(())
        })
        .await;
    }

    /// Kills the journal at which agents listen there.
    pub fn kill(&mut self, agents: &str) -> usize {
        let at = self.journals.iter().position(|journal| agents.ends_with(&format!(":{}", journal.ports[0])));
        let at = at.unwrap_or_else(|| panic!("{agents} is one of ours"));
        let journal = &mut self.journals[at];
        let process = journal.process.as_mut().expect("it serves");
        process.kill().and_then(|()| process.wait()).expect("it is our child");
        journal.process = None;
        fs::remove_file(journal.data_dir.join("endpoints.json")).ok();
        at
    }

    /// The agents' listeners, by this name of the host.
    pub fn agents(&self, host: &str) -> String {
        let told: Vec<String> =
            self.journals.iter().map(|journal| format!("https://{host}:{}", journal.ports[0])).collect();
        told.join(",")
    }

    pub fn ca(&self) -> PathBuf {
        self.journals[0].data_dir.join("bootstrap/domain-ca.pem")
    }

    pub fn data_dir(&self, at: usize) -> &Path {
        &self.journals[at].data_dir
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `pact` as the first operator.
    pub fn pact(&self, words: &[&str]) -> Output {
        let mut pact = self.network.command(binary("pact"));
        let serving = self.journals.iter().filter(|journal| journal.process.is_some());
        for journal in serving {
            pact.args(["--endpoint", &format!("https://{HOST}:{}", journal.ports[1])]);
        }
        let operator = self.journals[0].data_dir.join("bootstrap/operator.pem");
        pact.arg("--ca").arg(self.ca()).arg("--credential").arg(operator).args(words);
        pact.output().expect("pact is a program")
    }

    /// The document that it prints; it must succeed.
    pub fn pact_json(&self, words: &[&str]) -> Value {
        let output = self.pact(&[&["-o", "json"], words].concat());
        assert!(output.status.success(), "pact {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("it prints a document")
    }

    /// Waits until `pact` shows a node so.
    pub async fn sees(&self, node: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            // While a leader is elected nobody answers.
            let output = self.pact(&["-o", "json", "node", "inspect", node]);
            let node: Value = serde_json::from_slice(&output.stdout).ok()?;
            (output.status.success() && condition(&node)).then_some(node)
        })
        .await
    }
}
