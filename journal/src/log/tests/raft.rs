//! The Raft log: purged, read back, applied again.

use std::sync::Arc;

use events::codec::{encode, keys};
use events::vocabulary::Timestamp;
use openraft::{CommittedLeaderId, EntryPayload};

use super::fixture::{Ground, operator_created, step, until};
use crate::log::store::Store;
use crate::log::types::{Batch, Blob, Entry, Place};
use crate::log::wire::{self, Ask, AskRecord};
use crate::log::{stored, wire::LIMIT};

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

#[test]
fn rule_06_a_batch_has_the_bytes_of_the_first_format_and_keeps_them_wherever_it_goes() {
    let (stamp, appends) = (Timestamp::from_millis(7), vec![operator_created(1), step(2, "n1", 0)]);
    for overlays in [vec![], vec![Blob(vec![9; 300])]] {
        let bytes = if overlays.is_empty() {
            encode::<LIMIT>(&(1_u8, 1_u32, stamp, &appends)).unwrap()
        } else {
            encode::<LIMIT>(&(1_u8, 3_u32, stamp, &appends, &overlays)).unwrap()
        };
        let batch = Batch::new(stamp, Arc::new(appends.clone()), Arc::new(overlays)).unwrap();
        assert_eq!(*batch.written, *bytes);
        let log_id = Place::new(CommittedLeaderId::new(3, 1), 12);
        let entry = Entry { log_id, payload: EntryPayload::Normal(batch.clone()) };
        let on_disk = stored::write_entry(&entry).unwrap();
        assert_eq!(stored::read_entry(&on_disk).unwrap(), entry);
        assert_eq!(Batch::try_from(Blob::from(batch.clone())).unwrap(), batch);
    }
}

#[test]
fn appends_that_the_asker_keeps_are_said_like_those_that_it_gives_away() {
    for (appends, overlay) in [(vec![], None), (vec![operator_created(1)], Some(Blob(vec![7; 300])))] {
        let kept = wire::write(&AskRecord::new(&appends, overlay.as_ref())).unwrap();
        assert_eq!(kept, wire::write(&Ask::Record(appends, overlay)).unwrap());
    }
}
