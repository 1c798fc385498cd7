//! An agent on a machine whose clock woke up wrong (R25): to it, no server's certificate has begun yet.

use std::{
    io,
    sync::{Arc, Mutex},
};

use events::vocabulary::Timestamp;

use super::*;
use crate::waking::Clock;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A clock that is as far behind as the test's server is ahead, and what it was set to.
#[derive(Debug)]
struct TestClock {
    now: Timestamp,
    set_to: Mutex<Vec<Timestamp>>,
    may_be_set: bool,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn set(&self, time: Timestamp) -> io::Result<()> {
        self.set_to.lock().unwrap().push(time);
        if self.may_be_set { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

/// A journal whose server's certificate begins in a year, and the clock of a machine that knows a later time than its own.
async fn asleep(image_built_in: Duration, may_be_set: bool) -> (FakeJournal, Agent, Arc<TestClock>) {
    let authority = FakeAuthority::with_servers_that_begin_in(YEAR);
    let journal = FakeJournal::with_authority(authority, Vec::new()).await;
    let clock = Arc::new(TestClock { now: now(), set_to: Mutex::default(), may_be_set });
    let journals = journal.journals().waking_with(now().plus(image_built_in), clock.clone());
    let agent = Agent::new(journals, Machine::just_booted(HardwareIdentity::default()));
    (journal, agent, clock)
}

#[tokio::test]
async fn rule_25_a_node_with_a_wrong_clock_comes_up_and_sets_it() {
    let built_in = YEAR / 2;
    let (journal, agent, clock) = asleep(built_in, true).await;
    let earliest = now().plus(built_in).minus(Duration::from_secs(60));

    let (_, subscription, _) = agent.boot(Patience::of(PATIENCE)).await.unwrap();

    subscription.goodbye(PATIENCE).await.unwrap();
    // The fake's clock is this machine's: earlier than the image, and so not believed.
    let set_to = clock.set_to.lock().unwrap().clone();
    assert_eq!((set_to.len(), set_to[0] >= earliest), (1, true), "{set_to:?}");
    assert_eq!((journal.enroll_requests().len(), journal.goodbyes()), (1, 1));
}

#[tokio::test]
async fn rule_25_a_node_whose_clock_cannot_be_set_comes_up_all_the_same() {
    let (_journal, agent, clock) = asleep(YEAR / 2, false).await;
    let (_, subscription, _) = agent.boot(Patience::of(PATIENCE)).await.unwrap();
    subscription.goodbye(PATIENCE).await.unwrap();
    assert_eq!(clock.set_to.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn rule_25_a_clock_that_is_not_behind_the_image_says_exactly_what_is_wrong() {
    let (journal, agent, clock) = asleep(Duration::ZERO, true).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    let failure = once(&agent, Duration::from_millis(500), &Report::to_test().0).await.unwrap_err();
    assert_eq!((failure.reason_text(), failure.exit() as u8), ("SERVER_NOT_TRUSTED", 3));
    let told = failure.to_string();
    assert!(told.contains("is not valid yet, or this machine's clock is wrong: it begins at 20"), "{told}");
    assert!(clock.set_to.lock().unwrap().is_empty());
    assert!(journal.enroll_requests().is_empty());
}

#[tokio::test]
async fn without_a_word_of_the_image_no_date_is_overlooked() {
    let journal =
        FakeJournal::with_authority(FakeAuthority::with_servers_that_begin_in(YEAR), Vec::new()).await;
    let failure =
        once(&agent_of(&journal), Duration::from_millis(500), &Report::to_test().0).await.unwrap_err();
    assert_eq!(failure.reason_text(), "SERVER_NOT_TRUSTED");
}
