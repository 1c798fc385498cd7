//! The programs of a full run beside the journal: told to log everything, their output in files of the run's folder.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::journal_process::{Journal, LOOK, Process, READY, binary};

/// Starts programs for a journal.
pub struct Programs<'j> {
    journal: &'j Journal,
    folder: PathBuf,
    started: u32,
}

impl<'j> Programs<'j> {
    /// For a journal, whose folder takes what they write.
    pub fn of(journal: &'j Journal) -> Self {
        Self { journal, folder: journal.dir.folder().to_owned(), started: 0 }
    }

    /// A file in the run's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// `pact` as the operator of a credential file; its exit code.
    pub fn pact(&mut self, credential: &Path, arguments: &[&str]) -> Option<i32> {
        let mut command = Command::new(binary("pact"));
        command.env("PACT_ENDPOINTS", self.journal.operators_address().to_string());
        command.env("PACT_CREDENTIAL", credential).args(arguments);
        self.spawned(&mut command).wait().expect("it is our child").code()
    }

    /// `pact-replay` on the log; its exit code.
    pub fn replay(&mut self, verb: &str, arguments: &[&str]) -> Option<i32> {
        let mut command = Command::new(binary("pact-replay"));
        command.arg(verb).arg(self.journal.dir.path()).args(arguments);
        self.spawned(&mut command).wait().expect("it is our child").code()
    }

    /// The same, where what it prints is a secret: into a file for its owner only, which is named.
    pub fn pact_in_private(&mut self, credential: &Path, arguments: &[&str]) -> (Option<i32>, PathBuf) {
        let out = self.file(&format!("{}.out", self.started + 1));
        File::create(&out).unwrap().set_permissions(Permissions::from_mode(0o600)).unwrap();
        (self.pact(credential, arguments), out)
    }

    /// `pact-journal`, until it ends or is dropped.
    pub fn journal(&mut self, arguments: &[&str]) -> Process {
        Process(self.spawned(Command::new(binary("pact-journal")).args(arguments)))
    }

    /// `pact-agent run` for a machine with one MAC address, until it is dropped.
    pub fn agent(&mut self, mac: &str) -> Process {
        let hardware = self.file("hardware.json");
        fs::write(&hardware, format!(r#"{{"macs":["{mac}"],"bmc_serial":null,"uuid":null}}"#)).unwrap();
        let mut command = Command::new(binary("pact-agent"));
        command.env("PACT_JOURNALS", self.journal.agents_address().to_string());
        command.args(["run", "-o", "json", "--hardware"]).arg(hardware);
        Process(self.spawned(&mut command))
    }

    /// What the programs wrote so far, to wait for a word of it.
    pub fn last_words(&self) -> String {
        fs::read_to_string(self.file(&format!("{}.out", self.started))).unwrap_or_default()
    }

    fn spawned(&mut self, command: &mut Command) -> Child {
        self.started += 1;
        let [out, err] =
            ["out", "err"].map(|end| File::create(self.file(&format!("{}.{end}", self.started))));
        command
            .env("RUST_LOG", "trace")
            .env("PACT_CA", self.journal.dir.path().join("bootstrap/domain-ca.pem"));
        command.stdin(Stdio::null()).stdout(out.unwrap()).stderr(err.unwrap());
        command.spawn().expect("it is a program")
    }
}

/// How a process was started, as everybody may read it or its user. A process that has just begun shows nothing yet.
pub fn start_of(pid: u32) -> Vec<(PathBuf, Vec<u8>)> {
    let deadline = Instant::now() + READY;
    let read = |name: &str| {
        let path = PathBuf::from(format!("/proc/{pid}/{name}"));
        loop {
            let bytes = fs::read(&path).expect("it lives, and this test runs as root");
            if !bytes.is_empty() {
                return (path, bytes);
            }
            assert!(Instant::now() < deadline, "{path:?} is empty: the process ended");
            thread::sleep(LOOK);
        }
    };
    ["environ", "cmdline"].map(read).into()
}
