//! Enrollment: asks journals until one answers with a certificate (design §3, steps 2 and 9).
//!
//! [`crate::run`] calls it, one try after another as [`crate::life`] says; `loadtest` once a made-up machine.
//!
//! Every try is a connection of its own, without a client certificate unless the image has one, and goes to the journals in an order of its own
//! ([`crate::round`]).
//!
//! Not here, on purpose: tokens, and asking two journals at once: an Enroll must not be sent twice in parallel.
//!
//! **Invariant:** every try of one call sends the same key and the same request, so that a reply that was lost is
//! answered again with the same certificate (R14 a).

use std::time::Duration;

use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb::{EnrollRequest, EnrollResponse, enrollment_service_client::EnrollmentServiceClient},
    pem_file::Credential,
    reason::Reason,
};
use tokio::time;

use crate::{
    answer::{self, Identity},
    journals::{self, Journals, Preference, Told},
    key::NodeKey,
    machine::Machine,
    retry::{Patience, Tries},
    round::Round,
};

pub use crate::round::CONNECT_WITHIN;

/// The version of the protocol that this agent speaks (R26).
pub const PROTOCOL: u32 = 1;

/// How long one answer may take: in a storm the request waits in the journal's queue (R21).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A node that was given a certificate.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Who it is.
    pub identity: Identity,
    /// The journal that answered.
    pub journal: JournalAddress,
    /// What it told of all journals.
    pub told: Told,
}

/// Enrolls a machine with this key.
///
/// # Errors
/// With the refusal if it is final, with the last failure if patience is over.
pub async fn enroll(
    journals: &Journals,
    machine: &Machine,
    key: &NodeKey,
    patience: Patience,
) -> Result<Enrolled, Failure> {
    let mut tries = Tries::new(patience);
    loop {
        match try_all(journals, machine, key, patience).await {
            Ok(enrolled) => return Ok(enrolled),
            Err(failure) => tries.pause(failure).await?,
        }
    }
}

/// Asks each journal once, until one lets the machine in with this key or refuses for good.
///
/// # Errors
/// With the refusal, or what tells most of the failures.
pub async fn try_all(
    journals: &Journals,
    machine: &Machine,
    key: &NodeKey,
    patience: Patience,
) -> Result<Enrolled, Failure> {
    round(journals, (&request(machine, key), key), None, patience).await
}

/// [`try_all`] of a machine whose image holds an identity for this (R11). It opens nothing that no certificate opens, and keeps no
/// machine out: whatever the image's identity is told, also that its holder is no node, is not told to the node. Journals are asked
/// without it.
///
/// # Errors
/// As [`try_all`].
pub async fn try_all_as(
    journals: &Journals,
    machine: &Machine,
    key: &NodeKey,
    bootstrap: Option<&Credential>,
    patience: Patience,
) -> Result<Enrolled, Failure> {
    if bootstrap.is_some() {
        match round(journals, (&request(machine, key), key), bootstrap, patience).await {
            Ok(enrolled) => return Ok(enrolled),
            // Not for the identity: without it the same would be told again, and journals that are busy be asked twice.
            Err(failure) if !is_about_who_asks(&failure) => return Err(failure),
            Err(failure) => {
                let reason = failure.reason_text();
                tracing::info!(reason, message = %failure, "the image's bootstrap identity opens nothing: enrolling without it");
            }
        }
    }
    try_all(journals, machine, key, patience).await
}

/// Whether a connection, or a call by it, was refused for the certificate that was shown.
fn is_about_who_asks(failure: &Failure) -> bool {
    matches!(failure, Failure::ConnectionRefused(_))
        || matches!(failure, Failure::Refused(refusal) if refusal.reason == Reason::RoleNotAllowed)
}

fn request(machine: &Machine, key: &NodeKey) -> EnrollRequest {
    EnrollRequest {
        hardware_identity: Some((&machine.hardware).into()),
        csr: key.csr().to_vec(),
        boot_id: machine.boot_id.to_string(),
        protocol: PROTOCOL,
        ..Default::default()
    }
}

/// Asks each journal once, until one answers or refuses for good.
async fn round(
    journals: &Journals,
    (request, key): (&EnrollRequest, &NodeKey),
    shown: Option<&Credential>,
    patience: Patience,
) -> Result<Enrolled, Failure> {
    let mut round = Round::new(journals, Preference::Any, shown, patience);
    while let Some(connection) = round.connect().await? {
        match ask(&connection, request, patience).await {
            Ok(mut answer) => {
                let told = Told::of(&mut answer);
                match answer::check(answer, key) {
                    Ok(identity) => {
                        journals.hear_time(identity.journal_time, &connection);
                        return Ok(Enrolled { identity, journal: connection.address().clone(), told });
                    }
                    // One journal that is wrong does not keep a node out that another lets in.
                    Err(unusable) => round.keep(unusable.into())?,
                }
            }
            Err(failure) => round.keep(failure)?,
        }
    }
    Err(round.ended())
}

