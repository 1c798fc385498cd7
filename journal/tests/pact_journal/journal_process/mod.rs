//! Real journals for tests: `pact-journal init`, then `serve`, on loopback in a folder that goes with the test.
//!
//! [`shared`] gives all tests that run at the same time one journal; what a test does there concerns nodes of its own
//! only. A test that stops, damages or counts takes a [`Journal`] of its own.
//!
//! **Invariant:** no process outlives the test that started it: dropping kills and reaps it.

mod data_directory;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use journal::data_dir::Endpoints;
use proto::channel::{Connection, JournalAddress};
use proto::outcome::Failure;
use proto::pem_file::Credential;
use rustix::process::{Pid, Signal, kill_process};

use crate::calls::{Agent, Answer, Operator};

pub use data_directory::{CURRENT, DataDirectory, PREVIOUS, free_port, init};

/// A journal starts in a fraction of a second; a busy machine takes longer.
pub const READY: Duration = Duration::from_secs(60);
/// A call takes milliseconds.
pub const ANSWERED: Duration = Duration::from_secs(20);
/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(5);

/// A journal that serves until it is dropped.
pub struct Journal {
    // Before the folder: a field is dropped in its order.
    served: Option<Served>,
    pub dir: DataDirectory,
    environment: Vec<(&'static str, &'static str)>,
}

/// One process of it.
struct Served {
    process: Process,
    agents: JournalAddress,
    operators: JournalAddress,
    probes: SocketAddr,
    cluster: SocketAddr,
}

/// A child that does not outlive its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has been reaped.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The journal of all tests that run at the moment, in the domain `test`. It lives as long as somebody holds it.
#[must_use]
pub fn shared() -> Arc<Journal> {
    static SHARED: Mutex<Weak<Journal>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let dir = DataDirectory::init("test");
        // Many tests ask as strangers here, all from one address.
        dir.configure("unknown_per_minute", 100_000);
        let journal = Arc::new(Journal::serve(dir));
        *shared = Arc::downgrade(&journal);
        journal
    })
}

impl Journal {
    /// Makes the domain `test` and serves it.
    pub fn start() -> Self {
        Self::serve(DataDirectory::init("test"))
    }

    /// Serves a data directory; returns when the journal is ready.
    pub fn serve(dir: DataDirectory) -> Self {
        Self::serve_with(dir, vec![])
    }

    /// [`Journal::serve`] with environment variables.
    pub fn serve_with(dir: DataDirectory, environment: Vec<(&'static str, &'static str)>) -> Self {
        let mut journal = Self { served: None, dir, environment };
        journal.start_again();
        journal
    }

    /// Starts the process, after [`Journal::kill`] or [`Journal::terminate`].
    pub fn start_again(&mut self) {
        self.start_again_and(|| {});
    }

    /// [`Journal::start_again`], and does something as soon as there is a process.
    pub fn start_again_and(&mut self, meanwhile: impl FnOnce()) {
        let command = self.dir.serve_command();
        self.start_by(command, meanwhile);
    }

    /// Joins the quorum behind a cluster listener, and serves.
    pub fn join(
        journal_id: &str,
        door: &str,
        token: &str,
        environment: Vec<(&'static str, &'static str)>,
    ) -> Self {
        Self::join_in(DataDirectory::to_join(), journal_id, door, token, environment)
    }

