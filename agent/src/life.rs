//! The life of an agent as a pure machine: what happens, and the time, give what is to be done.
//!
//! [`crate::run`] is its shell: it does what [`Life::step`] orders, and tells it what comes of that. A life asks for a
//! certificate, opens a stream with it, fetches what the node is configured by, renews, and says goodbye.
//!
//! When the stream is lost, it connects again with the same certificate, at any journal. What that attempt is told
//! decides: a certificate that no journal knows while it is valid ends the life (exit code 4). One that has expired or was
//! ended is replaced by a new enrollment with a new key, for the node itself may be welcome (`deactivate`,
//! `replace-hardware`, `evict --revoke-issued`); and so is one that is refused for whatever reason after its time:
//! journals forget a certificate a day after its end, and then do not know it. What that enrollment is told decides:
//! `NODE_REVOKED` ends the life with what the certificate was told. It outlasts a refused enrollment that an operator or
//! time may mend ([`remedy`](crate::retry::remedy)).
//!
//! A renewal has two channels. The next certificate is asked for over the present connection; a stream is opened with it
//! beside the present one, which is heard meanwhile; only when the new one stands does it take its place, and the old one is heard
//! for a moment more. The new stream begins where the boot configuration that the node holds ends, and what both tell counts once
//! ([`Refresh`]): nothing is missed, nothing is done twice. Until then a failure changes nothing but the time of the next try.
//!
//! A better identity than the certificate ([`crate::cascade`]) takes a stream over in the same way, and one that fails to changes
//! nothing. The enrollment goes on under it: the certificate is renewed over its stream, too, for the node's state has a
//! certificate's term. What such an identity is told ends no life: the node enrolls again.
//!
//! What the node goes by outlives connections, certificates and processes: without a journal it goes by what it had.
//!
//! Not here, on purpose: any input or output, a clock, chance. Times count from the begin of the life; one random number comes
//! with each step.
//!
//! **Invariant:** while a certificate is replaced, the old subscription stays open until the new one is: the journal
//! never sees the node gone. And every wait has an end ([`Life::wakes_at`]).

mod due;
mod opening;
mod stage;
mod verdicts;
mod words;

use std::time::Duration;

use events::vocabulary::{DomainId, NodeId};
use proto::outcome::Failure;

use self::stage::{Connected, Connecting, Enrolling, Renewal, Stage, Try, Validity};
use self::verdicts::{asks_for_a_new_enrollment, first_told, shuts_out};
pub use self::words::{Cached, Phase};
pub(crate) use self::words::{Effect, Given, Heard, Input, Key, Prefer, Told, Warning};
use crate::{
    boot_config::{BootConfig, Refresh, Taken},
    retry::{self, Backoff, Verdict, is_of_this_journal_alone, verdict},
};

/// A subscription that lasted so long was sound: when it is lost, the waits begin anew.
const SOUND: Duration = Duration::from_secs(60);
/// A journal tells all its nodes at one moment to renew: they spread over this much.
const RENEW_NOW_SPREAD: Duration = Duration::from_secs(2);
/// The certificates of many nodes may be ended at one moment: they enroll again spread over this much.
const ENROLL_AGAIN_SPREAD: Duration = Duration::from_secs(10);
/// A stream that was replaced is heard for so long: what the journal said before it saw the new one has arrived by then.
const DRAINED_AFTER: Duration = Duration::from_secs(2);
/// Without a journal's answer for so long a process goes by what an earlier one was configured by. A journal that serves answers
/// sooner, and so what it says comes first.
const CACHE_AFTER: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Life {
    stage: Stage,
    refresh: Refresh,
    /// What the node goes by, and whether the user knows that it is without a journal.
    acting: Option<BootConfig>,
    is_told_degraded: bool,
    /// What an earlier process was configured by, as long as nothing else is known.
    cached: Option<Cached>,
    /// The key of a renewal that a journal may have answered.
    next_key_is_used: bool,
    drains_until: Option<Duration>,
    last_failure: Option<Failure>,
}

/// One step: its circumstances, and what it orders.
struct Turn {
    now: Duration,
    random: u64,
    effects: Vec<Effect>,
}

