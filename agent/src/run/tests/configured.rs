//! How an agent gets its boot configuration, and the next ones, whatever happens to its connections.

use super::*;
use crate::{boot_config::PART_BYTES, fake_journal::BootScript};

fn ml(revision: u64, overlay: &[u8]) -> Configured {
    Configured { vcluster: "ml", revision, seq: revision, overlay: overlay.to_vec() }
}

fn busy() -> BootScript {
    BootScript::Refuse(Refusal::new(Reason::Overloaded, "busy"))
}

/// A good answer whose second part was altered on its way.
fn altered(configured: &Configured) -> BootScript {
    use proto::pb::config_chunk::Chunk;
    let mut chunks = configured.chunks_of(4);
    match &mut chunks[1].chunk {
        Some(Chunk::Overlay(part)) => part.data[0] ^= 1,
        Some(Chunk::Complete(_)) | None => panic!("it has two parts"),
    }
    BootScript::Send(chunks)
}

async fn booted(journal: &FakeJournal) -> Result<BootConfig, Failure> {
    let (_, subscription, config) = agent_of(journal).boot(Patience::of(PATIENCE)).await?;
    subscription.goodbye(PATIENCE).await.map(|()| config)
}

/// Fetches over a connection of its own, and does not wait long.
async fn fetched(journal: &FakeJournal) -> Result<BootConfig, Failure> {
    let trust = journal.journals().trust;
    let connection =
        proto::channel::Connection::open(journal.address(), &trust, None, PATIENCE).await.unwrap();
    boot_config::fetch(&connection, None, Patience::of(Duration::from_millis(300))).await
}

#[tokio::test]
async fn a_boot_ends_with_the_whole_overlay() {
    let journal = FakeJournal::start(Vec::new()).await;
    let overlay: Vec<u8> = (0..3 * PART_BYTES + 1).map(|at| at.to_le_bytes()[0]).collect();
    journal.configure(ml(7, &overlay));

    let config = booted(&journal).await.unwrap();

    assert_eq!(config.vcluster.unwrap().as_str(), "ml");
    assert!(config.overlay.unwrap().bytes == overlay);
    assert_eq!((journal.known_revisions(), journal.subscribed_from()), (vec![0], vec![0]));
}

#[tokio::test]
async fn without_any_overlay_a_node_is_up_all_the_same() {
    let journal = FakeJournal::start(Vec::new()).await;
    let config = booted(&journal).await.unwrap();
    assert_eq!((config.vcluster, config.revision, config.overlay), (None, 0, None));
}

#[tokio::test]
async fn a_boot_outlasts_an_overlay_that_was_altered_on_its_way() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.configure(ml(7, b"twelve bytes"));
    journal.script_boot([altered(&ml(7, b"twelve bytes"))]);
    assert_eq!(booted(&journal).await.unwrap().overlay.unwrap().bytes, b"twelve bytes");
    assert_eq!((journal.known_revisions().len(), journal.enroll_requests().len()), (2, 1));
}

#[tokio::test]
async fn a_busy_journal_is_asked_again_over_the_same_connection() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.script_boot([busy(), busy()]);
    booted(&journal).await.unwrap();
    assert_eq!((journal.known_revisions().len(), journal.subscribed_from().len()), (3, 1));
}

#[tokio::test]
async fn a_boot_that_is_never_configured_ends_with_the_reason() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.script_boot((0..100).map(|_| altered(&ml(7, b"twelve bytes"))));
    let failure = agent_of(&journal).boot(Patience::of(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(failure.exit() as u8, 3);
    // The last try may have had too little time left for its first step.
    let told = failure.to_string();
    assert!(told.starts_with("BOOT_CONFIG_INVALID: ") || told.contains("took no subscription"), "{failure}");
    assert!(journal.known_revisions().len() > 1);
}

#[tokio::test]
async fn what_is_wrong_has_a_name() {
    let journal = FakeJournal::start(Vec::new()).await;
    let good = ml(7, b"twelve bytes").chunks_of(4);
    let large = ml(7, &vec![0; 2 * PART_BYTES]).chunks_of(2 * PART_BYTES);
    let mut doubled = good.clone();
    doubled.push(good[3].clone());
    for chunks in [good[..3].to_vec(), Vec::new(), large, doubled] {
        journal.script_boot([BootScript::Send(chunks)]);
        assert_eq!(fetched(&journal).await.unwrap_err().reason_text(), "BOOT_CONFIG_INVALID");
    }
    for chunk in good {
        journal.script_boot([BootScript::Repeat(chunk)]);
        assert_eq!(fetched(&journal).await.unwrap_err().reason_text(), "BOOT_CONFIG_INVALID");
    }
}

#[tokio::test]
async fn a_journal_that_does_not_go_on_is_not_waited_for() {
    let journal = FakeJournal::start(Vec::new()).await;
    let good = ml(7, b"twelve bytes").chunks_of(4);
    for sent in 0..=good.len() {
        journal.script_boot([BootScript::Stall(good[..sent].to_vec())]);
        assert_eq!(fetched(&journal).await.unwrap_err().reason_text(), "DEADLINE", "after {sent}");
    }
}

#[tokio::test]
async fn a_change_is_fetched_and_told_once() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.configure(ml(7, b"first"));
    let mut agent = start(&journal);
    assert!(agent.tells("configured").await.starts_with("configured in ml by revision 7"));

    journal.tell(changed("ml", 7, 7)).await; // As a subscription that began at 0 is told.
    journal.configure(ml(9, b"second"));
    journal.tell(changed("ml", 9, 9)).await;
    journal.tell(changed("ml", 9, 9)).await;

    assert!(agent.tells("configured").await.starts_with("configured in ml by revision 9"));
    journal.configure(Configured { seq: 12, ..Configured::default() });
    journal.tell(changed("", 0, 12)).await;
    assert_eq!(agent.tells("configured").await, "configured in no vCluster without an overlay");
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!(journal.known_revisions(), [0, 7, 9]);
}

