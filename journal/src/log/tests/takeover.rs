//! Facts that a member takes over from another in pieces: what it then has, what it refuses, and what a crash leaves.

use std::ops::Range;
use std::path::Path;

use events::codec::keys;
use events::vocabulary::JournalId;
use futures_util::future::join_all;

use super::fixture::{Ground, founding, operator_created, remark_erased, step};
use super::quorum::{Quorum, eventually, name};
use crate::log::store::{Row, Store};
use crate::log::types::Blob;
use crate::log::wire::{self, Ask, Facts, Told};
use crate::log::{Log, OpenError};

const MEMBER: u64 = 2;

fn member() -> JournalId {
    name(MEMBER)
}

fn rows(dir: &Path, column: &str) -> Vec<Row> {
    let store = Store::open_read_only(&dir.join(keys::DIRECTORY)).unwrap();
    store.scan(column, &[]).map(Result::unwrap).collect()
}

/// A stopped log of some facts: two nodes in turn, an operator whose name (in fact 2) the last fact erases.
async fn donor() -> (Ground, Vec<Vec<u8>>) {
    let ground = Ground::new();
    let log = ground.create().await;
    log.append(operator_created(900)).await.unwrap();
    for version in 0..10 {
        log.append(step(2 * version + 1, "n1", version)).await.unwrap();
        log.append(step(2 * version + 2, "n2", version)).await.unwrap();
    }
    log.append(remark_erased(901, 2, 1)).await.unwrap();
    log.stop().await;
    let values: Vec<Vec<u8>> =
        rows(&ground.dir, keys::FACTS).into_iter().map(|(_, value)| value.into_vec()).collect();
    assert_eq!(values.len(), 23);
    (ground, values)
}

/// A member without facts and without anybody to ask.
async fn empty() -> (Ground, Log) {
    let ground = Ground::new();
    Log::create_member(&ground.dir, member(), founding(), MEMBER).unwrap();
    let log = ground.try_open(member()).await.unwrap();
    (ground, log)
}

/// The last fact that the member has then, or why it did not take the facts.
async fn give(log: &Log, first_seq: usize, values: &[Vec<u8>]) -> Result<u64, String> {
    let values = values.iter().cloned().map(Blob).collect();
    let facts = Facts { first_seq: first_seq as u64, values, overlays: vec![] };
    let answer = log.answer(&name(1), &wire::write(&Ask::Facts(facts)).unwrap()).await.unwrap();
    match wire::read(&answer).unwrap() {
        Told::Tip { seq, .. } => Ok(seq),
        Told::Failed(why) => Err(why),
        told @ (Told::Appended(..)
        | Told::Voted { .. }
        | Told::Recorded(..)
        | Told::ReadIndex { .. }
        | Told::Installed(_)
        | Told::Standing
        | Told::NotLeading
        | Told::Release(_)
        | Told::SteppedAside) => panic!("{told:?}"),
    }
}

async fn same_rows(donor: &Ground, log: Log, ground: &Ground) {
    let views = log.views().clone();
    log.stop().await;
    for column in [keys::FACTS, keys::HEADS, keys::SUBJECTS] {
        assert!(rows(&donor.dir, column) == rows(&ground.dir, column), "{column}");
    }
    let again = ground.try_open(member()).await.unwrap();
    assert!(*again.views() == views, "the views differ");
}

#[tokio::test]
async fn rule_27_facts_in_pieces_of_any_size_become_the_same_rows() {
    let (from, values) = donor().await;
    for size in [1, 2, 5, 22, 23] {
        let (ground, log) = empty().await;
        for (nth, piece) in values.chunks(size).enumerate() {
            let last = nth * size + piece.len();
            assert_eq!(give(&log, nth * size + 1, piece).await, Ok(last as u64));
        }
        assert_eq!(log.record(2).unwrap().unwrap().1, [], "the remark is not there");
        same_rows(&from, log, &ground).await;
    }
}

