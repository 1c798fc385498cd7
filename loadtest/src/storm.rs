//! A storm from its beginning to its end: a journal of our own, registration, all boots at once, the log's check.
//!
//! `main` calls [`run`], and may drop it at any moment: the journal is killed, its directory removed.
//!
//! **Invariant:** what counts is measured between the first connection of an agent and the last open subscription.

use std::{io, time::Duration};

use agent::journals::Journals;
use hdrhistogram::Histogram;
use proto::outcome::Failure;
use tokio::time::Instant;

use crate::{
    arguments::StormArguments,
    fleet::Fleet,
    journal_process::JournalProcess,
    log_check, measure, open_files,
    progress::{Progress, say},
    registration,
    summary::{LatencyMs, Summary},
};

/// One process holds all agents, and a process is commonly limited to 20,000 open files.
const MAX_NODES: u32 = 15_000;

/// Runs a storm on a journal of its own.
///
/// # Errors
/// If it could not be run or measured, or its log is not sound. Nodes that failed are no error: the summary counts them.
pub async fn run(arguments: &StormArguments) -> Result<Summary, Failure> {
    if !(1..=MAX_NODES).contains(&arguments.nodes) {
        let told =
            format!("--nodes is {}; one machine can boot 1 to {MAX_NODES} nodes at once", arguments.nodes);
        return Err(Failure::Usage(told));
    }
    open_files::raise(arguments.nodes, arguments.concurrency)?;
    let place = tempfile::Builder::new()
        .prefix("pact-storm-")
        .tempdir()
        .map_err(|error| Failure::other(format!("there is no temporary directory: {error}")))?;
    // Declared after the directory, so that it is gone before the directory is.
    let mut journal = JournalProcess::start(place.path()).await?;
    let stormed = storm(arguments, &mut journal).await;
    if stormed.as_ref().is_ok_and(|summary| summary.failed == 0) {
        return stormed;
    }
    journal.show_last_lines();
    stormed
}

async fn storm(arguments: &StormArguments, journal: &mut JournalProcess) -> Result<Summary, Failure> {
    register(arguments, journal).await?;
    let journals = Journals::new(journal.trust()?, vec![journal.agents.clone()])?;
    let StormArguments { nodes, concurrency, .. } = *arguments;

    let before = Usage::now(journal)?;
    let progress = Progress::begin("booting", nodes);
    let mut fleet = Fleet::boot(journals, nodes, concurrency, progress.counter()).await;
    drop(progress);
    let after = Usage::now(journal);
    let memory = measure::resident_bytes(journal.pid());
    tell_example(&fleet);

    let progress = Progress::begin("leaving", nodes);
    fleet.leave(concurrency, &progress.counter()).await;
    drop(progress);
    journal.stop().await?;
    log_check::verify(journal.data_dir()).await?;

    let used = after?.since(&before);
    Ok(summary(nodes, &fleet, &used, memory.map_err(unmeasured)?))
}

async fn register(arguments: &StormArguments, journal: &JournalProcess) -> Result<(), Failure> {
    let began = Instant::now();
    let progress = Progress::begin("registering", arguments.nodes);
    let (trust, operator) = (journal.trust()?, journal.operator()?);
    let done = progress.counter();
    registration::register(&journal.operators, &trust, &operator, arguments.nodes, &done).await?;
    drop(progress);
    say(&format!("registered {} nodes in {:.1} s", arguments.nodes, began.elapsed().as_secs_f64()));
    Ok(())
}

fn tell_example(fleet: &Fleet) {
    if let Some(failure) = &fleet.example {
        say(&format!("one of {} that failed: {}: {failure}", fleet.failed(), failure.reason_text()));
    }
}

/// What was used up to a moment, or between two.
struct Usage {
    at: Instant,
    journal: Duration,
    clients: Duration,
}

/// What was used between two moments.
struct Used {
    time: Duration,
    journal: Duration,
    clients: Duration,
}

impl Usage {
    fn now(journal: &JournalProcess) -> Result<Self, Failure> {
        let at = Instant::now();
        let clients = measure::cpu_time(None).map_err(unmeasured)?;
        Ok(Self { at, journal: measure::cpu_time(Some(journal.pid())).map_err(unmeasured)?, clients })
    }

    fn since(&self, before: &Self) -> Used {
        Used {
            time: self.at.duration_since(before.at),
            journal: self.journal.saturating_sub(before.journal),
            clients: self.clients.saturating_sub(before.clients),
        }
    }
}

fn unmeasured(error: io::Error) -> Failure {
    Failure::other(format!("what the processes used cannot be measured: {error}"))
}

fn summary(nodes: u32, fleet: &Fleet, used: &Used, memory: u64) -> Summary {
    let failed = fleet.failed().min(u64::from(nodes));
    let succeeded = u64::from(nodes) - failed;
    let seconds = used.time.as_secs_f64();
    // Without any success the whole is told, not a division by zero.
    let each = |used: Duration| rounded(used.as_secs_f64() * 1e6 / succeeded.max(1) as f64);
    Summary {
        nodes,
        succeeded,
        failed,
        failures: fleet.failures.clone(),
        seconds: rounded(seconds),
        nodes_per_second: rounded(succeeded as f64 / seconds.max(f64::MIN_POSITIVE)),
        latency_ms: latency(&fleet.latency_us),
        journal_cpu_us_per_node: each(used.journal),
        client_cpu_us_per_node: each(used.clients),
        journal_rss_bytes: vec![memory],
        log_verified: true,
    }
}

fn latency(micros: &Histogram<u64>) -> LatencyMs {
    let at = |quantile: f64| rounded(micros.value_at_quantile(quantile) as f64 / 1e3);
    LatencyMs { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
}

/// To three digits behind the point: nothing here is measured more finely.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_nodes_than_a_process_can_hold_are_refused() {
        use crate::arguments::Output;
        for nodes in [0, MAX_NODES + 1] {
            let arguments = StormArguments { nodes, concurrency: 1, journals: 1, output: Output::Text };
            let failure = run(&arguments).await.unwrap_err();
            assert_eq!(failure.exit() as u8, 2);
            assert!(failure.to_string().contains("1 to 15000 nodes"), "{failure}");
        }
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
}
