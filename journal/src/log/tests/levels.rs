//! What no member may write yet, and what this release cannot read (R26).

use std::sync::Arc;

use events::codec::{StoredValue, encode_body};
use events::domain;
use events::fact::{Fact, Record};
use events::level::Level;
use events::stream::{StreamName, StreamVersion};
use events::vocabulary::{Overlay, Timestamp};
use openraft::{CommittedLeaderId, EntryPayload, Vote};

use super::fixture::{append, step};
use super::quorum::{Quorum, by, committed, name};
use crate::log::stored::write_entry;
use crate::log::types::{Batch, Blob, Entry, Place};
use crate::log::wire::{self, AppendAsk, Ask, Facts, Told};
use crate::log::{AppendError, Log};

fn raised(level: u32) -> Fact {
    Fact::Domain(domain::Event::LevelRaised { level: Level::new(level) })
}

fn later() -> Fact {
    raised(Level::NEWEST.number() + 1)
}

fn default_set() -> Fact {
    Fact::Domain(domain::Event::DefaultSet { overlay: Overlay::of(b"1").unwrap() })
}

#[tokio::test]
async fn rule_26_what_is_above_the_level_is_refused_at_every_member_until_the_level_is_raised() {
    let quorum = Quorum::of(3).await;
    let refused = AppendError::AboveLevel { needs: Level::SECOND, level: Level::FIRST };
    for member in 1..=3 {
        let set = by(member, append(member, &[(StreamName::Domain, 1)], vec![default_set()]));
        let told = quorum.log(member).append_with_overlay(set, b"1".to_vec()).await;
        assert_eq!(told, Err(refused.clone()), "{member}");
    }
    assert_eq!(quorum.log(1).version(&StreamName::Domain).unwrap(), 1, "nothing was recorded");
    let follower = quorum.follower_of(quorum.leader().await);
    committed(&quorum.log(follower), by(follower, append(9, &[(StreamName::Domain, 1)], vec![raised(2)])))
        .await;
    quorum.agree().await;
    for member in 1..=3 {
        assert_eq!(quorum.log(member).views().level, Level::SECOND);
        let set = by(member, append(10 + member, &[(StreamName::Domain, 1 + member)], vec![default_set()]));
        quorum.log(member).append_with_overlay(set, b"1".to_vec()).await.unwrap();
        quorum.agree().await;
    }
}

#[tokio::test]
async fn rule_26_a_member_writes_nothing_that_it_could_not_read() {
    let quorum = Quorum::found(100).await;
    let (needs, level) = (Level::new(Level::NEWEST.number() + 1), Level::NEWEST);
    let told = quorum.log(1).append(append(1, &[(StreamName::Domain, 1)], vec![later()])).await;
    assert_eq!(told, Err(AppendError::AboveLevel { needs, level }));
}

#[tokio::test]
async fn rule_26_every_member_says_which_release_it_is() {
    let quorum = Quorum::of(2).await;
    for (asks, asked) in [(1, 1), (1, 2), (2, 1)] {
        let release = quorum.log(asks).release(asked).await.unwrap();
        assert_eq!((release.reads, release.version.as_str()), (Level::NEWEST, env!("CARGO_PKG_VERSION")));
    }
    quorum.stop(2).await;
    assert_eq!(quorum.log(1).release(2).await, None);
}

async fn say(log: &Log, from: u64, ask: &Ask) -> Result<Told, String> {
    let answer = log.answer(&name(from), &wire::write(ask).unwrap()).await?;
    Ok(wire::read(&answer).unwrap())
}

/// It stopped, says why, and after a start with a release that understands (here: without what it did not) it goes on.
async fn stops_and_loses_nothing(quorum: &Quorum, member: u64, head: u64) {
    let log = quorum.log(member);
    let reason = log.broken().await;
    assert!(reason.contains("upgrade") && log.needs_upgrade(), "{reason}");
    assert_eq!(log.chain_head().0, head, "nothing of it was applied");
    quorum.stop(member).await;
    quorum.start(member).await;
    assert!(quorum.log(member).chain_head().0 >= head);
    let leader = quorum.leader().await;
    committed(&quorum.log(leader), by(leader, step(99, "n9", 0))).await;
    quorum.agree().await;
}

#[tokio::test]
async fn rule_26_a_member_stops_before_it_stores_an_entry_of_a_later_level() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    quorum.agree().await;
    let head = quorum.log(follower).chain_head().0;
    let appends = vec![append(1, &[(StreamName::Domain, 1)], vec![later()])];
    let batch = Batch::new(Timestamp::default(), Arc::new(appends), Arc::default()).unwrap();
    let log_id = Place::new(CommittedLeaderId::new(1, leader), 1_000);
    let entry = write_entry(&Entry { log_id, payload: EntryPayload::Normal(batch) }).unwrap();
    let ask = Ask::Append(AppendAsk {
        vote: (&Vote::new_committed(1, leader)).into(),
        before: None,
        entries: vec![Blob(entry)],
        commit: None,
        proven_ms_ago: None,
        after: None,
        median: None,
    });
    let Ok(Told::Failed(told)) = say(&quorum.log(follower), leader, &ask).await else { panic!("it took it") };
    assert!(told.contains("upgrade"), "{told}");
    stops_and_loses_nothing(&quorum, follower, head).await;
}

/// The fact that would follow, with its link of the chain.
fn next_facts(log: &Log, fact: Fact) -> Facts {
    let (seq, chain) = log.chain_head();
    let (last, _) = log.record(seq).unwrap().unwrap();
    let version = log.version(&fact.subject()).unwrap() + 1;
    let streams = vec![StreamVersion { name: fact.subject(), version }];
    let record = Record { seq: seq + 1, streams, fact, ..last };
    let body = encode_body(&record).unwrap();
    let value = StoredValue::write(&chain.next(&body), &body, &[]).unwrap();
    Facts { first_seq: seq + 1, values: vec![Blob(value)], overlays: vec![] }
}

#[tokio::test]
async fn rule_26_a_member_stops_before_it_takes_a_fact_of_a_later_level_over() {
    let quorum = Quorum::of(3).await;
    let leader = quorum.leader().await;
    let follower = quorum.follower_of(leader);
    quorum.agree().await;
    let log = quorum.log(follower);
    let head = log.chain_head().0;
    let Ok(Told::Failed(told)) = say(&log, leader, &Ask::Facts(next_facts(&log, later()))).await else {
        panic!("it took it")
    };
    assert!(told.contains("upgrade"), "{told}");
    stops_and_loses_nothing(&quorum, follower, head).await;
}

#[tokio::test]
async fn rule_03_a_panic_while_facts_are_taken_over_ends_the_log() {
    let quorum = Quorum::of(1).await;
    let log = quorum.log(1);
    log.on_change(|_| panic!("planted"));
    let ask = Ask::Facts(next_facts(&log, super::fixture::goodbye("n1")));
    let Ok(Told::Failed(told)) = say(&log, 2, &ask).await else { panic!("it took them") };
    assert!(told.contains("unexpectedly"), "{told}");
    let reason = log.broken().await;
    assert!(reason.contains("taking facts over") && !log.needs_upgrade(), "{reason}");
    let told = log.append(step(7, "n2", 0)).await;
    assert!(matches!(told, Err(AppendError::Stopped { .. })), "{told:?}");
}
