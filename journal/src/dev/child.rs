//! A journal of `pact-journal dev`: a child process that serves one data directory.
//!
//! **Invariant:** it does not outlive its parent, whatever ends that: its stdin is a pipe whose other end is here, and the
//! kernel closes that end.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use proto::logging::LogFormat;
use proto::outcome::Failure;
use proto::supervisor;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::config::{Config, layers};
use crate::data_dir::Endpoints;

/// How long it may take until it serves: a log that is continued may be long.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long it may take to stop before it is killed.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks for the file that says where it listens.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the module. Killed when it is dropped.
pub(super) struct Child {
    name: String,
    data_dir: PathBuf,
    process: tokio::process::Child,
    /// Waiting for the process would close it, if the process held it.
    _alive: Option<ChildStdin>,
}

impl Child {
    /// Starts `serve` as `config` says. The addresses stand on the command line, too: what the shell exports for a real
    /// journal must not move this one.
    pub(super) fn serve(
        name: String,
        data_dir: PathBuf,
        config: &Config,
        log_format: LogFormat,
    ) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| {
            Failure::other(format!("the journal {name} could not be started: {error}"))
        };
        let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
        if let Some(format) = log_format.to_possible_value() {
            command.args(["--log-format", format.get_name()]);
        }
        command
            .args([OsStr::new("serve"), "--until-stdin-ends".as_ref(), "--data-dir".as_ref()])
            .arg(&data_dir);
        for (flag, address) in [
            ("--agent-listen", config.agent_listen),
            ("--operator-listen", config.operator_listen),
            ("--cluster-listen", config.cluster_listen),
            ("--http-listen", config.http_listen),
        ] {
            command.args([flag, &address.to_string()]);
        }
        command.args(["--advertise", &config.advertise.join(",")]);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with(layers::PREFIX) {
                command.env_remove(variable);
            }
        }
        // Its stdout is ours, which holds one line.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .env_remove(supervisor::VARIABLE)
            .kill_on_drop(true);
        let mut process = command.spawn().map_err(cannot)?;
        let alive = process.stdin.take();
        Ok(Self { name, data_dir, process, _alive: alive })
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// If it ends before, or is not ready in time.
    pub(super) async fn ready(&mut self) -> Result<Endpoints, Failure> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().map_err(|error| self.lost(&error))? {
                return Err(self.ended_with(status));
            }
            let told = fs::read(self.data_dir.join("endpoints.json")).ok();
            let told = told.and_then(|text| serde_json::from_slice::<Endpoints>(&text).ok());
            // A journal that was killed left its own behind.
            if let Some(endpoints) = told.filter(|endpoints| Some(endpoints.pid) == self.process.id()) {
                return Ok(endpoints);
            }
            sleep(LOOK_EVERY).await;
        }
        let told = format!("the journal {} was not ready within {} s", self.name, READY_WITHIN.as_secs());
        Err(Failure::named("START_FAILED", told))
    }

    /// Waits until it ends by itself, which is a failure.
    pub(super) async fn ended(&mut self) -> Failure {
        match self.process.wait().await {
            Ok(status) => self.ended_with(status),
            Err(error) => self.lost(&error),
        }
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// If it does not stop in good order.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended meanwhile: ctrl-c on a terminal reaches it, too.
            kill_process(pid, Signal::TERM).ok();
        }
        match timeout(STOPPED_WITHIN, self.process.wait()).await {
            Ok(Ok(status)) if status.success() || told_to_end(status) => Ok(()),
            Ok(Ok(status)) => Err(self.ended_with(status)),
            Ok(Err(error)) => Err(self.lost(&error)),
            Err(_) => {
                self.process.kill().await.map_err(|error| self.lost(&error))?;
                let (name, seconds) = (&self.name, STOPPED_WITHIN.as_secs());
                let told = format!("the journal {name} did not stop within {seconds} s and was killed");
                Err(Failure::named("JOURNAL_ENDED", told))
            }
        }
    }

    fn lost(&self, error: &std::io::Error) -> Failure {
        Failure::other(format!("the journal {} is lost: {error}", self.name))
    }

    fn ended_with(&self, status: ExitStatus) -> Failure {
        let told = format!("the journal {} ended with {status}; its log stands above", self.name);
        Failure::named("JOURNAL_ENDED", told)
    }
}

/// Ended by a signal that asks for it, before it could listen to any.
fn told_to_end(status: ExitStatus) -> bool {
    let asks = [Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
    status.signal().is_some_and(|signal| asks.contains(&signal))
}

/// Where the system chooses the port.
pub(super) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
