//! Faults of every kind on a quorum of real processes under load, drawn from a seed; and afterwards the question whether a promise
//! was broken.
//!
//! `main` calls [`run`], and may drop it at any moment: processes are killed, namespaces and disks removed.
//!
//! | module | does |
//! |---|---|
//! | [`schedule`], [`injection`] | which faults come when, from the seed; carries them out and lifts them |
//! | [`network`], [`member`], [`quorum`], [`watch`] | hosts, journals, who starts them again, what is seen from outside |
//! | [`machines`], [`orders`], [`probes`] | the load: nodes by the agent's code, operators, holders of what is over |
//! | [`history`], [`log_order`] | what clients were told, and the log as the order of all that happened |
//! | [`oracles`], [`report`] | what must hold, and what was found |
//!
//! Not here, on purpose: a power cut, which needs a machine that can be switched off (`loadtest/tests/faults`); and latencies,
//! since the faults decide those.
//!
//! **Invariant:** the seed decides the schedule alone. The load beside it is as fast as the machine, so that a run repeats the
//! faults and not every interleaving.

pub mod history;
pub mod injection;
pub mod log_order;
pub mod machines;
pub mod member;
pub mod network;
pub mod oracles;
pub mod orders;
pub mod probes;
pub mod quorum;
pub mod report;
pub mod schedule;
pub mod watch;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum;
use fastrand::Rng;
use proto::outcome::Failure;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{self, Instant},
};

use self::{
    history::History, log_order::LogOrder, machines::Machines, member::Member, network::Network,
    oracles::Evidence, orders::Orders, probes::Probes, quorum::Quorum, report::Report, schedule::Kind,
};
use crate::{arguments::ChaosArguments, journal_process::JournalProcess, log_check, progress::say, siblings};

/// As [`member::SETTINGS`] has it.
pub const STALE_AFTER: Duration = Duration::from_secs(10);
/// As [`member::SETTINGS`] has it.
pub const GRACE: Duration = Duration::from_secs(6);

/// Machines that live beside each other: as many as two cores bear besides the journals.
const LANES: u64 = 5;
/// Hosts for journals that join later.
const SPARE_HOSTS: usize = 3;
/// After the last fault all serve again within this: elections take seconds, a machine with other things to do longer.
const RECOVER_WITHIN: Duration = Duration::from_secs(90);
/// The load ends within this: every call of it has a deadline.
const LOAD_ENDS_WITHIN: Duration = Duration::from_secs(60);
/// A journal that is asked to ends within this.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The vCluster whose overlay is set when all faults are lifted.
const AFTERWARDS: &str = "afterwards";
const SECOND: Duration = Duration::from_secs(1);

/// Told once to all who hold a clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(AtomicBool, Notify)>);