async fn ask(
    connection: &Connection,
    request: &EnrollRequest,
    patience: Patience,
) -> Result<EnrollResponse, Failure> {
    let mut client = EnrollmentServiceClient::new(connection.channel());
    let within = patience.within(ANSWER_WITHIN);
    match time::timeout(within, client.enroll(request.clone())).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(journals::failure(connection, &status)),
        Err(_) => {
            let (journal, within) = (connection.address(), within.as_millis());
            Err(Failure::Deadline(format!("{journal} did not answer within {within} ms")))
        }
    }
}

#[cfg(test)]
mod tests {
    use events::vocabulary::HardwareIdentity;
    use proto::{reason::Reason, refusal::Refusal};

    use super::*;
    use crate::fake_journal::{FakeJournal, Scripted};

    /// Far beyond what loopback needs, so that a slow machine does not fail a test.
    const PATIENCE: Duration = Duration::from_secs(60);

    async fn enroll_with(journal: &FakeJournal) -> Result<Enrolled, Failure> {
        let machine = Machine::just_booted(HardwareIdentity::default());
        let key = NodeKey::generate().unwrap();
        enroll(&journal.journals(), &machine, &key, Patience::of(PATIENCE)).await
    }

    #[tokio::test]
    async fn rule_14_every_try_of_a_boot_sends_the_same_key_and_request() {
        let busy = || Scripted::Refuse(Refusal::new(Reason::Overloaded, "busy"));
        let journal = FakeJournal::start(vec![busy(), Scripted::HangUp, busy(), Scripted::Issue]).await;

        let enrolled = enroll_with(&journal).await.unwrap();

        let asked = journal.enroll_requests();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|request| *request == asked[0]));
        assert_eq!(asked[0].protocol, PROTOCOL);
        assert_eq!(enrolled.journal, *journal.address());
    }

    #[tokio::test]
    async fn a_wait_that_the_journal_told_is_honoured() {
        let wait = Duration::from_millis(300);
        let busy = Refusal::new(Reason::RateLimited, "wait").retry_after(wait);
        let journal = FakeJournal::start(vec![Scripted::Refuse(busy), Scripted::Issue]).await;
        let began = time::Instant::now();

        enroll_with(&journal).await.unwrap();

        assert!(began.elapsed() >= wait);
    }

    #[tokio::test]
    async fn another_refusal_is_final() {
        let unknown = Refusal::new(Reason::NodeNotEnrolled, "nobody registered this hardware");
        let journal = FakeJournal::start(vec![Scripted::Refuse(unknown.clone()), Scripted::Issue]).await;
        assert_eq!(enroll_with(&journal).await.unwrap_err(), Failure::Refused(unknown));
        assert_eq!(journal.enroll_requests().len(), 1);
    }

    #[tokio::test]
    async fn a_certificate_of_another_key_is_not_used() {
        let journal = FakeJournal::start(vec![Scripted::IssueForAnotherKey]).await;
        enroll_with(&journal).await.unwrap();
        assert_eq!(journal.enroll_requests().len(), 2);
    }

    #[tokio::test]
    async fn answers_that_cannot_be_used_are_asked_for_again_until_patience_ends() {
        let journal = FakeJournal::start((0..50).map(|_| Scripted::IssueForAnotherKey).collect()).await;
        let machine = Machine::just_booted(HardwareIdentity::default());
        let (key, patience) = (NodeKey::generate().unwrap(), Patience::of(Duration::from_millis(500)));
        let failure = enroll(&journal.journals(), &machine, &key, patience).await.unwrap_err();
        assert_eq!(failure.exit() as u8, 3);
        // The last try may have had too little time left for an answer.
        let told = failure.to_string();
        assert!(told.contains("ANSWER_INVALID") || told.contains("did not answer within"), "{failure}");
        assert!(journal.enroll_requests().len() > 1);
    }

    #[tokio::test]
    async fn without_a_journal_patience_ends() {
        let gone = FakeJournal::nowhere().await;
        let machine = Machine::just_booted(HardwareIdentity::default());
        let key = NodeKey::generate().unwrap();
        let patience = Patience::of(Duration::from_millis(50));
        let failure = enroll(&gone, &machine, &key, patience).await.unwrap_err();
        assert_eq!(failure.exit() as u8, 3, "{failure:?}");
    }
}
