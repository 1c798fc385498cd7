//! One process of a service, from its start to its end.
//!
//! It gets no key and no descriptor of the agent, no environment but its own, and a process group. What it prints goes
//! line by line to the agent's log. It ends with the agent, however that ends: the program is started by way of `pact-agent`
//! itself ([`become_service`]), which asks the kernel for that and then becomes it.
//!
//! **Invariant:** a signal goes only to a process that was not waited for, so that it never meets another of that number. And its end is
//! told, whatever becomes of who attends to it.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::{CommandExt, ExitStatusExt},
    panic::AssertUnwindSafe,
    process::{ExitStatus, Stdio},
};

use futures_util::FutureExt;
use proto::outcome::Failure;
use rustix::process::{Pid, Signal, getppid, kill_process_group, set_parent_process_death_signal};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
    sync::mpsc,
};

use super::{
    declaration::Service,
    supervision::{Exit, Input},
};
use crate::{
    children::{self, Child},
    panics,
};

/// Where programs are looked for that a service starts, if it does not say so.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A line of the log shows so much of what a service prints.
const LINE_BYTES: u64 = 2048;
/// How soon the kernel ends a process when memory is short: the higher, the sooner.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";
/// A process is asked to end, and then ended.
pub(super) const SIGNALS: usize = 2;

/// Runs a process of a service to its end, and tells. Who drops the other end of `signals` ends the process.
pub(super) async fn attend(service: Service, mut signals: mpsc::Receiver<Signal>, tell: mpsc::Sender<Input>) {
    let name = service.name.clone();
    let runs = async {
        match spawn(&service) {
            Ok(mut child) => {
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
                // Behind the child, so that it is dropped before it: a panic ends the whole group too.
                let _group = Group(pid);
                if let Some(pid) = child.id() {
                    tell.send(Input::Started { name: service.name.clone(), pid }).await.ok();
                }
                #[cfg(feature = "planted-panics")]
                panics::panic_if_asked("attendant");
                log_lines(&service.name, child.stdout.take());
                log_lines(&service.name, child.stderr.take());
                let status = ended(&mut child, pid, &mut signals).await;
                status.map_or_else(|error| Exit::NotStarted(error.to_string()), exit)
            }
            Err(error) => Exit::NotStarted(error.to_string()),
        }
    };
    let exit = however_it_ends(&name, runs).await;
    tell.send(Input::Exited { name, exit }).await.ok();
}

/// The processes of a service: they end when this is dropped. A group keeps its number while somebody is in it; if nobody is, nobody
/// is met.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// What was attended to while a panic went through is dropped with it: its processes, if there are any, are killed. Without an end the
/// service would count as running for ever.
async fn however_it_ends(service: &str, runs: impl Future<Output = Exit>) -> Exit {
    // Boxed, so that it is gone before its end is told.
    AssertUnwindSafe(Box::pin(runs)).catch_unwind().await.unwrap_or_else(|panic| {
        tracing::error!(service, panic = panics::told(&*panic), "who attends to a service has panicked");
        Exit::Signal(Signal::KILL.as_raw())
    })
}

fn spawn(service: &Service) -> io::Result<Child> {
    // This program, also when the next release lies at its path already.
    let mut command = Command::new("/proc/self/exe");
    command.arg("become-service").arg(std::process::id().to_string()).arg("--").args(&service.command);
    command.env_clear().env("PATH", PATH).envs(&service.environment).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    children::spawn(command.process_group(0).kill_on_drop(true))
}

/// Waits for its end, and hands signals on to its group. What it started and left behind ends with it.
async fn ended(
    child: &mut Child,
    group: Option<Pid>,
    signals: &mut mpsc::Receiver<Signal>,
) -> io::Result<ExitStatus> {
    let to_all = |signal| group.map(|group| kill_process_group(group, signal).ok());
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = signals.recv() => {
                to_all(signal.unwrap_or(Signal::KILL));
                if signal.is_none() {
                    return child.wait().await;
                }
            }
        }
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// A service that prints faster than this reads waits in its own pipe.
fn log_lines(name: &str, output: Option<impl AsyncRead + Send + Unpin + 'static>) {
    let Some(output) = output else { return };
    let service = name.to_owned();
    tokio::spawn(async move {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while (&mut output).take(LINE_BYTES).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            tracing::info!(service, line = text.trim_end(), "a service prints");
            line.clear();
        }
    });
}

/// An agent that the kernel spares when memory is short does not have its services spared: else one of them that takes all memory
/// takes the machine. Where the kernel does not let it, the service runs all the same.
fn be_as_expendable_as_others() {
    let spared = fs::read_to_string(OOM_SCORE).is_ok_and(|score| score.starts_with('-'));
    if spared {
        fs::write(OOM_SCORE, "0").ok();
    }
}

/// Becomes the program of a service: the last thing that the process does as `pact-agent`.
///
/// # Errors
/// If the agent that started it has ended, or the program cannot be started.
pub fn become_service(agent: u32, command: &[OsString]) -> Failure {
    let failed = |what: &str, error: io::Error| Failure::other(format!("{what}: {error}"));
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return failed("the kernel does not end this process with its agent", error.into());
    }
    // It may have ended before the kernel was asked.
    let parent = getppid().map(|pid| pid.as_raw_nonzero().get());
    if parent.and_then(|pid| u32::try_from(pid).ok()) != Some(agent) {
        return Failure::other("the agent that started this service has ended");
    }
    be_as_expendable_as_others();
    // Ours close by themselves; whoever started the agent may have left it others.
    close_fds::set_fds_cloexec(3, &[]);
    let Some((program, arguments)) = command.split_first() else {
        return Failure::Usage("a service has a program".to_owned());
    };
    let error = std::process::Command::new(program).args(arguments).exec();
    failed(&program.to_string_lossy(), error)
}

#[cfg(test)]
#[path = "tests/process.rs"]
mod tests;
