//! Revocations one after another, on a quorum: how soon the stream of each node is cut, at whichever journal it is (R17).
//!
//! `main` calls [`run`], and may drop it at any moment: the journals are killed, their directory removed.
//!
//! Not here, on purpose: an order at the journal that holds the stream alone. The orders go round, so that most cuts happen
//! at a journal that learned of the revocation from the log.
//!
//! **Invariant:** a stream that is not cut counts as a failure, never as a short time; and one that was cut before its
//! revocation was answered counts as 0, which is what the operator saw.

mod revoked;

use std::{collections::BTreeMap, time::Duration};

use proto::{
    outcome::Failure,
    pb::{RevokeNodeRequest, node_service_client::NodeServiceClient},
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, Instant, MissedTickBehavior},
};

use crate::{
    arguments::RevokeArguments,
    clients::Clients,
    fleet::{self, Boot, Fleet, Up},
    open_files,
    preparation::Operator,
    progress::{Counter, Progress, say},
    target::Target,
};

pub use self::revoked::{AtJournal, Revoked};

/// Nodes that boot at one moment; their boots count for nothing.
const CONCURRENCY: u32 = 200;
/// An order that is not answered by then has failed.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// A stream that is not cut so long after the last answer is left connected: far beyond what is asked for.
const CUT_WITHIN: Duration = Duration::from_secs(5);

/// The end of a node's stream.
struct Cut {
    number: u32,
    at: Instant,
}

/// Runs it.
///
/// # Errors
/// If it could not be run, or a log is not sound. Nodes that failed or are left connected are no error: the result counts
/// them.
pub async fn run(arguments: &RevokeArguments) -> Result<Revoked, Failure> {
    open_files::raise(arguments.nodes, CONCURRENCY)?;
    let clients = Clients::start()?;
    let target = Target::own(arguments.journals).await?;
    target.bear(Box::pin(revoke_all(arguments, &clients, &target)), Revoked::is_sound).await
}

async fn revoke_all(
    arguments: &RevokeArguments,
    clients: &Clients,
    target: &Target,
) -> Result<Revoked, Failure> {
    let nodes = arguments.nodes;
    target.operator().await?.prepare(nodes).await?;
    let progress = Progress::begin("booting", u64::from(nodes));
    let boot = Boot { journals: target.journals(nodes)?, machines: 0..nodes, concurrency: CONCURRENCY };
    let fleet = Fleet::boot(clients, &boot, progress.counter()).await;
    drop(progress);
    let (mut failures, example) = (fleet.failures.clone(), fleet.example.clone());
    say(&format!("{} nodes are up", fleet.subscriptions()));
    let began = Instant::now();
    let progress = Progress::begin("revoking", fleet.subscriptions());
    let (streams, mut cuts) = watch(clients, fleet, progress.counter());
    let answered = order(arguments, target, streams.keys().copied().collect(), &mut failures).await?;
    let seconds = began.elapsed().as_secs_f64();
    let mut cut = BTreeMap::new();
    let until = Instant::now() + CUT_WITHIN;
    while cut.len() < streams.len() {
        let Ok(Some(Cut { number, at })) = time::timeout_at(until, cuts.recv()).await else { break };
        cut.insert(number, at);
    }
    drop(progress);
    if let Some(failure) = example {
        say(&format!("one that failed: {}: {failure}", failure.reason_text()));
    }
    let verified = target.verify().await?;
    let names = target.agents.iter().map(ToString::to_string).collect();
    let measured = revoked::Measured { nodes, streams, answered, cut, failures, seconds };
    Ok(measured.told(names, target.killed(), verified))
}

/// At which journal each node's stream is, and when it ends.
fn watch(
    clients: &Clients,
    fleet: Fleet,
    counted: &Counter,
) -> (BTreeMap<u32, String>, mpsc::UnboundedReceiver<Cut>) {
    let (ended, cuts) = mpsc::unbounded_channel();
    let mut streams = BTreeMap::new();
    for (runtime, up) in clients.runtimes().zip(fleet.into_up()) {
        for mut up in up {
            streams.insert(up.number, journal_of(&up));
            let (ended, counted) = (ended.clone(), counted.clone());
            runtime.spawn(async move {
                while up.subscription.next().await.is_ok() {}
                counted.add(1);
                // Nobody listens any more when it is too late to count.
                ended.send(Cut { number: up.number, at: Instant::now() }).ok();
            });
        }
    }
    (streams, cuts)
}

fn journal_of(up: &Up) -> String {
    // Shown without the address of loopback that it is reached from.
    up.subscription.connection().address().to_string()
}

/// Orders the revocations at the rate, and answers when each was answered.
async fn order(
    arguments: &RevokeArguments,
    target: &Target,
    numbers: Vec<u32>,
    failures: &mut BTreeMap<String, u64>,
) -> Result<BTreeMap<u32, Instant>, Failure> {
    let mut operators = Vec::new();
    for listener in &target.operators {
        operators.push(target.operator_at(listener).await?);
    }
    let mut orders = JoinSet::new();
    let mut next = time::interval(Duration::from_secs(1) / arguments.rate);
    next.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for (number, operator) in numbers.into_iter().zip(operators.iter().cycle()) {
        next.tick().await;
        let operator = operator.clone();
        orders.spawn(async move { (number, revoke(&operator, number).await) });
    }
    let mut answered = BTreeMap::new();
    while let Some(order) = orders.join_next().await {
        match order {
            Ok((number, Ok(at))) => _ = answered.insert(number, at),
            Ok((_, Err(failure))) => *failures.entry(failure.reason_text().to_owned()).or_default() += 1,
            Err(error) => return Err(Failure::other(format!("an order broke off: {error}"))),
        }
    }
    Ok(answered)
}

async fn revoke(operator: &Operator, number: u32) -> Result<Instant, Failure> {
    let mut client = NodeServiceClient::new(operator.connection().channel());
    let request = RevokeNodeRequest { node_id: fleet::node_id(number), reason: "a measurement".to_owned() };
    let answer = time::timeout(ANSWERED_WITHIN, client.revoke_node(request)).await;
    let at = Instant::now();
    match answer {
        Ok(Ok(_)) => Ok(at),
        Ok(Err(status)) => Err(operator.connection().failure(&status)),
        Err(_) => Err(Failure::Deadline("a revocation was not answered".to_owned())),
    }
}
