//! What `pact-agent run` does until it is stopped: enrolls, stays subscribed, renews, listens, says goodbye.
//!
//! When the subscription is lost, the agent connects again with the same certificate, at any journal. What that attempt
//! is told decides: a certificate that no journal knows while it is valid ends the agent (exit code 4). One that has expired
//! or was ended is replaced by a new enrollment with a new key, for the node itself may be welcome (`deactivate`,
//! `replace-hardware`, `evict --revoke-issued`); and so is one that is refused for whatever reason after its time:
//! journals forget a certificate a day after its end, and then do not know it. What that enrollment is told decides:
//! `NODE_REVOKED` ends the agent with what the certificate was told.
//!
//! It outlasts a refused enrollment that an operator or time may mend ([`remedy`](crate::retry::remedy)).
//!
//! The boot configuration outlives connections and renewals: the next subscription begins where the answer that the
//! node holds ends, so that no change is missed, and what the node holds already is not reported again.
//!
//! **Invariant:** while a certificate is replaced, the old subscription stays open until the new one is: the journal
//! never sees the node gone.

use std::{convert::Infallible, time::Duration};

use proto::{
    channel::{Connection, ConnectionRefusal, JournalAddress},
    outcome::Failure,
    pb::journal_message::Message,
    reason::Reason,
};
use tokio::time::{self, Instant};

use super::{
    Agent, Caller,
    farewell::{self, Farewell},
};
use crate::{
    answer::Identity,
    boot_config::{BootConfig, Refresh},
    enroll::{self, Enrolled},
    journals::{Journals, Preference},
    key::NodeKey,
    renew,
    report::{Change, Enrollment, Report},
    retry::{self, Backoff, Patience, Tries, Verdict, is_of_this_journal_alone, verdict},
    subscription::Subscription,
};

/// A subscription that lasted so long was sound: when it is lost, the waits begin anew.
const SOUND: Duration = Duration::from_secs(60);
/// A journal tells all its nodes at one moment to renew: they spread over this much.
const RENEW_NOW_SPREAD: Duration = Duration::from_secs(2);
/// The certificates of many nodes may be ended at one moment: they enroll again spread over this much.
const ENROLL_AGAIN_SPREAD: Duration = Duration::from_secs(10);

/// An agent that stays: what of it must be there when it is stopped, at whatever moment.
#[derive(Debug, Default)]
pub(super) struct Daemon<'a> {
    /// The subscription that says goodbye.
    open: Option<Subscription>,
    /// The enrollment that it belongs to.
    enrollments: Option<Enrollments<'a>>,
}

impl<'a> Daemon<'a> {
    /// One enrollment after another.
    pub(super) async fn live(&mut self, agent: &'a Agent, report: &'a Report) -> Result<Infallible, Failure> {
        let Self { open, enrollments } = self;
        let mut journals = agent.journals.clone();
        let mut revoked = None;
        loop {
            let enrolled = match agent.session.resume() {
                Some(resumed) => Ok(resumed),
                None => {
                    let key = NodeKey::generate()?;
                    enroll::enroll(&journals, &agent.machine, &key, Patience::ENDLESS).await
                }
            };
            let ended = revoked.take();
            let enrolled = enrolled.map_err(|refused| first_told(ended, refused))?;
            agent.session.keep(&enrolled);
            journals.learn(&enrolled.told);
            report.change(&Change::Enrolled(Enrollment::new(&enrolled.identity, &enrolled.journal, None)));
            let present = enrollments.insert(Enrollments::new(agent, report, journals, enrolled));
            let failure = present.hold(open).await;
            let over = present.are_over();
            agent.session.forget();
            if !asks_for_a_new_enrollment(&failure, over) {
                return Err(failure);
            }
            let reason = failure.reason_text();
            tracing::warn!(reason, message = %failure, "the certificate is over: enrolling again");
            // Its certificate says no goodbye any more, and a boot configuration belongs to one enrollment.
            journals = present.journals.clone();
            *enrollments = None;
            // Those whose time is over were not ended at one moment.
            if !over {
                time::sleep(retry::random_part(ENROLL_AGAIN_SPREAD)).await;
                revoked = Some(failure);
            }
        }
    }

