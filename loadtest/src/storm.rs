//! A storm from its beginning to its end: a journal, preparation, all boots at once, the log's check.
//!
//! `main` calls [`run`], and may drop it at any moment: a journal of our own is killed, its directory removed.
//!
//! **Invariant:** what counts is measured between the first connection of an agent and the last boot configuration.

use std::{error::Error, ops::Range};

use hdrhistogram::Histogram;
use proto::outcome::Failure;
use tokio::{task, time::Instant};

use crate::{
    arguments::StormArguments,
    clients::Clients,
    fleet::{Boot, Fleet},
    floor::{Floor, Sampling},
    measure::{Reading, Used},
    open_files,
    progress::{Progress, say},
    summary::{LatencyMs, Overload, Showing, Summary},
    target::Target,
};

/// Runs a storm.
///
/// # Errors
/// If it could not be run or measured, or the log is not sound. Nodes that failed are no error: the summary counts them.
pub async fn run(arguments: &StormArguments) -> Result<Summary, Failure> {
    open_files::raise(arguments.nodes, most_at_once(arguments))?;
    let clients = Clients::start()?;
    let target = Target::of(arguments).await?;
    let storm = Storm { arguments, clients: &clients, target: &target };
    target.bear(Box::pin(storm.run()), |summary| summary.failed() == 0).await
}

fn most_at_once(arguments: &StormArguments) -> u32 {
    arguments.concurrency.saturating_mul(arguments.overload.unwrap_or(1)).min(arguments.nodes)
}

struct Storm<'a> {
    arguments: &'a StormArguments,
    clients: &'a Clients,
    target: &'a Target,
}

impl Storm<'_> {
    async fn run(self) -> Result<Summary, Failure> {
        let StormArguments { nodes, concurrency, warm, overload, .. } = *self.arguments;
        self.prepare().await?;
        if warm {
            self.boot_and_leave("first boots", 0..nodes, concurrency).await?;
        }
        let sampling = Sampling::begin().map_err(|error| not_measured(&error))?;
        let storm = self.boot_and_leave("booting", 0..nodes, concurrency).await?;
        let crypto_floor = floor(sampling).await?;
        let overload = match overload {
            Some(factor) => {
                let at_once = most_at_once(self.arguments);
                // Others than before: all of them boot for the first time, as those did.
                let loaded = self.boot_and_leave("overload", nodes..nodes.saturating_mul(2), at_once).await?;
                Some(compared(factor, at_once, loaded, &storm))
            }
            None => None,
        };
        let verified = self.target.verify().await?;

        let floor_us = crypto_floor.total_us();
        let ratio = |journal: f64| rounded(journal / floor_us.max(f64::MIN_POSITIVE));
        Ok(Summary {
            nodes,
            floor_ratio: storm.journal_cpu_us_per_node.map(ratio),
            storm,
            crypto_floor_us_per_node: rounded(floor_us),
            crypto_floor,
            overload,
            journals_killed: self.target.killed(),
            log_verified: verified.map(|_| true),
            log_facts: verified.map(|verified| verified.facts),
        })
    }

    /// What does not count: the overlay and the registration.
    async fn prepare(&self) -> Result<(), Failure> {
        let machines = match self.arguments.overload {
            Some(_) => self.arguments.nodes.saturating_mul(2),
            None => self.arguments.nodes,
        };
        let operator = self.target.operator().await?;
        if self.target.is_own() {
            operator.set_domain_default().await?;
        }
        let began = Instant::now();
        operator.register_all(machines).await?;
        say(&format!("registered {machines} nodes in {:.1} s", began.elapsed().as_secs_f64()));
        Ok(())
    }

    async fn boot_and_leave(
        &self,
        step: &'static str,
        machines: Range<u32>,
        concurrency: u32,
    ) -> Result<Showing, Failure> {
        let nodes = machines.end - machines.start;
        let boots = self.arguments.nodes.saturating_mul(1 + u32::from(self.arguments.warm));
        let boot = Boot { journals: self.target.journals(boots)?, machines, concurrency };

        let progress = Progress::begin(step, u64::from(nodes));
        let before = Reading::first(&self.target.watched().await?).await?;
        let mut fleet = Fleet::boot(self.clients, &boot, progress.counter()).await;
        let used = Reading::second(&self.target.watched().await?).await?.since(&before);
        drop(progress);
        fleet.subscribe_again(self.clients, concurrency).await;
        let (up, seconds) = (fleet.subscriptions(), used.time.as_secs_f64());
        say(&format!("{up} of {nodes} nodes are up after {seconds:.1} s"));
        tell_example(&fleet);

        let (began, progress) = (Instant::now(), Progress::begin("leaving", up));
        fleet.leave(self.clients, concurrency, progress.counter()).await;
        drop(progress);
        say(&format!("the nodes have left within {:.1} s", began.elapsed().as_secs_f64()));
        Ok(showing(nodes, up, &fleet, &used))
    }
}

fn tell_example(fleet: &Fleet) {
    if let Some(failure) = &fleet.example {
        say(&format!("one of {} that failed: {}: {failure}", fleet.failed(), failure.reason_text()));
    }
}

async fn floor(sampling: Sampling) -> Result<Floor, Failure> {
    // It may still have some rounds to do: not where signals are heard.
    let measured = task::spawn_blocking(|| sampling.end()).await.map_err(|error| not_measured(&error))?;
    measured.map_err(|error| match error.source() {
        Some(cause) => Failure::other(format!("{error}: {cause}")),
        None => Failure::other(error.to_string()),
    })
}