impl Stop {
    /// Whether it was told.
    pub fn is_told(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    /// Tells it.
    pub fn tell(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify_waiters();
    }

    /// Resolves when it is told.
    pub async fn told(&self) {
        let notified = self.0.1.notified();
        if !self.is_told() {
            notified.await;
        }
    }
}

/// Runs it.
///
/// # Errors
/// If it could not be run. A broken promise is no error: the report has it.
pub async fn run(arguments: &ChaosArguments) -> Result<Report, Failure> {
    let seed = arguments.seed.unwrap_or_else(|| Rng::new().u64(0..1_000_000));
    let kinds = if arguments.faults.is_empty() { Kind::value_variants() } else { &arguments.faults };
    let schedule = schedule::draw(seed, Duration::from_secs(arguments.seconds), kinds);
    say(&format!("seed {seed}: {} faults in {} s", schedule.len(), arguments.seconds));
    let settable = schedule.iter().any(|planned| matches!(planned.fault, schedule::Fault::ClockJump { .. }));
    let hosts = hosts(arguments, settable)?;
    let members = hosts.members.clone();
    let history = Arc::new(History::default());
    let journals = usize::from(arguments.journals);
    let quorum =
        Quorum::form(members.clone(), Arc::clone(&hosts.network), journals, Arc::clone(&history)).await;
    let quorum = match quorum {
        Ok(quorum) => Arc::new(quorum),
        Err(failure) => {
            members.iter().for_each(|member| JournalProcess::show_last_lines_of(member.said()));
            return Err(failure);
        }
    };
    say(&format!("{journals} journals form a quorum; the load begins"));
    let load = Load::begin(&quorum, seed);
    let timeline = injection::run(&quorum, schedule, Instant::now()).await;
    say("all faults are lifted");
    let lifted = Instant::now();
    let mut unrecovered = serve_again(&quorum).await;
    let recovered_after = lifted.elapsed().as_secs_f64();
    // The load also meets a quorum that is whole again.
    time::sleep(SECOND).await;
    let probes = load.end(&mut unrecovered).await;
    let level = level(&quorum).await.unwrap_or_else(|seqs| {
        unrecovered.push(format!("not all know the same facts: {seqs:?}"));
        0
    });
    probes.all(&quorum).await;
    let left = Left { history: &history, probes: &probes, level, unrecovered };
    let evidence = stopped(&quorum, left, hosts.place.path()).await?;
    let verdicts = oracles::ask_all(&evidence);
    let report = Report {
        seed,
        journals: arguments.journals,
        seconds: arguments.seconds,
        recovered_after,
        timeline,
        calls: history.counts(),
        facts: evidence.order().last(),
        probes: probes.tried(),
        verdicts,
    };
    if !report.is_kept() {
        keep(&members, seed);
    }
    Ok(report)
}

/// What was said and recorded stays for whoever looks for the reason.
fn keep(members: &[Arc<Member>], seed: u64) {
    let kept = std::env::temp_dir().join(format!("pact-chaos-broken-{seed}-{}", std::process::id()));
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a");
    for member in members.iter().filter(|member| member.data_dir().exists()) {
        copy.arg(member.data_dir()).arg(member.said());
    }
    let done = std::fs::create_dir(&kept).and_then(|()| copy.arg(&kept).status());
    if !done.is_ok_and(|status| status.success()) {
        return say("logs and what the journals said could not be kept");
    }
    say(&format!("logs and what the journals said stay in {}", kept.display()));
}

/// Everything that a run stands on. Whoever else still knows a journal when this is dropped, it is over.
struct Hosts {
    members: Vec<Arc<Member>>,
    network: Arc<Network>,
    // Behind the journals: their disks lie in it.
    place: TempDir,
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.members.iter().for_each(|member| member.end());
        self.network.down();
    }
}

fn hosts(arguments: &ChaosArguments, settable: bool) -> Result<Hosts, Failure> {
    let binary = match &arguments.journal_program {
        Some(program) => program.clone(),
        None => siblings::find("pact-journal")?,
    };
    let binary: PathBuf =
        binary.canonicalize().map_err(|error| Failure::Usage(format!("{}: {error}", binary.display())))?;
    let place = tempfile::Builder::new().prefix("pact-chaos-").tempdir();
    let place = place.map_err(|error| Failure::other(format!("there is no temporary directory: {error}")))?;
    let hosts = usize::from(arguments.journals) + SPARE_HOSTS;
    let network = Arc::new(Network::up(hosts)?);
    // From the first mount on, all of it is unmounted if the next one fails.
    let mut made = Hosts { members: vec![], network, place };
    for host in 1..=hosts {
        let member = Member::on(host, made.place.path(), made.network.path(host), &binary, settable)?;
        made.members.push(Arc::new(member));
    }
    // From here on everything that is started is on the clients' host.
    made.network.enter()?;
    Ok(made)
}

/// All that goes on beside the faults.
struct Load {
    stop: Stop,
    probes: Arc<Probes>,
    load: JoinSet<()>,
    always: JoinSet<()>,
}

impl Load {
    fn begin(quorum: &Arc<Quorum>, seed: u64) -> Self {
        let (stop, probes, mut rng) = (Stop::default(), Arc::new(Probes::default()), Rng::with_seed(!seed));
        let (mut load, mut always) = (JoinSet::new(), JoinSet::new());
        let machines = Machines::new(Arc::clone(quorum), Arc::clone(&probes), stop.clone());
        load.spawn(machines.run(LANES, rng.u64(..)));
        load.spawn(orders::run(Arc::clone(quorum), Arc::clone(&probes), rng.fork(), stop.clone()));
        load.spawn(Arc::clone(&probes).run(Arc::clone(quorum), rng.fork(), stop.clone()));
        for (nth, member) in quorum.members.iter().enumerate() {
            let (watch, history) = (Arc::clone(&quorum.watch), Arc::clone(&quorum.history));
            always.spawn(watch.run(nth, Arc::clone(member), history));
        }
        let supervised = Arc::clone(quorum);
        always.spawn(async move { supervised.supervise().await });
        let shown = Arc::clone(quorum);
        always.spawn(async move { show(&shown).await });
        Self { stop, probes, load, always }
    }

