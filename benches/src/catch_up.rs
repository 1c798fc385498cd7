//! Catch-up: a journal with a long log, the time from the start of its process until it serves; new journals that join it one
//! after the other while a storm runs, and the time from the start of each one's process until it votes.
//!
//! The long log is that of a domain which `pact-journal init` made; the facts are appended by the journal's own
//! [`Log`], and everything after that is done by the real binaries, each as a user calls it.
//!
//! **Invariant:** no process is left behind; a storm that failed, or a log that is not sound, is no measurement.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use events::vocabulary::Timestamp;
use futures_util::future::join_all;
use journal::log::{Log, Settings};
use serde_json::Value;

use crate::history::{Happening, History, plan};
use crate::table::agent_run::{Reaped, Trouble, endpoints, told, url};

/// Until a new journal votes, or it is given up.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Appends of one entry of the long log: as many as one takes, so that the log does not wait for more.
const ENTRY: usize = 1024;
/// Of those entries so many stay: a journal of years keeps many more, of few appends each. The rest must be taken over as facts.
const KEEP_ENTRIES: u64 = 10;

/// How long the log is, and how heavy the storm.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Nodes of the long log ([`plan`]).
    pub nodes: u32,
    /// Its laps.
    pub laps: u32,
    /// Nodes that boot meanwhile; 0: there is no storm.
    pub storm: u32,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct CatchUp {
    /// The facts that were there before.
    pub facts: u64,
    /// The start of the journal that has them, until it serves. Nothing else runs meanwhile; the files may be in memory.
    pub started: Took,
    /// Of each new journal, until it votes.
    pub joined: Vec<Took>,
}

/// How long a process took from its start to some point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// On the clock.
    pub seconds: f64,
    /// What its processors did meanwhile, in seconds.
    pub cpu_seconds: f64,
}

impl Took {
    fn since(begin: Instant, process: &Reaped) -> Result<Self, Trouble> {
        Ok(Self { seconds: begin.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds(process.0.id())? })
    }
}

/// Measures, below a directory on a real disk.
///
/// # Errors
/// If something did not work.
pub fn measure(binaries: &Path, below: &Path, size: Size) -> Result<CatchUp, Trouble> {
    let place = tempfile::tempdir_in(below)?;
    let founder = Founder::init(binaries, place.path())?;
    let facts = fill(&founder.dir, size)?;
    let begin = Instant::now();
    let serving = founder.serve()?;
    let started = Took::since(begin, &serving)?;
    let storm = (size.storm > 0).then(|| founder.storm(size.storm)).transpose()?;
    let (mut processes, mut joined) = (vec![], vec![]);
    for nth in 2..=3 {
        let begin = Instant::now();
        let mut process = founder.join(nth)?;
        founder.votes(nth, &mut process)?;
        joined.push(Took::since(begin, &process)?);
        processes.push(process);
    }
    if let Some(mut storm) = storm {
        told(storm.0.wait()?.success(), "a node of the storm failed")?;
    }
    // What was learned is what the founder has.
    drop((processes, serving));
    for nth in 2..=3 {
        let mut verify = Command::new(binaries.join("pact-replay"));
        verify.arg("verify").arg(founder.member(nth)).arg("--against").arg(&founder.dir);
        let output = verify.output()?;
        let why = String::from_utf8_lossy(&output.stdout);
        told(output.status.success(), &format!("the log of a new journal is not sound: {}", why.trim_end()))?;
    }
    Ok(CatchUp { facts, started, joined })
}

/// User and system time of a process so far. The kernel counts in hundredths of a second.
fn cpu_seconds(pid: u32) -> Result<f64, Trouble> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in brackets, in which anything may stand.
    let (_, fields) = stat.rsplit_once(')').ok_or("no such process")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

/// The journal that has the log.
struct Founder {
    binaries: PathBuf,
    dir: PathBuf,
    cluster: String,
}

fn free_port() -> Result<String, Trouble> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

