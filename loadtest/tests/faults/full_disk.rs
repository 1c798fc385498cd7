//! A disk that runs full in the middle of a storm (R3): the journal says so and ends, and nothing that it acknowledged
//! is lost.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use loadtest::{journal_process::JournalProcess, progress::Counter};

use crate::{
    ledger::{Ledger, Place, SERVED, UNTIL_IT_DIES},
    settings::{self, SmallDisk},
};

const NODES: u32 = 400;
const AT_ONCE: u32 = 32;
/// Room for the log of all machines, and of the check.
const DISK_MEGABYTES: u32 = 64;
/// What is left when the storm begins: some hundred certificates fill it.
const LEFT_BYTES: u64 = 256 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_03_a_disk_that_runs_full_in_a_storm_loses_nothing_that_was_acknowledged() {
    settings::binaries();
    let (disk, elsewhere) = (SmallDisk::mount(DISK_MEGABYTES), tempfile::tempdir().unwrap());
    let (data_dir, log) = (disk.path().join("j1"), elsewhere.path().join("j1.log"));
    // With a reserve it would say DISK_LOW long before.
    let mut journal =
        JournalProcess::start_at(&data_dir, &log, &["--disk-reserve-bytes", "0"]).await.unwrap();
    let nodes = settings::nodes(NODES);
    settings::operator(&journal).await.register(0..nodes, &Counter::default()).await.unwrap();
    let ballast = disk.path().join("ballast");
    let weight = disk.free().checked_sub(LEFT_BYTES).expect("the small disk is large enough");
    fs::write(&ballast, vec![0; weight.try_into().unwrap()]).unwrap();

    // when
    let mut ledger = Ledger::of(0..nodes);
    let (dead, place) = (Arc::new(AtomicBool::new(false)), Place::of(&[&journal], UNTIL_IT_DIES));
    let watch = async {
        let status = journal.ended().await.unwrap();
        dead.store(true, Ordering::Relaxed);
        status
    };
    let ((), status) = tokio::join!(ledger.storm(&place, AT_ONCE, &dead), watch);

    // then
    assert_eq!(status.code(), Some(1), "{}", journal.said());
    assert!(journal.said().contains("error: LOG_UNWRITABLE: "), "{}", journal.said());
    let told = ledger.told();
    assert!(
        (1..ledger.len()).contains(&told),
        "{told} were told of {nodes}: it did not run full in the middle"
    );

    // when there is room again
    fs::remove_file(&ballast).unwrap();
    let mut journal = journal.serve_again().await.unwrap();

    // then
    let operator = settings::operator(&journal).await;
    ledger.nothing_is_lost(&operator).await;
    ledger.ask_again(&Place::of(&[&journal], SERVED), AT_ONCE as usize).await;
    ledger.nothing_is_lost(&operator).await;
    journal.stop().await.unwrap();
    settings::verify(&data_dir).await;
    drop(journal);
}
