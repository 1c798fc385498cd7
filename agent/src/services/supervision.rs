//! Which services run when: a pure machine.
//!
//! [`super::task`] does what [`Supervision::step`] orders, and tells it what comes of that.
//!
//! Services start in their order, each once those before it have been started; one that is waited for must have ended, or
//! have had its time. One that has ended is started again as it says, after a wait that doubles up to a minute. A
//! declaration restarts only what is run otherwise than before, and stops what is not in it.
//!
//! Not here, on purpose: processes, a clock, chance. Times count from the begin.
//!
//! **Invariant:** of one service at most one process is running, also while it is replaced; and one that is told to stop is
//! killed after its time.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::declaration::{Restart, Service};
use crate::retry;

/// The first wait before a restart is at most this long.
const FIRST: Duration = Duration::from_millis(200);
/// No wait before a restart is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// A service that ran so long was sound: its waits begin anew.
const SOUND: Duration = Duration::from_secs(60);

/// How a process has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// With a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It was never started.
    NotStarted(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "with code {code}"),
            Self::Signal(signal) => write!(f, "by signal {signal}"),
            Self::NotStarted(why) => write!(f, "before it began: {why}"),
        }
    }
}

impl Exit {
    fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

/// What happens to services.
#[derive(Debug)]
pub(super) enum Input {
    /// These are to run, and no others.
    Declare(Vec<Service>),
    /// A process of this service runs.
    Started { name: String, pid: u32 },
    /// The process of this service has ended, or could not be started.
    Exited { name: String, exit: Exit },
    /// Time has passed.
    Time,
    /// None is to run any more.
    Stop,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Start a process of it.
    Start(Service),
    /// Ask its process to end.
    Terminate(String),
    /// End its process.
    Kill(String),
    /// The user is to know.
    Tell(News),
    /// None runs any more.
    Done,
}

/// What the user is told of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It runs.
    Started {
        /// Its name.
        service: String,
        /// Its process.
        pid: u32,
    },
    /// It has ended.
    Exited {
        /// Its name.
        service: String,
        /// How.
        exit: Exit,
        /// When it is started again, if it is.
        restart_in: Option<Duration>,
    },
}

/// How it is with a service, as its user is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// `waiting`, `starting`, `running`, `restarting`, `stopping` or `ended`.
    pub state: String,
    /// Of its process.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it has ended last.
    pub last_exit: Option<Exit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its turn has not come.
    Waiting,
    /// Its process was ordered, or runs.
    Up { since: Duration },
    /// It is started again then.
    RestartsAt(Duration),
    /// Its process is told to end, and killed then; `None`: it was.
    Stopping { kill_at: Option<Duration> },
    /// It has ended for good.
    Over,
}

#[derive(Debug)]
struct Entry {
    service: Service,
    state: State,
    pid: Option<u32>,
    /// So often it has ended since it was sound.
    failed: u32,
    restarts: u32,
    last_exit: Option<Exit>,
    /// Whether it stays declared; if not, it is gone once it has stopped.
    is_wanted: bool,
}

impl Entry {
    fn new(service: Service) -> Self {
        let (state, pid, last_exit) = (State::Waiting, None, None);
        Self { service, state, pid, failed: 0, restarts: 0, last_exit, is_wanted: true }
    }

    /// Whether those after it may start.
    fn lets_others_start(&self, now: Duration) -> bool {
        match self.state {
            State::Waiting | State::Stopping { .. } => false,
            State::Up { since } => since + self.service.wait <= now,
            State::RestartsAt(_) | State::Over => true,
        }
    }

    fn stop(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if matches!(self.state, State::Up { .. }) {
            self.state = State::Stopping { kill_at: Some(now + self.service.stop_within) };
            effects.push(Effect::Terminate(self.service.name.clone()));
        }
    }