#[tokio::test]
async fn rule_27_pieces_that_come_at_once_and_the_last_first_wait_for_each_other_and_are_folded_in_order() {
    let (from, values) = donor().await;
    for _ in 0..10 {
        let (ground, log) = empty().await;
        let pieces = values.chunks(1).enumerate().rev();
        let taken = join_all(pieces.map(|(nth, piece)| give(&log, nth + 1, piece))).await;
        assert!(taken.iter().all(Result::is_ok), "{taken:?}");
        assert_eq!(log.views().seq, 23);
        same_rows(&from, log, &ground).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_piece_is_folded_the_next_is_written_and_none_is_answered_before_it_is_folded() {
    let (_, values) = donor().await;
    let (_ground, log) = empty().await;
    let give = |range: Range<usize>| {
        let (log, piece) = (log.clone(), values[range.clone()].to_vec());
        tokio::spawn(async move { give(&log, range.start + 1, &piece).await })
    };
    let given = {
        // given: nothing can be folded, for somebody reads
        let reader = log.views();
        let given = [give(0..10), give(10..23)];
        while log.record(23).unwrap().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(reader.seq, 0);
        assert!(given.iter().all(|given| !given.is_finished()), "its facts are not known here yet");
        given
    };
    for given in given {
        given.await.unwrap().unwrap();
    }
    assert_eq!(log.views().seq, 23);
}

#[tokio::test]
async fn rule_04_a_remark_that_the_other_member_still_has_is_erased_here_too() {
    // given the second fact as it was before its remark was erased
    let (from, mut values) = donor().await;
    let before = Ground::new();
    let log = before.create().await;
    log.append(operator_created(900)).await.unwrap();
    log.stop().await;
    let with_remark = rows(&before.dir, keys::FACTS)[1].1.to_vec();
    assert_ne!(with_remark, values[1]);
    values[1] = with_remark;
    for size in [7, 23] {
        let (ground, log) = empty().await;
        for (nth, piece) in values.chunks(size).enumerate() {
            give(&log, nth * size + 1, piece).await.unwrap();
        }
        same_rows(&from, log, &ground).await;
    }
}

#[tokio::test]
async fn rule_27_a_piece_that_comes_twice_or_too_early_changes_nothing() {
    let (from, values) = donor().await;
    let (ground, log) = empty().await;
    assert_eq!(give(&log, 1, &values[..10]).await, Ok(10));
    for (first, facts) in [(1, &values[..10]), (10, &values[9..]), (12, &values[11..])] {
        let why = give(&log, first, facts).await.unwrap_err();
        assert!(why.contains("expected 11"), "{why}");
    }
    assert_eq!(log.chain_head().0, 10);
    assert_eq!(give(&log, 11, &[]).await, Ok(10));
    assert_eq!(give(&log, 11, &values[10..]).await, Ok(23));
    same_rows(&from, log, &ground).await;
}

#[tokio::test]
async fn rule_06_a_piece_with_one_wrong_fact_anywhere_is_refused_as_a_whole() {
    let (from, values) = donor().await;
    let (ground, log) = empty().await;
    assert_eq!(give(&log, 1, &values[..10]).await, Ok(10));
    for wrong in 10..values.len() {
        let mut damaged = values.clone();
        // In the body: a link in front of it, and its length, are 36 bytes.
        damaged[wrong][40] ^= 1;
        let why = give(&log, 11, &damaged[10..]).await.unwrap_err();
        assert!(why.contains("chain"), "{wrong}: {why}");
        let mut other_link = values.clone();
        other_link[wrong][0] ^= 1;
        let why = give(&log, 11, &other_link[10..]).await.unwrap_err();
        assert!(why.contains("chain"), "{wrong}: {why}");
        let mut short = values.clone();
        short[wrong].truncate(30);
        assert!(give(&log, 11, &short[10..]).await.is_err(), "{wrong}");
    }
    let mut gap = values.clone();
    gap.remove(15);
    assert!(give(&log, 11, &gap[10..]).await.is_err());
    assert_eq!(log.chain_head().0, 10, "nothing of them was taken");
    assert_eq!(give(&log, 11, &values[10..]).await, Ok(23));
    same_rows(&from, log, &ground).await;
}

#[tokio::test]
async fn rule_06_facts_that_follow_each_other_but_not_those_that_are_here_are_refused() {
    // given another history of the same log, sound in itself
    let other = Ground::new();
    let log = other.create().await;
    for version in 0..20 {
        log.append(step(version + 1, "n7", version)).await.unwrap();
    }
    log.stop().await;
    let others: Vec<Vec<u8>> =
        rows(&other.dir, keys::FACTS).into_iter().map(|(_, value)| value.into_vec()).collect();
    let (from, values) = donor().await;
    let (ground, log) = empty().await;
    assert_eq!(give(&log, 1, &values[..10]).await, Ok(10));
    let why = give(&log, 11, &others[10..]).await.unwrap_err();
    assert!(why.contains("chain") && !log.needs_upgrade(), "{why}");
    assert_eq!(log.chain_head().0, 10);
    assert_eq!(give(&log, 11, &values[10..]).await, Ok(23));
    same_rows(&from, log, &ground).await;
}

#[tokio::test]
async fn rule_27_a_crash_between_two_pieces_leaves_a_sound_log_that_goes_on_behind_the_first() {
    let (from, values) = donor().await;
    let (ground, log) = empty().await;
    assert_eq!(give(&log, 1, &values[..10]).await, Ok(10));
    let crashed = ground.image();
    assert_eq!(give(&log, 11, &values[10..]).await, Ok(23));
    let later = ground.image();
    log.stop().await;
    for (image, has) in [(crashed, 10), (later, 23)] {
        let log = image.try_open(member()).await.unwrap();
        assert_eq!(log.chain_head().0, has as u64);
        assert_eq!(give(&log, has + 1, &values[has..]).await, Ok(23));
        same_rows(&from, log, &image).await;
    }
}

#[tokio::test]
async fn rule_27_a_new_member_takes_more_than_a_thousand_facts_over_and_goes_on() {
    let mut quorum = Quorum::found(10).await;
    let founder = quorum.log(1);
    for round in 0..3 {
        let nodes = (0..500).map(|n| founder.append(step(1_000 * round + n + 1, &format!("n{n}"), round)));
        for appended in futures_util::future::join_all(nodes).await {
            appended.unwrap();
        }
    }
    for version in 3..30 {
        founder.append(step(10_000 + version, "n1", version)).await.unwrap();
    }
    eventually("the Raft log was purged", || founder.raft().applied_index > 25).await;
    quorum.join(2).await;
    quorum.agree().await;
    founder.append(step(20_000, "n2", 3)).await.unwrap();
    quorum.agree().await;
    quorum.stop(2).await;
    quorum.start(2).await;
    quorum.agree().await;
}

#[tokio::test]
async fn rule_27_facts_beyond_what_was_taken_are_damage() {
    let (_, values) = donor().await;
    let (ground, log) = empty().await;
    assert_eq!(give(&log, 1, &values[..10]).await, Ok(10));
    log.stop().await;
    let (other, log) = empty().await;
    assert_eq!(give(&log, 1, &values).await, Ok(23));
    log.stop().await;
    // The row that says how far the facts go, of the shorter log.
    let taken = rows(&ground.dir, keys::RAFT_STATE).into_iter().find(|(key, _)| **key == *b"taken").unwrap();
    let mut options = rocksdb::Options::default();
    options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::TolerateCorruptedTailRecords);
    let db = rocksdb::DB::open_cf(&options, other.dir.join(keys::DIRECTORY), keys::ALL).unwrap();
    db.put_cf(db.cf_handle(keys::RAFT_STATE).unwrap(), taken.0, taken.1).unwrap();
    drop(db);
    let refused = other.try_open(member()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused}");
}
