//! The open connections, found by what they presented: a certificate, or a workload identity of others, so that a revocation cuts them (R10, R17).
//!
//! The acceptor registers a connection before it looks its certificate up: whichever of look-up and revocation comes
//! later sees the other. The log calls [`Connections::review`] after each fold.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use events::views::{Changed, Standing, Views};
use events::vocabulary::{CertificateHash, SpiffeHash, Timestamp};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::presence::Pulse;

/// Later than any moment.
const NEVER: u64 = u64::MAX;

/// How long a connection outlives its certificate whose end was asked for over it: the answer must leave by it. It opens
/// nothing meanwhile, since every call looks the certificate up.
const PARTING: Duration = Duration::from_secs(1);

/// By what a connection proved who is at its other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shown {
    /// By nothing: it has no certificate.
    Nothing,
    /// By a certificate, which an issuance fact records or not (R10).
    Certificate(CertificateHash),
    /// By a workload identity of others (R11).
    Workload(SpiffeHash),
}

impl From<Option<CertificateHash>> for Shown {
    fn from(certificate: Option<CertificateHash>) -> Self {
        certificate.map_or(Self::Nothing, Self::Certificate)
    }
}

/// Those that showed one thing, by their numbers.
type Leashes = HashMap<u64, Weak<Leash>>;

/// All open connections: by what they showed.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<HashMap<Shown, Leashes>>,
    next: AtomicU64,
}

/// By what an open connection is held: it can be cut, and ends at a moment by itself.
#[derive(Debug)]
pub struct Leash {
    id: u64,
    cut: AtomicBool,
    /// How many orders are under way over it that may end its own certificate.
    parting: AtomicUsize,
    /// Milliseconds since 1970; `NEVER`: no end.
    ends_at: AtomicU64,
    waker: AtomicWaker,
    pulse: Pulse,
}

impl Leash {
    /// Beats whenever something is read from the connection.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Whether the connection must end now.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Ends the connection, whatever it is waiting for.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// An order is under way over this connection that may end its own certificate: until the result is dropped, a review
    /// leaves the connection the time to say so.
    pub fn part(self: &Arc<Self>) -> Parting {
        self.parting.fetch_add(1, Ordering::AcqRel);
        Parting(Arc::clone(self))
    }

    /// When the connection ends by itself.
    pub fn ends_at(&self) -> Option<Timestamp> {
        Some(self.ends_at.load(Ordering::Acquire))
            .filter(|millis| *millis < NEVER)
            .map(Timestamp::from_millis)
    }

    /// Sets that moment: the certificate's notAfter, or the end of its overlap (R15). It only ever comes nearer, so
    /// that an older look-up does not undo a newer one.
    pub fn end_at(&self, moment: Timestamp) {
        self.ends_at.fetch_min(moment.as_millis(), Ordering::AcqRel);
        self.waker.wake();
    }

    /// Whom to wake when it is cut or its end moves.
    pub fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }
}

/// See [`Leash::part`].
pub struct Parting(Arc<Leash>);

