//! `pact-journal dev`: a throw-away domain on loopback, to try things on.
//!
//! Makes a domain in a temporary directory, serves it by a child process (`pact-journal serve`) on free ports, prints one
//! line of shell that says how to use it, and stays until it is told to stop.
//!
//! Not here, on purpose: anything that a real domain would not do too. It is `init` and `serve`, with other addresses.
//!
//! **Invariant:** whatever ends it short of SIGKILL, its child has ended before, and without `--data-dir` nothing is left on
//! disk.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use events::vocabulary::{DomainId, JournalId};
use proto::logging::LogFormat;
use proto::outcome::Failure;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use crate::args::Dev;
use crate::commands::chain;
use crate::config::{Config, layers};
use crate::data_dir::{Endpoints, Identity};
use crate::init::{Plan, init};
use crate::supervisor;

/// The name of every such domain.
const DOMAIN: &str = "dev";
/// Its journal, and the folder that the journal's data lie in.
const JOURNAL: &str = "j1";
/// Names in its server certificate. The host's own name is not among them: nobody else can reach it.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long the child may take until it serves: a log that is continued may be long.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long the child may take to stop before it is killed.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks for the file that says where the child listens.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs until SIGINT, SIGTERM or SIGHUP.
///
/// # Errors
/// If the domain cannot be made, or its journal does not start, or ends by itself.
pub async fn run(options: &Dev, log_format: LogFormat) -> Result<(), Failure> {
    // Before anything is made: whoever stops it at once leaves nothing behind either.
    let mut stop = Stop::new().map_err(|error| Failure::other(format!("no signals: {error}")))?;
    let place = Place::new(options.data_dir.as_deref())?;
    let data_dir = place.folder().join(JOURNAL);
    if fs::symlink_metadata(&data_dir).is_err() {
        init(plan(&data_dir)?).await.map_err(|error| Failure::named("INIT_FAILED", chain(&error)))?;
    }
    let mut child = serve(&data_dir, log_format)?;
    let ended = until_the_end(&mut child, &data_dir, &place, &mut stop).await;
    let ended = match ended {
        Ok(End::Asked) => stop_child(&mut child).await,
        Ok(End::ByItself(status)) => Err(ended_by_itself(status)),
        Err(failure) => {
            // Why it ends is told; how its child did is not what matters then.
            stop_child(&mut child).await.ok();
            Err(failure)
        }
    };
    place.leave();
    ended
}

/// How it came to an end.
enum End {
    Asked,
    ByItself(ExitStatus),
}

async fn until_the_end(
    child: &mut Child,
    data_dir: &Path,
    place: &Place,
    stop: &mut Stop,
) -> Result<End, Failure> {
    let pid = child.id();
    tokio::select! {
        // Their order matters: ctrl-c on a terminal reaches the child, too.
        biased;
        () = stop.asked() => Ok(End::Asked),
        status = child.wait() => status.map(End::ByItself).map_err(lost),
        // Once it is announced, only the others are left to wait for.
        Err(failure) = announce(data_dir, pid, place) => Err(failure),
    }
}

/// Where the domain lies.
enum Place {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Place {
    fn new(asked: Option<&Path>) -> Result<Self, Failure> {
        let Some(asked) = asked else {
            let made = tempfile::Builder::new().prefix("pact-dev-").tempdir();
            let cannot = |error| Failure::other(format!("no temporary directory could be made: {error}"));
            return made.map(Self::Temporary).map_err(cannot);
        };
        if asked.join("identity.json").exists() {
            let told = format!("{} is the data directory of a journal: serve it", asked.display());
            return Err(Failure::Usage(told));
        }
        if asked.join(JOURNAL).join("identity.json").exists() && !is_made_by_dev(&asked.join(JOURNAL)) {
            let told = format!("{}/{JOURNAL} is a journal of another domain: serve it", asked.display());
            return Err(Failure::Usage(told));
        }
        let absolute = std::path::absolute(asked);
        let unusable = |error| Failure::Usage(format!("{} cannot be used: {error}", asked.display()));
        absolute.map(Self::Kept).map_err(unusable)
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }

    fn leave(self) {
        let Self::Temporary(folder) = self else { return };
        let path = folder.path().to_owned();
        if let Err(error) = folder.close() {
            tracing::warn!(%error, folder = %path.display(), "the temporary directory could not be deleted");
        }
    }
}

/// Who may tell it to stop. A terminal that is closed says SIGHUP.
struct Stop([unix::Signal; 4]);

impl Stop {
    fn new() -> std::io::Result<Self> {
        let kinds =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];
        let [terminate, interrupt, hangup, quit] = kinds.map(signal);
        Ok(Self([terminate?, interrupt?, hangup?, quit?]))
    }