    fn has_a_process(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::Stopping { .. })
    }

    fn standing(&self) -> Standing {
        let state = match (self.state, self.pid) {
            (State::Waiting, _) => "waiting",
            (State::Up { .. }, None) => "starting",
            (State::Up { .. }, Some(_)) => "running",
            (State::RestartsAt(_), _) => "restarting",
            (State::Stopping { .. }, _) => "stopping",
            (State::Over, _) => "ended",
        };
        let (name, restarts) = (self.service.name.clone(), self.restarts);
        Standing { name, state: state.to_owned(), pid: self.pid, restarts, last_exit: self.last_exit.clone() }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Supervision {
    entries: BTreeMap<String, Entry>,
    /// What takes the place of an entry that stops.
    successors: BTreeMap<String, Service>,
    is_stopping: bool,
}

impl Supervision {
    /// Takes what happened.
    pub(super) fn step(&mut self, input: Input, now: Duration, random: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Declare(services) => self.declare(services, now, &mut effects),
            Input::Started { name, pid } => {
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.pid = Some(pid);
                    effects.push(Effect::Tell(News::Started { service: name, pid }));
                }
            }
            Input::Exited { name, exit } => self.exited(&name, exit, (now, random), &mut effects),
            Input::Time => {}
            Input::Stop => {
                self.is_stopping = true;
                self.declare(Vec::new(), now, &mut effects);
            }
        }
        self.kill_what_is_late(now, &mut effects);
        self.start_whose_turn_it_is(now, &mut effects);
        if self.is_stopping && self.entries.is_empty() {
            effects.push(Effect::Done);
        }
        effects
    }

    /// When a step is to be taken even if nothing happens.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        let waits = self.entries.values().any(|entry| entry.state == State::Waiting);
        let times = self.entries.values().filter_map(|entry| match entry.state {
            State::RestartsAt(at) => Some(at),
            State::Stopping { kill_at } => kill_at,
            State::Up { since } if waits && !entry.service.wait.is_zero() => Some(since + entry.service.wait),
            State::Waiting | State::Up { .. } | State::Over => None,
        });
        times.min()
    }

    /// How it is with each, in the order of their start.
    pub(super) fn standings(&self) -> Vec<Standing> {
        self.in_order().into_iter().map(|name| self.entries[&name].standing()).collect()
    }

    fn in_order(&self) -> Vec<String> {
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_by(|one, other| one.service.rank().cmp(&other.service.rank()));
        entries.into_iter().map(|entry| entry.service.name.clone()).collect()
    }

    fn declare(&mut self, services: Vec<Service>, now: Duration, effects: &mut Vec<Effect>) {
        if self.is_stopping && !services.is_empty() {
            return;
        }
        let mut wanted: BTreeMap<String, Service> =
            services.into_iter().map(|service| (service.name.clone(), service)).collect();
        self.successors.clear();
        for (name, entry) in &mut self.entries {
            match wanted.remove(name) {
                Some(service) if service.is_run_alike(&entry.service) && entry.is_wanted => {
                    entry.service = service;
                }
                Some(service) if entry.has_a_process() => {
                    entry.stop(now, effects);
                    entry.is_wanted = false;
                    self.successors.insert(name.clone(), service);
                }
                Some(service) => *entry = Entry::new(service),
                None => {
                    entry.stop(now, effects);
                    entry.is_wanted = false;
                }
            }
        }
        self.entries.retain(|_, entry| entry.is_wanted || entry.has_a_process());
        self.entries.extend(wanted.into_iter().map(|(name, service)| (name, Entry::new(service))));
    }

    fn exited(&mut self, name: &str, exit: Exit, (now, random): (Duration, u64), effects: &mut Vec<Effect>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let restart_in = match entry.state {
            State::Up { since } if restarts(entry.service.restart, &exit) => {
                if now.saturating_sub(since) >= SOUND {
                    entry.failed = 0;
                }
                let wait = wait(entry.failed, random);
                entry.failed = entry.failed.saturating_add(1);
                entry.state = State::RestartsAt(now + wait);
                Some(wait)
            }
            State::Up { .. } => {
                entry.state = State::Over;
                None
            }
            State::Stopping { .. } => None,
            // It has told of its end already.
            State::Waiting | State::RestartsAt(_) | State::Over => return,
        };
        (entry.pid, entry.last_exit) = (None, Some(exit.clone()));
        effects.push(Effect::Tell(News::Exited { service: name.to_owned(), exit, restart_in }));
        if matches!(entry.state, State::Stopping { .. }) {
            self.entries.remove(name);
            if let Some(successor) = self.successors.remove(name) {
                self.entries.insert(name.to_owned(), Entry::new(successor));
            }
        }
    }

    fn kill_what_is_late(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        for (name, entry) in &mut self.entries {
            if let State::Stopping { kill_at } = &mut entry.state
                && kill_at.is_some_and(|at| at <= now)
            {
                *kill_at = None;
                effects.push(Effect::Kill(name.clone()));
            }
        }
    }

    fn start_whose_turn_it_is(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let mut may_start = true;
        for name in self.in_order() {
            let Some(entry) = self.entries.get_mut(&name) else { continue };
            match entry.state {
                State::Waiting if may_start => {
                    entry.state = State::Up { since: now };
                    effects.push(Effect::Start(entry.service.clone()));
                }
                // It had its turn.
                State::RestartsAt(at) if at <= now => {
                    entry.state = State::Up { since: now };
                    entry.restarts = entry.restarts.saturating_add(1);
                    effects.push(Effect::Start(entry.service.clone()));
                }
                State::Waiting
                | State::Up { .. }
                | State::RestartsAt(_)
                | State::Stopping { .. }
                | State::Over => {}
            }
            // What only stops keeps nobody waiting.
            let is_leaving = !entry.is_wanted && !self.successors.contains_key(&name);
            may_start &= is_leaving || entry.lets_others_start(now);
        }
    }
}

fn restarts(policy: Restart, exit: &Exit) -> bool {
    match policy {
        Restart::Always => true,
        Restart::OnFailure => !exit.is_success(),
        Restart::Never => false,
    }
}

/// Between half of a bound that doubles and all of it: a service that fails at once is not started without a pause.
fn wait(failed: u32, random: u64) -> Duration {
    let bound = FIRST.saturating_mul(2u32.saturating_pow(failed)).min(LONGEST);
    bound / 2 + retry::part(bound / 2, random)
}

#[cfg(test)]
#[path = "tests/supervision.rs"]
mod tests;
