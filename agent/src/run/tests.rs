//! The life of an agent against a fake journal on loopback.

mod configured;
mod elsewhere;
mod leaving;
mod waking;

use events::vocabulary::HardwareIdentity;
use proto::{
    pb::journal_message::{Changed, Endpoints, Message, RenewNow},
    reason::Reason,
    refusal::Refusal,
};
use rustls::CertificateError;
use tokio::{
    sync::{mpsc::UnboundedReceiver, oneshot},
    task::JoinHandle,
    time::{self, Instant},
};

use super::*;
use crate::fake_journal::{Configured, FakeAuthority, FakeJournal, Scripted};

/// How long a certificate lives in tests that wait for its end. The fake tells whole seconds.
const SHORT_LIFE: Duration = Duration::from_secs(3);
/// Far beyond what loopback needs, so that a slow machine does not fail a test.
const PATIENCE: Duration = Duration::from_secs(60);

fn agent_of(journal: &FakeJournal) -> Agent {
    let machine = Machine::just_booted(HardwareIdentity::default());
    Agent::new(journal.journals(), machine)
}

/// An agent that runs until it is stopped, or ends by itself.
struct Running {
    stop: oneshot::Sender<()>,
    agent: JoinHandle<Result<(), Failure>>,
    told: UnboundedReceiver<String>,
}

fn start(journal: &FakeJournal) -> Running {
    start_agent(agent_of(journal))
}

fn start_agent(agent: Agent) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let (report, told) = Report::to_test();
    let agent = tokio::spawn(async move {
        let stop = async { drop(stopped.await) };
        until(stop, &agent, &report).await
    });
    Running { stop, agent, told }
}

impl Running {
    /// Waits until the agent has told a change that begins so. Answers it.
    async fn tells(&mut self, change: &str) -> String {
        let awaited = async {
            while let Some(told) = self.told.recv().await {
                if told.starts_with(change) {
                    return told;
                }
            }
            panic!("the agent ended and never told: {change}");
        };
        time::timeout(PATIENCE, awaited).await.unwrap()
    }

    async fn stop(self) -> Result<(), Failure> {
        self.stop.send(()).unwrap();
        self.agent.await.unwrap()
    }

    /// Stops it. Answers the last change that it told.
    async fn last_words(mut self) -> String {
        self.stop.send(()).unwrap();
        let mut last = String::new();
        let drained = async {
            while let Some(told) = self.told.recv().await {
                last = told;
            }
        };
        time::timeout(PATIENCE, drained).await.unwrap();
        assert_eq!(self.agent.await.unwrap(), Ok(()));
        last
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
    let agent = Agent::new(FakeJournal::nowhere().await, machine);
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
async fn rule_17_a_revoked_node_ends_its_agent_with_4() {
    let revoked = Refusal::new(Reason::NodeRevoked, "revoked by an operator");
    let journal = FakeJournal::start(vec![Scripted::Issue, Scripted::Refuse(revoked)]).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(&CertificateError::Revoked);
    journal.cut();

    let failure = agent.end().await;
    assert_eq!((failure.reason_text(), failure.exit() as u8), ("CERTIFICATE_REVOKED", 4));
    assert_eq!(journal.enroll_requests().len(), 2);
}

#[tokio::test]
async fn a_node_whose_certificate_was_ended_enrolls_again_with_a_new_key_in_the_same_process() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(&CertificateError::Revoked);
    journal.cut();

    agent.tells("enrolled").await;
    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    let asked = journal.enroll_requests();
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0].csr, asked[1].csr);
}

#[tokio::test]
async fn a_journal_that_does_not_know_a_certificate_yet_does_not_end_an_agent_that_another_serves() {
    let journal = FakeJournal::start(Vec::new()).await;
    let lagging = journal.sibling().await;
    let (enrolled, subscription) = agent_of(&journal).come_up(Patience::of(PATIENCE)).await.unwrap();
    subscription.goodbye(PATIENCE).await.unwrap();
    lagging.judge_also(&enrolled.identity.certificate, &CertificateError::UnknownIssuer);
    let known = vec![lagging.address().clone(), journal.address().clone()];
    let journals = Journals::new(journal.journals().trust, known).unwrap();
    let agent = Agent::new(journals, Machine::just_booted(HardwareIdentity::default()));
    // The order is random: both come first at some time.
    for _ in 0..8 {
        agent.subscribe_again(&enrolled.identity, Patience::of(PATIENCE)).await.unwrap();
    }
}