    async fn end(mut self, unrecovered: &mut Vec<String>) -> Arc<Probes> {
        self.stop.tell();
        let over = async { while self.load.join_next().await.is_some() {} };
        if time::timeout(LOAD_ENDS_WITHIN, over).await.is_err() {
            unrecovered.push("calls are not answered long after all faults were lifted".to_owned());
        }
        // Whoever ends from now on is asked to.
        self.always.shutdown().await;
        Arc::clone(&self.probes)
    }
}

/// A line a second.
async fn show(quorum: &Quorum) {
    loop {
        time::sleep(SECOND).await;
        let counts = quorum.history.counts();
        let leader = quorum.watch.leader().map_or("nobody", |nth| quorum.members[nth].name.as_str());
        let at = quorum.history.now().as_secs();
        say(&format!(
            "{at:4} s: {} calls acknowledged, {} refused, {} of which nobody knows; {leader} leads",
            counts.done, counts.refused, counts.unknown
        ));
    }
}

/// Waits until all who are seated are ready, and each has an order recorded. Answers what is not so in time.
async fn serve_again(quorum: &Arc<Quorum>) -> Vec<String> {
    let deadline = Instant::now() + RECOVER_WITHIN;
    let (mut left, mut orders, mut tries) = (Vec::new(), Orders::new(quorum), 0_u64);
    while Instant::now() < deadline {
        left.clear();
        for nth in quorum.seated() {
            let member = &quorum.members[nth];
            tries += 1;
            let overlay = format!("whole again {tries}").into_bytes();
            if !watch::is_ready(member.http).await {
                left.push(format!("{} is not ready", member.name));
            } else if !orders.set_overlay(nth, AFTERWARDS, overlay).await {
                left.push(format!("{} has no order recorded", member.name));
            }
        }
        if left.is_empty() {
            return left;
        }
        time::sleep(LOOK_EVERY).await;
    }
    left
}

/// Waits until all know the same facts, now that nobody asks for more. Answers the last one; if they do not in time, that of
/// each.
async fn level(quorum: &Quorum) -> Result<u64, Vec<Option<u64>>> {
    let deadline = Instant::now() + RECOVER_WITHIN;
    let mut seqs = Vec::new();
    while Instant::now() < deadline {
        let before = std::mem::take(&mut seqs);
        for nth in quorum.seated() {
            seqs.push(watch::last_seq(quorum.members[nth].http).await);
        }
        // Twice, so that none of them is between two facts.
        if let Some(Some(level)) = seqs.first().copied()
            && seqs == before
            && seqs.iter().all(|seq| *seq == Some(level))
        {
            return Ok(level);
        }
        time::sleep(LOOK_EVERY * 3).await;
    }
    Err(seqs)
}

/// What the run leaves besides logs.
struct Left<'a> {
    history: &'a History,
    probes: &'a Probes,
    level: u64,
    unrecovered: Vec<String>,
}

/// Ends all in good order, and reads what they leave.
async fn stopped<'a>(quorum: &'a Quorum, left: Left<'a>, place: &Path) -> Result<Evidence<'a>, Failure> {
    let Left { history, probes, level, mut unrecovered } = left;
    for member in &quorum.members {
        member.signal(Signal::TERM);
        let deadline = Instant::now() + ENDS_WITHIN;
        while member.runs() && Instant::now() < deadline {
            time::sleep(LOOK_EVERY).await;
        }
        if member.runs() {
            unrecovered.push(format!("{} does not end", member.name));
            member.signal(Signal::KILL);
        }
    }
    say("the journals have stopped; their logs are checked");
    let (mut logs, mut unsound) = (Vec::new(), Vec::new());
    for (name, data_dir) in quorum.logs() {
        if let Err(failure) = log_check::verify(data_dir).await {
            unsound.push((name.to_owned(), failure.to_string()));
        }
        match LogOrder::read(data_dir, &place.join(format!("{name}.jsonl"))).await {
            Ok(log) => logs.push((name.to_owned(), log)),
            Err(failure) => unsound.push((name.to_owned(), failure.to_string())),
        }
    }
    Ok(Evidence { quorum, history, probes, logs, level, unsound, unrecovered })
}

/// The seconds of [`member::SETTINGS`] by name.
#[cfg(test)]
fn setting(name: &str) -> Option<u64> {
    member::SETTINGS.iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oracles_know_the_settings_of_the_journals() {
        assert_eq!(setting("PACT_JOURNAL_STALE_AFTER_SECS"), Some(STALE_AFTER.as_secs()));
        assert_eq!(setting("PACT_JOURNAL_GRACE_PERIOD_SECS"), Some(GRACE.as_secs()));
    }
}
