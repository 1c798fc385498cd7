//! SIGTERM in the middle of a storm (R3): who was certified has been told, and who was told is in the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use proto::channel::{Connection, JournalAddress};
use proto::outcome::Failure;
use proto::pem_file::Trust;

use crate::calls::Agent;
use crate::journal_process::{ANSWERED, Journal, READY, until};
use crate::request::Machine;

/// Machines of a storm.
const MACHINES: usize = 240;
/// Machines on their way at one moment.
const AT_ONCE: usize = 24;
/// So many have their certificate when the signal comes.
const MOMENTS: [usize; 4] = [1, 40, 100, 160];

/// What a storm shares.
struct Storm {
    agents: JournalAddress,
    trust: Trust,
    waiting: Mutex<Vec<Machine>>,
    /// Serials that were received, by node.
    received: Mutex<BTreeMap<String, String>>,
}

impl Storm {
    /// Machines ask one after another, each over a connection of its own, until there is no journal.
    async fn lane(self: Arc<Self>) {
        loop {
            let Some(machine) = self.waiting.lock().unwrap().pop() else { return };
            let Ok(connection) = Connection::open(&self.agents, &self.trust, None, ANSWERED).await else {
                return;
            };
            match Agent(connection).enroll(&machine.hardware, &machine.csr()).await {
                Ok(issued) => self.received.lock().unwrap().insert(machine.node_id, issued.serial),
                Err(Failure::Unreachable(_)) => return,
                Err(other) => panic!("{}: {other:?}", machine.node_id),
            };
        }
    }

    fn received(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_a_journal_that_is_stopped_in_a_storm_loses_no_answer() {
    let mut journal = Journal::start();
    let mut in_the_middle = 0;
    for moment in MOMENTS {
        // given a storm
        let operator = journal.operator().await;
        let machines = join_all((0..MACHINES).map(|_| Machine::registered(&operator))).await;
        drop(operator);
        let nodes: Vec<String> = machines.iter().map(|machine| machine.node_id.clone()).collect();
        let storm = Arc::new(Storm {
            agents: journal.agents_address().clone(),
            trust: journal.dir.trust(),
            waiting: Mutex::new(machines),
            received: Mutex::default(),
        });
        let lanes: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(Arc::clone(&storm).lane())).collect();
        until("some are certified", READY, async || (storm.received() >= moment).then_some(())).await;

        // when the journal is told to stop
        let ended = journal.terminate();
        for lane in lanes {
            lane.await.unwrap();
        }

        // then it ends well, and the log holds exactly what was received
        assert_eq!(ended, Some(0), "{}", journal.dir.last_words());
        journal.start_again();
        let listed = journal.operator().await.list().await.unwrap();
        let certified: BTreeMap<String, String> = listed
            .nodes
            .into_iter()
            .filter(|node| nodes.contains(&node.node_id))
            .filter_map(|node| Some((node.node_id, node.certificate?.serial)))
            .collect();
        assert_eq!(certified, *storm.received.lock().unwrap());
        in_the_middle += usize::from(certified.len() < MACHINES);
    }
    assert!(in_the_middle >= MOMENTS.len() / 2, "only {in_the_middle} storms were interrupted");
}
