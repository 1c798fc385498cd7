//! A journal of our own: a child process with a data directory below a temporary one.
//!
//! [`crate::target`] starts one and stops it before the log is checked. The tests of faults kill it, stop it for a while
//! and start it again.
//!
//! **Invariant:** whatever happens to this process short of SIGKILL, no journal is left behind: dropping kills and
//! reaps it.

use std::{
    fs::{self, OpenOptions},
    io,
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use proto::{
    channel::JournalAddress,
    outcome::Failure,
    pem_file::{Credential, Trust},
};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::time::{self, Instant};

use crate::{progress, siblings};

/// How long a journal may take until it is ready, on a machine that has other things to do.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether it is so far.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of its log that are shown when something went wrong.
const LAST_LINES: usize = 20;
/// Where free ports are looked for. Linux gives clients those from 32,768 on.
const PORTS: Range<u16> = 12_000..32_000;
/// So many are looked at before it is given up.
const PORTS_TRIED: u32 = 2000;
/// Processes that are started one after the other begin to look so far from each other.
const PORTS_OF_A_PROCESS: u32 = 20;
/// The domain of every storm.
const DOMAIN: &str = "storm";

/// A running journal.
#[derive(Debug)]
pub struct JournalProcess {
    child: Reaped,
    data_dir: PathBuf,
    log: PathBuf,
    /// Flags of `serve` beside the data directory, each with its value behind it.
    flags: Vec<String>,
    /// Its listener for agents.
    pub agents: JournalAddress,
    /// Its listener for operators.
    pub operators: JournalAddress,
    /// Its listener for probes and metrics.
    pub http: Option<SocketAddr>,
    /// Its listener for other journals.
    pub cluster: Option<SocketAddr>,
}

/// `endpoints.json`, which a journal writes when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Endpoints {
    /// The process that serves.
    pub pid: u32,
    agent: SocketAddr,
    operator: SocketAddr,
    /// Plain HTTP: probes and metrics.
    pub http: Option<SocketAddr>,
    cluster: Option<SocketAddr>,
}

impl Endpoints {
    /// The agents' listener.
    ///
    /// # Errors
    /// None as long as an address and a port make a URL.
    pub fn agents(&self) -> Result<JournalAddress, Failure> {
        address(self.agent)
    }
}

impl JournalProcess {
    /// Makes a domain below a directory, and starts its journal.
    ///
    /// # Errors
    /// If it is not ready in time. Its last words are on stderr then.
    pub async fn start(below: &Path) -> Result<Self, Failure> {
        Self::start_at(&below.join("j1"), &below.join("j1.log"), &[]).await
    }

    /// The same, with a data directory and a file for what it says that may lie apart, and flags of `serve`.
    ///
    /// # Errors
    /// If it is not ready in time. Its last words are on stderr then.
    pub async fn start_at(data_dir: &Path, log: &Path, flags: &[&str]) -> Result<Self, Failure> {
        init(&siblings::find("pact-journal")?, data_dir).await?;
        Self::serve(data_dir, log, flags.iter().map(ToString::to_string).collect()).await
    }

    /// Starts the journal of a data directory; what it says is added to a file.
    ///
    /// # Errors
    /// If it is not ready in time. Its last words are on stderr then.
    pub async fn serve(data_dir: &Path, log: &Path, flags: Vec<String>) -> Result<Self, Failure> {
        let mut command = Command::new(siblings::find("pact-journal")?);
        command.args(["serve", "--data-dir"]).arg(data_dir).args(&flags);
        let served = Self::spawn(command, data_dir, log).await?;
        Ok(Self { flags, ..served })
    }

    /// Starts a journal with the same flags that joins this one's quorum by a token, and waits until it serves.
    ///
    /// # Errors
    /// If it is not ready in time. Its last words are on stderr then.
    pub async fn join(&self, data_dir: &Path, log: &Path, name: &str, token: &str) -> Result<Self, Failure> {
        let cannot = |error| Failure::other(format!("a journal cannot join: {error}"));
        let door =
            self.cluster.ok_or_else(|| Failure::other("pact-journal is too old: nobody can join it"))?;
        // Not on the command line, where everybody could read it.
        let file = data_dir.with_extension("token");
        fs::write(&file, token).map_err(cannot)?;
        let mut source = std::ffi::OsString::from("@");
        source.push(&file);
        let mut command = Command::new(siblings::find("pact-journal")?);
        command.args(["join", "--journal-id", name, "--advertise", "127.0.0.1", "--data-dir"]).arg(data_dir);
        command.args(["--join-addr", &door.to_string(), "--join-token"]).arg(source);
        command.args(listeners().map_err(cannot)?).envs(variables(&self.flags));
        let joined = Self::spawn(command, data_dir, log).await;
        fs::remove_file(&file).map_err(cannot)?;
        Ok(Self { flags: self.flags.clone(), ..joined? })
    }

