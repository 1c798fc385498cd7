//! One agent at an idle journal: from the start of its process until it says that it is enrolled, and its memory then.
//!
//! The real binaries, each as a user calls it. **Invariant:** no process is left behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// An agent is started this often; the median counts.
const ROUNDS: usize = 9;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct AgentRun {
    /// From the start of the process to the line that says so, in milliseconds.
    pub enrolled_ms: f64,
    /// In units of 1,000,000 bytes.
    pub resident_mb: f64,
}

/// Killed and reaped when it is dropped.
pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl AgentRun {
    /// Measures. None, and why on stderr, if something did not work.
    pub fn measure(binaries: &Path) -> Option<Self> {
        match try_measure(binaries) {
            Ok(run) => Some(run),
            Err(error) => {
                eprintln!("the agent could not be measured: {error}");
                None
            }
        }
    }
}

pub(crate) type Trouble = Box<dyn std::error::Error>;

fn try_measure(binaries: &Path) -> Result<AgentRun, Trouble> {
    let directory = tempfile::tempdir()?;
    let data_dir = directory.path().join("j1");
    let init = Command::new(binaries.join("pact-journal"))
        .args(["init", "--domain", "bench", "--agent-listen", "127.0.0.1:0"])
        .args(["--operator-listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data_dir)
        .output()?;
    told(init.status.success(), "pact-journal init failed")?;
    let mut serve = Command::new(binaries.join("pact-journal"));
    serve.args(["serve", "--data-dir"]).arg(&data_dir);
    let _journal = Reaped(serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let endpoints = endpoints(&data_dir)?;
    let mut runs = vec![];
    for number in 0..ROUNDS {
        register(binaries, &data_dir, &endpoints, number)?;
        runs.push(enroll(binaries, directory.path(), &endpoints, number)?);
    }
    runs.sort_by(|one, other| one.enrolled_ms.total_cmp(&other.enrolled_ms));
    Ok(runs[ROUNDS / 2])
}

pub(crate) fn told(holds: bool, otherwise: &str) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

/// `endpoints.json`, which a journal writes when it is ready.
pub(crate) fn endpoints(data_dir: &Path) -> Result<Value, Trouble> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read(data_dir.join("endpoints.json"));
        if let Some(endpoints) = text.ok().and_then(|text| serde_json::from_slice(&text).ok()) {
            return Ok(endpoints);
        }
        told(Instant::now() < deadline, "pact-journal is not ready")?;
        thread::sleep(LOOK_EVERY);
    }
}

fn mac(number: usize) -> String {
    format!("02:00:00:00:00:{:02x}", number + 1)
}

pub(crate) fn url(endpoints: &Value, name: &str) -> String {
    format!("https://{}", endpoints[name].as_str().unwrap_or_default())
}

fn register(binaries: &Path, data_dir: &Path, endpoints: &Value, number: usize) -> Result<(), Trouble> {
    let bootstrap = data_dir.join("bootstrap");
    let enroll = Command::new(binaries.join("pact"))
        .args(["--endpoint", &url(endpoints, "operator"), "--ca"])
        .arg(bootstrap.join("domain-ca.pem"))
        .arg("--credential")
        .arg(bootstrap.join("operator.pem"))
        .args(["node", "enroll", &format!("node-{number}"), "--mac", &mac(number)])
        .output()?;
    told(enroll.status.success(), "pact node enroll failed")
}

fn enroll(binaries: &Path, below: &Path, endpoints: &Value, number: usize) -> Result<AgentRun, Trouble> {
    let hardware = below.join("hardware.json");
    fs::write(&hardware, format!(r#"{{"macs":["{}"],"bmc_serial":null,"uuid":null}}"#, mac(number)))?;
    let mut agent = Command::new(binaries.join("pact-agent"));
    agent.args(["run", "-o", "json", "--journal", &url(endpoints, "agent"), "--ca"]);
    agent.arg(below.join("j1/bootstrap/domain-ca.pem")).arg("--hardware").arg(&hardware);
    let begin = Instant::now();
    let mut agent = Reaped(agent.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let stdout = agent.0.stdout.take().ok_or("the agent has no stdout")?;
    // It ends when the agent does, which is killed when it says nothing of use.
    for line in BufReader::new(stdout).lines() {
        let change: Value = serde_json::from_str(&line?)?;
        if change["change"] == "enrolled" {
            let enrolled_ms = begin.elapsed().as_secs_f64() * 1000.0;
            return Ok(AgentRun { enrolled_ms, resident_mb: resident_mb(agent.0.id())? });
        }
        told(begin.elapsed() < PATIENCE, "the agent is not enrolled")?;
    }
    Err("the agent ended before it was enrolled".into())
}

fn resident_mb(pid: u32) -> Result<f64, Trouble> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e6)
}