    async fn asked(&mut self) {
        let [terminate, interrupt, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// A real journal must not be served on other ports with its operator's credential on stdout.
fn is_made_by_dev(data_dir: &Path) -> bool {
    let text = fs::read(data_dir.join("identity.json")).unwrap_or_default();
    serde_json::from_slice::<Identity>(&text).is_ok_and(|identity| identity.domain_id.as_str() == DOMAIN)
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn plan(data_dir: &Path) -> Result<Plan, Failure> {
    let name = |error: events::vocabulary::InvalidName| Failure::other(error.to_string());
    let domain_id: DomainId = DOMAIN.parse().map_err(name)?;
    let journal_id: JournalId = JOURNAL.parse().map_err(name)?;
    let config = Config {
        agent_listen: any_port(),
        operator_listen: any_port(),
        cluster_listen: any_port(),
        http_listen: any_port(),
        advertise: NAMES.map(str::to_owned).to_vec(),
        ..Config::default()
    };
    Ok(Plan { data_dir: data_dir.to_owned(), domain_id, journal_id, config })
}

/// The addresses stand on the command line, too: what the shell exports for a real journal must not move this one.
fn serve(data_dir: &Path, log_format: LogFormat) -> Result<Child, Failure> {
    let cannot = |error: std::io::Error| Failure::other(format!("the journal could not be started: {error}"));
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    if let Some(format) = log_format.to_possible_value() {
        command.args(["--log-format", format.get_name()]);
    }
    command.args(["serve", "--data-dir"]).arg(data_dir);
    let any_port = any_port().to_string();
    for flag in ["--agent-listen", "--operator-listen", "--cluster-listen", "--http-listen"] {
        command.args([flag, &any_port]);
    }
    command.args(["--advertise", &NAMES.join(",")]);
    // What the shell exports for a real journal must not move this one.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(layers::PREFIX) {
            command.env_remove(name);
        }
    }
    // Its stdout is ours, which holds one line.
    command.stdin(Stdio::null()).stdout(Stdio::null()).env_remove(supervisor::VARIABLE).kill_on_drop(true);
    command.spawn().map_err(cannot)
}

/// Waits until the child serves, and says how to use it.
async fn announce(data_dir: &Path, child: Option<u32>, place: &Place) -> Result<(), Failure> {
    let endpoints = ready(data_dir, child).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", exports(data_dir, &endpoints))
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::other(format!("the line for the shell could not be printed: {error}")))?;
    let folder = place.folder().display();
    match place {
        Place::Temporary(_) => tracing::info!(%folder, "ready; ctrl-c ends it and deletes everything"),
        Place::Kept(_) => tracing::info!(%folder, "ready; ctrl-c ends it"),
    }
    Ok(())
}

async fn ready(data_dir: &Path, child: Option<u32>) -> Result<Endpoints, Failure> {
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        let told = fs::read(data_dir.join("endpoints.json")).ok();
        let told = told.and_then(|text| serde_json::from_slice::<Endpoints>(&text).ok());
        // A journal that was killed left its own behind.
        if let Some(endpoints) = told.filter(|endpoints| Some(endpoints.pid) == child) {
            return Ok(endpoints);
        }
        sleep(LOOK_EVERY).await;
    }
    let told = format!("the journal was not ready within {} s", READY_WITHIN.as_secs());
    Err(Failure::named("START_FAILED", told))
}

async fn stop_child(child: &mut Child) -> Result<(), Failure> {
    tracing::info!("stopping");
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile: ctrl-c on a terminal reaches it, too.
        kill_process(pid, Signal::TERM).ok();
    }
    match timeout(STOPPED_WITHIN, child.wait()).await {
        Ok(Ok(status)) if status.success() || told_to_end(status) => Ok(()),
        Ok(Ok(status)) => Err(ended_by_itself(status)),
        Ok(Err(error)) => Err(lost(error)),
        Err(_) => {
            child.kill().await.map_err(lost)?;
            let told =
                format!("the journal did not stop within {} s and was killed", STOPPED_WITHIN.as_secs());
            Err(Failure::named("JOURNAL_ENDED", told))
        }
    }
}

/// Ended by a signal that asks for it, before it could listen to any.
fn told_to_end(status: ExitStatus) -> bool {
    let asks = [Signal::TERM, Signal::INT, Signal::HUP].map(Signal::as_raw);
    status.signal().is_some_and(|signal| asks.contains(&signal))
}

fn lost(error: std::io::Error) -> Failure {
    Failure::other(format!("the journal is lost: {error}"))
}

fn ended_by_itself(status: ExitStatus) -> Failure {
    Failure::named(
        "JOURNAL_ENDED",
        format!("the journal {JOURNAL} ended with {status}; its log stands above"),
    )
}

/// One line for a POSIX shell.
fn exports(data_dir: &Path, endpoints: &Endpoints) -> String {
    let url = |address: Option<SocketAddr>| address.map_or_else(String::new, |at| format!("https://{at}"));
    let file = |name: &str| data_dir.join("bootstrap").join(name).display().to_string();
    let variables = [
        ("PACT_ENDPOINTS", url(endpoints.operator)),
        ("PACT_CA", file("domain-ca.pem")),
        ("PACT_CREDENTIAL", file("operator.pem")),
        ("PACT_JOURNALS", url(endpoints.agent)),
    ];
    variables
        .iter()
        .fold("export".to_owned(), |line, (name, value)| format!("{line} {name}={}", quoted(value)))
}

/// As a shell reads it back: a word of plain letters as it is, anything else in quotes.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/:.,_-+=@%".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["https://127.0.0.1:9", "/tmp/a b/c", "it's", "$HOME `x` \"y\" \\", "", "é\n*"] {
            let script = format!("export X={}; printf %s \"$X\"", quoted(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
    }

    #[test]
    fn all_variables_stand_on_one_line() {
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let endpoints = Endpoints { pid: 1, agent: at(1), operator: at(2), cluster: None, http: at(3) };
        assert_eq!(
            exports(Path::new("/tmp/x y/j1"), &endpoints),
            "export PACT_ENDPOINTS=https://127.0.0.1:2 PACT_CA='/tmp/x y/j1/bootstrap/domain-ca.pem' \
             PACT_CREDENTIAL='/tmp/x y/j1/bootstrap/operator.pem' PACT_JOURNALS=https://127.0.0.1:1"
        );
    }
}