    async fn spawn(mut command: Command, data_dir: &Path, log: &Path) -> Result<Self, Failure> {
        let cannot = |error| Failure::other(format!("pact-journal cannot be started: {error}"));
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(cannot)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(cannot)?)
            .stderr(output)
            .spawn()
            .map_err(cannot)?;
        let mut child = Reaped(child);
        match ready(&mut child, data_dir).await {
            Ok(endpoints) => Ok(Self {
                child,
                data_dir: data_dir.to_owned(),
                log: log.to_owned(),
                flags: vec![],
                agents: address(endpoints.agent)?,
                operators: address(endpoints.operator)?,
                http: endpoints.http,
                cluster: endpoints.cluster,
            }),
            Err(failure) => {
                show_last_lines(log);
                Err(failure)
            }
        }
    }

    /// Starts it again after its end, on the same data directory.
    ///
    /// # Errors
    /// If it is not ready in time. Its last words are on stderr then.
    pub async fn serve_again(self) -> Result<Self, Failure> {
        let Self { child, data_dir, log, flags, .. } = self;
        drop(child);
        Self::serve(&data_dir, &log, flags).await
    }

    /// The flags of `serve` that it was started with.
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Its log, for `pact-replay`.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The domain CA.
    ///
    /// # Errors
    /// If `init` left no such file.
    pub fn trust(&self) -> Result<Trust, Failure> {
        Ok(Trust::read(&self.data_dir.join("bootstrap/domain-ca.pem"))?)
    }

    /// The first operator.
    ///
    /// # Errors
    /// If `init` left no such file.
    pub fn operator(&self) -> Result<Credential, Failure> {
        Ok(Credential::read(&self.data_dir.join("bootstrap/operator.pem"))?)
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// If it had ended before, does not end in time, or ends with a failure.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        if let Some(status) = self.status()? {
            return Err(ended(status));
        }
        self.signal(Signal::TERM)?;
        match self.ended().await? {
            status if status.success() => Ok(()),
            status => Err(ended(status)),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If there is no such process any more.
    pub fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure::other("pact-journal has no process id"))?;
        kill_process(pid, signal)
            .map_err(|error| Failure::other(format!("pact-journal takes no signal: {error}")))
    }

    /// Waits for its end, whichever it is.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn ended(&mut self) -> Result<ExitStatus, Failure> {
        let deadline = Instant::now() + ENDED_WITHIN;
        while Instant::now() < deadline {
            match self.status()? {
                Some(status) => return Ok(status),
                None => time::sleep(LOOK_EVERY).await,
            }
        }
        Err(Failure::Deadline(format!("pact-journal did not end within {} s", ENDED_WITHIN.as_secs())))
    }

    /// What it has said on stderr and stdout, in all its lives.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Where what it says lies.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Shows the end of what a journal said, of which nothing else may be left, on stderr.
    pub fn show_last_lines_of(log: &Path) {
        show_last_lines(log);
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// If the system does not know it.
    pub fn status(&mut self) -> Result<Option<ExitStatus>, Failure> {
        self.child.0.try_wait().map_err(lost)
    }
}

/// The same settings as variables: `join` has flags for the place of a journal only.
fn variables(flags: &[String]) -> impl Iterator<Item = (String, &String)> {
    let name = |flag: &String| {
        format!("PACT_JOURNAL_{}", flag.trim_start_matches('-').replace('-', "_").to_ascii_uppercase())
    };
    flags.chunks_exact(2).map(move |pair| (name(&pair[0]), &pair[1]))
}

/// A child that is killed and reaped when it is dropped.
#[derive(Debug)]
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only for a child that has been reaped.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Every listener on a port of its own that it keeps: whoever knew it finds it again when it was started again.
fn listeners() -> io::Result<Vec<String>> {
    let flags = ["--agent-listen", "--operator-listen", "--http-listen", "--cluster-listen"];
    let each = flags.map(|flag| Ok([flag.to_owned(), free_port()?.to_string()]));
    each.into_iter().collect::<io::Result<Vec<_>>>().map(|pairs| pairs.into_iter().flatten().collect())
}

/// A port that is free now, below those that the system gives to clients: while a journal is away, none of the thousands of
/// connections of a storm may take it.
fn free_port() -> io::Result<SocketAddr> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(PORTS_OF_A_PROCESS);
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORTS_TRIED {
        let nth =
            first.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(nth).unwrap_or_default();
        match std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener.local_addr(),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn init(binary: &Path, data_dir: &Path) -> Result<(), Failure> {
    let listeners = listeners().map_err(|error| Failure::other(format!("there is no free port: {error}")))?;
    let done = tokio::process::Command::new(binary)
        .args(["init", "--domain", DOMAIN, "-o", "json"])
        .args(listeners)
        .arg("--data-dir")
        .arg(data_dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Failure::other(format!("pact-journal cannot be started: {error}")))?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    Err(Failure::other(format!("pact-journal init failed: {}", words.trim())))
}

/// Waits until the journal has written where it listens.
async fn ready(child: &mut Reaped, data_dir: &Path) -> Result<Endpoints, Failure> {
    let file = data_dir.join("endpoints.json");
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        if let Some(status) = child.0.try_wait().map_err(lost)? {
            return Err(ended(status));
        }
        // Until it is there, whole, and not of a process that was killed.
        let told = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Endpoints>(&text).ok());
        if let Some(endpoints) = told.filter(|endpoints| endpoints.pid == child.0.id()) {
            return Ok(endpoints);
        }
        time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::Deadline(format!("pact-journal was not ready within {} s", READY_WITHIN.as_secs())))
}

fn address(listener: SocketAddr) -> Result<JournalAddress, Failure> {
    let text = format!("https://{listener}");
    text.parse().map_err(|error| Failure::other(format!("endpoints.json: {error}")))
}

fn lost(error: io::Error) -> Failure {
    Failure::other(format!("pact-journal is lost: {error}"))
}

fn ended(status: ExitStatus) -> Failure {
    Failure::other(format!("pact-journal ended with {status}"))
}

fn show_last_lines(log: &Path) {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    progress::say("the last lines of the journal's log:");
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        progress::say(&format!("  {line}"));
    }
}