    /// [`Journal::join`] with a data directory of which there may be a beginning.
    pub fn join_in<'a>(
        dir: DataDirectory,
        journal_id: impl Into<Option<&'a str>>,
        door: &str,
        token: &str,
        environment: Vec<(&'static str, &'static str)>,
    ) -> Self {
        let mut journal = Self { served: None, dir, environment };
        let command = journal.dir.join_command(journal_id, door, token);
        journal.start_by(command, || {});
        journal
    }

    fn start_by(&mut self, mut command: Command, meanwhile: impl FnOnce()) {
        command.envs(self.environment.iter().copied());
        let mut process = Process(command.spawn().expect("pact-journal starts"));
        meanwhile();
        let endpoints = ready(&mut process, &self.dir);
        let address = |listener: Option<SocketAddr>| {
            format!("https://{}", listener.expect("it listens")).parse().expect("an address")
        };
        let (agents, operators) = (address(endpoints.agent), address(endpoints.operator));
        let probes = endpoints.http.expect("it listens");
        let cluster = endpoints.cluster.expect("it listens");
        self.served = Some(Served { process, agents, operators, probes, cluster });
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.served = None;
    }

    /// Ends it in good order; its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.terminate_and(|| {})
    }

    /// [`Journal::terminate`], and does something as soon as it is told to end.
    pub fn terminate_and(&mut self, meanwhile: impl FnOnce()) -> Option<i32> {
        let mut served = self.served.take().expect("it serves");
        kill_process(pid(&served.process), Signal::TERM).expect("it runs");
        meanwhile();
        served.process.ended_within(READY).code()
    }

    /// Waits until it ends by itself; its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let mut served = self.served.take().expect("it serves");
        served.process.ended_within(READY).code()
    }

    /// Ends it, and leaves its files.
    pub fn into_dir(mut self) -> DataDirectory {
        self.kill();
        self.dir
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.served().process.0.id()
    }

    /// `kill -9` for another task: the journal is still to be reaped by [`Journal::kill`].
    pub fn killer(&self) -> impl FnOnce() + Send + 'static {
        let pid = pid(&self.served().process);
        move || kill_process(pid, Signal::KILL).expect("it runs")
    }

    /// The agents' listener.
    pub fn agents_address(&self) -> &JournalAddress {
        &self.served().agents
    }

    /// The operators' listener.
    pub fn operators_address(&self) -> &JournalAddress {
        &self.served().operators
    }

    /// The listener of probes and metrics.
    pub fn probes_address(&self) -> SocketAddr {
        self.served().probes
    }

    /// The listener for other journals.
    pub fn cluster_address(&self) -> SocketAddr {
        self.served().cluster
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(&self.served().process), signal).expect("it runs");
    }

    /// Connects to the agents' listener.
    pub async fn agent(&self, credential: Option<&Credential>) -> Answer<Agent> {
        self.open(self.agents_address(), credential).await.map(Agent)
    }

    /// The same, on whichever runtime it is waited for.
    pub fn agent_later(&self, credential: &Credential) -> impl Future<Output = Answer<Agent>> + Send + use<> {
        let (address, trust, credential) =
            (self.agents_address().clone(), self.dir.trust(), credential.clone());
        async move {
            let opened = Connection::open(&address, &trust, Some(&credential), ANSWERED).await;
            opened.map(Agent).map_err(Failure::from)
        }
    }

    /// Connects to the operators' listener.
    pub async fn operator_with(&self, credential: Option<&Credential>) -> Answer<Operator> {
        self.open(self.operators_address(), credential).await.map(Operator)
    }

    /// Connects as the domain's first operator.
    pub async fn operator(&self) -> Operator {
        self.operator_with(Some(&self.dir.operator())).await.expect("the operator is let in")
    }

    async fn open(&self, address: &JournalAddress, credential: Option<&Credential>) -> Answer<Connection> {
        Connection::open(address, &self.dir.trust(), credential, ANSWERED).await.map_err(Failure::from)
    }

    fn served(&self) -> &Served {
        self.served.as_ref().expect("it serves")
    }
}

impl Process {
    /// Waits for its end.
    pub fn ended_within(&mut self, deadline: Duration) -> ExitStatus {
        let deadline = Instant::now() + deadline;
        loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "pact-journal does not end");
            thread::sleep(LOOK);
        }
    }
}

/// Its process id, for signals.
pub fn pid(process: &Process) -> Pid {
    let raw = i32::try_from(process.0.id()).expect("process ids are small");
    Pid::from_raw(raw).expect("a process has an id")
}

/// Waits until the process that serves has written where it listens.
pub fn ready(process: &mut Process, dir: &DataDirectory) -> Endpoints {
    let deadline = Instant::now() + READY;
    let file = dir.path().join("endpoints.json");
    loop {
        let read = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Endpoints>(&text).ok());
        // A killed process leaves its file behind.
        if let Some(endpoints) = read.filter(|endpoints| endpoints.pid == process.0.id()) {
            return endpoints;
        }
        let ended = process.0.try_wait().expect("it is our child");
        assert!(ended.is_none() && Instant::now() < deadline, "{ended:?}: {}", dir.last_words());
        thread::sleep(LOOK);
    }
}

/// Looks until something is so. `what` is what did not happen in time.
pub async fn until<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in time: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A binary of pact: in `PACT_BIN_DIR`, or beside the journal that cargo built for these tests.
pub fn binary(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_pact-journal"));
    let folder = env::var_os("PACT_BIN_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| built.parent().expect("it lies in a folder").to_owned());
    let path = folder.join(name);
    assert!(path.is_file(), "there is no {name} in {}; run `make test`, which builds it", folder.display());
    path
}

/// `pact-journal`, with nothing of the caller's environment that it would listen to.
pub fn pact_journal() -> Command {
    journal_of(CURRENT)
}

/// The same of a release.
pub fn journal_of(program: &str) -> Command {
    let mut command = Command::new(binary(program));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}
