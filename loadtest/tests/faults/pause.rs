//! A journal that stands still for ten seconds in the middle of a storm, as a virtual machine that is moved does.

use std::time::Duration;

use agent::journals::Journals;
use loadtest::{
    clients::Clients,
    fleet::{Boot, Fleet},
    journal_process::JournalProcess,
    progress::Counter,
};
use rustix::process::Signal;
use tokio::time::{self, Instant};

use crate::settings;

const NODES: u32 = 600;
const AT_ONCE: u32 = 100;
const PAUSE_SECS: u64 = 10;
/// A third of a small storm is up within this, on a machine that has other things to do.
const UNDER_WAY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_outlasts_a_journal_that_stands_still() {
    settings::binaries();
    let place = tempfile::tempdir().unwrap();
    let mut journal = JournalProcess::start(place.path()).await.unwrap();
    let nodes = settings::nodes(NODES);
    settings::operator(&journal).await.register(0..nodes, &Counter::default()).await.unwrap();
    let (clients, counted) = (Clients::start().unwrap(), Counter::default());
    let journals = Journals::new(journal.trust().unwrap(), vec![journal.agents.clone()]).unwrap();
    let boot = Boot { journals: [journals].into(), machines: 0..nodes, concurrency: AT_ONCE };

    // when
    let (mut fleet, up_in_the_pause) =
        tokio::join!(Fleet::boot(&clients, &boot, &counted), stand_still(&journal, &counted, nodes / 3));

    // then
    assert!(up_in_the_pause < u64::from(nodes), "the storm was over before the pause began");
    assert_eq!(fleet.failures, [].into(), "{:?}", fleet.example);
    assert_eq!(fleet.subscriptions(), u64::from(nodes));
    fleet.leave(&clients, AT_ONCE, &Counter::default()).await;
    assert_eq!(fleet.failures, [].into(), "{:?}", fleet.example);
    journal.stop().await.unwrap();
    settings::verify(journal.data_dir()).await;
}

/// Stops the journal when so many nodes are up, and lets it go on later. Answers how many were up before it went on.
async fn stand_still(journal: &JournalProcess, counted: &Counter, up: u32) -> u64 {
    let deadline = Instant::now() + UNDER_WAY;
    while counted.count() < u64::from(up) {
        assert!(Instant::now() < deadline, "only {} of {up} are up", counted.count());
        time::sleep(LOOK).await;
    }
    journal.signal(Signal::STOP).unwrap();
    // The pause is what is tested; nothing is waited for.
    time::sleep(Duration::from_secs(settings::number("PACT_FAULT_PAUSE_SECS", PAUSE_SECS))).await;
    let up_before = counted.count();
    journal.signal(Signal::CONT).unwrap();
    up_before
}