fn not_measured(error: &dyn Error) -> Failure {
    Failure::other(format!("the floor was not measured: {error}"))
}

fn showing(nodes: u32, up: u64, fleet: &Fleet, used: &Used) -> Showing {
    let failed = fleet.failed().min(u64::from(nodes));
    let succeeded = u64::from(nodes) - failed;
    let seconds = used.time.as_secs_f64();
    // Without any success the whole is told, not a division by zero.
    let each = |used: std::time::Duration| rounded(used.as_secs_f64() * 1e6 / succeeded.max(1) as f64);
    let journals = &used.journals;
    // All of them together, as far as they are on this machine.
    let all = |sum: std::time::Duration| (!journals.is_empty()).then_some(sum);
    let cpu = all(journals.iter().map(|journal| journal.cpu).sum());
    let log = journals.iter().filter_map(|journal| journal.log).reduce(|one, other| one.and(other));
    let grown = journals.iter().map(|journal| journal.grown_bytes).sum::<u64>();
    Showing {
        succeeded,
        failed,
        failures: fleet.failures.clone(),
        subscribed_again: fleet.subscribed_again,
        seconds: rounded(seconds),
        nodes_per_second: rounded(succeeded as f64 / seconds.max(f64::MIN_POSITIVE)),
        latency_ms: latency(&fleet.latency_us),
        journal_cpu_us_per_node: cpu.map(each),
        client_cpu_us_per_node: each(used.clients),
        raft_entries: log.map(|log| log.entries),
        appends_per_entry: log.map(|log| rounded(log.appends as f64 / log.entries.max(1) as f64)),
        fsyncs: log.map(|log| log.fsyncs),
        journal_rss_bytes: journals.iter().map(|journal| journal.resident_bytes).collect(),
        rss_per_subscription_bytes: (up > 0 && !journals.is_empty()).then(|| grown / up),
    }
}

/// Puts a storm with more concurrency beside one without (design §10).
fn compared(factor: u32, concurrency: u32, loaded: Showing, unloaded: &Showing) -> Overload {
    let served = |storm: &Showing| {
        let each = storm.journal_cpu_us_per_node.filter(|_| storm.succeeded > 0)?;
        Some(1e6 / each.max(f64::MIN_POSITIVE))
    };
    let (with, without) = (served(&loaded), served(unloaded));
    Overload {
        factor,
        concurrency,
        storm: loaded,
        nodes_per_journal_cpu_second: with.map(rounded),
        unloaded_nodes_per_journal_cpu_second: without.map(rounded),
        goodput_ratio: with.zip(without).map(|(with, without)| rounded(with / without)),
    }
}

/// Percentiles of microseconds, in milliseconds.
pub fn latency(micros: &Histogram<u64>) -> LatencyMs {
    let at = |quantile: f64| rounded(micros.value_at_quantile(quantile) as f64 / 1e3);
    LatencyMs { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
}

/// To three digits behind the point: nothing here is measured more finely.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::JournalUsed;

    fn used(journal: Option<JournalUsed>) -> Used {
        let journals = journal.into_iter().collect();
        Used { time: Duration::from_secs(2), clients: Duration::from_millis(4), journals }
    }

    fn journal(cpu_ms: u64) -> JournalUsed {
        JournalUsed {
            cpu: Duration::from_millis(cpu_ms),
            resident_bytes: 9000,
            grown_bytes: 800,
            log: Some(crate::journal_metrics::LogCounters { entries: 2, appends: 20, fsyncs: 3 }),
        }
    }

    async fn nobody() -> Fleet {
        let clients = Clients::start().unwrap();
        let boot = Boot { journals: [].into(), machines: 0..0, concurrency: 1 };
        Fleet::boot(&clients, &boot, &crate::progress::Counter::default()).await
    }

    #[test]
    fn percentiles_are_in_milliseconds() {
        let mut micros = Histogram::new(3).unwrap();
        for value in 1..=100u64 {
            micros.record(value * 1000).unwrap();
        }
        let LatencyMs { p50, p99, max, .. } = latency(&micros);
        assert!((p50 - 50.0).abs() < 1.0 && (p99 - 99.0).abs() < 1.0 && (max - 100.0).abs() < 1.0);
    }

    #[tokio::test]
    async fn what_was_used_is_divided_among_the_nodes_that_came_up() {
        let mut fleet = nobody().await;
        fleet.failures.insert("DEADLINE".to_owned(), 2);
        let showing = showing(6, 4, &fleet, &used(Some(journal(8))));
        assert_eq!((showing.succeeded, showing.failed), (4, 2));
        assert_eq!(showing.journal_cpu_us_per_node, Some(2000.0));
        assert_eq!((showing.appends_per_entry, showing.fsyncs), (Some(10.0), Some(3)));
        assert_eq!((showing.rss_per_subscription_bytes, showing.nodes_per_second), (Some(200), 2.0));
    }

    #[tokio::test]
    async fn an_overload_is_judged_by_what_a_second_of_the_journal_serves() {
        let fleet = nobody().await;
        let (quiet, loaded) =
            (showing(4, 4, &fleet, &used(Some(journal(8)))), showing(4, 4, &fleet, &used(Some(journal(10)))));
        let overload = compared(10, 4, loaded, &quiet);
        assert_eq!(overload.unloaded_nodes_per_journal_cpu_second, Some(500.0));
        assert_eq!((overload.nodes_per_journal_cpu_second, overload.goodput_ratio), (Some(400.0), Some(0.8)));
        let elsewhere = compared(10, 4, showing(4, 4, &fleet, &used(None)), &quiet);
        assert_eq!(elsewhere.goodput_ratio, None);
    }
}
