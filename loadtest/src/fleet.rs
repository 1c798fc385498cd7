//! The made-up machines of a storm, and their boot: each goes through the agent's own steps.
//!
//! [`crate::storm`] boots them all, measures while all are up, and lets them go.
//!
//! Not here, on purpose: keys made ahead. A real agent makes its key when it boots.
//!
//! **Invariant:** every machine has hardware of its own, and every node that is up holds an open subscription.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use agent::{
    answer::Identity, enroll::Enrolled, journals::Journals, machine::Machine, retry::Patience, run::Agent,
    subscription::Subscription,
};
use events::vocabulary::{HardwareIdentity, Mac};
use futures_util::{FutureExt, StreamExt, stream};
use hdrhistogram::Histogram;
use proto::outcome::Failure;
use tokio::{task::JoinSet, time::Instant};

use crate::{clients::Clients, progress::Counter};

/// A node that needs longer than this has failed.
const NODE_PATIENCE: Duration = Duration::from_secs(120);
/// All goodbyes are facts, written one batch after another.
const GOODBYE_WITHIN: Duration = Duration::from_secs(60);

/// The name of a machine.
pub fn node_id(number: u32) -> String {
    format!("storm-{number:06}")
}

/// The hardware of a machine: a locally administered MAC address and a serial, both of its number.
pub fn hardware(number: u32) -> HardwareIdentity {
    let [a, b, c, d] = number.to_be_bytes();
    let mac = Mac::new([0x02, 0, a, b, c, d]).expect("the first byte is that of a single machine");
    let serial = format!("SN-{number:06}").parse().expect("a short text is a serial");
    HardwareIdentity { macs: [mac].into(), bmc_serial: Some(serial), uuid: None }
}

/// Which machines boot, and how.
#[derive(Debug, Clone)]
pub struct Boot {
    /// Whom they ask; a machine takes those of its number. At least one.
    pub journals: Arc<[Journals]>,
    /// Their numbers.
    pub machines: Range<u32>,
    /// How many of them are on their way at one moment.
    pub concurrency: u32,
}

/// A node that is up.
#[derive(Debug)]
pub struct Up {
    /// Its number.
    pub number: u32,
    /// Its heartbeat.
    pub subscription: Subscription,
    agent: Agent,
    identity: Identity,
}

/// What became of a storm: the nodes that are up, and those that are not.
#[derive(Debug)]
pub struct Fleet {
    /// By the thread that they live on.
    up: Vec<Vec<Up>>,
    /// How many subscriptions were lost with their journal, and opened again at another.
    pub subscribed_again: u64,
    /// From power-on to the boot configuration of each node that came up, in microseconds.
    pub latency_us: Histogram<u64>,
    /// How many nodes failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// What one of them said.
    pub example: Option<Failure>,
}

impl Fleet {
    fn new(threads: usize) -> Self {
        let latency_us = Histogram::new(3).expect("three digits are a precision that it knows");
        let up = std::iter::repeat_with(Vec::new).take(threads).collect();
        Self { up, subscribed_again: 0, latency_us, failures: BTreeMap::new(), example: None }
    }

    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// How many subscriptions are held open.
    pub fn subscriptions(&self) -> u64 {
        self.up.iter().map(|thread| thread.len() as u64).sum()
    }

    fn add(&mut self, thread: usize, booted: Result<Booted, Failure>) {
        match booted {
            Ok(Booted { up, within }) => {
                record(&mut self.latency_us, within);
                self.up[thread].push(up);
            }
            Err(failure) => self.blame(failure),
        }
    }

    fn blame(&mut self, failure: Failure) {
        *self.failures.entry(failure.reason_text().to_owned()).or_default() += 1;
        self.example.get_or_insert(failure);
    }

