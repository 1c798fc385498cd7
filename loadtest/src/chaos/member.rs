//! One journal of a run: its host, its disk, its process in all its lives.
//!
//! [`super::quorum`] starts and supervises them, [`super::injection`] harms them.
//!
//! **Invariant:** its process ends with this one, however that ends (`setpriv --pdeathsig`).

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard},
};

use proto::{channel::JournalAddress, outcome::Failure};
use rustix::process::{Pid, Signal, kill_process};

use super::network::{self, Host};

/// What journals listen on, each on a host of its own.
const AGENTS: u16 = 9443;
const CLUSTER: u16 = 9444;
const HTTP: u16 = 9445;
const OPERATORS: u16 = 9446;

/// A clock that is off is made by this library (Debian's package faketime).
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// Settings of every journal: short times, so that they pass within a run.
pub const SETTINGS: [(&str, &str); 5] = [
    ("PACT_JOURNAL_CERTIFICATE_TTL_SECS", "40"),
    ("PACT_JOURNAL_STALE_AFTER_SECS", "10"),
    ("PACT_JOURNAL_GRACE_PERIOD_SECS", "6"),
    ("PACT_JOURNAL_DISK_RESERVE_BYTES", "4194304"),
    ("PACT_JOURNAL_UNKNOWN_PER_MINUTE", "100000"),
];

/// See the module.
#[derive(Debug)]
pub struct Member {
    /// j1, j2 …
    pub name: String,
    /// Where it runs.
    pub host: Host,
    /// Its listener for agents.
    pub agents: JournalAddress,
    /// Its listener for operators.
    pub operators: JournalAddress,
    /// Its listener for probes and metrics.
    pub http: SocketAddr,
    data_dir: PathBuf,
    log: PathBuf,
    namespace: PathBuf,
    binary: PathBuf,
    /// How far its clock is set by, where libfaketime reads it while the process runs.
    clock: Option<PathBuf>,
    life: Mutex<Life>,
}

/// What becomes of a journal.
#[derive(Debug, Default)]
pub struct Life {
    /// Its process, ended or not.
    pub child: Option<Child>,
    /// So many faults keep it down.
    pub held_down: u32,
    /// It was killed, and that has not been seen yet.
    pub killed: bool,
    /// So many faults are a reason to end.
    pub excused: u32,
    /// It is out for good.
    pub evicted: bool,
    /// It is a member that votes, or is the founder.
    pub joined: bool,
    /// It is the host that a change of members has chosen for a new one.
    pub chosen: bool,
    /// With what it joins.
    pub door: Option<(SocketAddr, String)>,
    /// How far its clock is off, in seconds.
    pub ahead_secs: i32,
}

impl Member {
    /// A journal on a host; nothing is started. `settable`: its clock can be set while it runs.
    ///
    /// # Errors
    /// If it gets no disk.
    pub fn on(
        host: Host,
        place: &Path,
        namespace: PathBuf,
        binary: &Path,
        settable: bool,
    ) -> Result<Self, Failure> {
        let at = network::address(host);
        let address = |port: u16| {
            format!("https://{at}:{port}").parse().map_err(|error| Failure::other(format!("{at}: {error}")))
        };
        let name = format!("j{host}");
        let disk = place.join(format!("disk{host}"));
        mount(&disk)?;
        let clock = settable.then(|| place.join(format!("{name}.clock")));
        let member = Self {
            agents: address(AGENTS)?,
            operators: address(OPERATORS)?,
            http: SocketAddr::from((at, HTTP)),
            data_dir: disk.join(&name),
            log: place.join(format!("{name}.log")),
            namespace,
            binary: binary.to_owned(),
            clock,
            life: Mutex::default(),
            host,
            name,
        };
        if settable {
            member.set_clock(0)?;
        }
        Ok(member)
    }

    /// Sets its clock while it runs: it says so much more than the host's.
    ///
    /// # Errors
    /// If it was made without.
    pub fn set_clock(&self, ahead_secs: i32) -> Result<(), Failure> {
        let clock = self.clock.as_ref().ok_or_else(|| Failure::other("its clock cannot be set"))?;
        // Whole: it may be read at any moment.
        let next = clock.with_extension("next");
        let set = fs::write(&next, format!("{ahead_secs:+}s\n")).and_then(|()| fs::rename(&next, clock));
        set.map_err(|error| Failure::other(format!("{}: {error}", clock.display())))
    }

    /// Its log, for `pact-replay`.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where what it says lies.
    pub fn said(&self) -> &Path {
        &self.log
    }

    /// Its own file system.
    pub fn disk(&self) -> &Path {
        self.data_dir.parent().unwrap_or(&self.data_dir)
    }

    /// Its listener for other journals.
    pub fn door(&self) -> SocketAddr {
        SocketAddr::from((network::address(self.host), CLUSTER))
    }

