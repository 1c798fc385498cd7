//! The life of an agent: the steps of the other modules in their order, for one boot or for ever.
//!
//! `main` calls [`once`] or [`until`].
//!
//! When the subscription is lost, the agent connects again with the same certificate, at any journal. What that attempt
//! is told decides: a certificate that is refused while it is valid ends the agent (exit code 4). One that has expired
//! is replaced by a new enrollment with a new key, and so is one that is refused for whatever reason after its time:
//! journals forget a certificate a day after its end, and then do not know it. What that enrollment is told decides.
//!
//! [`until`] outlasts a refused enrollment that an operator or time may mend ([`remedy`](crate::retry::remedy));
//! [`once`] ends.
//!
//! Not here, on purpose: any decision that a journal takes.
//!
//! **Invariant:** while a certificate is replaced, the old subscription stays open until the new one is: the journal
//! never sees the node gone.

use std::{convert::Infallible, time::Duration};

use proto::{
    channel::{ConnectionRefusal, JournalAddress},
    outcome::Failure,
    pb::journal_message::Message,
    pem_file::Trust,
};
use tokio::time::{self, Instant};

use crate::{
    answer::Identity,
    arguments::RunArguments,
    enroll::{self, Enrolled},
    hardware,
    journals::Journals,
    key::{KeyError, NodeKey},
    machine::Machine,
    renew,
    report::{Change, Enrollment, Report},
    retry::{Backoff, Patience, Tries, Verdict, most_telling, verdict},
    subscription::Subscription,
};

/// How long a goodbye may take: systems that shut down kill what takes much longer.
const GOODBYE_WITHIN: Duration = Duration::from_secs(5);
/// A subscription that lasted so long was sound: when it is lost, the waits begin anew.
const SOUND: Duration = Duration::from_secs(60);

/// An agent that is ready to start.
#[derive(Debug)]
pub struct Agent {
    /// Whom it asks.
    pub journals: Journals,
    /// What it presents.
    pub machine: Machine,
}

impl Agent {
    /// Reads the files that the command line names.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn of(arguments: &RunArguments) -> Result<Self, Failure> {
        let trust = Trust::read(&arguments.ca)?;
        let hardware =
            hardware::read(&arguments.hardware).map_err(|error| Failure::Usage(error.to_string()))?;
        let journals = Journals::new(trust, arguments.journals.clone())?;
        Ok(Self { journals, machine: Machine::here(hardware) })
    }

    /// Enrolls with a new key and opens the first subscription, which confirms the enrollment.
    ///
    /// # Errors
    /// With the first refusal that is final, or when patience is over.
    pub async fn come_up(&self, patience: Patience) -> Result<(Enrolled, Subscription), Failure> {
        let key = NodeKey::generate()?;
        let enrolled = enroll::enroll(&self.journals, &self.machine, &key, patience).await?;
        let mut tries = Tries::new(patience);
        loop {
            match self.subscribe(&enrolled.identity, Some(&enrolled.journal), patience).await {
                Ok(subscription) => return Ok((enrolled, subscription)),
                Err(failure) => tries.pause(failure).await?,
            }
        }
    }

    /// Opens a subscription at the journal that is known to serve, or else at any other.
    async fn subscribe(
        &self,
        identity: &Identity,
        first: Option<&JournalAddress>,
        patience: Patience,
    ) -> Result<Subscription, Failure> {
        let others = self.journals.shuffled().into_iter().filter(|journal| Some(journal) != first);
        let mut kept = None;
        for journal in first.cloned().into_iter().chain(others) {
            match Subscription::open(&self.journals, &journal, identity, &self.machine, patience).await {
                Ok(subscription) => return Ok(subscription),
                Err(failure) if verdict(&failure) == Verdict::Final => return Err(failure),
                Err(failure) => kept = Some(most_telling(kept, failure)),
            }
        }
        Err(kept.unwrap_or_else(|| Failure::Usage("no journal is given".to_owned())))
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::other(error.to_string())
    }
}