    /// Boots machines. Each that is up or has failed is counted.
    pub async fn boot(clients: &Clients, boot: &Boot, counted: &Counter) -> Self {
        let next = Arc::new(AtomicU32::new(boot.machines.start));
        let lanes_wanted = boot.concurrency.min(boot.machines.len().try_into().unwrap_or(u32::MAX)) as usize;
        let mut lanes = JoinSet::new();
        for (thread, runtime) in clients.runtimes().enumerate().cycle().take(lanes_wanted) {
            let lane = lane(boot.clone(), Arc::clone(&next), counted.clone());
            lanes.spawn_on(async move { (thread, lane.await) }, runtime);
        }
        let mut fleet = Self::new(clients.count());
        while let Some(lane) = lanes.join_next().await {
            match lane {
                Ok((thread, booted)) => booted.into_iter().for_each(|booted| fleet.add(thread, booted)),
                Err(error) => fleet.blame(Failure::other(format!("it broke off: {error}"))),
            }
        }
        fleet
    }

    /// Nodes whose journal was killed meanwhile subscribe again, as an agent does at once. One that cannot has failed.
    pub async fn subscribe_again(&mut self, clients: &Clients, at_once: u32) {
        let each = (at_once as usize).div_ceil(clients.count());
        let mut threads = JoinSet::new();
        for ((thread, runtime), up) in clients.runtimes().enumerate().zip(&mut self.up) {
            let attended = attend(std::mem::take(up), each);
            threads.spawn_on(async move { (thread, attended.await) }, runtime);
        }
        while let Some(attended) = threads.join_next().await {
            match attended {
                Ok((thread, (up, again, failures))) => {
                    self.up[thread] = up;
                    self.subscribed_again += again;
                    failures.into_iter().for_each(|failure| self.blame(failure));
                }
                Err(error) => self.blame(Failure::other(format!("it broke off: {error}"))),
            }
        }
    }

    /// Says all goodbyes, so many at one moment. A node whose stream was lost meanwhile says it over another.
    pub async fn leave(&mut self, clients: &Clients, concurrency: u32, counted: &Counter) {
        let each = (concurrency as usize).div_ceil(clients.count());
        let mut threads = JoinSet::new();
        for (runtime, up) in clients.runtimes().zip(&mut self.up) {
            threads.spawn_on(leave(std::mem::take(up), each, counted.clone()), runtime);
        }
        while let Some(left) = threads.join_next().await {
            match left {
                Ok(failures) => failures.into_iter().for_each(|failure| self.blame(failure)),
                Err(error) => self.blame(Failure::other(format!("it broke off: {error}"))),
            }
        }
    }

    /// The nodes that are up, by the thread that they live on, in the hands of the caller.
    pub fn into_up(self) -> Vec<Vec<Up>> {
        self.up
    }
}

/// A node that came up.
struct Booted {
    up: Up,
    within: Duration,
}

/// Boots one machine after another, until there is none left.
async fn lane(boot: Boot, next: Arc<AtomicU32>, counted: Counter) -> Vec<Result<Booted, Failure>> {
    let mut booted = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= boot.machines.end {
            return booted;
        }
        booted.push(power_on(&boot.journals, number).await);
        counted.add(1);
    }
}

async fn power_on(journals: &[Journals], number: u32) -> Result<Booted, Failure> {
    let began = Instant::now();
    let journals = journals[number as usize % journals.len()].clone();
    let agent = Agent::new(journals, Machine::just_booted(hardware(number)));
    let (Enrolled { identity, .. }, subscription) = agent.come_up(Patience::of(NODE_PATIENCE)).await?;
    let within = began.elapsed();
    Ok(Booted { up: Up { number, subscription, agent, identity }, within })
}