    /// What becomes of it.
    pub fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().expect("nobody panics while it is held")
    }

    /// Makes the domain, as its founder.
    ///
    /// # Errors
    /// With what `init` says.
    pub fn found(&self) -> Result<(), Failure> {
        let mut command = self.inside();
        command.args(["init", "--domain", "chaos", "--journal-id", &self.name, "-o", "json"]);
        let done = self.dressed(&mut command).output().map_err(unstarted)?;
        if done.status.success() {
            self.life().joined = true;
            return Ok(());
        }
        Err(Failure::other(format!("init failed: {}", String::from_utf8_lossy(&done.stderr).trim())))
    }

    /// Starts its process; it is not ready yet.
    ///
    /// # Errors
    /// If there is no such program, or nothing to start it with.
    pub fn start(&self) -> Result<(), Failure> {
        let mut life = self.life();
        let mut command = self.inside();
        // It appears whole when it has joined.
        if self.data_dir.exists() {
            command.args(["serve", "--data-dir"]).arg(&self.data_dir);
        } else {
            let (door, token) =
                life.door.as_ref().ok_or_else(|| Failure::other(format!("{} has no token", self.name)))?;
            let file = self.disk().with_extension("token");
            fs::write(&file, token).map_err(unstarted)?;
            let mut source = OsString::from("@");
            source.push(&file);
            command.args(["join", "--journal-id", &self.name, "--join-addr", &door.to_string()]);
            command.arg("--join-token").arg(source);
            self.dressed(&mut command);
        }
        // One that is started with a wrong clock has that one for its whole life.
        let wrong = (life.ahead_secs != 0).then(|| ("FAKETIME", format!("{:+}s", life.ahead_secs).into()));
        let settable = || Some(("FAKETIME_TIMESTAMP_FILE", self.clock.as_ref()?.into()));
        if let Some((name, value)) = wrong.or_else(settable) {
            let library = FAKETIME.iter().find(|library| Path::new(library).is_file());
            let library =
                library.ok_or_else(|| Failure::other("libfaketime is missing: apt-get install faketime"))?;
            let value: OsString = value;
            command.env("LD_PRELOAD", library).env(name, value).env("FAKETIME_CACHE_DURATION", "1");
            command.envs([("FAKETIME_DONT_FAKE_MONOTONIC", "1"), ("NO_FAKE_STAT", "1")]);
        }
        let output = OpenOptions::new().create(true).append(true).open(&self.log).map_err(unstarted)?;
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(unstarted)?).stderr(output);
        life.killed = false;
        life.child = Some(command.spawn().map_err(unstarted)?);
        Ok(())
    }

    /// How its process ended, if it has one that has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.life().child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Whether its process runs.
    pub fn runs(&self) -> bool {
        self.life().child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut life = self.life();
        let child = life.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// Kills its process, if it runs.
    pub fn kill(&self) {
        self.life().killed = true;
        self.signal(Signal::KILL);
    }

    /// Sends a signal to its process, if it runs.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may end at this moment.
            kill_process(pid, signal).ok();
        }
    }

    /// The program, on its host, with its data directory still to be named.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace.display()));
        command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(&self.binary).envs(SETTINGS);
        command
    }

    /// With all that `init` and `join` are told.
    fn dressed<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let at = network::address(self.host);
        let listens = [
            ("--agent-listen", AGENTS),
            ("--cluster-listen", CLUSTER),
            ("--http-listen", HTTP),
            ("--operator-listen", OPERATORS),
        ];
        for (flag, port) in listens {
            command.arg(flag).arg(format!("{at}:{port}"));
        }
        command.args(["--advertise", &at.to_string(), "--data-dir"]).arg(&self.data_dir)
    }
}

impl Member {
    /// Kills its process and unmounts its disk, for good.
    pub fn end(&self) {
        let mut life = self.life();
        life.evicted = true;
        if let Some(mut child) = life.child.take() {
            // Both fail only for a child that has been reaped.
            child.kill().ok();
            child.wait().ok();
        }
        // Left over at worst, in memory: detached, it goes when nobody uses it any more.
        Command::new("umount").arg("--lazy").arg(self.disk()).stderr(Stdio::null()).status().ok();
    }
}

fn unstarted(error: std::io::Error) -> Failure {
    Failure::other(format!("a journal cannot be started: {error}"))
}

/// Room for the log of a long run and what RocksDB lays out ahead; memory is used only for what is written.
const DISK: &str = "size=384m";

/// Mounts a small file system in memory.
fn mount(at: &Path) -> Result<(), Failure> {
    let failed = |why: String| Failure::other(format!("no disk for a journal, which needs root: {why}"));
    fs::create_dir_all(at).map_err(|error| failed(error.to_string()))?;
    let done = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(at).output();
    let done = done.map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}