/// Enrolls, confirms the enrollment by a first subscription, and says goodbye.
///
/// # Errors
/// With the first refusal that is final, or when the time is over.
pub async fn once(agent: &Agent, timeout: Duration, report: &Report) -> Result<(), Failure> {
    let patience = Patience::of(timeout);
    let (Enrolled { identity, journal }, subscription) = agent.come_up(patience).await?;
    subscription.goodbye(patience.within(GOODBYE_WITHIN)).await?;
    report.once(&Enrollment::new(&identity, &journal));
    Ok(())
}

/// Enrolls and stays enrolled until `stop` ends, then says goodbye. A node that is not registered yet, or active with
/// another key, is asked for until it is let in (R14).
///
/// # Errors
/// With what ended it instead: a refusal that is final.
pub async fn until(stop: impl Future<Output = ()>, agent: &Agent, report: &Report) -> Result<(), Failure> {
    let mut open = None;
    let ended = tokio::select! {
        ended = live(agent, report, &mut open) => ended,
        () = stop => {
            let goodbye = leave(open).await;
            report.change(&Change::Stopped { goodbye });
            return Ok(());
        }
    };
    ended.map(|never| match never {})
}

/// Whether a journal has taken the goodbye: it has ended the stream, and without an error. Between a renewal and its
/// subscription this is the old stream. If none has, the grace period ends the node's activity.
async fn leave(open: Option<Subscription>) -> bool {
    let Some(subscription) = open else { return false };
    match subscription.goodbye(GOODBYE_WITHIN).await {
        Ok(()) => true,
        Err(failure) => {
            tracing::warn!(reason = failure.reason_text(), message = %failure, "no journal took the goodbye");
            false
        }
    }
}

/// One enrollment after another. `open` always holds the subscription that says goodbye.
async fn live(
    agent: &Agent,
    report: &Report,
    open: &mut Option<Subscription>,
) -> Result<Infallible, Failure> {
    loop {
        let key = NodeKey::generate()?;
        let enrolled = enroll::enroll(&agent.journals, &agent.machine, &key, Patience::ENDLESS).await?;
        report.change(&Change::Enrolled(Enrollment::new(&enrolled.identity, &enrolled.journal)));
        let mut enrollments = Enrollments::new(agent, report, enrolled);
        let failure = enrollments.hold(open).await;
        if !asks_for_a_new_enrollment(&failure, enrollments.are_over()) {
            return Err(failure);
        }
        let reason = failure.reason_text();
        tracing::warn!(reason, message = %failure, "the certificate's time is over: enrolling again");
    }
}

/// Whether a refusal of the certificate means that another is needed. After its time any does: journals have forgotten
/// it, and a refusal does not speak of a later enrollment. Before, only a journal that calls it expired does.
fn asks_for_a_new_enrollment(failure: &Failure, over: bool) -> bool {
    match failure {
        Failure::ConnectionRefused(ConnectionRefusal::Expired) => true,
        Failure::ConnectionRefused(_) | Failure::Refused(_) => over,
        Failure::Unreachable(_)
        | Failure::NotTrusted(_)
        | Failure::Deadline(_)
        | Failure::Usage(_)
        | Failure::Violation(_)
        | Failure::Failed { .. } => false,
    }
}

/// Why the agent stops listening at a subscription.
enum Ended {
    /// There is a new certificate to subscribe with.
    Renewed,
    /// The stream is over, or no renewal came of it.
    Lost(Failure),
}

/// What one enrollment and its renewals have.
struct Enrollments<'a> {
    agent: &'a Agent,
    report: &'a Report,
    identity: Identity,
    /// The journal that answered last.
    journal: JournalAddress,
    renew_at: Instant,
    /// When the certificate's time is over. Never too early: it counts from the answer's arrival.
    expires_at: Instant,
    /// The key of a renewal that is under way.
    next_key: Option<NodeKey>,
}

