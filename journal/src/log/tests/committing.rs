//! What becomes of appends.

use std::sync::Arc;
use std::time::Duration;

use events::stream::StreamName;
use events::views::Changed;
use events::vocabulary::{Der, Remark};
use futures_util::future::join_all;
use parking_lot::Mutex;

use super::fixture::{
    Ground, admin, append, certificate, created, goodbye, node, operator_created, operator_revoked, remark,
    remark_erased, step, until,
};
use crate::log::{AppendError, Committed, MAX_APPEND_BYTES};

fn at(seq: u64) -> Result<Committed, AppendError> {
    Ok(Committed { first_seq: seq, last_seq: seq })
}

#[tokio::test]
async fn rule_03_what_was_answered_is_in_the_views_and_after_reopening() {
    let ground = Ground::new();
    let log = ground.create().await;
    assert_eq!(log.append(operator_created(1)).await, at(2));
    assert!(log.views().operators.get(&"admin".parse().unwrap()).is_some());
    for version in 0..20 {
        assert_eq!(log.append(step(10 + version, "n1", version)).await, at(3 + version));
    }
    let (views, head) = (log.views().clone(), log.chain_head());
    let facts: Vec<_> = (1..=22).map(|seq| log.record(seq).unwrap().unwrap()).collect();
    log.stop().await;

    let log = ground.open().await;
    assert_eq!((&*log.views(), log.chain_head()), (&views, head));
    assert_eq!((1..=22).map(|seq| log.record(seq).unwrap().unwrap()).collect::<Vec<_>>(), facts);
    assert_eq!(log.record(23).unwrap(), None);
    assert_eq!(log.version(&node("n1")).unwrap(), 20);
    assert_eq!(log.version(&node("n2")).unwrap(), 0);
    assert_eq!(log.append(step(99, "n1", 20)).await, at(23));
    log.stop().await;
}

#[tokio::test]
async fn rule_01_a_version_that_the_views_do_not_show_yet_is_not_told() {
    let ground = Ground::new();
    let log = ground.create().await;
    let before = log.views().clone();
    log.append(step(1, "n1", 0)).await.unwrap();
    // As between the store's write and the fold: the log is ahead of the views in hand.
    assert_eq!(log.version_seen(&node("n1"), &before).unwrap(), None);
    assert_eq!(log.version_seen(&node("n2"), &before).unwrap(), Some(0));
    assert_eq!(log.version_seen(&node("n1"), &log.views()).unwrap(), Some(1));
    log.stop().await;
}

#[tokio::test]
async fn rule_01_of_two_conflicting_appends_in_one_entry_the_first_wins() {
    let ground = Ground::new();
    let log = ground.create().await;
    let held = ground.hold_writer();
    let other = tokio::spawn({
        let log = log.clone();
        async move { log.append(step(1, "other", 0)).await }
    });
    until("the writer stands before the second entry", || log.totals().entries == 2).await;
    let (first, second, third, ()) = tokio::join!(
        log.append(step(2, "n1", 0)),
        log.append(step(3, "n1", 0)),
        log.append(step(4, "n1", 1)),
        async { drop(held) },
    );
    assert_eq!(other.await.unwrap(), at(2));
    assert_eq!(first, at(3));
    assert_eq!(second, Err(AppendError::Conflict { stream: node("n1"), expected: 0, found: 1 }));
    assert_eq!(third, at(4));
    assert_eq!(log.totals().entries, 3, "the three were in one entry");
    log.stop().await;
}

#[tokio::test]
async fn rule_01_an_append_whose_read_stream_changed_is_refused_whole() {
    let ground = Ground::new();
    let log = ground.create().await;
    let read = append(1, &[(node("n1"), 0), (StreamName::Domain, 0)], vec![goodbye("n1")]);
    let conflict = AppendError::Conflict { stream: StreamName::Domain, expected: 0, found: 1 };
    assert_eq!(log.append(read).await, Err(conflict));
    assert_eq!(log.version(&node("n1")).unwrap(), 0);
    assert_eq!(log.chain_head().0, 1);
    log.stop().await;
}

