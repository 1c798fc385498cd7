//! How an agent that is stopped says goodbye, whatever it is doing (R19).

use super::*;

/// An agent that has renewed, and whose next subscription no journal answers.
async fn between_two_subscriptions(journal: &FakeJournal) -> Running {
    let mut agent = start(journal);
    agent.tells("subscribed").await;
    journal.ignore_subscriptions();
    journal.tell(Message::RenewNow(RenewNow {})).await;
    agent.tells("renewed").await;
    agent
}

#[tokio::test]
async fn rule_19_stopping_between_a_renewal_and_its_subscription_says_goodbye_on_the_old_stream() {
    let journal = FakeJournal::start(Vec::new()).await;
    let agent = between_two_subscriptions(&journal).await;
    assert_eq!(agent.last_words().await, "stopped after a goodbye");
    assert_eq!(journal.goodbyes(), 1);
}

#[tokio::test]
async fn rule_19_a_goodbye_whose_stream_ends_with_an_error_was_not_taken() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.refuse_goodbyes(Refusal::new(Reason::SerialSuperseded, "a newer certificate is in use"));
    let agent = between_two_subscriptions(&journal).await;
    assert_eq!(agent.last_words().await, "stopped without a goodbye");
    assert_eq!(journal.goodbyes(), 1);
}

#[tokio::test]
async fn rule_19_a_goodbye_on_a_stream_that_is_lost_was_not_taken() {
    let journal = FakeJournal::start(Vec::new()).await;
    let agent = between_two_subscriptions(&journal).await;
    journal.cut();
    assert_eq!(agent.last_words().await, "stopped without a goodbye");
}

#[tokio::test]
async fn rule_19_a_goodbye_that_the_old_stream_may_not_say_is_said_with_the_new_certificate() {
    let journal = FakeJournal::start(Vec::new()).await;
    let superseded = Refusal::new(Reason::SerialSuperseded, "a newer certificate is in use");
    journal.refuse_next_goodbye(superseded);
    let mut agent = start(&journal);
    agent.tells("subscribed").await;
    journal.refuse_subscriptions(Some(busy_for(PATIENCE)));
    journal.tell(Message::RenewNow(RenewNow {})).await;
    agent.tells("renewed").await;
    journal.was_asked_to_subscribe(2).await;
    journal.refuse_subscriptions(None);

    assert_eq!(agent.last_words().await, "stopped after a goodbye");

    assert_eq!(journal.goodbyes(), 2);
}

fn busy_for(span: Duration) -> Refusal {
    Refusal::new(Reason::Overloaded, "busy").retry_after(span)
}

#[tokio::test]
async fn rule_19_an_agent_that_waits_for_its_journal_says_goodbye_if_it_is_back() {
    // given: an agent that has lost its stream, and was told to come back long after
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;
    journal.refuse_subscriptions(Some(busy_for(PATIENCE)));
    journal.cut();
    agent.tells("lost").await;
    journal.was_asked_to_subscribe(2).await;

    // when
    journal.refuse_subscriptions(None);
    let last = agent.last_words().await;

    // then
    assert_eq!(last, "stopped after a goodbye");
    assert_eq!((journal.goodbyes(), journal.enroll_requests().len()), (1, 1));
}

#[tokio::test]
async fn rule_19_an_agent_that_never_subscribed_says_goodbye_if_its_journal_takes_it() {
    let journal = FakeJournal::start(Vec::new()).await;
    journal.refuse_subscriptions(Some(busy_for(PATIENCE)));
    let mut agent = start(&journal);
    agent.tells("enrolled").await;
    journal.was_asked_to_subscribe(1).await;
    journal.refuse_subscriptions(None);
    assert_eq!(agent.last_words().await, "stopped after a goodbye");
}

#[tokio::test]
async fn rule_19_an_agent_whose_journal_is_still_away_ends_without_a_goodbye_and_in_time() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;
    journal.leave_for(PATIENCE);
    agent.tells("lost").await;
    let began = Instant::now();
    assert_eq!(agent.last_words().await, "stopped without a goodbye");
    assert!(began.elapsed() < 2 * GOODBYE_WITHIN);
}

#[tokio::test]
async fn rule_19_a_certificate_that_is_refused_says_no_goodbye() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;
    journal.refuse_subscriptions(Some(busy_for(PATIENCE)));
    journal.cut();
    journal.was_asked_to_subscribe(2).await;
    journal.judge(&CertificateError::Revoked);
    assert_eq!(agent.last_words().await, "stopped without a goodbye");
    assert_eq!(journal.goodbyes(), 0);
}

/// A life that is left to a successor once it is subscribed.
async fn left_to_a_successor(agent: Agent) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (report, told) = Report::to_test();
    let life = tokio::spawn(async move {
        let stop = async {
            drop(stopped.await);
            Leaving::ToSuccessor
        };
        until_asked(stop, &agent, &report).await
    });
    let mut running = Running { stop, agent: life, told };
    running.tells("subscribed").await;
    assert_eq!(running.stop().await, Ok(()));
}

#[tokio::test]
async fn rule_18_who_comes_after_an_agent_goes_on_with_the_certificate_of_its_enrollment() {
    let journal = FakeJournal::start(Vec::new()).await;
    let first = agent_of(&journal);
    let session = first.session.clone();

    left_to_a_successor(first).await;
    let second = Agent { session: session.clone(), ..agent_of(&journal) };
    left_to_a_successor(second).await;

    assert_eq!((journal.enroll_requests().len(), journal.goodbyes()), (1, 0));
    assert!(session.resume().is_some());
}

#[tokio::test]
async fn nobody_goes_on_with_a_certificate_that_no_journal_knows() {
    let journal = FakeJournal::start(Vec::new()).await;
    let first = agent_of(&journal);
    let session = first.session.clone();
    left_to_a_successor(first).await;
    assert!(session.resume().is_some());

    journal.judge(&CertificateError::UnknownIssuer);
    let ended = start_agent(Agent { session: session.clone(), ..agent_of(&journal) }).end().await;

    assert!(matches!(ended, Failure::ConnectionRefused(_)), "{ended}");
    assert!(session.resume().is_none());
}
