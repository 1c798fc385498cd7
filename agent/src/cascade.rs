//! Which identity the node goes by: the cascade (R11), a pure machine.
//!
//! From low to high: the image's bootstrap identity or none, to enroll; the journal's certificate; a workload identity of others.
//! A better one that appears is bound to the node over the journal's certificate, then a stream is opened with it beside the
//! present one, and only when that stands the lower one is given up with its key. One that is replaced by a newer one of the same
//! name goes the same way. One that nobody replaced is left before it ends, for a journal's certificate with a new key. So a node
//! without a Workload API, or with one that came, hung or went, lives by the journal's certificates for ever.
//!
//! [`crate::run`] is its shell, and [`crate::life`] opens the streams. Not here, on purpose: keys, connections, a clock, chance.
//!
//! **Invariant:** nothing is begun while something is under way or before its wait is over, and every wait has an end.

use std::time::Duration;

use events::vocabulary::{CertificateHash, SpiffeId};

use crate::retry;

/// The first wait after a failure; each is twice the one before it.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// What hinders may be mended by an operator. The node works meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// An identity that nobody replaced is left when a fourth of its life is left, but no sooner than this.
const LEFT_AT_MOST: Duration = Duration::from_secs(600);

/// A workload identity that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Its name.
    pub(crate) spiffe_id: SpiffeId,
    /// Its certificate.
    pub(crate) certificate: CertificateHash,
    /// From when on it is not to be relied on.
    pub(crate) good_until: Duration,
}

impl Offer {
    /// Of one that has this lifetime and ends then.
    pub(crate) fn good_until(lifetime: Duration, until: Duration) -> Duration {
        until.saturating_sub((lifetime / 4).min(LEFT_AT_MOST))
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Bind the offered identity over the present connection.
    Bind,
    /// Open a stream with the offered identity, beside the present one.
    Swap,
    /// Get a certificate of the journal, over the present connection.
    Descend,
}

/// By what the present stream was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Uses {
    Nothing,
    Certificate,
    Workload(Offer),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cascade {
    offered: Option<Offer>,
    uses: Uses,
    /// What this enrollment was bound to.
    bound: Option<SpiffeId>,
    under_way: Option<Order>,
    not_before: Duration,
    failed: u32,
}

impl Cascade {
    /// Before anything is offered.
    pub(crate) fn new() -> Self {
        Self {
            offered: None,
            uses: Uses::Nothing,
            bound: None,
            under_way: None,
            not_before: Duration::ZERO,
            failed: 0,
        }
    }

    /// There is a newer identity.
    pub(crate) fn offered(&mut self, offer: Offer) {
        if self.offered.as_ref().is_none_or(|known| known.spiffe_id != offer.spiffe_id) {
            // What hindered another one says nothing about this.
            (self.not_before, self.failed) = (Duration::ZERO, 0);
        }
        self.offered = Some(offer);
    }

    /// The node was enrolled anew: what was bound to it before is not any more.
    pub(crate) fn enrolled(&mut self) {
        self.bound = None;
        self.lost();
    }

    /// It goes on with what an agent before it had: this identity was bound.
    pub(crate) fn resumed(&mut self, spiffe_id: &SpiffeId) {
        self.bound = Some(spiffe_id.clone());
    }

    /// The present stream was opened with a certificate of the journal, or with this identity.
    pub(crate) fn stands(&mut self, workload: Option<Offer>) {
        self.uses = workload.map_or(Uses::Certificate, Uses::Workload);
        // A binding that was under way went over the former stream, and is not waited for any more: it may be asked for twice.
        self.under_way = None;
    }

    /// There is no stream.
    pub(crate) fn lost(&mut self) {
        (self.uses, self.under_way) = (Uses::Nothing, None);
    }

    /// The offered identity is bound to the node.
    pub(crate) fn bound(&mut self, spiffe_id: &SpiffeId) {
        self.under_way = None;
        self.failed = 0;
        self.bound = Some(spiffe_id.clone());
    }

    /// What was ordered did not succeed. Answers when it is tried again, from now.
    pub(crate) fn failed(&mut self, now: Duration, random: u64) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failed.min(16)).min(LONGEST_WAIT);
        let wait = wait / 2 + retry::part(wait / 2, random);
        self.under_way = None;
        self.failed = self.failed.saturating_add(1);
        self.not_before = now + wait;
        wait
    }

    /// The identity that the next stream is to be opened with, now that the journal gave another certificate: one that the node
    /// goes by and that is still good.
    pub(crate) fn keeps(&self, now: Duration) -> Option<&Offer> {
        let Uses::Workload(of) = &self.uses else { return None };
        let newer = self.offered.as_ref().filter(|offer| offer.spiffe_id == of.spiffe_id);
        [newer, Some(of)].into_iter().flatten().find(|offer| now < offer.good_until)
    }

    /// What is due, which is under way from then on.
    pub(crate) fn begin(&mut self, now: Duration) -> Option<Order> {
        let (order, at) = self.next(now)?;
        if at > now {
            return None;
        }
        self.under_way = Some(order);
        Some(order)
    }

    /// When something is due even if nothing happens.
    pub(crate) fn wakes_at(&self, now: Duration) -> Option<Duration> {
        self.next(now).map(|(_, at)| at)
    }

    /// What comes next, as it looks now, and when.
    fn next(&self, now: Duration) -> Option<(Order, Duration)> {
        if self.under_way.is_some() {
            return None;
        }
        let begins = now.max(self.not_before);
        let offered = self.offered.as_ref().filter(|offer| begins < offer.good_until);
        match &self.uses {
            Uses::Nothing => None,
            Uses::Certificate => offered.map(|offer| {
                let bound = self.bound.as_ref() == Some(&offer.spiffe_id);
                (if bound { Order::Swap } else { Order::Bind }, self.not_before)
            }),
            Uses::Workload(of) => {
                let another =
                    |offer: &&Offer| offer.spiffe_id == of.spiffe_id && offer.certificate != of.certificate;
                Some(match offered.filter(another) {
                    // The last that was given counts, also if it ends sooner: who gave it knows why.
                    Some(_) => (Order::Swap, self.not_before),
                    None => (Order::Descend, of.good_until.max(self.not_before)),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