#[tokio::test]
async fn changes_during_a_fetch_are_one_more_fetch() {
    // given: a fetch that is under way
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("configured").await;
    journal.hold_boot(true);
    journal.configure(ml(5, b"five"));
    journal.tell(changed("ml", 5, 5)).await;
    journal.was_asked_to_configure(2).await;

    // when
    for revision in 6..20 {
        journal.tell(changed("ml", revision, revision)).await;
    }
    journal.configure(ml(19, b"nineteen"));
    journal.hold_boot(false);

    // then
    assert!(agent.tells("configured in ml by revision 5").await.contains("revision 5"));
    agent.tells("configured in ml by revision 19").await;
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!(journal.known_revisions(), [0, 0, 5]);
}

#[tokio::test]
async fn a_change_that_cannot_be_fetched_is_asked_for_until_it_can() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("configured").await;
    let next = ml(9, b"twelve bytes");
    journal.configure(next.clone());
    journal.script_boot([altered(&next), busy()]);
    journal.tell(changed("ml", 9, 9)).await;
    agent.tells("configured in ml by revision 9").await;
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!(journal.subscribed_from(), [0]);
}

#[tokio::test]
async fn a_node_without_its_first_configuration_stays_subscribed_and_asks_again() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.configure(ml(7, b"twelve bytes"));
    journal.script_boot([altered(&ml(7, b"twelve bytes")), busy()]);
    let mut agent = start(&journal);
    agent.tells("configured in ml by revision 7").await;
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!((journal.known_revisions(), journal.subscribed_from()), (vec![0, 0, 0], vec![0]));
}

#[tokio::test]
async fn the_next_subscription_begins_where_the_configuration_ends() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.configure(ml(7, b"first"));
    let mut agent = start(&journal);
    agent.tells("configured").await;

    journal.cut();
    agent.tells("lost").await;
    assert!(agent.tells("").await.starts_with("subscribed"));

    // What it holds is neither fetched nor told again; what changed meanwhile is.
    journal.configure(ml(9, b"second"));
    journal.tell(changed("ml", 9, 9)).await;
    assert!(agent.tells("").await.starts_with("configured in ml by revision 9"));
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!((journal.known_revisions(), journal.subscribed_from()), (vec![0, 7], vec![0, 7]));
}

#[tokio::test]
async fn a_fetch_that_was_lost_with_its_connection_begins_again_over_the_next() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("configured").await;
    journal.configure(ml(9, b"second"));
    journal.script_boot([BootScript::Stall(Vec::new())]);
    journal.tell(changed("ml", 9, 9)).await;
    journal.was_asked_to_configure(2).await;

    journal.cut();

    agent.tells("configured in ml by revision 9").await;
    assert_eq!(agent.stop().await, Ok(()));
}

#[tokio::test]
async fn rule_20_a_renewal_carries_the_subscription_and_the_configuration_over() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.configure(ml(7, b"first"));
    let mut agent = start(&journal);
    agent.tells("configured").await;

    // A change that lies unread in the old stream when the new one opens is told again by the new one.
    journal.tell(Message::RenewNow(RenewNow {})).await;
    assert!(agent.tells("").await.starts_with("renewed"));
    assert!(agent.tells("").await.starts_with("subscribed"));
    journal.configure(ml(9, b"second"));
    journal.tell(changed("ml", 9, 9)).await;

    assert!(agent.tells("").await.starts_with("configured in ml by revision 9"));
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!((journal.known_revisions(), journal.subscribed_from()), (vec![0, 7], vec![0, 7]));
    assert_eq!(journal.goodbyes(), 1);
}

#[tokio::test]
async fn rule_20_a_fetch_that_hangs_on_the_old_connection_begins_again_over_the_new_one() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("configured").await;
    journal.configure(ml(9, b"second"));
    journal.script_boot([BootScript::Stall(Vec::new())]);
    journal.tell(changed("ml", 9, 9)).await;
    journal.was_asked_to_configure(2).await;

    let began = Instant::now();
    journal.tell(Message::RenewNow(RenewNow {})).await;

    agent.tells("renewed").await;
    agent.tells("configured in ml by revision 9").await;
    assert!(began.elapsed() < crate::enroll::ANSWER_WITHIN);
    assert_eq!(agent.stop().await, Ok(()));
}
