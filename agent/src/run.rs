//! The life of an agent: the steps of the other modules in their order, for one boot or for ever.
//!
//! `main` calls [`once`] or [`until_signalled`], `loadtest` calls [`Agent::come_up`]. [`until`] is one whole life: `shell` does what
//! [`crate::life`] orders. Whoever runs a life may begin the next when it ends, or panics.
//!
//! Not here, on purpose: any decision that a journal takes.
//!
//! **Invariant:** a node is up when it has its certificate, an open subscription and its boot configuration.

mod climb;
mod companions;
mod errands;
mod farewell;
mod log;
mod rungs;
mod shell;
mod start;

use std::{path::PathBuf, process, time::Duration};

use proto::{
    outcome::Failure,
    pem_file::{Credential, Trust},
};
use spiffe::transport::Endpoint;
use tokio::signal::unix::{SignalKind, signal};

use self::shell::Shell;
pub(crate) use self::start::runtime;
pub use self::start::start;
use crate::{
    answer::Identity,
    arguments::RunArguments,
    boot_config::{self, BootConfig},
    cache::{Cache, CacheError},
    enroll::{self, Enrolled},
    entropy, hardware,
    journals::{Journals, Preference},
    key::{KeyError, NodeKey},
    machine::Machine,
    marks, probe,
    report::{Change, Enrollment, Report},
    retry::{Patience, Tries},
    round::Round,
    session::Session,
    status,
    subscription::Subscription,
};

/// How long a goodbye may take: systems that shut down kill what takes much longer.
const GOODBYE_WITHIN: Duration = Duration::from_secs(5);

/// An agent that is ready to start.
#[derive(Debug)]
pub struct Agent {
    /// Whom it asks.
    pub journals: Journals,
    /// The enrollment that it goes on with, if it has one, and leaves to its successor.
    pub session: Session,
    pub(crate) presents: Presents,
    pub(crate) keeps: Keeps,
    /// What the image holds to enroll with (R11). It opens nothing that no certificate opens.
    pub(crate) bootstrap: Option<Credential>,
    /// Where workload identities of others come from, if there are any.
    pub(crate) workload_api: Option<Endpoint>,
}

/// How an agent that is asked to stop leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It says goodbye: the node is inactive.
    Goodbye,
    /// Without a word, for another that goes on with its [`Session`].
    ToSuccessor,
}

/// What an agent has beside its node: nothing, unless somebody says so.
#[derive(Debug, Default)]
pub(crate) struct Keeps {
    /// Where it keeps the last boot configuration.
    cache: Option<Cache>,
    /// Where it says how it is.
    socket: Option<PathBuf>,
    /// Where the scheduler marks the sessions that run on the node.
    sessions: Option<PathBuf>,
    /// Whether it runs the services that the boot configuration declares.
    services: bool,
}

/// What an agent presents to journals.
#[derive(Debug)]
pub(crate) enum Presents {
    /// This.
    Known(Machine),
    /// The machine that it runs on, which is looked at when it is to be presented.
    ThisMachine,
}

impl Agent {
    /// One that presents a machine.
    pub fn new(journals: Journals, machine: Machine) -> Self {
        let (presents, keeps) = (Presents::Known(machine), Keeps::default());
        Self { journals, session: Session::default(), presents, keeps, bootstrap: None, workload_api: None }
    }

    /// What it presents. Looks at the machine, if nobody says what it is.
    ///
    /// # Errors
    /// If the machine has nothing to present.
    pub fn machine(&self) -> Result<Machine, Failure> {
        match &self.presents {
            Presents::Known(machine) => Ok(machine.clone()),
            Presents::ThisMachine => Ok(Machine::here(probe::this_machine()?.hardware)),
        }
    }

