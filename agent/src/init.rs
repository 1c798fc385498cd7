//! The first process of a machine: what is to be done there besides being its agent.
//!
//! `main` asks [`FirstProcess::begin`] before anything else. Any other process gets nothing, and does nothing of this. The
//! first one mounts what is missing, takes the console, reads what an agent before it has left, and never ends while
//! [`FirstProcess::outlast`] and [`FirstProcess::live`] go on:
//!
//! | part | does |
//! |---|---|
//! | `mounts`, `console`, `modules`, `network` | make of a kernel and an image a machine that can reach its journals |
//! | `reaper` | takes the status of processes that nobody else waits for |
//! | `watchdog` | resets the machine when the agent hangs |
//! | `signals`, `end` | a goodbye, then power off or a reboot |
//! | `succession` | another agent takes over, with the same key and certificate |
//! | `keep_up` | starts again what has failed or panicked, with a pause |
//!
//! A container has a first process, too. Its machine is not the agent's: nothing is loaded, hidden or switched off there,
//! and on a stop the process ends.
//!
//! Not here, on purpose: services (they are the agent's, not of its being first), and anything a disk would need.
//!
//! **Invariant:** the first process of a machine never ends: the kernel would stop the machine.

mod console;
mod end;
mod keep_up;
mod modules;
mod mounts;
mod network;
mod reaper;
mod signals;
mod succession;
mod watchdog;

use std::{
    cell::Cell,
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{self, ExitCode},
    thread,
};

use futures_util::FutureExt;
use proto::outcome::Failure;
use rustix::system::{RebootCommand, reboot, sethostname};
use tokio::{sync::watch, time};

use self::{
    keep_up::{Pause, keep_up},
    mounts::NotMounted,
    signals::{Asked, Signals},
};
use crate::{
    arguments::{Arguments, RunArguments},
    entropy,
    kernel_command_line::KernelCommandLine,
    panics,
    report::Report,
    run::{self, Agent, Leaving, runtime},
    session::Session,
};

/// The first of all process namespaces (`PROC_PID_INIT_INO` of linux/proc_ns.h): it is the machine's own.
const OF_THE_MACHINE: &str = "pid:[4026531836]";
/// An agent that has no session left is the last that the kernel ends when memory is short.
const LAST_TO_END: &str = "-1000";

/// What the first process has found when it began. See the module.
#[derive(Debug)]
pub struct FirstProcess {
    owns_the_machine: bool,
    not_mounted: Vec<NotMounted>,
    console: io::Result<()>,
    path: io::Result<PathBuf>,
    session: Session,
    left: Option<String>,
}

impl FirstProcess {
    /// None for any other process.
    pub fn begin() -> Option<Self> {
        if process::id() != 1 {
            return None;
        }
        let not_mounted = mounts::mount_all(owns_the_machine);
        let left = succession::take().map(|left| Session::of_bytes(&left));
        let owns_the_machine = owns_the_machine();
        let console = if owns_the_machine { console::take() } else { Ok(()) };
        let (session, left) = match left {
            None => (Session::default(), None),
            Some(Ok(session)) => {
                (session, Some("going on with the key and certificate of the agent before".to_owned()))
            }
            Some(Err(error)) => {
                (Session::default(), Some(format!("the agent before left what cannot be used: {error}")))
            }
        };
        let path = succession::path();
        Some(Self { owns_the_machine, not_mounted, console, path, session, left })
    }

    /// Its command line. The kernel hands on what it does not know itself, so that on a machine of its own the agent takes
    /// words that are not its own for somebody else's, and runs.
    ///
    /// # Errors
    /// With what is missing or wrong: on a machine that is not its own the process ends instead.
    pub fn arguments(&self, kernel: Option<&KernelCommandLine>) -> Result<Arguments, Failure> {
        let told = Arguments::of_process(kernel);
        if !self.owns_the_machine {
            return told.map_err(|usage| usage.exit());
        }
        told.or_else(|_| Arguments::of_run(kernel)).map_err(|usage| {
            usage.print().ok();
            Failure::Usage(usage.to_string())
        })
    }

    /// Attempts one life after another, with a pause, as long as the machine is there: whatever ends or breaks one. On a
    /// machine that is not the agent's own an attempt that ends has ended the process.
    pub fn outlast(&self, attempt: impl Fn() -> ExitCode) -> ExitCode {
        let mut pause = Pause::default();
        loop {
            match catch_unwind(AssertUnwindSafe(&attempt)) {
                Ok(code) if !self.owns_the_machine => return code,
                Ok(_) => {}
                Err(panic) => tracing::error!(panic = panics::told(&*panic), "the agent has panicked"),
            }
            let wait = pause.next();
            tracing::error!(wait_ms = wait.as_millis(), "the agent starts again");
            thread::sleep(wait);
        }
    }

    /// Makes the machine ready and lives there until it is stopped: then the machine is off, or starts again. Comes back
    /// where the machine is another's.
    ///
    /// # Errors
    /// If signals cannot be caught, or the machine cannot be stopped.
    pub fn live(&self, arguments: &RunArguments, kernel: &KernelCommandLine) -> Result<(), Failure> {
        self.make_ready(kernel);
        let runtime = runtime()?;
        let asked = runtime.block_on(Box::pin(self.attend(arguments, kernel)))?;
        runtime.block_on(end::stop_all());
        watchdog::disarm();
        if !self.owns_the_machine {
            return Ok(());
        }
        let error = end::of_machine(asked);
        Err(Failure::other(format!("the machine could not be stopped: {error}")))
    }

