//! The life of an agent against a fake journal on loopback.

use events::vocabulary::HardwareIdentity;
use proto::{pb::journal_message::RenewNow, reason::Reason, refusal::Refusal};
use rustls::CertificateError;
use tokio::{
    sync::{mpsc::UnboundedReceiver, oneshot},
    task::JoinHandle,
};

use super::*;
use crate::fake_journal::{FakeAuthority, FakeJournal, Scripted};

/// Far beyond what loopback needs, so that a slow machine does not fail a test.
const PATIENCE: Duration = Duration::from_secs(60);

fn agent_of(journal: &FakeJournal) -> Agent {
    let machine = Machine::just_booted(HardwareIdentity::default());
    Agent { journals: journal.journals(), machine }
}

/// An agent that runs until it is stopped, or ends by itself.
struct Running {
    stop: oneshot::Sender<()>,
    agent: JoinHandle<Result<(), Failure>>,
    told: UnboundedReceiver<String>,
}

fn start(journal: &FakeJournal) -> Running {
    let agent = agent_of(journal);
    let (stop, stopped) = oneshot::channel::<()>();
    let (report, told) = Report::to_test();
    let agent = tokio::spawn(async move {
        let stop = async { drop(stopped.await) };
        until(stop, &agent, &report).await
    });
    Running { stop, agent, told }
}

impl Running {
    /// Waits until the agent has told a change that begins so.
    async fn tells(&mut self, change: &str) {
        let awaited = async {
            while let Some(told) = self.told.recv().await {
                if told.starts_with(change) {
                    return;
                }
            }
            panic!("the agent ended and never told: {change}");
        };
        time::timeout(PATIENCE, awaited).await.unwrap();
    }

    async fn stop(self) -> Result<(), Failure> {
        self.stop.send(()).unwrap();
        self.agent.await.unwrap()
    }

    async fn end(self) -> Failure {
        time::timeout(PATIENCE, self.agent).await.unwrap().unwrap().unwrap_err()
    }
}

#[tokio::test]
async fn once_enrolls_confirms_and_says_goodbye() {
    let journal = FakeJournal::start(Vec::new()).await;
    once(&agent_of(&journal), PATIENCE, &Report::to_test().0).await.unwrap();
    assert_eq!((journal.enroll_requests().len(), journal.goodbyes()), (1, 1));
}

#[tokio::test]
async fn once_ends_with_a_refusal() {
    let unknown = Refusal::new(Reason::NodeNotEnrolled, "nobody registered this hardware");
    let journal = FakeJournal::start(vec![Scripted::Refuse(unknown.clone())]).await;
    let ended = once(&agent_of(&journal), PATIENCE, &Report::to_test().0).await;
    assert_eq!(ended, Err(Failure::Refused(unknown)));
    assert_eq!(journal.goodbyes(), 0);
}

#[tokio::test]
async fn stopping_is_a_goodbye() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!(journal.goodbyes(), 1);
}

#[tokio::test]
async fn stopping_before_any_journal_answers_ends_at_once() {
    let machine = Machine::just_booted(HardwareIdentity::default());
    let agent = Agent { journals: FakeJournal::nowhere().await, machine };
    let stop = time::sleep(Duration::from_millis(20));
    let ended = time::timeout(PATIENCE, until(stop, &agent, &Report::to_test().0)).await.unwrap();
    assert_eq!(ended, Ok(()));
}

#[tokio::test]
async fn a_lost_subscription_is_opened_again_with_the_same_certificate() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.cut();

    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!((journal.enroll_requests().len(), journal.goodbyes()), (1, 1));
}

#[tokio::test]
async fn rule_17_a_revoked_certificate_ends_the_agent_with_4() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(Some(CertificateError::Revoked));
    journal.cut();

    let failure = agent.end().await;
    assert_eq!((failure.reason_text(), failure.exit() as u8), ("CERTIFICATE_REVOKED", 4));
}

#[tokio::test]
async fn rule_14_an_expired_certificate_is_replaced_by_a_new_enrollment_with_a_new_key() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(Some(CertificateError::Expired));
    journal.cut();
    let deadline = Instant::now() + PATIENCE;
    while journal.enroll_requests().len() < 2 && Instant::now() < deadline {
        time::sleep(Duration::from_millis(5)).await;
    }
    journal.judge(None);

    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    let asked = journal.enroll_requests();
    assert_ne!(asked[0].csr, asked[1].csr);
    assert_eq!(asked[0].boot_id, asked[1].boot_id);
}

#[tokio::test]
async fn rule_20_a_certificate_is_renewed_when_its_time_comes() {
    let authority = FakeAuthority::with_lifetime(Duration::from_secs(3));
    let journal = FakeJournal::with_authority(authority, Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    agent.tells("renewed").await;

    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    assert_eq!((journal.enroll_requests().len(), journal.goodbyes()), (1, 1));
    assert!(!journal.renew_requests().is_empty());
}

#[tokio::test]
async fn rule_15_a_renewal_is_repeated_with_the_same_key_and_then_replaces_the_subscription() {
    let busy = Scripted::Refuse(Refusal::new(Reason::NoLeader, "nobody leads"));
    let journal = FakeJournal::start(vec![Scripted::Issue, busy, Scripted::Issue]).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.tell(Message::RenewNow(RenewNow {})).await;

    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    let renewals = journal.renew_requests();
    assert_eq!(renewals.len(), 2);
    assert_eq!(renewals[0], renewals[1]);
    assert_ne!(renewals[0].csr, journal.enroll_requests()[0].csr);
    assert_eq!(journal.goodbyes(), 1);
}