/// The nodes that are still up, how many of them by another subscription, and why the others are not.
async fn attend(all: Vec<Up>, at_once: usize) -> (Vec<Up>, u64, Vec<Failure>) {
    let (mut kept, mut lost) = (Vec::with_capacity(all.len()), Vec::new());
    for mut up in all {
        if up.is_lost() { lost.push(up) } else { kept.push(up) }
    }
    let (mut again, mut failures) = (0, Vec::new());
    let mut found = stream::iter(lost.into_iter().map(Up::subscribe_again)).buffer_unordered(at_once);
    while let Some(found) = found.next().await {
        match found {
            Ok(up) => {
                again += 1;
                kept.push(up);
            }
            Err(failure) => failures.push(failure),
        }
    }
    (kept, again, failures)
}

async fn leave(up: Vec<Up>, at_once: usize, counted: Counter) -> Vec<Failure> {
    let mut goodbyes = stream::iter(up.into_iter().map(Up::leave)).buffer_unordered(at_once);
    let mut failures = Vec::new();
    while let Some(goodbye) = goodbyes.next().await {
        counted.add(1);
        failures.extend(goodbye.err());
    }
    failures
}

impl Up {
    /// Whether its stream is over. What a journal said meanwhile is of no account here.
    fn is_lost(&mut self) -> bool {
        loop {
            match self.subscription.next().now_or_never() {
                None => return false,
                Some(Ok(_)) => {}
                Some(Err(_)) => return true,
            }
        }
    }

    async fn subscribe_again(self) -> Result<Self, Failure> {
        let subscription = self.agent.subscribe_again(&self.identity, Patience::of(NODE_PATIENCE)).await?;
        Ok(Self { subscription, ..self })
    }

    async fn leave(self) -> Result<(), Failure> {
        let Self { subscription, agent, identity, .. } = self;
        match subscription.goodbye(GOODBYE_WITHIN).await {
            Err(Failure::Unreachable(_)) => {
                let again = agent.subscribe_again(&identity, Patience::of(GOODBYE_WITHIN)).await?;
                again.goodbye(GOODBYE_WITHIN).await
            }
            told => told,
        }
    }
}

/// Counts a latency. The histogram grows as it has to, but for times beyond any patience.
fn record(latency_us: &mut Histogram<u64>, within: Duration) {
    let micros = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
    if latency_us.record(micros).is_err() {
        tracing::warn!(micros, "a latency is beyond what can be counted");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_machine_has_hardware_and_a_name_of_its_own() {
        let numbers = [0, 1, 255, 256, 14_999, u32::MAX];
        let macs: BTreeSet<_> = numbers.iter().flat_map(|number| hardware(*number).macs).collect();
        let names: BTreeSet<_> = numbers.iter().map(|number| node_id(*number)).collect();
        assert_eq!((macs.len(), names.len()), (numbers.len(), numbers.len()));
        assert_eq!(hardware(42).bmc_serial.unwrap().as_str(), "SN-000042");
        assert_eq!(hardware(258).macs.first().unwrap().to_string(), "02:00:00:00:01:02");
    }

    #[test]
    fn latencies_of_any_size_are_counted() {
        let mut fleet = Fleet::new(1);
        for millis in [1, 20, 300, 119_000] {
            record(&mut fleet.latency_us, Duration::from_millis(millis));
        }
        assert_eq!(fleet.latency_us.len(), 4);
        let longest = fleet.latency_us.value_at_quantile(1.0);
        assert!((119_000_000..119_200_000).contains(&longest), "{longest}");
    }

    #[test]
    fn failures_are_counted_by_reason_and_the_first_is_kept() {
        let mut fleet = Fleet::new(1);
        for failure in
            [Failure::Unreachable("a".into()), Failure::Unreachable("b".into()), Failure::other("c")]
        {
            fleet.add(0, Err(failure));
        }
        assert_eq!(fleet.failed(), 3);
        assert_eq!(fleet.failures, BTreeMap::from([("UNREACHABLE".to_owned(), 2), ("FAILED".to_owned(), 1)]));
        assert_eq!(fleet.example, Some(Failure::Unreachable("a".to_owned())));
    }
}