#[tokio::test]
async fn rule_14_an_expired_certificate_is_replaced_by_a_new_enrollment_with_a_new_key() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(&CertificateError::Expired);
    journal.cut();

    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    let asked = journal.enroll_requests();
    assert_ne!(asked[0].csr, asked[1].csr);
    assert_eq!(asked[0].boot_id, asked[1].boot_id);
}

#[tokio::test]
async fn a_certificate_that_no_journal_knows_ends_the_agent_while_it_is_valid() {
    let journal = FakeJournal::start(Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(&CertificateError::UnknownIssuer);
    journal.cut();

    let failure = agent.end().await;
    assert_eq!((failure.reason_text(), failure.exit() as u8), ("CERTIFICATE_UNKNOWN", 4));
    assert_eq!(journal.enroll_requests().len(), 1);
}

#[tokio::test]
async fn rule_14_a_certificate_that_was_forgotten_after_its_end_is_replaced_by_a_new_enrollment() {
    let authority = FakeAuthority::with_lifetime(SHORT_LIFE);
    let journal = FakeJournal::with_authority(authority, Vec::new()).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(&CertificateError::UnknownIssuer);
    journal.leave_for(SHORT_LIFE);

    agent.tells("enrolled").await;
    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    let asked = journal.enroll_requests();
    assert_ne!(asked[0].csr, asked[1].csr);
}

#[tokio::test]
async fn rule_16_a_certificate_revoked_and_over_leads_to_an_enrollment_whose_answer_is_final() {
    let revoked = Refusal::new(Reason::NodeRevoked, "revoked by an operator");
    let script = vec![Scripted::Issue, Scripted::Refuse(revoked.clone())];
    let journal = FakeJournal::with_authority(FakeAuthority::with_lifetime(SHORT_LIFE), script).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.judge(&CertificateError::Revoked);
    journal.leave_for(SHORT_LIFE);

    assert_eq!(agent.end().await, Failure::Refused(revoked));
    assert_eq!(journal.enroll_requests().len(), 2);
}

#[tokio::test]
async fn rule_14_a_daemon_outlasts_what_an_operator_or_time_mends_with_the_same_key() {
    let told = Duration::from_millis(300);
    let refusals = [
        Refusal::new(Reason::NodeNotEnrolled, "nobody registered this hardware"),
        Refusal::new(Reason::HardwareMismatch, "the hardware differs"),
        Refusal::new(Reason::AlreadyActive, "it is active").retry_after(told),
    ];
    let journal = FakeJournal::start(refusals.map(Scripted::Refuse).into()).await;
    let began = Instant::now();
    let mut agent = start(&journal);

    agent.tells("subscribed").await;

    assert!(began.elapsed() >= told);
    assert_eq!(agent.stop().await, Ok(()));
    let asked = journal.enroll_requests();
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|request| *request == asked[0]));
}

#[tokio::test]
async fn a_daemon_ends_with_a_refusal_that_neither_an_operator_nor_time_mends() {
    for reason in [Reason::NodeRevoked, Reason::CsrInvalid, Reason::HardwareInvalid] {
        let refusal = Refusal::new(reason, "for good");
        let journal = FakeJournal::start(vec![Scripted::Refuse(refusal.clone())]).await;
        assert_eq!(start(&journal).end().await, Failure::Refused(refusal));
    }
}

#[tokio::test]
async fn rule_14_once_ends_with_already_active() {
    let active = Refusal::new(Reason::AlreadyActive, "it is active").retry_after(Duration::from_millis(1));
    let journal = FakeJournal::start(vec![Scripted::Refuse(active.clone())]).await;
    let failure = once(&agent_of(&journal), PATIENCE, &Report::to_test().0).await.unwrap_err();
    assert_eq!(failure.exit() as u8, 1);
    assert_eq!(failure, Failure::Refused(active));
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

#[tokio::test]
async fn rule_15_a_renewal_whose_reply_was_lost_is_asked_for_again_with_the_same_key() {
    let journal = FakeJournal::start(vec![Scripted::Issue, Scripted::HangUp, Scripted::Issue]).await;
    let mut agent = start(&journal);
    agent.tells("subscribed").await;

    journal.tell(Message::RenewNow(RenewNow {})).await;

    agent.tells("lost").await;
    agent.tells("renewed").await;
    agent.tells("subscribed").await;
    assert_eq!(agent.stop().await, Ok(()));
    let renewals = journal.renew_requests();
    assert_eq!(renewals.len(), 2);
    assert_eq!(renewals[0], renewals[1]);
    assert_eq!(journal.enroll_requests().len(), 1);
}

/// A journal's word that the configuration is another one.
fn changed(vcluster: &str, revision: u64, seq: u64) -> Message {
    Message::Changed(Changed { vcluster_id: vcluster.to_owned(), revision, seq })
}
