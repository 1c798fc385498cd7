//! Five journals: two may be lost, and with three lost nothing is decided and nothing wrong is told (R3, R17).

use std::{
    net::SocketAddr,
    ops::Range,
    time::{Duration, Instant},
};

use agent::journals::Journals;
use loadtest::{
    clients::Clients,
    fleet::{self, Boot, Fleet},
    journal_metrics, log_check,
    own_journals::OwnJournals,
    preparation::Operator,
    progress::Counter,
};
use proto::{
    outcome::Failure,
    pb::{ListNodesRequest, node_service_client::NodeServiceClient},
    reason::Reason,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::trio::{IN_TIME, one_at_a_time_async};

const NODES: u32 = 60;
const AT_ONCE: u32 = 20;
const LOOK: Duration = Duration::from_millis(100);
/// A journal that hears of no quorum serves for 30 s; the machine may be busy.
const STALE_WITHIN: Duration = Duration::from_secs(90);

/// Five journals, of which some are left.
struct Five {
    journals: OwnJournals,
    /// Where each says whether it is ready.
    http: Vec<SocketAddr>,
    left: Vec<usize>,
}

impl Five {
    async fn kill(&mut self, nth: usize) {
        let pid = self.journals.watched().await.unwrap()[nth].pid;
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        self.left.retain(|left| *left != nth);
    }

    async fn operator(&self, nth: usize) -> Result<Operator, Failure> {
        let listeners = self.journals.operators();
        Operator::connect(&listeners[nth], &self.journals.trust, &self.journals.operator).await
    }

    async fn register(&self, nth: usize, machines: Range<u32>) -> Result<(), Failure> {
        self.operator(nth).await?.register(machines, &Counter::default()).await
    }

    /// Registers as soon as somebody leads.
    async fn registers(&self, nth: usize, machines: Range<u32>) {
        let until = Instant::now() + IN_TIME;
        while let Err(failure) = self.register(nth, machines.clone()).await {
            assert!(Instant::now() < until, "{failure:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn boot(&self, clients: &Clients, machines: Range<u32>) -> Fleet {
        let agents = self.journals.agents();
        let agents = self.left.iter().map(|nth| agents[*nth].clone()).collect();
        let journals = Journals::new(self.journals.trust.clone(), agents).unwrap();
        let boot = Boot { journals: [journals].into(), machines, concurrency: AT_ONCE };
        Fleet::boot(clients, &boot, &Counter::default()).await
    }

    async fn nodes(&self, nth: usize) -> Result<Vec<String>, Failure> {
        let operator = self.operator(nth).await?;
        let mut client = NodeServiceClient::new(operator.connection().channel());
        let answer = client.list_nodes(ListNodesRequest::default()).await;
        let answer = answer.map_err(|status| operator.connection().failure(&status))?.into_inner();
        Ok(answer.nodes.into_iter().map(|node| node.node_id).collect())
    }

    /// A stale journal says so, or lets nobody in who shows a certificate. It lives, and is not ready.
    async fn is_closed(&self, nth: usize) -> bool {
        match self.nodes(nth).await {
            Err(Failure::Unreachable(_)) => {
                !journal_metrics::readiness(self.http[nth]).await.expect("it lives")
            }
            told => is(&told, Reason::StaleJournal),
        }
    }
}

fn names(machines: Range<u32>) -> Vec<String> {
    machines.map(fleet::node_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_17_of_five_two_may_be_lost_and_with_three_lost_nothing_is_decided() {
    let _turn = one_at_a_time_async().await;
    let clients = Clients::start().unwrap();
    let journals = OwnJournals::start(5).await.unwrap();
    let watched = journals.watched().await.unwrap();
    let http = watched.iter().map(|one| one.http.expect("it has probes")).collect();
    let mut five = Five { journals, http, left: (0..5).collect() };
    five.registers(0, 0..NODES).await;

    // when two are killed, the founder and first leader among them, then it goes on
    five.kill(0).await;
    five.kill(3).await;
    five.registers(1, NODES..2 * NODES).await;
    let fleet = five.boot(&clients, 0..2 * NODES).await;
    assert_eq!(fleet.failures, [].into(), "{:?}", fleet.example);

    // when a third is killed, then nothing is recorded any more, and what is told is true
    five.kill(4).await;
    let refused = five.register(1, 2 * NODES..2 * NODES + 1).await;
    let told = refused.expect_err("there is no majority");
    assert!(["NO_LEADER", "STALE_JOURNAL"].contains(&told.reason_text()), "{told:?}");
    for nth in five.left.clone() {
        match five.nodes(nth).await {
            Ok(known) => assert_eq!(known, names(0..2 * NODES)),
            refused => assert!(five.is_closed(nth).await, "{refused:?}"),
        }
    }

    // and after a while nobody serves who may not know of a revocation
    let until = Instant::now() + STALE_WITHIN;
    for nth in five.left.clone() {
        while !five.is_closed(nth).await {
            assert!(Instant::now() < until, "{nth} serves still");
            tokio::time::sleep(LOOK).await;
        }
    }

    // when they are back, then it goes on with the same log
    tokio::select! {
        failure = five.journals.keep() => panic!("{failure}"),
        () = five.registers(2, 2 * NODES..3 * NODES) => {}
    }
    tokio::select! {
        failure = five.journals.keep() => panic!("{failure}"),
        () = same_nodes(&five, 3 * NODES) => {}
    }
    drop(fleet);
    // One that is known to answer may still be on its way back to whoever keeps them.
    let logs = tokio::select! {
        failure = five.journals.keep() => panic!("{failure}"),
        logs = five.journals.stop() => logs.unwrap(),
    };
    for other in &logs[1..] {
        log_check::verify_against(other, logs[0]).await.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

fn is<A>(answer: &Result<A, Failure>, reason: Reason) -> bool {
    matches!(answer, Err(Failure::Refused(refusal)) if refusal.reason == reason)
}

/// All five know all nodes, and no other.
async fn same_nodes(five: &Five, nodes: u32) {
    let until = Instant::now() + IN_TIME;
    for nth in 0..5 {
        loop {
            match five.nodes(nth).await {
                Ok(known) if known == names(0..nodes) => break,
                told => assert!(Instant::now() < until, "{nth}: {told:?}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