    /// Whether a journal has taken the goodbye. Between a renewal and its subscription the old stream says it.
    pub(super) async fn leave(self) -> bool {
        let farewell = self.enrollments.as_ref().and_then(Enrollments::farewell);
        farewell::say(self.open, farewell).await
    }
}

/// Whether a refusal of the certificate means that another is needed. After its time any does: journals have forgotten
/// it, and a refusal does not speak of a later enrollment. Before, a journal must know that it has expired or was ended.
pub(super) fn asks_for_a_new_enrollment(failure: &Failure, over: bool) -> bool {
    match failure {
        Failure::ConnectionRefused(ConnectionRefusal::Expired | ConnectionRefusal::Revoked) => true,
        Failure::ConnectionRefused(_) | Failure::Refused(_) => over,
        Failure::Unreachable(_)
        | Failure::NotTrusted(_)
        | Failure::Evicted(_)
        | Failure::Deadline(_)
        | Failure::Usage(_)
        | Failure::Violation(_)
        | Failure::Failed { .. } => false,
    }
}

/// What to end with when a new enrollment is refused: a node that is revoked was told so with its certificate already.
fn first_told(ended: Option<Failure>, refused: Failure) -> Failure {
    let node_revoked = matches!(&refused, Failure::Refused(refusal) if refusal.reason == Reason::NodeRevoked);
    match ended {
        Some(ended @ Failure::ConnectionRefused(ConnectionRefusal::Revoked)) if node_revoked => ended,
        Some(_) | None => refused,
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
#[derive(Debug)]
struct Enrollments<'a> {
    agent: &'a Agent,
    report: &'a Report,
    /// Those that were given, and those that journals told.
    journals: Journals,
    identity: Identity,
    /// The journal that answered last.
    journal: JournalAddress,
    /// Whether it serves, as far as is known. If not, it was lost, and the others come before it.
    serves: bool,
    renew_at: Instant,
    /// When the certificate's time is over. Never too early: it counts from the answer's arrival.
    expires_at: Instant,
    /// The key of a renewal that is under way.
    next_key: Option<NodeKey>,
    refresh: Refresh,
}

impl<'a> Enrollments<'a> {
    fn new(agent: &'a Agent, report: &'a Report, journals: Journals, enrolled: Enrolled) -> Self {
        let Enrolled { identity, journal, told: _ } = enrolled;
        let now = Instant::now();
        let (renew_at, expires_at) = (now + identity.renew_in, now + identity.expires_in);
        let (serves, next_key, refresh) = (true, None, Refresh::default());
        Self { agent, report, journals, identity, journal, serves, renew_at, expires_at, next_key, refresh }
    }

    /// Whether the time of the last certificate is over.
    fn are_over(&self) -> bool {
        Instant::now() >= self.expires_at
    }

    /// Stays subscribed until a failure that is final for the present certificate.
    async fn hold(&mut self, open: &mut Option<Subscription>) -> Failure {
        let mut tries = Tries::new(Patience::ENDLESS);
        loop {
            let machine = &self.agent.machine;
            let caller = Caller { machine, identity: &self.identity, patience: Patience::ENDLESS };
            let preference =
                if self.serves { Preference::First(&self.journal) } else { Preference::Last(&self.journal) };
            let held = self.refresh.held();
            let failure = match caller.subscribe(&self.journals, preference, held).await {
                Err(failure) => failure,
                Ok((subscription, config)) => {
                    // The one that it replaces closes here, without a goodbye.
                    let present = open.insert(subscription);
                    let since = Instant::now();
                    let ended = self.attend(present, config).await;
                    self.refresh.lost();
                    if since.elapsed() >= SOUND {
                        tries = Tries::new(Patience::ENDLESS);
                    }
                    let Ended::Lost(failure) = ended else { continue };
                    *open = None;
                    self.report.change(&Change::lost(&failure));
                    told_by_the_next_attempt(failure)
                }
            };
            // The nodes of a journal that is lost spread over the others.
            self.serves = false;
            if let Err(last) = tries.pause(failure).await {
                return last;
            }
        }
    }

    /// Takes what came with a new subscription, and listens to it.
    async fn attend(&mut self, present: &mut Subscription, config: Result<BootConfig, Failure>) -> Ended {
        self.journal = present.connection().address().clone();
        self.serves = true;
        self.report.change(&Change::Subscribed { journal: self.journal.to_string() });
        match self.configure(config) {
            Ok(()) => self.listen(present).await,
            Err(failure) => Ended::Lost(failure),
        }
    }

    /// Takes an answer about the boot configuration, and tells if it is another than before.
    fn configure(&mut self, answer: Result<BootConfig, Failure>) -> Result<(), Failure> {
        if let Some(config) = self.refresh.take(answer)? {
            self.report.change(&Change::configured(config));
        }
        Ok(())
    }

    /// Listens to the journal until there is a new certificate to subscribe with, or the stream is lost.
    async fn listen(&mut self, present: &mut Subscription) -> Ended {
        let mut backoff = Backoff::default();
        let connection = present.connection().clone();
        loop {
            tokio::select! {
                heard = present.next() => match heard {
                    Ok(message) => {
                        self.hear(message);
                        if self.journals.shuns(&connection) {
                            return Ended::Lost(evicted(&connection));
                        }
                    }
                    Err(failure) => return Ended::Lost(failure),
                },
                answer = self.refresh.answer(&connection) => {
                    if let Err(failure) = self.configure(answer) {
                        return Ended::Lost(failure);
                    }
                }
                () = time::sleep_until(self.renew_at) => match self.renew(present).await {
                    Ok(()) => return Ended::Renewed,
                    Err(failure) => {
                        let Verdict::Again(told) = verdict(&failure) else { return Ended::Lost(failure) };
                        if is_of_this_journal_alone(&failure) {
                            return Ended::Lost(failure);
                        }
                        let wait = backoff.after(told);
                        self.renew_at = Instant::now() + wait;
                        let reason = failure.reason_text();
                        tracing::warn!(reason, message = %failure, wait_ms = wait.as_millis(), "not renewed yet");
                    }
                },
            }
        }
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Changed(changed) => self.refresh.hear(&changed),
            Message::Endpoints(told) => self.journals.learn(&told.into()),
            Message::RenewNow(_) => {
                let soon = Instant::now() + retry::random_part(RENEW_NOW_SPREAD);
                self.renew_at = self.renew_at.min(soon);
            }
        }
    }

    /// Takes the next certificate. A try that may have reached the journal is repeated with the same key (R15).
    async fn renew(&mut self, present: &Subscription) -> Result<(), Failure> {
        let key = match self.next_key.take() {
            Some(key) => key,
            None => NodeKey::generate()?,
        };
        let key = self.next_key.insert(key);
        match renew::renew(present.connection(), &self.identity, key).await {
            Ok((identity, told)) => {
                self.journals.learn(&told);
                let journal = present.connection().address().clone();
                self.agent.session.keep(&Enrolled { identity: identity.clone(), journal, told });
                self.identity = identity;
            }
            Err(failure) => {
                if verdict(&failure) == Verdict::Final || is_of_this_journal_alone(&failure) {
                    self.next_key = None;
                }
                return Err(failure);
            }
        }
        self.next_key = None;
        let now = Instant::now();
        self.renew_at = now + self.identity.renew_in;
        self.expires_at = now + self.identity.expires_in;
        let journal = present.connection().address();
        let renewed = Enrollment::new(&self.identity, journal, self.refresh.held());
        self.report.change(&Change::Renewed(renewed));
        Ok(())
    }

    /// What says goodbye for it without a stream, while there is a certificate to say it with.
    fn farewell(&self) -> Option<Farewell<'_>> {
        let Self { agent, journals, identity, .. } = self;
        let from_seq = self.refresh.held().map_or(0, |config| config.seq);
        let machine = &agent.machine;
        (!self.are_over()).then_some(Farewell { journals, machine, identity, from_seq })
    }
}

/// A node does not stay with a journal that it knows to be evicted; it hears of that from it or with a renewal (§7).
fn evicted(connection: &Connection) -> Failure {
    Failure::Evicted(format!("the journal at {} was evicted from the quorum", connection.address()))
}

/// However a stream ended, a new connection is told why: what the old one says may be a moment that has passed.
fn told_by_the_next_attempt(lost: Failure) -> Failure {
    match verdict(&lost) {
        Verdict::Again(_) => lost,
        Verdict::Final => Failure::Unreachable(lost.to_string()),
    }
}