impl Drop for Parting {
    fn drop(&mut self) {
        self.0.parting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connections {
    /// Holds a connection that showed this.
    pub fn register(&self, shown: Shown) -> Arc<Leash> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let leash = Arc::new(Leash {
            id,
            cut: AtomicBool::new(false),
            parting: AtomicUsize::new(0),
            ends_at: AtomicU64::new(NEVER),
            waker: AtomicWaker::new(),
            pulse: Pulse::default(),
        });
        self.open.lock().entry(shown).or_default().insert(id, Arc::downgrade(&leash));
        leash
    }

    /// Forgets a connection that is closed.
    pub fn release(&self, shown: Shown, leash: &Leash) {
        let mut open = self.open.lock();
        if let Some(of_certificate) = open.get_mut(&shown) {
            of_certificate.remove(&leash.id);
            if of_certificate.is_empty() {
                open.remove(&shown);
            }
        }
    }

    /// Looks up again what a fold changed: cuts what lost its standing, and moves the end of what keeps it.
    pub fn review(&self, views: &Views, changed: &Changed, now: Timestamp) {
        let certificates = changed.certificates.iter().copied().map(Shown::Certificate);
        for shown in certificates.chain(changed.workloads.iter().copied().map(Shown::Workload)) {
            let held: Vec<Arc<Leash>> = {
                let open = self.open.lock();
                open.get(&shown).into_iter().flat_map(HashMap::values).filter_map(Weak::upgrade).collect()
            };
            for leash in held {
                match standing(views, shown, now) {
                    Standing::Valid { until, .. } => leash.end_at(until),
                    Standing::Unknown | Standing::Expired | Standing::Revoked | Standing::Replaced { .. }
                        if leash.parting.load(Ordering::Acquire) > 0 =>
                    {
                        leash.end_at(now.plus(PARTING));
                    }
                    Standing::Unknown | Standing::Expired | Standing::Revoked | Standing::Replaced { .. } => {
                        leash.cut();
                    }
                }
            }
        }
    }

    /// Cuts those that showed something and whose number is chosen.
    pub fn cut_known(&self, chosen: impl Fn(u64) -> bool) {
        let open = self.open.lock();
        let known = open.iter().filter(|(shown, _)| **shown != Shown::Nothing).flat_map(|(_, of_one)| of_one);
        known
            .filter(|(id, _)| chosen(**id))
            .filter_map(|(_, leash)| leash.upgrade())
            .for_each(|leash| leash.cut());
    }

    /// Cuts those of workload identities: what vouched for them may not any more.
    pub fn cut_workloads(&self) {
        let open = self.open.lock();
        let theirs = open.iter().filter(|(shown, _)| matches!(shown, Shown::Workload(_)));
        theirs
            .flat_map(|(_, of_one)| of_one.values())
            .filter_map(Weak::upgrade)
            .for_each(|leash| leash.cut());
    }

    /// Cuts everything: the journal stops.
    pub fn cut_all(&self) {
        let open = self.open.lock();
        open.values().flat_map(HashMap::values).filter_map(Weak::upgrade).for_each(|leash| leash.cut());
    }
}

/// What somebody opens who showed this.
pub fn standing(views: &Views, shown: Shown, now: Timestamp) -> Standing {
    match shown {
        Shown::Nothing => Standing::Unknown,
        Shown::Certificate(hash) => views.standing(&hash, now),
        Shown::Workload(id) => views.workload_standing(&id, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(certificate: CertificateHash) -> Changed {
        Changed { certificates: vec![certificate], ..Changed::default() }
    }

    #[test]
    fn rule_11_a_workload_without_standing_is_cut_and_so_are_all_when_the_bundle_loses_a_certificate() {
        let connections = Connections::default();
        let [one, two] = [&b"one"[..], b"two"].map(SpiffeHash::of);
        let leashes = [one, two].map(|id| connections.register(Shown::Workload(id)));
        let node = connections.register(Shown::Certificate(CertificateHash::of(b"one")));
        let changed = Changed { workloads: vec![one], ..Changed::default() };
        connections.review(&Views::default(), &changed, Timestamp::default());
        assert!(leashes[0].is_cut() && !leashes[1].is_cut() && !node.is_cut());
        connections.cut_workloads();
        assert!(leashes[1].is_cut() && !node.is_cut());
    }

    #[test]
    fn rule_17_a_certificate_without_standing_is_cut_everywhere() {
        let (connections, certificate) = (Connections::default(), CertificateHash::of(b"certificate"));
        let (one, two) = (
            connections.register(Shown::Certificate(certificate)),
            connections.register(Shown::Certificate(certificate)),
        );
        let other = connections.register(Shown::Certificate(CertificateHash::of(b"other")));
        connections.review(&Views::default(), &ended(certificate), Timestamp::default());
        assert!(one.is_cut() && two.is_cut() && !other.is_cut());
    }

    #[test]
    fn only_the_connection_by_which_its_own_end_was_asked_for_has_the_time_to_say_so() {
        let (connections, certificate) = (Connections::default(), CertificateHash::of(b"certificate"));
        let (asking, other) = (
            connections.register(Shown::Certificate(certificate)),
            connections.register(Shown::Certificate(certificate)),
        );
        let parting = asking.part();
        connections.review(&Views::default(), &ended(certificate), Timestamp::from_millis(5));
        assert!(other.is_cut() && !asking.is_cut());
        assert_eq!(asking.ends_at(), Some(Timestamp::from_millis(5).plus(PARTING)));
        drop(parting);
        connections.review(&Views::default(), &ended(certificate), Timestamp::from_millis(6));
        assert!(asking.is_cut());
    }

    #[test]
    fn rule_17_only_the_chosen_connections_with_a_certificate_are_cut() {
        let connections = Connections::default();
        let known = CertificateHash::of(b"certificate");
        let [one, two, stranger] = [Some(known), Some(known), None].map(|of| connections.register(of.into()));
        connections.cut_known(|id| id != one.id);
        assert!(!one.is_cut() && two.is_cut() && !stranger.is_cut());
    }

    #[test]
    fn rule_15_the_end_of_a_connection_only_comes_nearer() {
        let leash = Connections::default().register(Shown::Nothing);
        assert_eq!(leash.ends_at(), None);
        for (told, held) in [(300, 300), (900, 300), (200, 200)] {
            leash.end_at(Timestamp::from_millis(told));
            assert_eq!(leash.ends_at(), Some(Timestamp::from_millis(held)));
        }
    }

    #[test]
    fn a_closed_connection_is_forgotten() {
        let connections = Connections::default();
        let certificate = Shown::Certificate(CertificateHash::of(b"certificate"));
        for certificate in [certificate, Shown::Workload(SpiffeHash::of(b"workload")), Shown::Nothing] {
            let (one, two) = (connections.register(certificate), connections.register(certificate));
            connections.release(certificate, &one);
            assert_eq!(connections.open.lock().len(), 1);
            connections.release(certificate, &two);
            assert!(connections.open.lock().is_empty());
        }
    }
}
