//! Journals of our own, as one quorum: child processes with data directories below a temporary one.
//!
//! [`crate::target`] loads them. One that is killed is started again, as whatever supervises services would: a storm goes
//! on, and tells how often that was. One that ends by itself with a failure is a failure.
//!
//! **Invariant:** all of them are stopped, killed or somebody else's when this is dropped, and their directory is gone.

use std::{
    cell::{Cell, RefCell},
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use futures_util::future::select_all;
use proto::{
    channel::JournalAddress,
    outcome::Failure,
    pem_file::{Credential, Trust},
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use tokio::time::{self, Instant};

use crate::{
    journal_process::{Endpoints, JournalProcess},
    progress::{Progress, say},
    quorum::Quorum,
    target::Watched,
};

/// How often it is looked whether one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// One that could not be started is tried again after this: somebody else may be starting it.
const AGAIN: Duration = Duration::from_secs(1);
/// How long that is tried.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct OwnJournals {
    /// Whom their clients trust.
    pub trust: Trust,
    /// The operator of their domain.
    pub operator: Credential,
    // Before the directory: a field is dropped in its order. The founder is the first.
    kept: Vec<Kept>,
    _place: TempDir,
}

/// One of them, whatever becomes of its process.
#[derive(Debug)]
struct Kept {
    /// Its listener for agents: the same in all its lives.
    agents: JournalAddress,
    operators: JournalAddress,
    data_dir: PathBuf,
    log: PathBuf,
    /// Of `serve`, in all its lives.
    flags: Vec<String>,
    life: RefCell<Life>,
    killed: Cell<u32>,
}

#[derive(Debug)]
enum Life {
    /// A child of ours.
    Serves(Box<JournalProcess>),
    /// Somebody else was faster to start it again.
    Elsewhere(Pid),
    /// It was killed, and is not back yet.
    Killed,
    /// It is told to stop, or has.
    Stopped,
}

impl OwnJournals {
    /// Starts so many.
    ///
    /// # Errors
    /// If one is not ready in time. Its last words are on stderr then.
    pub async fn start(journals: u8) -> Result<Self, Failure> {
        Self::start_with(journals, &[]).await
    }

    /// The same, with flags of `serve` for all of them.
    ///
    /// # Errors
    /// If one is not ready in time. Its last words are on stderr then.
    pub async fn start_with(journals: u8, flags: &[&str]) -> Result<Self, Failure> {
        let place = tempfile::Builder::new()
            .prefix("pact-storm-")
            .tempdir()
            .map_err(|error| Failure::other(format!("there is no temporary directory: {error}")))?;
        let progress = Progress::begin("starting", u64::from(journals));
        let founder =
            JournalProcess::start_at(&place.path().join("j1"), &place.path().join("j1.log"), flags).await?;
        progress.counter().add(1);
        if founder.http.is_none() {
            return Err(Failure::other("pact-journal is too old: it has no metrics to measure a storm by"));
        }
        let (trust, operator) = (founder.trust()?, founder.operator()?);
        let mut own = vec![founder];
        if journals > 1 {
            let quorum = Quorum::connect(&own[0].operators, &trust, &operator).await?;
            for number in 2..=journals {
                let (name, token) = (format!("j{number}"), quorum.join_token().await?);
                let (data_dir, log) = (place.path().join(&name), place.path().join(format!("{name}.log")));
                let joined = own[0].join(&data_dir, &log, &name, &token).await?;
                own.push(joined);
                quorum.votes(usize::from(number)).await?;
                progress.counter().add(1);
            }
        }
        drop(progress);
        say(&match journals {
            1 => "a journal serves".to_owned(),
            _ => format!("{journals} journals form a quorum"),
        });
        let kept = own.into_iter().map(Kept::of).collect();
        Ok(Self { trust, operator, kept, _place: place })
    }

    /// The listeners for agents, of each journal one.
    pub fn agents(&self) -> Vec<JournalAddress> {
        self.kept.iter().map(|kept| kept.agents.clone()).collect()
    }

    /// The listeners for operators, of each journal one.
    pub fn operators(&self) -> Vec<JournalAddress> {
        self.kept.iter().map(|kept| kept.operators.clone()).collect()
    }

    /// What can be measured of each, once all of them serve.
    ///
    /// # Errors
    /// If one is not back in time.
    pub async fn watched(&self) -> Result<Vec<Watched>, Failure> {
        let mut watched = Vec::with_capacity(self.kept.len());
        for kept in &self.kept {
            watched.push(kept.watched().await?);
        }
        Ok(watched)
    }

    /// How often one was killed and is back.
    pub fn killed(&self) -> u32 {
        self.kept.iter().map(|kept| kept.killed.get()).sum()
    }

    /// Starts those again that are killed, until one ends with a failure or cannot be started.
    pub async fn keep(&self) -> Failure {
        select_all(self.kept.iter().map(|kept| Box::pin(kept.keep()))).await.0
    }

    /// Ends all in good order, the founder last, and answers where their logs lie, the founder's first.
    ///
    /// # Errors
    /// If one does not end well.
    pub async fn stop(&self) -> Result<Vec<&Path>, Failure> {
        for kept in self.kept.iter().rev() {
            kept.stop().await?;
        }
        Ok(self.kept.iter().map(|kept| kept.data_dir.as_path()).collect())
    }

    /// Shows the ends of their logs on stderr.
    pub fn show_last_lines(&self) {
        self.kept.iter().for_each(|kept| JournalProcess::show_last_lines_of(&kept.log));
    }
}

impl Kept {
    fn of(process: JournalProcess) -> Self {
        Self {
            agents: process.agents.clone(),
            operators: process.operators.clone(),
            data_dir: process.data_dir().to_owned(),
            log: process.log().to_owned(),
            flags: process.flags().to_vec(),
            life: RefCell::new(Life::Serves(Box::new(process))),
            killed: Cell::new(0),
        }
    }

    fn name(&self) -> String {
        self.data_dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    async fn watched(&self) -> Result<Watched, Failure> {
        let deadline = Instant::now() + BACK_WITHIN;
        while Instant::now() < deadline {
            if let Life::Serves(process) = &*self.life.borrow() {
                return Ok(Watched {
                    pid: process.pid(),
                    http: process.http,
                    data_dir: self.data_dir.clone(),
                });
            }
            if let Life::Elsewhere(_) = &*self.life.borrow()
                && let Some(there) = endpoints(&self.data_dir)
            {
                return Ok(Watched { pid: there.pid, http: there.http, data_dir: self.data_dir.clone() });
            }
            time::sleep(LOOK_EVERY).await;
        }
        Err(Failure::Deadline(format!(
            "journal {} was not back within {} s",
            self.name(),
            BACK_WITHIN.as_secs()
        )))
    }

    async fn keep(&self) -> Failure {
        loop {
            match self.look() {
                Ok(true) => time::sleep(LOOK_EVERY).await,
                Ok(false) => {
                    if let Err(failure) = self.start_again().await {
                        return failure;
                    }
                }
                Err(failure) => return failure,
            }
        }
    }

    /// Whether there is nothing to be done.
    fn look(&self) -> Result<bool, Failure> {
        let mut life = self.life.borrow_mut();
        let status = match &mut *life {
            Life::Serves(process) => process.status()?,
            Life::Elsewhere(pid) if test_kill_process(*pid).is_err() => None,
            Life::Elsewhere(_) | Life::Stopped => return Ok(true),
            Life::Killed => return Ok(false),
        };
        match (&*life, status) {
            (Life::Serves(_), None) => return Ok(true),
            (Life::Serves(_), Some(status)) if !was_killed(status) => {
                return Err(Failure::other(format!("journal {} ended with {status}", self.name())));
            }
            (Life::Serves(_) | Life::Elsewhere(_) | Life::Killed | Life::Stopped, _) => {}
        }
        *life = Life::Killed;
        self.killed.set(self.killed.get() + 1);
        say(&format!("journal {} was killed and is started again", self.name()));
        Ok(false)
    }

    async fn start_again(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + BACK_WITHIN;
        loop {
            let failure = match JournalProcess::serve(&self.data_dir, &self.log, self.flags.clone()).await {
                Ok(process) => {
                    *self.life.borrow_mut() = Life::Serves(Box::new(process));
                    return Ok(());
                }
                Err(failure) => failure,
            };
            let there = endpoints(&self.data_dir).and_then(|there| pid(there.pid));
            if let Some(pid) = there.filter(|pid| test_kill_process(*pid).is_ok()) {
                *self.life.borrow_mut() = Life::Elsewhere(pid);
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(failure);
            }
            time::sleep(AGAIN).await;
        }
    }

    async fn stop(&self) -> Result<(), Failure> {
        // It may have been killed a moment ago.
        self.watched().await?;
        match self.life.replace(Life::Stopped) {
            Life::Serves(mut process) => process.stop().await,
            Life::Elsewhere(pid) => self.stop_elsewhere(pid).await,
            Life::Killed | Life::Stopped => Ok(()),
        }
    }

    async fn stop_elsewhere(&self, pid: Pid) -> Result<(), Failure> {
        let deadline = Instant::now() + BACK_WITHIN;
        kill_process(pid, Signal::TERM).ok();
        while endpoints(&self.data_dir).is_some() {
            if Instant::now() >= deadline {
                return Err(Failure::Deadline(format!("journal {} did not end", self.name())));
            }
            time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// By somebody, or stopped by somebody in good order: no fault of its own.
fn was_killed(status: ExitStatus) -> bool {
    status.success() || status.signal() == Some(Signal::KILL.as_raw())
}

fn endpoints(data_dir: &Path) -> Option<Endpoints> {
    serde_json::from_slice(&fs::read(data_dir.join("endpoints.json")).ok()?).ok()
}

fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_killed_is_started_again_and_who_fails_is_not() {
        let status = |raw| was_killed(ExitStatus::from_raw(raw));
        // As wait(2) tells them: a signal, or an exit code times 256.
        assert_eq!([9, 0, 6, 11, 256].map(status), [true, true, false, false, false]);
    }
}
