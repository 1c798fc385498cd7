//! A change reaches the nodes that are here within a second, once, and with no gap between what a node fetched and what
//! it is told.

use std::time::Duration;

use proto::pb::journal_message::{Changed, Message};
use tokio::time::timeout;

use super::booted;
use crate::calls::Subscription;
use crate::journal_process::Journal;
use crate::request::Machine;

/// The promise.
const AT_ONCE: Duration = Duration::from_secs(1);

async fn told(subscription: &mut Subscription) -> Changed {
    match timeout(AT_ONCE, subscription.next()).await.expect("within a second") {
        Some(Message::Changed(changed)) => changed,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_change_is_told_to_the_nodes_that_it_concerns_and_to_no_other() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    let first = operator.set_overlay("prod", b"1").await.unwrap();
    let (inside, outside) = (Machine::new(), Machine::registered(&operator).await);
    operator.register_in(&inside, "prod").await.unwrap();
    let (inside, outside) = (booted(&journal, &inside).await, booted(&journal, &outside).await);
    let seq = inside.boot_config(0).await.unwrap().complete.seq;
    let mut assigned = inside.subscribe_from(seq).await.unwrap();
    let mut maintenance = outside.subscribe_from(seq).await.unwrap();

    let second = operator.set_overlay("prod", b"2").await.unwrap();
    let changed = told(&mut assigned).await;
    assert_eq!((changed.vcluster_id.as_str(), changed.revision), ("prod", second.seq));
    assert!(second.seq > first.seq && changed.seq >= second.seq);
    assert_eq!(inside.boot_config(first.seq).await.unwrap().overlay.as_deref(), Some(&b"2"[..]));

    let default = operator.set_default(b"3").await.unwrap();
    let changed = told(&mut maintenance).await;
    assert_eq!((changed.vcluster_id.as_str(), changed.revision), ("", default.seq), "not the one of prod");
    let third = operator.set_overlay("prod", b"4").await.unwrap();
    assert_eq!(told(&mut assigned).await.revision, third.seq, "not the default");
}

#[tokio::test]
async fn what_changed_between_the_fetch_and_the_subscription_is_told_at_once() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    operator.set_default(b"1").await.unwrap();
    let agent = booted(&journal, &Machine::registered(&operator).await).await;
    let fetched = agent.boot_config(0).await.unwrap().complete;
    let between = operator.set_default(b"2").await.unwrap();
    let mut subscription = agent.subscribe_from(fetched.seq).await.unwrap();
    assert_eq!(told(&mut subscription).await.revision, between.seq);
}

#[tokio::test]
async fn what_the_node_has_is_not_told_again() {
    let journal = Journal::start();
    let operator = journal.operator().await;
    operator.set_default(b"1").await.unwrap();
    let agent = booted(&journal, &Machine::registered(&operator).await).await;
    let seq = agent.boot_config(0).await.unwrap().complete.seq;
    let mut subscription = agent.subscribe_from(seq).await.unwrap();
    operator.set_overlay("other", b"x").await.unwrap();
    let news = operator.set_default(b"2").await.unwrap();
    assert_eq!(told(&mut subscription).await.revision, news.seq, "the first that it is told");
}