impl Turn {
    fn order(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn tell(&mut self, told: Told) {
        self.order(Effect::Tell(told));
    }

    fn warn(&mut self, warning: Warning) {
        self.order(Effect::Warn(warning));
    }
}

impl Life {
    /// Before its begin.
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Probing,
            refresh: Refresh::default(),
            acting: None,
            is_told_degraded: false,
            cached: None,
            next_key_is_used: false,
            drains_until: None,
            last_failure: None,
        }
    }

    /// Takes what happened. An answer to what is not asked any more counts for nothing.
    pub(crate) fn step(&mut self, input: Input, now: Duration, random: u64) -> Vec<Effect> {
        let mut turn = Turn { now, random, effects: Vec::new() };
        match input {
            Input::Begin(cached) => {
                if matches!(self.stage, Stage::Probing) {
                    self.cached = cached;
                    turn.order(Effect::Probe);
                }
            }
            Input::Probed(probed) => self.probed(probed, &mut turn),
            Input::Enrolled(enrolled) => self.enrolled(enrolled, &mut turn),
            Input::Opened(opened) => self.opened(opened, &mut turn),
            Input::Heard(heard) => self.heard(heard, &mut turn),
            Input::StreamEnded(failure) => self.lose(failure, &mut turn),
            Input::Fetched(answer) => {
                if matches!(self.stage, Stage::Connected(_)) {
                    self.configure(answer, &mut turn);
                }
            }
            Input::Swap => self.swap(&mut turn),
            Input::Renewed(renewed) => self.renewed(renewed, &mut turn),
            Input::Time => {}
            Input::Stop => self.stop(&mut turn),
            Input::Left { goodbye } => {
                if matches!(self.stage, Stage::Leaving) {
                    self.stage = Stage::Ended;
                    turn.tell(Told::Stopped { goodbye });
                    turn.order(Effect::End(Ok(())));
                }
            }
        }
        self.begin_what_is_due(&mut turn);
        turn.effects
    }

    /// Where the node stands.
    pub(crate) fn phase(&self) -> Phase {
        let without_a_journal = |otherwise| if self.acting.is_some() { Phase::Degraded } else { otherwise };
        match &self.stage {
            Stage::Probing => Phase::Probing,
            Stage::Enrolling(_) => without_a_journal(Phase::Enrolling),
            Stage::Connecting(_) => without_a_journal(Phase::Configuring),
            Stage::Connected(_) if self.refresh.held().is_none() => without_a_journal(Phase::Configuring),
            Stage::Connected(connected) => match connected.renewal {
                Renewal::NotBefore(_) | Renewal::Swapping(_) => Phase::Active,
                Renewal::Asking(_) | Renewal::Opening { .. } => Phase::Renewing,
            },
            Stage::Leaving => Phase::Goodbye,
            Stage::Ended => Phase::Ended,
        }
    }

    /// What failed last.
    pub(crate) fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }

    /// What the node goes by.
    pub(crate) fn acting(&self) -> Option<&BootConfig> {
        self.acting.as_ref()
    }

    /// What an earlier process was, as long as this one is nobody.
    pub(crate) fn cached(&self) -> Option<&Cached> {
        self.cached.as_ref()
    }

    /// What this enrollment holds.
    pub(crate) fn held(&self) -> Option<&BootConfig> {
        self.refresh.held()
    }

    fn probed(&mut self, probed: Result<(), Failure>, turn: &mut Turn) {
        if !matches!(self.stage, Stage::Probing) {
            return;
        }
        match probed {
            Ok(()) => {
                self.stage = Stage::Enrolling(Enrolling::begins_at(turn.now, None));
            }
            Err(failure) => self.end(failure, turn),
        }
    }

    fn enrolled(&mut self, enrolled: Result<Given, Failure>, turn: &mut Turn) {
        let Stage::Enrolling(enrolling) = &mut self.stage else { return };
        match enrolled {
            Ok(given) => {
                self.is_nobody_else(&given.node_id, &given.domain_id, turn);
                turn.tell(Told::Enrolled);
                let certificate = Validity::of(&given, turn.now);
                self.connect(certificate, Backoff::default(), turn);
            }
            Err(failure) => {
                let Some(wait) = enrolling.backoff.after_refused_enrollment(&failure, turn.random) else {
                    let failure = first_told(enrolling.ended.take(), failure);
                    return self.end(failure, turn);
                };
                enrolling.next = Try::At(turn.now + wait);
                let remedy = retry::remedy(&failure);
                turn.warn(Warning::NotEnrolled { failure: failure.clone(), wait, remedy });
                if shuts_out(&failure) {
                    self.unconfigure(turn);
                } else {
                    self.go_by_the_cache(turn);
                }
                self.last_failure = Some(failure);
            }
        }
    }

    /// What an earlier process was configured by as another node is not this node's.
    fn is_nobody_else(&mut self, node_id: &NodeId, domain_id: &DomainId, turn: &mut Turn) {
        let is_other = |cached: &Cached| (&cached.node_id, &cached.domain_id) != (node_id, domain_id);
        if self.cached.as_ref().is_some_and(is_other) {
            self.unconfigure(turn);
        }
    }

    /// Begins to subscribe with a certificate, at the journal that gave it.
    fn connect(&mut self, certificate: Validity, backoff: Backoff, turn: &mut Turn) {
        self.stage = Stage::Connecting(Connecting { certificate, next: Try::UnderWay, backoff });
        turn.order(Effect::Open { prefer: Prefer::Serving, held: self.refresh.held().cloned() });
    }

    /// What was opened is the present stream.
    fn adopt(
        &mut self,
        certificate: Validity,
        connecting: Backoff,
        answer: Result<BootConfig, Failure>,
        turn: &mut Turn,
    ) {
        let (since, backoff) = (turn.now, Backoff::default());
        let renewal = Renewal::NotBefore(certificate.renew_at);
        self.stage = Stage::Connected(Connected { certificate, since, renewal, backoff, connecting });
        self.refresh.lost();
        self.is_told_degraded = false;
        turn.order(Effect::Adopt);
        turn.tell(Told::Subscribed);
        // What the new stream began with is what the node held already.
        let holds = |config: &BootConfig| self.refresh.held().is_some_and(|held| held.seq >= config.seq);
        if !answer.as_ref().is_ok_and(holds) {
            self.configure(answer, turn);
        }
    }

    /// No journal took a subscription with the certificate that the node has.
    fn not_subscribed(&mut self, failure: Failure, turn: &mut Turn) {
        let Stage::Connecting(connecting) = &mut self.stage else { return };
        if let Some(wait) = connecting.backoff.after_failure(&failure, turn.random) {
            connecting.next = Try::At(turn.now + wait);
            turn.warn(Warning::NotSubscribed { failure: failure.clone(), wait });
            self.go_by_the_cache(turn);
            self.last_failure = Some(failure);
            return;
        }
        let is_over = turn.now >= connecting.certificate.expires_at;
        // An identity of others that is refused says nothing of the node.
        if !asks_for_a_new_enrollment(&failure, is_over || connecting.certificate.is_lent) {
            return self.end(failure, turn);
        }
        turn.warn(Warning::CertificateOver { failure: failure.clone() });
        self.last_failure = Some(failure.clone());
        // A boot configuration is held in one enrollment. What the node goes by until the next is there stays.
        self.refresh = Refresh::default();
        self.next_key_is_used = false;
        self.drains_until = None;
        turn.order(Effect::Forget);
        // Those whose time is over were not ended at one moment.
        let (wait, ended) = if is_over {
            (Duration::ZERO, None)
        } else {
            (retry::part(ENROLL_AGAIN_SPREAD, turn.random), Some(failure))
        };
        self.stage = Stage::Enrolling(Enrolling::begins_at(turn.now + wait, ended));
    }

    /// Takes an answer about the boot configuration, and tells if it is another than before.
    fn configure(&mut self, answer: Result<BootConfig, Failure>, turn: &mut Turn) {
        match self.refresh.take(answer, turn.now, turn.random) {
            Ok(Taken::Another(config)) => {
                turn.tell(Told::Configured(config.clone()));
                turn.order(Effect::Keep(config.clone()));
                turn.order(Effect::Act(config.clone()));
                (self.acting, self.cached) = (Some(config), None);
            }
            Ok(Taken::Same) => {}
            Ok(Taken::NotYet(failure)) => {
                turn.warn(Warning::NotConfigured { failure: failure.clone() });
                self.go_by_the_cache(turn);
                self.last_failure = Some(failure);
            }
            Err(failure) => self.lose(failure, turn),
        }
    }

    fn heard(&mut self, heard: Heard, turn: &mut Turn) {
        let Stage::Connected(connected) = &mut self.stage else { return };
        match heard {
            Heard::Changed(changed) => self.refresh.hear(&changed),
            Heard::RenewNow => {
                if let Renewal::NotBefore(at) | Renewal::Swapping(at) | Renewal::Asking(Try::At(at)) =
                    &mut connected.renewal
                {
                    *at = (*at).min(turn.now + retry::part(RENEW_NOW_SPREAD, turn.random));
                }
            }
            Heard::Evicted(failure) => self.lose(failure, turn),
        }
    }

    /// The present stream is lost. However it ended, a new connection is told why: what the old one says may be a moment
    /// that has passed.
    fn lose(&mut self, failure: Failure, turn: &mut Turn) {
        let Stage::Connected(connected) = &mut self.stage else { return };
        let mut backoff = connected.connecting;
        if turn.now.saturating_sub(connected.since) >= SOUND {
            backoff = Backoff::default();
        }
        // The next certificate is there, if not its stream: the present one is superseded.
        let mut certificate = connected.certificate;
        let next = match connected.renewal {
            Renewal::NotBefore(at) | Renewal::Swapping(at) | Renewal::Asking(Try::At(at)) => {
                certificate.renew_at = at;
                None
            }
            Renewal::Asking(Try::UnderWay) => {
                certificate.renew_at = turn.now;
                None
            }
            Renewal::Opening { certificate: of_the_next, next } => {
                certificate = of_the_next;
                Some(next)
            }
        };
        turn.order(Effect::Lose);
        turn.tell(Told::Lost(failure.clone()));
        self.refresh.lost();
        let told = match verdict(&failure) {
            Verdict::Again(_) => failure,
            Verdict::Final => Failure::Unreachable(failure.to_string()),
        };
        let next = next.unwrap_or_else(|| {
            let wait = backoff.after_failure(&told, turn.random).unwrap_or_default();
            turn.warn(Warning::NotSubscribed { failure: told.clone(), wait });
            Try::At(turn.now + wait)
        });
        self.last_failure = Some(told);
        self.stage = Stage::Connecting(Connecting { certificate, next, backoff });
    }

    fn renewed(&mut self, renewed: Result<Given, Failure>, turn: &mut Turn) {
        let Stage::Connected(connected) = &mut self.stage else { return };
        if connected.renewal != Renewal::Asking(Try::UnderWay) {
            return;
        }
        match renewed {
            Ok(given) => {
                self.next_key_is_used = false;
                connected.backoff = Backoff::default();
                let certificate = Validity::of(&given, turn.now);
                connected.renewal = Renewal::Opening { certificate, next: Try::UnderWay };
                turn.tell(Told::Renewed);
                let held = self.refresh.held().cloned();
                turn.order(Effect::Open { prefer: Prefer::Serving, held });
            }
            Err(failure) => {
                let Verdict::Again(told) = verdict(&failure) else {
                    self.next_key_is_used = false;
                    return self.lose(failure, turn);
                };
                if is_of_this_journal_alone(&failure) {
                    self.next_key_is_used = false;
                    return self.lose(failure, turn);
                }
                self.not_renewed(failure, told, None, turn);
            }
        }
    }

    /// There is no next certificate, or no stream with the one that there is.
    fn not_renewed(
        &mut self,
        failure: Failure,
        told: Option<Duration>,
        certificate: Option<Validity>,
        turn: &mut Turn,
    ) {
        let Stage::Connected(connected) = &mut self.stage else { return };
        let wait = connected.backoff.drawn(told, turn.random);
        let next = Try::At(turn.now + wait);
        connected.renewal = match certificate {
            Some(certificate) => Renewal::Opening { certificate, next },
            None => Renewal::Asking(next),
        };
        let left = connected.certificate.expires_at.saturating_sub(turn.now);
        turn.warn(Warning::NotRenewed { failure: failure.clone(), wait, left });
        self.last_failure = Some(failure);
    }

    fn stop(&mut self, turn: &mut Turn) {
        if !matches!(self.stage, Stage::Leaving | Stage::Ended) {
            let is_over = match &self.stage {
                Stage::Connecting(Connecting { certificate, .. })
                | Stage::Connected(Connected { certificate, .. }) => turn.now >= certificate.expires_at,
                Stage::Probing | Stage::Enrolling(_) | Stage::Leaving | Stage::Ended => true,
            };
            // The present stream may say it all the same; no new one is opened for it.
            if is_over {
                turn.order(Effect::Forget);
            }
            self.stage = Stage::Leaving;
            turn.order(Effect::Leave);
        }
    }

    /// A node that is told so is none, and neither is the next process on this machine.
    fn end(&mut self, failure: Failure, turn: &mut Turn) {
        if is_refused(&failure) {
            self.unconfigure(turn);
        }
        self.stage = Stage::Ended;
        self.last_failure = Some(failure.clone());
        turn.order(Effect::End(Err(failure)));
    }

    fn unconfigure(&mut self, turn: &mut Turn) {
        if self.acting.take().is_some() | self.cached.take().is_some() {
            turn.order(Effect::Unconfigure);
        }
    }

    /// Goes by what an earlier process was configured by, if nothing better is known.
    fn go_by_the_cache(&mut self, turn: &mut Turn) {
        if self.acting.is_some() {
            return;
        }
        if let Some(cached) = &self.cached {
            let config = cached.config.clone();
            turn.tell(Told::Degraded(config.clone()));
            turn.order(Effect::Act(config.clone()));
            (self.acting, self.is_told_degraded) = (Some(config), true);
        }
    }
}

/// Whether a journal said that the node, or its certificate, is none. All else may be otherwise in a moment.
pub(crate) fn is_refused(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused(_) | Failure::ConnectionRefused(_))
}

#[cfg(test)]
mod tests;