impl Founder {
    fn init(binaries: &Path, below: &Path) -> Result<Self, Trouble> {
        let (dir, cluster) = (below.join("j1"), free_port()?);
        let mut init = Command::new(binaries.join("pact-journal"));
        init.args(["init", "--domain", "bench", "--agent-listen", "127.0.0.1:0"]);
        init.args(["--operator-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]);
        init.args(["--cluster-listen", &cluster, "--data-dir"]).arg(&dir);
        told(init.output()?.status.success(), "pact-journal init failed")?;
        Ok(Self { binaries: binaries.to_owned(), dir, cluster })
    }

    fn member(&self, nth: usize) -> PathBuf {
        self.dir.with_file_name(format!("j{nth}"))
    }

    fn start(&self, nth: usize, mut command: Command) -> Result<Reaped, Trouble> {
        let log = File::create(self.member(nth).with_extension("log"))?;
        Ok(Reaped(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?))
    }

    fn serve(&self) -> Result<Reaped, Trouble> {
        let mut serve = Command::new(self.binaries.join("pact-journal"));
        serve.args(["serve", "--data-dir"]).arg(&self.dir);
        let serving = self.start(1, serve)?;
        endpoints(&self.dir)?;
        Ok(serving)
    }

    /// `pact`, as the first operator.
    fn pact(&self, arguments: &[&str]) -> Result<Value, Trouble> {
        let operators = url(&endpoints(&self.dir)?, "operator");
        let bootstrap = self.dir.join("bootstrap");
        let mut pact = Command::new(self.binaries.join("pact"));
        pact.args(["--timeout", "60s", "--endpoint", &operators, "-o", "json", "--ca"]);
        pact.arg(bootstrap.join("domain-ca.pem"));
        pact.arg("--credential").arg(bootstrap.join("operator.pem")).args(arguments);
        let output = pact.output()?;
        told(output.status.success(), &String::from_utf8_lossy(&output.stderr))?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts a storm on this journal, and waits until machines come up.
    fn storm(&self, nodes: u32) -> Result<Reaped, Trouble> {
        let (told_at, bootstrap) = (endpoints(&self.dir)?, self.dir.join("bootstrap"));
        let mut storm = Command::new(self.binaries.join("pact-loadtest"));
        storm.args(["storm", "--nodes", &nodes.to_string(), "--concurrency", "200", "-o", "json"]);
        storm.args(["--endpoint", &url(&told_at, "operator"), "--agent-endpoint", &url(&told_at, "agent")]);
        storm.arg("--ca").arg(bootstrap.join("domain-ca.pem"));
        storm.arg("--credential").arg(bootstrap.join("operator.pem"));
        let log = File::create(self.dir.with_file_name("storm.log"))?;
        let storm = Reaped(storm.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        let before = self.active()?;
        self.until("the storm does not begin", || Ok(self.active()? > before + 100))?;
        Ok(storm)
    }

    fn active(&self) -> Result<u64, Trouble> {
        Ok(self.pact(&["status"])?["nodes"]["active"].as_u64().unwrap_or_default())
    }

    fn join(&self, nth: usize) -> Result<Reaped, Trouble> {
        let token = self.pact(&["journal", "join-token", "create"])?;
        let mut join = Command::new(self.binaries.join("pact-journal"));
        join.args(["join", "--journal-id", &format!("j{nth}"), "--join-addr", &self.cluster]);
        join.args(["--join-token", token["token"].as_str().unwrap_or_default()]);
        join.args(["--agent-listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"]);
        join.args(["--advertise", "127.0.0.1"]);
        join.args(["--http-listen", "127.0.0.1:0", "--cluster-listen", &free_port()?]);
        join.arg("--data-dir").arg(self.member(nth));
        self.start(nth, join)
    }

    fn votes(&self, members: usize, process: &mut Reaped) -> Result<(), Trouble> {
        self.until("the new journal does not vote", || {
            told(process.0.try_wait()?.is_none(), "the new journal ended")?;
            let told = self.pact(&["journal", "members"])?;
            let voters = told["members"]
                .as_array()
                .map_or(0, |members| members.iter().filter(|member| member["standing"] == "voter").count());
            Ok(voters == members)
        })
    }

    fn until(
        &self,
        otherwise: &str,
        mut holds: impl FnMut() -> Result<bool, Trouble>,
    ) -> Result<(), Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while !holds()? {
            told(Instant::now() < deadline, otherwise)?;
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// Writes the long log behind the first facts of a domain; answers how many facts there are.
fn fill(data_dir: &Path, size: Size) -> Result<u64, Trouble> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let mut history = History::new(size.nodes);
        let settings = Settings { keep_entries: KEEP_ENTRIES, ..Settings::default() };
        let log = Log::open_with(data_dir, history.journal().clone(), settings).await?;
        for happening in plan(size.nodes, size.laps) {
            if matches!(happening, Happening::Domain | Happening::Wait(_)) {
                continue;
            }
            history.set_now(now());
            let appends = history.appends(happening, &log.views());
            for entry in appends.chunks(ENTRY) {
                for committed in join_all(entry.iter().map(|append| log.append(append.clone()))).await {
                    committed?;
                }
            }
        }
        let (facts, _) = log.chain_head();
        log.stop().await;
        Ok(facts)
    })
}

fn now() -> Timestamp {
    Timestamp::default().plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
