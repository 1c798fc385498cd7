//! The files of a journal, as `init` makes them, and what can be seen of them from outside.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use events::vocabulary::Digest;
use proto::pem_file::{Credential, Trust};
use serde_json::Value;
use tempfile::TempDir;

use super::{Process, READY, journal_of};

/// A data directory in a folder of its own, beside what the journal printed.
pub struct DataDirectory {
    folder: TempDir,
    pub made: Value,
    /// The binary that serves it: [`CURRENT`], or another release.
    pub program: &'static str,
}

/// What is tested.
pub const CURRENT: &str = "pact-journal";
/// The same, pretending to be the release before (R26).
pub const PREVIOUS: &str = "pact-journal-previous";

/// Members of a quorum listen from here on, at so many ports.
const FIRST_PORT: u16 = 12_000;
const PORTS: u32 = 20_000;

/// Every file below a directory: its permissions and the hash of its contents.
pub type Snapshot = BTreeMap<PathBuf, (u32, Digest)>;

impl DataDirectory {
    /// Makes a domain on free ports of loopback.
    pub fn init(domain: &str) -> Self {
        Self::init_with(domain, &[])
    }

    /// [`DataDirectory::init`] with environment variables. What it prints lies in files beside the data directory.
    pub fn init_with(domain: &str, environment: &[(&str, &str)]) -> Self {
        Self::init_by(CURRENT, domain, environment)
    }

    /// [`DataDirectory::init_with`] by another release.
    pub fn init_by(program: &'static str, domain: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = init_command_of(program, &folder.path().join("j1"), domain);
        let output = command.envs(environment.iter().copied()).output().expect("pact-journal starts");
        assert!(output.status.success(), "{output:?}");
        for (name, printed) in [("init.log", &output.stderr), ("init.out", &output.stdout)] {
            fs::write(folder.path().join(name), printed).expect("it can be written");
        }
        let made = serde_json::from_slice(&output.stdout).expect("init prints one JSON document");
        Self { folder, made, program }
    }

    /// A folder for the data directory of a journal that is about to join.
    pub fn to_join() -> Self {
        Self::to_join_by(CURRENT)
    }

    /// [`DataDirectory::to_join`] of another release.
    pub fn to_join_by(program: &'static str) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), made: Value::Null, program }
    }

