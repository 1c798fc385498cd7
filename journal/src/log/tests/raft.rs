//! The Raft log: purged, read back, applied again.

use events::codec::keys;

use super::fixture::{Ground, step, until};
use crate::log::store::Store;

fn entries_on_disk(ground: &Ground) -> usize {
    let store = Store::open_read_only(&ground.dir.join(keys::DIRECTORY)).unwrap();
    store.scan(keys::RAFT_LOG, &[]).map(Result::unwrap).count()
}

#[tokio::test]
async fn the_raft_log_is_purged_and_the_log_opens_after_it() {
    let ground = Ground::keeping(20);
    let mut log = ground.create().await;
    for round in 0..3 {
        for version in round * 100..(round + 1) * 100 {
            log.append(step(version + 1, "n1", version)).await.unwrap();
        }
        until("old entries are purged", || entries_on_disk(&ground) <= 41).await;
        let (views, head) = (log.views().clone(), log.chain_head());
        log.stop().await;
        log = ground.open().await;
        assert_eq!((&*log.views(), log.chain_head()), (&views, head));
    }
    assert_eq!(log.version(&super::fixture::node("n1")).unwrap(), 300);
    log.stop().await;
}

/// The write-ahead log of a crash, cut at many places: facts that were not synced come back out of the Raft log; what
/// was synced and is missing is noticed (R27). Nothing between the two.
#[tokio::test]
async fn rule_27_a_torn_end_loses_no_synced_append() {
    let ground = Ground::new();
    let log = ground.create().await;
    for version in 0..5 {
        log.append(step(version + 1, "n1", version)).await.unwrap();
    }
    let (views, head) = (log.views().clone(), log.chain_head());
    let crashed = ground.image();
    log.stop().await;
    let [wal] = crashed.store_files(".log").try_into().unwrap();
    let whole = std::fs::metadata(&wal).unwrap().len();
    let (mut applied_again, mut refused) = (0, 0);
    for cut in (0..1200).step_by(23) {
        let image = crashed.image();
        let wal = image.store_files(".log").pop().unwrap();
        std::fs::File::options().write(true).open(&wal).unwrap().set_len(whole - cut).unwrap();
        match image.try_open(super::fixture::journal()).await {
            Ok(log) => {
                assert_eq!(refused, 0, "a longer log was refused, a shorter one is not");
                assert_eq!((&*log.views(), log.chain_head()), (&views, head), "cut {cut}");
                applied_again += usize::from(cut > 0);
                log.stop().await;
            }
            Err(error) => {
                assert!(matches!(error, crate::log::OpenError::Shortened { .. }), "cut {cut}: {error:?}");
                image.refused().await;
                refused += 1;
            }
        }
    }
    assert!(applied_again > 3 && refused > 3, "{applied_again} applied again, {refused} refused");
}