#[tokio::test]
async fn rule_07_the_same_append_again_gets_the_same_answer() {
    let ground = Ground::new();
    let log = ground.create().await;
    let twice = append(7, &[(node("n1"), 0), (node("n2"), 0)], vec![goodbye("n1"), goodbye("n2")]);
    let expected = Ok(Committed { first_seq: 2, last_seq: 3 });
    let (first, second) = tokio::join!(log.append(twice.clone()), log.append(twice.clone()));
    assert_eq!((first, second), (expected.clone(), expected.clone()));
    log.append(step(8, "n1", 1)).await.unwrap();
    assert_eq!(log.append(twice.clone()).await, expected);
    log.stop().await;

    let log = ground.open().await;
    assert_eq!(log.append(twice.clone()).await, expected);
    ground.pass(Duration::from_secs(3600));
    assert_eq!(log.append(twice.clone()).await, expected, "it was recorded in time");
    assert_eq!(log.chain_head().0, 4);
    log.stop().await;
}

#[tokio::test]
async fn rule_07_a_repetition_inside_one_entry_is_recorded_once() {
    let ground = Ground::new();
    let log = ground.create().await;
    let held = ground.hold_writer();
    let other = tokio::spawn({
        let log = log.clone();
        async move { log.append(step(1, "other", 0)).await }
    });
    until("the writer stands before the second entry", || log.totals().entries == 2).await;
    let (first, second, ()) =
        tokio::join!(log.append(step(2, "n1", 0)), log.append(step(2, "n1", 0)), async { drop(held) });
    other.await.unwrap().unwrap();
    assert_eq!((first, second), (at(3), at(3)));
    assert_eq!((log.totals().entries, log.chain_head().0), (3, 3));
    log.stop().await;
}

#[tokio::test]
async fn rule_24_an_append_decided_too_long_ago_is_refused() {
    let ground = Ground::new();
    let log = ground.create().await;
    ground.pass(Duration::from_secs(60));
    assert_eq!(log.append(step(1, "n1", 0)).await, at(2));
    ground.pass(Duration::from_millis(1));
    assert_eq!(log.append(step(2, "n1", 1)).await, Err(AppendError::Skewed));
    assert_eq!(log.chain_head().0, 2);
    log.stop().await;
}

#[tokio::test]
async fn what_could_not_be_read_back_is_refused_before_it_is_proposed() {
    let ground = Ground::new();
    let log = ground.create().await;
    let entries = log.totals().entries;
    let mut large = operator_created(1);
    if let events::fact::Fact::Operator(_, events::operator::Event::Created { der, .. }) = &mut large.facts[0]
    {
        *der = Der::new(vec![0; MAX_APPEND_BYTES]);
    }
    assert!(matches!(log.append(large).await, Err(AppendError::TooLarge { .. })));
    assert_eq!(log.append(append(2, &[], vec![])).await, Err(AppendError::Malformed));
    assert_eq!(log.append(append(3, &[], vec![goodbye("n1")])).await, Err(AppendError::Malformed));
    let mut repeated = operator_created(4);
    repeated.remarks = vec![remark(); 40];
    assert_eq!(log.append(repeated).await, Err(AppendError::Malformed));
    assert_eq!((log.totals().entries, log.chain_head().0), (entries, 1));
    log.stop().await;
}

#[tokio::test]
async fn the_largest_append_with_the_longest_remarks_is_stored_and_read_back() {
    let ground = Ground::new();
    let log = ground.create().await;
    let mut large = operator_created(1);
    let source = Remark::new([1; 16], &"s".repeat(Remark::MAX_BYTES)).unwrap();
    large.source = Some(source.hash());
    large.remarks.push(source);
    if let events::fact::Fact::Operator(_, events::operator::Event::Created { der, .. }) = &mut large.facts[0]
    {
        *der = Der::new(vec![0; MAX_APPEND_BYTES - 4096]);
    }
    assert_eq!(log.append(large).await, at(2));
    log.stop().await;
    let log = ground.open().await;
    assert_eq!(log.record(2).unwrap().unwrap().1.len(), 2);
    log.stop().await;
}