impl<'a> Enrollments<'a> {
    fn new(agent: &'a Agent, report: &'a Report, enrolled: Enrolled) -> Self {
        let Enrolled { identity, journal } = enrolled;
        let now = Instant::now();
        let (renew_at, expires_at) = (now + identity.renew_in, now + identity.expires_in);
        Self { agent, report, identity, journal, renew_at, expires_at, next_key: None }
    }

    /// Whether the time of the last certificate is over.
    fn are_over(&self) -> bool {
        Instant::now() >= self.expires_at
    }

    /// Stays subscribed until a failure that is final for the present certificate.
    async fn hold(&mut self, open: &mut Option<Subscription>) -> Failure {
        let mut tries = Tries::new(Patience::ENDLESS);
        loop {
            let subscribed =
                self.agent.subscribe(&self.identity, Some(&self.journal), Patience::ENDLESS).await;
            let failure = match subscribed {
                Err(failure) => failure,
                Ok(subscription) => {
                    self.journal = subscription.connection().address().clone();
                    self.report.change(&Change::Subscribed { journal: self.journal.to_string() });
                    // The one that it replaces closes here, without a goodbye.
                    let present = open.insert(subscription);
                    let since = Instant::now();
                    let ended = self.listen(present).await;
                    if since.elapsed() >= SOUND {
                        tries = Tries::new(Patience::ENDLESS);
                    }
                    let Ended::Lost(failure) = ended else { continue };
                    *open = None;
                    self.report.change(&Change::lost(&failure));
                    told_by_the_next_attempt(failure)
                }
            };
            if let Err(last) = tries.pause(failure).await {
                return last;
            }
        }
    }

    /// Listens to the journal until there is a new certificate to subscribe with, or the stream is lost.
    async fn listen(&mut self, present: &mut Subscription) -> Ended {
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                heard = present.next() => match heard {
                    Ok(Message::RenewNow(_)) => self.renew_at = Instant::now(),
                    // There is no boot configuration to fetch, and the journals stand in the command line.
                    Ok(Message::Changed(_) | Message::Endpoints(_)) => {}
                    Err(failure) => return Ended::Lost(failure),
                },
                () = time::sleep_until(self.renew_at) => match self.renew(present).await {
                    Ok(()) => return Ended::Renewed,
                    Err(failure) => {
                        let Verdict::Again(told) = verdict(&failure) else { return Ended::Lost(failure) };
                        let wait = backoff.after(told);
                        self.renew_at = Instant::now() + wait;
                        let reason = failure.reason_text();
                        tracing::warn!(reason, message = %failure, wait_ms = wait.as_millis(), "not renewed yet");
                    }
                },
            }
        }
    }

    /// Takes the next certificate. A try that may have reached the journal is repeated with the same key (R15).
    async fn renew(&mut self, present: &Subscription) -> Result<(), Failure> {
        let key = match self.next_key.take() {
            Some(key) => key,
            None => NodeKey::generate()?,
        };
        match renew::renew(present.connection(), &self.identity, &key).await {
            Ok(identity) => self.identity = identity,
            Err(failure) => {
                let again = verdict(&failure) != Verdict::Final;
                self.next_key = again.then_some(key);
                return Err(failure);
            }
        }
        let now = Instant::now();
        self.renew_at = now + self.identity.renew_in;
        self.expires_at = now + self.identity.expires_in;
        self.report.change(&Change::Renewed(Enrollment::new(&self.identity, &self.journal)));
        Ok(())
    }
}

/// However a stream ended, a new connection is told why: what the old one says may be a moment that has passed.
fn told_by_the_next_attempt(lost: Failure) -> Failure {
    match verdict(&lost) {
        Verdict::Again(_) => lost,
        Verdict::Final => Failure::Unreachable(lost.to_string()),
    }
}

#[cfg(test)]
mod tests;
