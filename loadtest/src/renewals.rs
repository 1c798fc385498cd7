//! Whole lives of agents whose certificates are short: each renews again and again, and goes on without a gap (R15, R20).
//!
//! `main` calls [`run()`], and may drop it at any moment: the journals are killed, their directory removed. Each node is the
//! agent's own life, [`agent::run::until`]: a renewal is a new key, a call on the old connection, a second connection, and a
//! stream on it before the old one closes.
//!
//! Not here, on purpose: renewals that are made to come at one moment. The journal spreads them (R20), and what is asked
//! for is that nobody notices them.
//!
//! **Invariant:** a node that lost its stream, went by what it had, or enrolled again was not renewed without a gap,
//! however soon it was back.

mod renewed;

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use agent::{
    journals::Journals,
    machine::Machine,
    report::{Change, Report},
    run::{self, Agent},
};
use proto::outcome::Failure;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time,
};

use crate::{
    arguments::RenewArguments,
    clients::Clients,
    fleet, measure, open_files,
    progress::{Counter, Progress, say},
    target::Target,
};

pub use self::renewed::Renewed;

/// Nodes that boot at one moment; their boots count for nothing.
const CONCURRENCY: u32 = 200;
/// One of so many has two connections at a moment: the old one drains for 2 s, and the journal spreads the renewals over
/// a fifth of the time until they are due.
const CHANGE_OVER: u32 = 2;
/// All of them are up within this, or those that are not have failed: some thousands a second boot in a storm.
const UP_WITHIN: Duration = Duration::from_secs(300);
/// All goodbyes are facts, written one batch after another; an agent gives up its own after some seconds.
const LEFT_WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked whether they are up.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What happened to one node.
#[derive(Debug, Default)]
struct Lived {
    /// Held until it is up: so many boot at one moment.
    boots: Option<OwnedSemaphorePermit>,
    is_up: bool,
    renewals: u64,
    enrolled: u64,
    degraded: u64,
    /// Why its streams were lost.
    lost: Vec<String>,
}

/// One node, as its agent tells of it and as it is read.
type Node = Arc<Mutex<Lived>>;

/// Runs it.
///
/// # Errors
/// If it could not be run, or a log is not sound. Nodes that failed are no error: the result counts them.
pub async fn run(arguments: &RenewArguments) -> Result<Renewed, Failure> {
    open_files::raise(arguments.nodes, arguments.nodes / CHANGE_OVER)?;
    let clients = Clients::start()?;
    let ttl = arguments.certificate_ttl_secs.to_string();
    let target = Target::own_with(arguments.journals, &["--certificate-ttl-secs", &ttl]).await?;
    target.bear(Box::pin(renew_all(arguments, &clients, &target)), Renewed::is_sound).await
}

async fn renew_all(
    arguments: &RenewArguments,
    clients: &Clients,
    target: &Target,
) -> Result<Renewed, Failure> {
    let nodes = arguments.nodes;
    target.operator().await?.prepare(nodes).await?;
    let (stop, stopped) = watch::channel(false);
    let progress = Progress::begin("booting", u64::from(nodes));
    let renewals = Counter::default();
    let lives = Lives::begin(clients, &target.journals(nodes.saturating_mul(2))?, nodes, &renewals, &stopped);
    lives.are_up(progress.counter()).await;
    drop(progress);
    let watched = target.watched().await?;
    let before = measure::Reading::first(&watched).await?;
    let up = lives.count(|lived| lived.is_up);
    lives.begin_to_count();
    say(&format!("{up} nodes are up; their certificates live {} s", arguments.certificate_ttl_secs));
    watch_them(arguments.seconds, &renewals).await;
    let used = measure::Reading::second(&watched).await?.since(&before);
    let told = lives.told();
    // From here on a stream that ends is no loss.
    let goodbye = Progress::begin("leaving", up);
    stop.send(true).ok();
    let failures = lives.leave(goodbye.counter()).await;
    drop(goodbye);
    let verified = target.verify().await?;
    Ok(renewed::Measured { arguments, up, told, failures, used, killed: target.killed(), verified }.told())
}

/// Waits, and says each time a second has gone how many renewals there were.
async fn watch_them(seconds: u64, renewals: &Counter) {
    let progress = Progress::begin("living", seconds);
    for second in 1..=seconds {
        time::sleep(Duration::from_secs(1)).await;
        progress.counter().add(1);
        if second % 10 == 0 {
            tracing::info!(seconds = second, renewals = renewals.count(), "they live");
        }
    }
}

