//! Which logs open, and that a refusal leaves every file as it was.

use std::fs;
use std::path::Path;

use events::codec::{StoredValue, decode_body, encode_body, keys};
use rocksdb::WriteBatch;

use super::fixture::{Ground, append, founding, goodbye, journal, node, operator_created, step};
use crate::log::{CreateError, Damage, Log, OpenError, Settings};

/// A closed log with some facts.
async fn closed() -> Ground {
    let ground = Ground::new();
    let log = ground.create().await;
    log.append(operator_created(1)).await.unwrap();
    for version in 0..5 {
        log.append(step(version + 2, "n1", version)).await.unwrap();
    }
    log.stop().await;
    ground
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x55;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_log_is_made_once() {
    let ground = closed().await;
    let again = Log::create(&ground.dir, journal(), founding()).await;
    assert!(matches!(again.err(), Some(CreateError::Exists { .. })));
    ground.open().await.stop().await;
}

#[tokio::test]
async fn a_directory_without_a_log_is_refused() {
    assert!(matches!(Ground::new().refused().await, OpenError::Missing { .. }));
}

#[tokio::test]
async fn a_log_in_use_is_refused() {
    let ground = Ground::new();
    let log = ground.create().await;
    assert!(matches!(ground.refused().await, OpenError::InUse { .. }));
    log.append(step(1, "n1", 0)).await.unwrap();
    log.stop().await;
    ground.open().await.stop().await;
}

#[tokio::test]
async fn the_log_of_another_journal_is_refused() {
    let ground = closed().await;
    let before = super::fixture::files(&ground.dir);
    let error = ground.try_open("j2".parse().unwrap()).await.err().unwrap();
    assert_eq!(error.to_string(), "the log belongs to journal j1, not to j2");
    assert!(before == super::fixture::files(&ground.dir));
}

#[tokio::test]
async fn a_log_without_a_domain_is_refused() {
    let ground = Ground::new();
    let log = Log::create_with(&ground.dir, journal(), founding(), Settings::default()).await.unwrap();
    log.stop().await;
    assert!(matches!(ground.refused().await, OpenError::NoDomain));
}

#[tokio::test]
async fn a_log_whose_first_fact_is_not_its_domain_is_refused() {
    let ground = Ground::new();
    let log = Log::create(&ground.dir, journal(), founding()).await.unwrap();
    let mut first = append(1, &[(node("n1"), 0)], vec![goodbye("n1")]);
    first.decided_at = (Settings::default().clock)();
    log.append(first).await.unwrap();
    log.stop().await;
    assert!(matches!(ground.refused().await, OpenError::Damaged(Damage::Founding)));
}

#[tokio::test]
async fn a_damaged_table_is_refused() {
    let ground = closed().await;
    let tables = ground.store_files(".sst").len();
    assert!(tables >= 4, "{tables} tables");
    for table in 0..tables {
        for from_end in [false, true] {
            let ground = ground.image();
            let path = ground.store_files(".sst")[table].clone();
            let length = usize::try_from(fs::metadata(&path).unwrap().len()).unwrap();
            flip(&path, if from_end { length - 20 } else { 10 });
            let error = ground.refused().await;
            assert!(matches!(error, OpenError::Unreadable { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_or_damaged_file_is_refused() {
    let ground = closed().await;
    for like in [".sst", "MANIFEST", "CURRENT"] {
        let missing = ground.image();
        fs::remove_file(missing.store_files(like).pop().unwrap()).unwrap();
        let error = missing.refused().await;
        assert!(matches!(error, OpenError::Unreadable { .. }), "{like}: {error:?}");
        let empty = ground.image();
        fs::write(empty.store_files(like).pop().unwrap(), b"").unwrap();
        let error = empty.refused().await;
        assert!(matches!(error, OpenError::Unreadable { .. }), "{like}: {error:?}");
        let damaged = ground.image();
        flip(&damaged.store_files(like).pop().unwrap(), 8);
        let error = damaged.refused().await;
        assert!(matches!(error, OpenError::Unreadable { .. }), "{like}: {error:?}");
    }
}

#[tokio::test]
async fn rule_27_a_missing_or_damaged_mark_is_refused() {
    let ground = closed().await;
    let missing = ground.image();
    fs::remove_file(missing.dir.join("log.synced")).unwrap();
    assert!(matches!(missing.refused().await, OpenError::Mark(_)));
    let damaged = ground.image();
    fs::write(damaged.dir.join("log.synced"), [0; 100]).unwrap();
    assert!(matches!(damaged.refused().await, OpenError::Mark(_)));
}

#[tokio::test]
async fn rule_27_a_log_without_its_write_ahead_log_is_refused() {
    let ground = Ground::new();
    let log = ground.create().await;
    log.append(step(1, "n1", 0)).await.unwrap();
    let image = ground.image();
    log.stop().await;
    for wal in image.store_files(".log") {
        fs::remove_file(wal).unwrap();
    }
    let error = image.refused().await;
    // Nothing was flushed: without the write-ahead log not even the founding is there.
    assert!(matches!(error, OpenError::Damaged(_) | OpenError::Shortened { .. }), "{error:?}");
}

#[tokio::test]
async fn a_flipped_bit_in_the_write_ahead_log_is_refused_or_loses_nothing() {
    let ground = Ground::new();
    let log = ground.create().await;
    for version in 0..5 {
        log.append(step(version + 1, "n1", version)).await.unwrap();
    }
    let (image, head) = (ground.image(), log.chain_head());
    log.stop().await;
    let length = fs::metadata(&image.store_files(".log")[0]).unwrap().len();
    for at in (0..usize::try_from(length).unwrap()).step_by(97) {
        let image = image.image();
        flip(&image.store_files(".log")[0], at);
        if let Ok(log) = image.try_open(journal()).await {
            assert_eq!(log.chain_head(), head, "byte {at}");
            log.stop().await;
        } else {
            image.refused().await;
        }
    }
}

/// Opens the store behind the log's back and changes it.
fn tamper(ground: &Ground, change: impl FnOnce(&rocksdb::DB, &mut WriteBatch)) {
    let columns = keys::ALL.into_iter();
    let path = ground.dir.join(keys::DIRECTORY);
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), path, columns).unwrap();
    let mut batch = WriteBatch::default();
    change(&db, &mut batch);
    db.write(batch).unwrap();
}

async fn damage(change: impl FnOnce(&rocksdb::DB, &mut WriteBatch)) -> Damage {
    let ground = closed().await;
    tamper(&ground, change);
    let error = ground.refused().await;
    let OpenError::Damaged(damage) = error else { panic!("{error:?}") };
    damage
}

#[tokio::test]
async fn rule_06_a_changed_fact_breaks_the_chain() {
    let changed = damage(|db, batch| {
        let facts = db.cf_handle(keys::FACTS).unwrap();
        let value = db.get_cf(facts, keys::fact(4)).unwrap().unwrap();
        let value = StoredValue::parse(&value).unwrap();
        let mut record = decode_body(value.body).unwrap();
        record.principal = events::vocabulary::Principal::Anonymous;
        let body = encode_body(&record).unwrap();
        batch.put_cf(facts, keys::fact(4), StoredValue::write(&value.chain, &body, &[]).unwrap());
    });
    assert!(matches!(changed.await, Damage::Chain { seq: 4 }));
}

#[tokio::test]
async fn a_missing_fact_is_damage() {
    let gap = damage(|db, batch| batch.delete_cf(db.cf_handle(keys::FACTS).unwrap(), keys::fact(3)));
    assert!(matches!(gap.await, Damage::FactMissing { expected: 3 }));
    let end = damage(|db, batch| batch.delete_cf(db.cf_handle(keys::FACTS).unwrap(), keys::fact(7)));
    assert!(matches!(end.await, Damage::End { found: 6, expected: 7 }));
}

#[tokio::test]
async fn heads_and_subjects_that_disagree_with_the_facts_are_damage() {
    let head = damage(|db, batch| {
        batch.delete_cf(db.cf_handle(keys::HEADS).unwrap(), keys::head(&node("n1")));
    });
    assert!(matches!(head.await, Damage::Heads { .. }));
    let subject = damage(|db, batch| {
        batch.delete_cf(db.cf_handle(keys::SUBJECTS).unwrap(), keys::subject(&node("n1"), 2));
    });
    assert!(matches!(subject.await, Damage::Subjects));
}

#[tokio::test]
async fn a_hole_in_the_raft_log_is_damage() {
    let hole = damage(|db, batch| {
        batch.delete_cf(db.cf_handle(keys::RAFT_LOG).unwrap(), 3_u64.to_be_bytes());
    });
    assert!(matches!(hole.await, Damage::EntryMissing { expected: 3 }));
}
