//! kill -9 at random moments (R3): what a client received is in the log, whatever happens to the process.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use events::fact::Fact;
use events::node::Event;
use events::vocabulary::{JournalId, NodeId, Serial};
use journal::log::Log;
use proto::outcome::Failure;
use proto::pb::{EnrollResponse, NodeState};

use crate::calls::{Agent, Operator};
use crate::journal_process::{Journal, binary};
use crate::request::Machine;

const ROUNDS: usize = 20;
const ENROLLMENTS: usize = 200;
/// The moments are drawn from this number, so that a failure's order of events can be had again, nearly.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Marsaglia's xorshift: enough for moments.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        limit.mul_f64((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// Certificates that a client holds, by node.
type Received = BTreeMap<String, EnrollResponse>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_what_a_client_received_survives_kill_9_at_any_moment() {
    let mut journal = Journal::start();
    let mut moments = Moments(SEED);
    let mut received = Received::new();
    let mut killed_in_the_middle = 0;
    // As long as a whole round takes: measured without a kill, then drawn from.
    let mut whole_round = None;
    for round in 0..ROUNDS {
        let machines = register(&journal.operator().await).await;
        let killer = journal.killer();
        let moment = whole_round.map(|whole| moments.below(whole));
        let kill = moment.map(|moment| {
            tokio::spawn(async move {
                tokio::time::sleep(moment).await;
                killer();
            })
        });
        let begun = Instant::now();
        let before = received.len();
        enroll_until_it_dies(&journal, &machines, &mut received).await;
        match kill {
            None => whole_round = Some(begun.elapsed()),
            Some(kill) => kill.await.unwrap(),
        }
        let came = received.len() - before;
        killed_in_the_middle += usize::from(came > 0 && came < ENROLLMENTS);
        journal.kill();
        journal.start_again();
        nothing_is_lost(&journal, &machines, &received).await;
        finish(&journal, &machines, &mut received).await;
        assert_eq!(received.len(), (round + 1) * ENROLLMENTS);
    }
    assert!(killed_in_the_middle >= ROUNDS / 2, "only {killed_in_the_middle} rounds were interrupted");
    journal.terminate();
    let dir = journal.into_dir();
    the_log_has_each_once(&dir.path(), &received).await;
    pact_replay_verifies(&dir.path());
}

async fn register(operator: &Operator) -> Vec<Machine> {
    let mut machines = vec![];
    for _ in 0..ENROLLMENTS {
        machines.push(Machine::registered(operator).await);
    }
    machines
}

/// One after another, each over a connection of its own, as machines do.
async fn enroll_until_it_dies(journal: &Journal, machines: &[Machine], received: &mut Received) {
    for machine in machines {
        let Ok(agent) = journal.agent(None).await else { return };
        match agent.enroll(&machine.hardware, &machine.csr()).await {
            Ok(issued) => received.insert(machine.node_id.clone(), issued),
            Err(Failure::Unreachable(_)) => return,
            Err(other) => panic!("{}: {other:?}", machine.node_id),
        };
    }
}

/// Every received certificate is the node's current one, and is given again to the same key.
async fn nothing_is_lost(journal: &Journal, machines: &[Machine], received: &Received) {
    let operator = journal.operator().await;
    let agent = journal.agent(None).await.unwrap();
    for machine in machines {
        let Some(issued) = received.get(&machine.node_id) else { continue };
        let node = operator.inspect(&machine.node_id).await.unwrap();
        assert_eq!(node.state(), NodeState::Active, "{} lost its certificate", machine.node_id);
        assert_eq!(node.certificate.map(|current| current.serial).as_ref(), Some(&issued.serial));
        let again = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
        assert_eq!(again.certificate, issued.certificate, "rule 14: the identical certificate");
    }
}

/// Whoever got no answer asks again, and gets one.
async fn finish(journal: &Journal, machines: &[Machine], received: &mut Received) {
    let agent: Agent = journal.agent(None).await.unwrap();
    for machine in
        machines.iter().filter(|machine| !received.contains_key(&machine.node_id)).collect::<Vec<_>>()
    {
        let issued = agent.enroll(&machine.hardware, &machine.csr()).await.unwrap();
        received.insert(machine.node_id.clone(), issued);
    }
}

/// Reads the log itself: each received certificate is in it, each node has one, no serial comes twice.
async fn the_log_has_each_once(dir: &std::path::Path, received: &Received) {
    let journal: JournalId = "j1".parse().unwrap();
    let log = Log::open(dir, journal).await.unwrap();
    let mut issued: BTreeMap<NodeId, Vec<Vec<u8>>> = BTreeMap::new();
    let mut serials: BTreeSet<Serial> = BTreeSet::new();
    let (last, _) = log.chain_head();
    for seq in 1..=last {
        let (record, _) = log.record(seq).unwrap().expect("no gap");
        if let Fact::Node(node, Event::CertificateIssued { certificate, der, .. }) = record.fact {
            assert!(serials.insert(certificate.serial), "{} comes twice", certificate.serial);
            issued.entry(node).or_default().push(der.as_bytes().to_vec());
        }
    }
    log.stop().await;
    for (node, response) in received {
        let in_the_log = issued.get(&node.parse::<NodeId>().unwrap()).expect("the node has a certificate");
        let received = std::slice::from_ref(&response.certificate);
        assert_eq!(in_the_log, received, "{node}: one request, one certificate");
    }
}

/// The independent reader: chain, invariants after every fact, among them that no node has two current certificates.
fn pact_replay_verifies(dir: &std::path::Path) {
    let output = Command::new(binary("pact-replay")).arg("verify").arg(dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("log verified"), "{output:?}");
}