/// All nodes.
struct Lives {
    nodes: Vec<Node>,
    running: JoinSet<Result<(), Failure>>,
}

impl Lives {
    fn begin(
        clients: &Clients,
        journals: &[Journals],
        nodes: u32,
        renewals: &Counter,
        stopped: &watch::Receiver<bool>,
    ) -> Self {
        let boots = Arc::new(Semaphore::new(CONCURRENCY as usize));
        let (mut all, mut running) = (Vec::with_capacity(nodes as usize), JoinSet::new());
        for (number, runtime) in (0..nodes).zip(clients.runtimes().cycle()) {
            let node = Node::default();
            let agent = Agent::new(
                journals[number as usize % journals.len()].clone(),
                Machine::just_booted(fleet::hardware(number)),
            );
            let life = live(agent, Arc::clone(&node), Arc::clone(&boots), renewals.clone(), stopped.clone());
            running.spawn_on(life, runtime);
            all.push(node);
        }
        Self { nodes: all, running }
    }

    /// Waits until each is up or has failed, or the time for that is over.
    async fn are_up(&self, counted: &Counter) {
        let all_up = async {
            loop {
                let up = self.count(|lived| lived.is_up);
                counted.add(up.saturating_sub(counted.count()));
                if up == self.nodes.len() as u64 {
                    return;
                }
                time::sleep(LOOK_EVERY).await;
            }
        };
        // Those that are not are counted.
        time::timeout(UP_WITHIN, all_up).await.ok();
    }

    fn count(&self, is: impl Fn(&Lived) -> bool) -> u64 {
        self.nodes.iter().filter(|node| is(&look(node))).count() as u64
    }

    /// What was before does not count: a node that boots may ask more than once.
    fn begin_to_count(&self) {
        for node in &self.nodes {
            let mut lived = look(node);
            *lived = Lived { is_up: lived.is_up, boots: lived.boots.take(), ..Lived::default() };
        }
    }

    fn told(&self) -> renewed::Told {
        let mut told = renewed::Told::default();
        for node in &self.nodes {
            let mut lived = look(node);
            told.renewals += lived.renewals;
            told.enrolled_again += lived.enrolled;
            told.degraded += lived.degraded;
            told.without_renewal += u64::from(lived.is_up && lived.renewals == 0);
            for why in mem::take(&mut lived.lost) {
                *told.lost.entry(why).or_default() += 1;
            }
        }
        told
    }

    /// Waits for the goodbyes. Answers why nodes failed.
    async fn leave(mut self, counted: &Counter) -> BTreeMap<String, u64> {
        let mut failures = BTreeMap::new();
        let mut blame = |why: String| *failures.entry(why).or_default() += 1;
        let all = async {
            while let Some(ended) = self.running.join_next().await {
                counted.add(1);
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(failure)) => blame(failure.reason_text().to_owned()),
                    Err(_) => blame("BROKE_OFF".to_owned()),
                }
            }
        };
        if time::timeout(LEFT_WITHIN, all).await.is_err() {
            let left = self.running.len();
            (0..left).for_each(|_| blame("NEVER_LEFT".to_owned()));
        }
        failures
    }
}

async fn live(
    agent: Agent,
    node: Node,
    boots: Arc<Semaphore>,
    renewals: Counter,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    // It is never closed.
    look(&node).boots = boots.acquire_owned().await.ok();
    let report = Report::to(move |change| note(&mut look(&node), change, &renewals));
    let stop = async move {
        // Whoever would say so is gone: then it is over, too.
        stopped.wait_for(|stopped| *stopped).await.ok();
    };
    run::until(stop, &agent, &report).await
}

fn note(lived: &mut Lived, change: &Change, renewals: &Counter) {
    match change {
        Change::Enrolled(_) => lived.enrolled += 1,
        Change::Renewed(_) => {
            lived.renewals += 1;
            renewals.add(1);
        }
        Change::Configured { .. } => {
            lived.is_up = true;
            lived.boots = None;
        }
        Change::Degraded { .. } => lived.degraded += 1,
        Change::Lost { reason, .. } => lived.lost.push(reason.clone()),
        Change::Subscribed { .. }
        | Change::Identity { .. }
        | Change::ServiceStarted { .. }
        | Change::ServiceExited { .. }
        | Change::Stopped { .. } => {}
    }
}

fn look(node: &Node) -> std::sync::MutexGuard<'_, Lived> {
    // Numbers are as good after a panic as before.
    node.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