#[tokio::test]
async fn many_appends_that_wait_together_share_entries() {
    let ground = Ground::new();
    let log = ground.create().await;
    let appends = (0..3000).map(|n| log.append(step(n + 1, &format!("n{n}"), 0)));
    let mut places: Vec<_> =
        join_all(appends).await.into_iter().map(|place| place.unwrap().first_seq).collect();
    places.sort_unstable();
    assert_eq!(places, (2..=3001).collect::<Vec<_>>());
    let totals = log.totals();
    assert_eq!(totals.appends, 3001);
    assert!(totals.entries < 300, "{} entries for 3,000 appends", totals.entries);
    log.stop().await;
}

#[tokio::test]
async fn rule_04_an_erased_remark_is_gone_and_the_chain_still_holds() {
    let ground = Ground::new();
    let log = ground.create().await;
    log.append(operator_created(1)).await.unwrap();
    assert_eq!(log.record(2).unwrap().unwrap().1, [remark()]);
    let (record, head) = (log.record(2).unwrap().unwrap().0, log.chain_head());
    log.append(remark_erased(2, 2, 1)).await.unwrap();
    assert_eq!(log.record(2).unwrap().unwrap(), (record.clone(), vec![]));
    assert_ne!(log.chain_head(), head);
    log.stop().await;

    let log = ground.open().await;
    assert_eq!(log.record(2).unwrap().unwrap(), (record, vec![]));
    log.stop().await;
}

#[tokio::test]
async fn rule_04_a_remark_is_erased_in_the_entry_that_brings_it_and_a_missing_one_is_borne() {
    let ground = Ground::new();
    let log = ground.create().await;
    let held = ground.hold_writer();
    let other = tokio::spawn({
        let log = log.clone();
        async move { log.append(step(1, "other", 0)).await }
    });
    until("the writer stands before the second entry", || log.totals().entries == 2).await;
    let (brought, erased, nothing, ()) = tokio::join!(
        log.append(operator_created(2)),
        log.append(remark_erased(3, 3, 1)),
        log.append(remark_erased(4, 1000, 2)),
        async { drop(held) },
    );
    other.await.unwrap().unwrap();
    assert_eq!((brought, erased, nothing), (at(3), at(4), at(5)));
    assert_eq!(log.totals().entries, 3);
    assert_eq!(log.record(3).unwrap().unwrap().1, []);
    log.stop().await;
    ground.open().await.stop().await;
}

#[tokio::test]
async fn rule_17_a_change_is_heard_after_the_fold_and_before_the_answer() {
    let ground = Ground::new();
    let log = ground.create().await;
    log.append(operator_created(1)).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    log.on_change({
        let (heard, views) = (Arc::clone(&heard), log.clone());
        move |changed| heard.lock().push((changed.clone(), views.views().seq))
    });
    log.append(step(2, "n1", 0)).await.unwrap();
    log.append(operator_revoked(3)).await.unwrap();
    let registered = Changed { nodes: vec!["n1".parse().unwrap()], ..Changed::default() };
    let revoked = Changed { certificates: vec![certificate().sha256], ..Changed::default() };
    assert_eq!(*heard.lock(), [(registered, 3), (revoked, 4)]);
    assert_eq!(log.version(&admin()).unwrap(), 2);
    log.stop().await;
}

#[tokio::test]
async fn a_stopped_log_answers_that_it_is_closed() {
    let ground = Ground::new();
    let log = ground.create().await;
    let held = ground.hold_writer();
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.append(step(1, "n1", 0)).await }
    });
    until("the writer stands before the second entry", || log.totals().entries == 2).await;
    drop(held);
    log.stop().await;
    let answer = waiting.await.unwrap();
    assert!(answer == at(2) || matches!(answer, Err(AppendError::Stopped { .. })), "{answer:?}");
    assert!(matches!(log.append(created()).await, Err(AppendError::Stopped { .. })));
    assert!(matches!(log.version(&StreamName::Domain), Err(crate::log::ReadError::Closed)));
    log.stop().await;
    ground.open().await.stop().await;
}
