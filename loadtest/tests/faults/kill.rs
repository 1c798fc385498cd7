//! kill -9 in the middle of a storm (R3): whatever a machine was told is in the log, and nothing is in it twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use loadtest::{journal_process::JournalProcess, progress::Counter};
use rustix::process::Signal;

use crate::{
    ledger::{Ledger, Place, SERVED, UNTIL_IT_DIES},
    settings,
};

const NODES: u32 = 200;
const ROUNDS: u64 = 20;
/// Machines on their way at one moment: fewer than there are, so that some are done when others begin.
const AT_ONCE: u32 = 32;
/// Where the moments are drawn from, so that a failure's order of events can be had again, nearly.
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_what_machines_were_told_in_a_storm_survives_kill_9() {
    settings::binaries();
    let (nodes, rounds) = (settings::nodes(NODES), settings::number("PACT_FAULT_ROUNDS", ROUNDS));
    let mut moments = Moments(settings::number("PACT_FAULT_SEED", SEED).max(1));
    let place = tempfile::tempdir().unwrap();
    let mut journal = JournalProcess::start(place.path()).await.unwrap();
    // As long as a whole storm takes: measured without a kill, then drawn from.
    let mut whole = None;
    let mut in_the_middle = 0;
    for round in 0..u32::try_from(rounds).expect("few rounds") + 1 {
        let machines = round * nodes..(round + 1) * nodes;
        settings::operator(&journal).await.register(machines.clone(), &Counter::default()).await.unwrap();
        let mut ledger = Ledger::of(machines);
        let Some(limit) = whole else {
            let begun = Instant::now();
            ledger.storm(&Place::of(&[&journal], UNTIL_IT_DIES), AT_ONCE, &Arc::default()).await;
            whole = Some(begun.elapsed());
            continue;
        };
        journal = killed_in_a_storm(journal, &mut ledger, moments.below(limit)).await;
        in_the_middle += u64::from((1..ledger.len()).contains(&ledger.told()));

        // when it serves again, then
        let operator = settings::operator(&journal).await;
        ledger.nothing_is_lost(&operator).await;
        let place = Place::of(&[&journal], SERVED);
        ledger.ask_again(&place, AT_ONCE as usize).await;
        ledger.every_certificate_opens(&place, AT_ONCE as usize).await;
        ledger.nothing_is_lost(&operator).await;
    }
    assert!(in_the_middle >= rounds / 2, "only {in_the_middle} of {rounds} storms were interrupted");
    journal.stop().await.unwrap();
    settings::verify(journal.data_dir()).await;
}

async fn killed_in_a_storm(
    mut journal: JournalProcess,
    ledger: &mut Ledger,
    moment: Duration,
) -> JournalProcess {
    let (dead, place) = (Arc::new(AtomicBool::new(false)), Place::of(&[&journal], UNTIL_IT_DIES));
    let kill = async {
        // The moment is what is drawn; nothing is waited for.
        tokio::time::sleep(moment).await;
        journal.signal(Signal::KILL).unwrap();
        journal.ended().await.unwrap();
        dead.store(true, Ordering::Relaxed);
    };
    tokio::join!(ledger.storm(&place, AT_ONCE, &dead), kill);
    journal.serve_again().await.unwrap()
}