    /// Reads the files that the command line names.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn of(arguments: &RunArguments) -> Result<Self, Failure> {
        let arguments = &arguments.settled()?;
        let unknown = || Failure::Usage("no domain CA is given; use --ca or PACT_CA".to_owned());
        let trust = Trust::read(arguments.ca.as_deref().ok_or_else(unknown)?)?;
        let presents = match &arguments.hardware {
            Some(file) => {
                let read = hardware::read(file).map_err(|error| Failure::Usage(error.to_string()))?;
                Presents::Known(Machine::here(read))
            }
            None => Presents::ThisMachine,
        };
        let mut journals = Journals::new(trust, arguments.journals.clone())?;
        if let Some(image_built_at) = arguments.image_built_at {
            journals = journals.waking_after(image_built_at);
        }
        let unusable = |error: CacheError| Failure::Usage(format!("--state-dir: {error}"));
        let cache = arguments.state_dir.as_deref().map(Cache::open).transpose().map_err(unusable)?;
        let socket = Some(status::socket(arguments.state_dir.as_deref()));
        // The first process of a machine is there for them.
        let services = arguments.services.unwrap_or_else(|| process::id() == 1);
        let sessions = socket.as_deref().and_then(marks::folder);
        let keeps = Keeps { cache, socket, sessions, services };
        let workload_api = arguments.workload_api.clone();
        let bootstrap = arguments.bootstrap_identity.as_deref().map(Credential::read).transpose()?;
        Ok(Self { journals, session: Session::default(), presents, keeps, bootstrap, workload_api })
    }

    /// [`boot`](Self::boot) for callers that only want the node up: the boot configuration was checked, and is dropped.
    ///
    /// # Errors
    /// With the first refusal that is final, or when patience is over.
    pub async fn come_up(&self, patience: Patience) -> Result<(Enrolled, Subscription), Failure> {
        let (enrolled, subscription, _) = self.boot(patience).await?;
        Ok((enrolled, subscription))
    }

    /// Subscribes anew with the certificate that it has, at any journal: its subscription was lost, as when a journal is
    /// killed.
    ///
    /// # Errors
    /// With the first refusal that is final, or when patience is over.
    pub async fn subscribe_again(
        &self,
        identity: &Identity,
        patience: Patience,
    ) -> Result<Subscription, Failure> {
        let machine = self.machine()?;
        let caller = Caller { machine: &machine, identity, patience };
        let mut tries = Tries::new(patience);
        loop {
            match caller.subscribe(&self.journals, Preference::Any, None).await {
                Ok((subscription, _)) => return Ok(subscription),
                Err(failure) => tries.pause(failure).await?,
            };
        }
    }

    /// Enrolls with a new key, opens the first subscription, which confirms the enrollment, and fetches the first boot
    /// configuration over the same connection.
    ///
    /// # Errors
    /// With the first refusal that is final, or when patience is over.
    pub async fn boot(&self, patience: Patience) -> Result<(Enrolled, Subscription, BootConfig), Failure> {
        entropy::is_there().await;
        let (key, machine) = (NodeKey::generate()?, self.machine()?);
        let enrolled = enroll::enroll(&self.journals, &machine, &key, patience).await?;
        let mut journals = self.journals.clone();
        journals.learn(&enrolled.told);
        let caller = Caller { machine: &machine, identity: &enrolled.identity, patience };
        let mut tries = Tries::new(patience);
        let mut preference = Preference::First(&enrolled.journal);
        loop {
            let failure = match caller.subscribe(&journals, preference, None).await {
                Err(failure) => failure,
                Ok((subscription, config)) => match caller.configure(&subscription, config, &mut tries).await
                {
                    Ok(config) => return Ok((enrolled, subscription, config)),
                    Err(failure) => failure,
                },
            };
            // A journal that does not serve now may not be the one to ask next.
            preference = Preference::Last(&enrolled.journal);
            tries.pause(failure).await?;
        }
    }
}

/// Who connects, and how long it wants to.
struct Caller<'a> {
    machine: &'a Machine,
    identity: &'a Identity,
    patience: Patience,
}

impl Caller<'_> {
    /// Opens a subscription at the first journal that serves.
    async fn subscribe(
        &self,
        journals: &Journals,
        preference: Preference<'_>,
        held: Option<&BootConfig>,
    ) -> Result<(Subscription, Result<BootConfig, Failure>), Failure> {
        let Self { machine, identity, patience } = *self;
        let mut round = Round::new(journals, preference, Some(&identity.credential), patience);
        while let Some(connection) = round.connect().await? {
            match Subscription::begin(connection, machine, held, patience).await {
                Ok(opened) => return Ok(opened),
                Err(failure) => round.keep(failure)?,
            }
        }
        Err(round.ended())
    }

    /// Asks again for the first boot configuration while the journal only says that it is busy. A connection is dear:
    /// it is kept for that.
    async fn configure(
        &self,
        subscription: &Subscription,
        mut config: Result<BootConfig, Failure>,
        tries: &mut Tries,
    ) -> Result<BootConfig, Failure> {
        while let Err(failure @ Failure::Refused(_)) = config {
            tries.pause(failure).await?;
            config = boot_config::fetch(subscription.connection(), None, self.patience).await;
        }
        config
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::other(error.to_string())
    }
}

/// Enrolls, confirms the enrollment by a first subscription, fetches the boot configuration, and says goodbye.
///
/// # Errors
/// With the first refusal that is final, or when the time is over.
pub async fn once(agent: &Agent, timeout: Duration, report: &Report) -> Result<(), Failure> {
    let patience = Patience::of(timeout);
    let (Enrolled { identity, journal, told: _ }, subscription, config) = agent.boot(patience).await?;
    subscription.goodbye(patience.within(GOODBYE_WITHIN)).await?;
    report.once(&Enrollment::new(&identity, &journal, Some(&config)));
    Ok(())
}

/// Enrolls and stays enrolled until `stop` ends, then says goodbye. A node that is not registered yet, or active with
/// another key, is asked for until it is let in (R14).
///
/// # Errors
/// With what ended it instead: a refusal that is final.
pub async fn until(stop: impl Future<Output = ()>, agent: &Agent, report: &Report) -> Result<(), Failure> {
    let stop = async {
        stop.await;
        Leaving::Goodbye
    };
    until_asked(stop, agent, report).await
}

/// [`until`], and then leaves as it is asked to.
///
/// # Errors
/// As [`until`].
pub async fn until_asked(
    stop: impl Future<Output = Leaving>,
    agent: &Agent,
    report: &Report,
) -> Result<(), Failure> {
    tokio::pin!(stop);
    tokio::select! {
        () = entropy::is_there() => {}
        _ = &mut stop => {
            report.change(&Change::Stopped { goodbye: false });
            return Ok(());
        }
    }
    Box::pin(Shell::new(agent, report).live(stop)).await
}

/// [`until`] SIGTERM or SIGINT.
///
/// # Errors
/// As [`until`], or if signals cannot be caught.
pub async fn until_signalled(agent: &Agent, report: &Report) -> Result<(), Failure> {
    let no_signals = |error| Failure::other(format!("signals cannot be caught: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let stop = async {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        report.stopping();
    };
    tokio::select! {
        ended = until(stop, agent, report) => ended,
        never = report.signs_of_life() => match never {},
    }
}

#[cfg(test)]
mod tests;
