//! The made-up machines of a storm, and their boot: each goes through the agent's own steps.
//!
//! [`crate::storm`] boots them all, measures while all are up, and lets them go.
//!
//! Not here, on purpose: keys made ahead. A real agent makes its key when it boots.
//!
//! **Invariant:** every machine has hardware of its own, and every node that is up holds an open subscription.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use agent::{journals::Journals, machine::Machine, retry::Patience, run::Agent, subscription::Subscription};
use events::vocabulary::{HardwareIdentity, Mac};
use futures_util::{StreamExt, stream};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use proto::outcome::Failure;
use tokio::{task::JoinSet, time::Instant};

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

/// What became of a storm: the nodes that are up, and those that are not.
#[derive(Debug)]
pub struct Fleet {
    up: Vec<Subscription>,
    /// From power-on to the open subscription of each node that came up, in microseconds.
    pub latency_us: Histogram<u64>,
    /// How many nodes failed, by reason.
    pub failures: BTreeMap<String, u64>,
    /// What one of them said.
    pub example: Option<Failure>,
}

impl Fleet {
    fn new() -> Self {
        let latency_us = Histogram::new(3).expect("three digits are a precision that it knows");
        Self { up: Vec::new(), latency_us, failures: BTreeMap::new(), example: None }
    }

    /// How many failed.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    fn add(&mut self, booted: Result<Booted, Failure>) {
        match booted {
            Ok(Booted { subscription, within }) => {
                record(&mut self.latency_us, within);
                self.up.push(subscription);
            }
            Err(failure) => self.blame(failure),
        }
    }

    fn blame(&mut self, failure: Failure) {
        *self.failures.entry(failure.reason_text().to_owned()).or_default() += 1;
        self.example.get_or_insert(failure);
    }

    /// Boots so many machines, of which so many are on their way at one moment.
    pub async fn boot(journals: Journals, nodes: u32, concurrency: u32, up: ProgressBar) -> Self {
        let next = Arc::new(AtomicU32::new(0));
        let mut lanes = JoinSet::new();
        for _ in 0..concurrency.min(nodes) {
            lanes.spawn(lane(journals.clone(), Arc::clone(&next), nodes, up.clone()));
        }
        let mut fleet = Self::new();
        while let Some(lane) = lanes.join_next().await {
            let booted =
                lane.unwrap_or_else(|error| vec![Err(Failure::other(format!("it broke off: {error}")))]);
            booted.into_iter().for_each(|booted| fleet.add(booted));
        }
        fleet
    }

    /// Says all goodbyes, so many at one moment. A node whose stream was lost meanwhile has failed.
    pub async fn leave(&mut self, concurrency: u32, left: &ProgressBar) {
        let goodbyes = std::mem::take(&mut self.up).into_iter().map(|up| up.goodbye(GOODBYE_WITHIN));
        let mut goodbyes = stream::iter(goodbyes).buffer_unordered(concurrency as usize);
        while let Some(goodbye) = goodbyes.next().await {
            left.inc(1);
            if let Err(failure) = goodbye {
                self.blame(failure);
            }
        }
    }
}

/// A node that came up.
struct Booted {
    subscription: Subscription,
    within: Duration,
}

/// Boots one machine after another, until there is none left.
async fn lane(
    journals: Journals,
    next: Arc<AtomicU32>,
    nodes: u32,
    up: ProgressBar,
) -> Vec<Result<Booted, Failure>> {
    let mut booted = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= nodes {
            return booted;
        }
        booted.push(boot(&journals, number).await);
        up.inc(1);
    }
}

async fn boot(journals: &Journals, number: u32) -> Result<Booted, Failure> {
    let power_on = Instant::now();
    let agent = Agent { journals: journals.clone(), machine: Machine::just_booted(hardware(number)) };
    let (_, subscription) = agent.come_up(Patience::of(NODE_PATIENCE)).await?;
    Ok(Booted { subscription, within: power_on.elapsed() })
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
        let mut fleet = Fleet::new();
        for millis in [1, 20, 300, 119_000] {
            record(&mut fleet.latency_us, Duration::from_millis(millis));
        }
        assert_eq!(fleet.latency_us.len(), 4);
        let longest = fleet.latency_us.value_at_quantile(1.0);
        assert!((119_000_000..119_200_000).contains(&longest), "{longest}");
    }

    #[test]
    fn failures_are_counted_by_reason_and_the_first_is_kept() {
        let mut fleet = Fleet::new();
        for failure in
            [Failure::Unreachable("a".into()), Failure::Unreachable("b".into()), Failure::other("c")]
        {
            fleet.add(Err(failure));
        }
        assert_eq!(fleet.failed(), 3);
        assert_eq!(fleet.failures, BTreeMap::from([("UNREACHABLE".to_owned(), 2), ("FAILED".to_owned(), 1)]));
        assert_eq!(fleet.example, Some(Failure::Unreachable("a".to_owned())));
    }
}