    /// The data directory.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("j1")
    }

    /// The folder around it: all that the journal writes anywhere.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whom clients trust.
    pub fn trust(&self) -> Trust {
        Trust::read(&self.path().join("bootstrap/domain-ca.pem")).expect("init made it")
    }

    /// The first operator.
    pub fn operator(&self) -> Credential {
        Credential::read(&self.path().join("bootstrap/operator.pem")).expect("init made it")
    }

    /// Sets a value in journal.toml, as TOML writes it.
    pub fn configure(&self, key: &str, value: impl Display) {
        let path = self.path().join("journal.toml");
        let text = fs::read_to_string(&path).expect("init made it");
        let others = text.lines().filter(|line| !line.starts_with(key));
        let line = format!("{key} = {value}");
        let lines: Vec<&str> = others.chain([line.as_str()]).collect();
        fs::write(&path, lines.join("\n")).expect("it can be written");
    }

    /// `pact-journal serve` with its output in files beside the data directory.
    pub fn serve_command(&self) -> Command {
        let mut command = journal_of(self.program);
        command.args(["serve", "--data-dir"]).arg(self.path());
        self.logged(command)
    }

    /// `pact-journal join`, told alike. The token lies in a file, where not everybody can read it.
    pub fn join_command<'a>(
        &self,
        journal_id: impl Into<Option<&'a str>>,
        door: &str,
        token: &str,
    ) -> Command {
        let file = self.folder.path().join("token");
        fs::write(&file, token).expect("it can be written");
        let mut command = journal_of(self.program);
        command.args(["join", "--join-addr", door, "--advertise", "127.0.0.1", "--advertise", "localhost"]);
        command.args(journal_id.into().into_iter().flat_map(|name| ["--journal-id", name]));
        command.arg("--join-token").arg(format!("@{}", file.display()));
        command.args(["--agent-listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"]);
        command.args(["--http-listen", "127.0.0.1:0", "--cluster-listen", &free_port().to_string()]);
        command.arg("--data-dir").arg(self.path());
        self.logged(command)
    }

    /// `pact-journal restore` from a log into this one, which prints one JSON document.
    pub fn restore_command(&self, from: &Path) -> Command {
        let mut command = journal_of(self.program);
        command.args(["restore", "--advertise", "127.0.0.1", "-o", "json"]);
        command.args(["--agent-listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"]);
        command.args(["--http-listen", "127.0.0.1:0", "--cluster-listen", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(self.path()).arg("--from").arg(from);
        command
    }

    /// What is in it and beside it.
    pub fn snapshot_of_folder(&self) -> Snapshot {
        let mut found = Snapshot::new();
        collect(self.folder.path(), &mut found);
        found
    }

    /// Joins although that must be refused: exit code and what was said on stderr.
    pub fn join_refused(&self, journal_id: &str, door: &str, token: &str) -> (i32, String) {
        fs::write(self.folder.path().join("serve.log"), "").expect("it can be written");
        let mut command = self.join_command(journal_id, door, token);
        let mut process = Process(command.spawn().expect("pact-journal starts"));
        let status = process.ended_within(READY);
        (status.code().expect("it was not killed"), self.last_words())
    }

    fn logged(&self, mut command: Command) -> Command {
        command.stdout(self.output("serve.out")).stderr(self.output("serve.log"));
        command
    }

    /// Serves although that must be refused: exit code and what was said on stderr.
    pub fn refused(&self) -> (i32, String) {
        fs::write(self.folder.path().join("serve.log"), "").expect("it can be written");
        let mut process = Process(self.serve_command().spawn().expect("pact-journal starts"));
        let status = process.ended_within(READY);
        (status.code().expect("it was not killed"), self.last_words())
    }

    /// What the journal has said on stderr.
    pub fn last_words(&self) -> String {
        fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default()
    }

    /// What is in it.
    pub fn snapshot(&self) -> Snapshot {
        let mut found = Snapshot::new();
        collect(&self.path(), &mut found);
        found
    }

    fn output(&self, name: &str) -> File {
        let path = self.folder.path().join(name);
        OpenOptions::new().create(true).append(true).open(path).expect("it can be written")
    }
}

/// A port that is free at the moment: a member of a quorum keeps its own. Below those that the system gives to clients:
/// other tests connect while it is not listened at yet.
pub fn free_port() -> SocketAddr {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let next = || process::id().wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % PORTS;
    let port = || FIRST_PORT + u16::try_from(next()).expect("ports are small");
    let free = (0..PORTS).find_map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, port())).ok());
    free.and_then(|listener| listener.local_addr().ok()).expect("there is a free port")
}

/// `pact-journal init` on free ports of loopback.
pub fn init_command(data_dir: &Path, domain: &str) -> Command {
    init_command_of(CURRENT, data_dir, domain)
}

fn init_command_of(program: &str, data_dir: &Path, domain: &str) -> Command {
    let mut command = journal_of(program);
    command.args(["init", "--domain", domain, "-o", "json", "--agent-listen", "127.0.0.1:0"]);
    command.args(["--operator-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
    command.args(["--cluster-listen", "127.0.0.1:0"]);
    command.arg("--data-dir").arg(data_dir);
    command
}

/// Runs `init` and says how it ended.
pub fn init(data_dir: &Path, domain: &str) -> Output {
    init_command(data_dir, domain).output().expect("pact-journal starts")
}

fn collect(dir: &Path, found: &mut Snapshot) {
    for entry in fs::read_dir(dir).expect("it is a directory") {
        let path = entry.expect("it can be listed").path();
        let mode = fs::symlink_metadata(&path).expect("it is there").permissions().mode() & 0o7777;
        if path.is_dir() {
            found.insert(path.clone(), (mode, Digest::of(b"")));
            collect(&path, found);
        } else {
            let contents = fs::read(&path).expect("it can be read");
            found.insert(path, (mode, Digest::of(&contents)));
        }
    }
}
