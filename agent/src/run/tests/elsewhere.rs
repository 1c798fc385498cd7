//! Where an agent goes when its journal is lost or evicted.

use super::*;
use crate::journals::Journals;

/// Journals of one domain, known in this order.
fn agent_of_all(journals: &[&FakeJournal]) -> Agent {
    let known = journals.iter().map(|journal| journal.address().clone()).collect();
    let journals = Journals::new(journals[0].journals().trust, known).unwrap();
    Agent::new(journals, Machine::just_booted(HardwareIdentity::default()))
}

fn evicted(journal: &FakeJournal) -> Message {
    Message::Endpoints(Endpoints { evicted_journals: vec![journal.server()], ..Default::default() })
}

#[tokio::test]
async fn a_node_whose_journal_is_lost_goes_to_one_that_it_was_told_of() {
    let journal = FakeJournal::start(Vec::new()).await;
    let other = journal.sibling().await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;
    let told = Endpoints { endpoints: vec![other.address().to_string()], ..Default::default() };
    journal.tell(Message::Endpoints(told)).await;
    // What follows the addresses in the stream is taken after them.
    journal.configure(Configured { vcluster: "ml", revision: 3, seq: 3, overlay: b"a".to_vec() });
    journal.tell(changed("ml", 3, 3)).await;
    agent.tells("configured in ml").await;

    journal.leave_for(PATIENCE);

    let subscribed = agent.tells("subscribed").await;
    assert_eq!(subscribed, format!("subscribed at {}", other.address()));
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!((journal.goodbyes(), other.goodbyes()), (0, 1));
}

#[tokio::test]
async fn a_node_leaves_a_journal_that_it_learns_to_be_evicted_and_does_not_come_back() {
    let (one, two) = {
        let one = FakeJournal::start(Vec::new()).await;
        let two = one.sibling().await;
        (one, two)
    };
    let mut agent = start_agent(agent_of_all(&[&one, &two]));
    let at_one = agent.tells("subscribed").await == format!("subscribed at {}", one.address());
    let (present, other) = if at_one { (&one, &two) } else { (&two, &one) };

    present.tell(evicted(present)).await;

    assert!(agent.tells("lost").await.starts_with("lost JOURNAL_EVICTED: the journal at https://127.0.0.1:"));
    assert_eq!(agent.tells("subscribed").await, format!("subscribed at {}", other.address()));
    other.cut();
    assert_eq!(agent.tells("subscribed").await, format!("subscribed at {}", other.address()));
    assert_eq!(present.subscribed_from().len(), 1);
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!((present.goodbyes(), other.goodbyes()), (0, 1));
}

#[tokio::test]
async fn a_node_that_learns_of_another_journal_s_eviction_stays_where_it_is() {
    let one = FakeJournal::start(Vec::new()).await;
    let two = one.sibling().await;
    let mut agent = start_agent(agent_of_all(&[&one, &two]));
    let at_one = agent.tells("subscribed").await == format!("subscribed at {}", one.address());
    let (present, other) = if at_one { (&one, &two) } else { (&two, &one) };

    present.tell(evicted(other)).await;
    present.configure(Configured { vcluster: "ml", revision: 3, seq: 3, overlay: b"a".to_vec() });
    present.tell(changed("ml", 3, 3)).await;

    agent.tells("configured in ml").await;
    assert_eq!(present.subscribed_from().len(), 1);
    assert_eq!(agent.stop().await, Ok(()));
}

#[tokio::test]
async fn what_an_enrollment_tells_of_evicted_journals_holds_for_the_first_subscription() {
    let one = FakeJournal::start(Vec::new()).await;
    let two = one.sibling().await;
    // Whichever answers says that the first was evicted.
    for journal in [&one, &two] {
        journal.tell_evicted(&[one.server()]);
    }
    for _ in 0..4 {
        let agent = agent_of_all(&[&one, &two]);
        let (_, subscription, _) = agent.boot(Patience::of(PATIENCE)).await.unwrap();
        assert_eq!(subscription.connection().address(), two.address());
    }
}

#[tokio::test]
async fn a_node_that_knows_only_an_evicted_journal_says_so() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.tell_evicted(&[journal.server()]);
    let failure =
        once(&agent_of(&journal), Duration::from_millis(500), &Report::to_test().0).await.unwrap_err();
    assert_eq!((failure.reason_text(), failure.exit() as u8), ("JOURNAL_EVICTED", 3));
}

#[tokio::test]
async fn rule_19_a_stream_is_opened_elsewhere_within_little_more_than_a_second_if_its_journal_stands_still() {
    let journal = FakeJournal::start(Vec::new()).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_at: proto::channel::JournalAddress =
        format!("https://{}", silent.local_addr().unwrap()).parse().unwrap();
    let agent = agent_of(&journal);
    let key = NodeKey::generate().unwrap();
    let enrolled =
        enroll::enroll(&agent.journals, &agent.machine().unwrap(), &key, Patience::ENDLESS).await.unwrap();
    let caller = Caller {
        machine: &agent.machine().unwrap(),
        identity: &enrolled.identity,
        patience: Patience::ENDLESS,
    };
    let began = Instant::now();

    let subscribed = caller.subscribe(&agent.journals, Preference::First(&silent_at), None).await;

    let took = began.elapsed();
    assert_eq!(subscribed.unwrap().0.connection().address(), journal.address());
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(2), "{took:?}");
}