    fn make_ready(&self, kernel: &KernelCommandLine) {
        for missing in &self.not_mounted {
            tracing::warn!("{missing}");
        }
        if let Err(error) = &self.console {
            tracing::warn!(%error, "there is no console");
        }
        if let Some(left) = &self.left {
            tracing::info!("{left}");
        }
        if let Err(error) = fs::write("/proc/self/oom_score_adj", LAST_TO_END) {
            tracing::warn!(%error, "the agent may be ended when memory is short");
        }
        if self.owns_the_machine {
            // Ctrl-Alt-Del is a signal from now on, and no reset.
            if let Err(error) = reboot(RebootCommand::CadOff) {
                tracing::warn!(%error, "Ctrl-Alt-Del resets this machine without a goodbye");
            }
            modules::load_all();
        }
        if let Some(hostname) = &kernel.hostname
            && let Err(error) = sethostname(hostname.as_str().as_bytes())
        {
            tracing::warn!(%error, "the machine could not be given its name");
        }
    }

    /// Keeps everything up until somebody asks for the end.
    async fn attend(&self, arguments: &RunArguments, kernel: &KernelCommandLine) -> Result<Asked, Failure> {
        let no_signals = |error| Failure::other(format!("signals cannot be caught: {error}"));
        let mut signals = Signals::catch().map_err(no_signals)?;
        let (ready, mut is_ready) = watch::channel(false);
        // It draws numbers, too. Nothing else waits for them: a watchdog would take that for a machine that hangs.
        let keep_network = || async {
            entropy::is_there().await;
            network::keep(kernel.ip, self.owns_the_machine, &ready).await
        };
        // That of a container's host would reset the host when the container ends.
        let keep_watchdog = async {
            if self.owns_the_machine {
                match keep_up("watchdog", watchdog::attend).await {}
            }
            std::future::pending::<()>().await;
        };
        let duties = async {
            tokio::join!(keep_up("reaper", reaper::reap), keep_watchdog, keep_up("network", keep_network))
        };
        tokio::select! {
            (never, ..) = duties => match never {},
            asked = self.lives(arguments, &mut signals, &mut is_ready) => Ok(asked),
        }
    }

    /// One life of the agent after another, until somebody asks for the end of the machine.
    async fn lives(
        &self,
        arguments: &RunArguments,
        signals: &mut Signals,
        is_ready: &mut watch::Receiver<bool>,
    ) -> Asked {
        let mut pause = Pause::default();
        loop {
            let asked = Cell::new(None);
            let stop = async {
                let next = signals.next().await;
                asked.set(Some(next));
                next.leaving()
            };
            let life = AssertUnwindSafe(self.life(arguments, is_ready, stop)).catch_unwind().await;
            let wait = match (life, asked.get()) {
                (Ok(Ok(())), Some(Asked::Succeed)) => {
                    self.be_succeeded();
                    continue;
                }
                // However the goodbye went.
                (_, Some(asked @ (Asked::PowerOff | Asked::Reboot))) => return asked,
                (Ok(Ok(())), None) => continue,
                (Ok(Err(failure)), _) => {
                    let reason = failure.reason_text();
                    tracing::error!(reason, message = %failure, "the agent has ended");
                    pause.next()
                }
                (Err(panic), _) => {
                    tracing::error!(panic = panics::told(&*panic), "the agent has panicked");
                    pause.next()
                }
            };
            tracing::warn!(wait_ms = wait.as_millis(), "the agent starts again");
            tokio::select! {
                () = time::sleep(wait) => {}
                asked = signals.next() => match asked {
                    Asked::Succeed => self.be_succeeded(),
                    Asked::PowerOff | Asked::Reboot => return asked,
                },
            }
        }
    }

    /// Once there is a network.
    async fn life(
        &self,
        arguments: &RunArguments,
        is_ready: &mut watch::Receiver<bool>,
        stop: impl Future<Output = Leaving>,
    ) -> Result<(), Failure> {
        tokio::pin!(stop);
        tokio::select! {
            _ = is_ready.wait_for(|ready| *ready) => {}
            _ = &mut stop => return Ok(()),
        }
        #[cfg(feature = "planted-panics")]
        panics::panic_if_asked("agent");
        let agent = Agent { session: self.session.clone(), ..Agent::of(arguments)? };
        run::until_asked(stop, &agent, &Report::new(arguments.output)).await
    }

    /// Becomes the agent that lies at this one's path now. Comes back only if that fails, and then nothing has changed.
    fn be_succeeded(&self) {
        let session = self.session.to_bytes();
        let path = self.path.as_deref().unwrap_or(Path::new("/init"));
        tracing::info!(path = %path.display(), session = session.is_some(), "another agent takes over");
        let error = succession::replace(path, session.as_ref().map(|session| session.as_slice()));
        tracing::error!(%error, path = %path.display(), "no other agent could be started: this one goes on");
    }
}

/// Whether this process is the first of all, and not of a container.
fn owns_the_machine() -> bool {
    process::id() == 1
        && fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name == Path::new(OF_THE_MACHINE))
}
