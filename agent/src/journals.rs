//! Whom to ask and whom to trust: the journals' addresses and the domain CA.
//!
//! [`crate::enroll`] and [`crate::run`] go through the addresses in an order of their own each time, so that the nodes
//! of a cluster spread over its journals. Those that the journals told come before those that were given: they know
//! better who is there, but what a node cannot reach by that name must not keep it out.
//!
//! Journals also tell who was evicted from the quorum; those are not trusted any more (design §7). It is remembered until
//! the process ends: a node that boots hears it with its first answer.
//!
//! **Invariant:** there is at least one address that was given; at most [`LEARNED`] others, and [`EVICTED`] certificates.

use std::{collections::VecDeque, error::Error, sync::Arc};

use events::vocabulary::{CertificateHash, Timestamp};
use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pb,
    pem_file::Trust,
};
use tonic::Status;

use crate::{
    retry,
    waking::{self, Waking},
};

/// So many addresses are learned: a quorum has 3 to 5 journals.
pub const LEARNED: usize = 64;
/// So many certificates of evicted journals are remembered, 32 KB: at most the last 8 of each are told, and each is over
/// after 30 days.
pub const EVICTED: usize = 1024;

/// What a journal tells of all journals, in its answers and on a subscription.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The agents' listeners: `https://HOST:PORT`.
    pub endpoints: Vec<String>,
    /// SHA-256 of the certificates of evicted journals.
    pub evicted: Vec<Vec<u8>>,
}

impl Told {
    /// Takes it out of an answer.
    pub(crate) fn of(answer: &mut pb::EnrollResponse) -> Self {
        let (endpoints, evicted) = (&mut answer.endpoints, &mut answer.evicted_journals);
        Self { endpoints: std::mem::take(endpoints), evicted: std::mem::take(evicted) }
    }
}

impl From<pb::journal_message::Endpoints> for Told {
    fn from(told: pb::journal_message::Endpoints) -> Self {
        Self { endpoints: told.endpoints, evicted: told.evicted_journals }
    }
}

/// Which journal a round begins or ends with. All others come in a random order.
#[derive(Debug, Clone, Copy)]
pub enum Preference<'a> {
    /// None: any may be the first.
    Any,
    /// This one is known to serve.
    First(&'a JournalAddress),
    /// This one was just lost.
    Last(&'a JournalAddress),
}

/// The journals of a domain. Clones share the addresses that were given.
#[derive(Debug, Clone)]
pub struct Journals {
    /// The domain CA, and who was evicted.
    pub trust: Trust,
    given: Arc<[JournalAddress]>,
    learned: Vec<JournalAddress>,
    waking: Option<Waking>,
}

impl Journals {
    /// Takes addresses of agents' listeners.
    ///
    /// # Errors
    /// If there is none.
    pub fn new(trust: Trust, addresses: Vec<JournalAddress>) -> Result<Self, Failure> {
        if addresses.is_empty() {
            let told = "no journal is given; use --journal or PACT_JOURNALS";
            return Err(Failure::Usage(told.to_owned()));
        }
        Ok(Self { trust, given: addresses.into(), learned: Vec::new(), waking: None })
    }

    /// The same, of a machine whose clock may be wrong: one that says a time before its image was built keeps it from no
    /// journal, and is set by the first that gives it a certificate (R25).
    #[must_use]
    pub fn waking_after(self, image_built_at: Timestamp) -> Self {
        let waking = Some(Waking::of_this_machine(image_built_at, &self.trust));
        Self { trust: self.trust.waking_after(image_built_at), waking, ..self }
    }

    /// The same with a clock of a test.
    #[cfg(test)]
    pub(crate) fn waking_with(self, image_built_at: Timestamp, clock: Arc<dyn crate::waking::Clock>) -> Self {
        let waking = Some(Waking::with(image_built_at, &self.trust, clock));
        Self { trust: self.trust.waking_after(image_built_at), waking, ..self }
    }

    /// A journal that gave a certificate says what time it is.
    pub(crate) fn hear_time(&self, told: Timestamp, connection: &Connection) {
        if let Some(waking) = &self.waking {
            waking.hear(told, connection.server_certificate().and_then(waking::end));
        }
    }

    /// Takes the addresses that a journal told, in the place of those that were told before, and adds who was evicted.
    /// What is no address is left out; if nothing is left, the former stay.
    pub fn learn(&mut self, told: &Told) {
        self.shun(&told.evicted);
        let source = self.given.iter().find_map(JournalAddress::source);
        let mut learned: Vec<JournalAddress> = Vec::new();
        for text in told.endpoints.iter().take(LEARNED) {
            match text.parse::<JournalAddress>() {
                Ok(address) => {
                    // Who has an address of its own to connect from keeps it.
                    let address = match source {
                        Some(source) => address.from_source(source),
                        None => address,
                    };
                    if !learned.contains(&address) {
                        learned.push(address);
                    }
                }
                Err(error) => tracing::warn!(%error, "a journal told an address that cannot be used"),
            }
        }
        if !learned.is_empty() {
            self.learned = learned;
        }
    }

    /// Trusts these certificates no more. Nobody takes an eviction back, so that a journal that has not heard of one does
    /// not bring the evicted one back. When there are too many, those that were told first are forgotten.
    fn shun(&mut self, told: &[Vec<u8>]) {
        let hashes = told.iter().filter_map(|hash| <[u8; 32]>::try_from(hash.as_slice()).ok());
        let mut evicted = self.trust.evicted().to_vec();
        for hash in hashes.map(CertificateHash::new).take(EVICTED) {
            if !evicted.contains(&hash) {
                evicted.push(hash);
            }
        }
        if evicted.len() > self.trust.evicted().len() {
            tracing::warn!(
                certificates = evicted.len(),
                "journals were evicted: they are not trusted any more"
            );
            evicted.drain(..evicted.len().saturating_sub(EVICTED));
            self.trust = self.trust.without(evicted);
        }
    }

    /// Whether the journal at the other end of a connection was evicted, as is known by now.
    pub fn shuns(&self, connection: &Connection) -> bool {
        self.trust.evicted().contains(&connection.server())
    }

    /// The addresses for one round.
    pub fn in_order(&self, preference: Preference<'_>) -> VecDeque<JournalAddress> {
        let mut order: VecDeque<_> = self.shuffled().into();
        match preference {
            Preference::Any => {}
            Preference::First(first) => {
                order.retain(|address| address != first);
                order.push_front(first.clone());
            }
            Preference::Last(last) => {
                let before = order.len();
                order.retain(|address| address != last);
                if order.len() < before {
                    order.push_back(last.clone());
                }
            }
        }
        order
    }

    /// The addresses in a random order: those that were learned, then the others that were given.
    pub fn shuffled(&self) -> Vec<JournalAddress> {
        let mut addresses = shuffled(self.learned.clone());
        let others = self.given.iter().filter(|given| !self.learned.contains(given));
        addresses.extend(shuffled(others.cloned().collect()));
        addresses
    }
}

/// Fisher and Yates. The remainder favours some orders by less than the number of journals in 2^64.
fn shuffled(mut addresses: Vec<JournalAddress>) -> Vec<JournalAddress> {
    for last in (1..addresses.len()).rev() {
        let span = last as u64 + 1;
        addresses.swap(last, (retry::random() % span) as usize);
    }
    addresses
}

/// What the status of a call over this connection means. A call that was lost below gRPC is told as that, also when the
/// connection ended in good order.
pub(crate) fn failure(connection: &Connection, status: &Status) -> Failure {
    let told = connection.failure(status);
    if matches!(told, Failure::Failed { .. }) && status.source().is_some() {
        let (address, why) = (connection.address(), status.message());
        return Failure::Unreachable(format!("the connection to {address} was lost: {why}"));
    }
    told
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn journals(addresses: &[&str]) -> Result<Journals, Failure> {
        let authority = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&authority).unwrap();
        let trust = Trust::of(vec![certificate.der().clone()]).unwrap();
        Journals::new(trust, addresses.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn every_journal_comes_first_at_some_time() {
        let journals = journals(&["https://j1:9443", "https://j2:9443", "https://j3:9443"]).unwrap();
        let mut first = BTreeSet::new();
        // That one of three is missing after 300 draws has a chance of 1 in 10^52.
        for _ in 0..300 {
            let order = journals.shuffled();
            assert_eq!(order.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len(), 3);
            first.insert(order[0].to_string());
        }
        assert_eq!(first.len(), 3);
    }

    fn endpoints(texts: &[&str]) -> Told {
        let endpoints = texts.iter().map(|text| (*text).to_owned()).collect();
        Told { endpoints, ..Told::default() }
    }

    fn told(journals: &Journals) -> Vec<String> {
        journals.shuffled().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_journals_told_comes_first_and_what_was_given_stays() {
        let mut journals = journals(&["https://j1:9443", "https://given:9443"]).unwrap();
        let tell = |journals: &mut Journals, texts: &[&str]| journals.learn(&endpoints(texts));
        tell(&mut journals, &["https://j2:9443", "https://j1:9443", "https://j2:9443"]);
        for _ in 0..20 {
            let order = told(&journals);
            assert_eq!(order.len(), 3);
            assert_eq!(order[2], "https://given:9443");
        }
        tell(&mut journals, &["https://j3:9443"]);
        assert_eq!(told(&journals)[0], "https://j3:9443");
        assert_eq!(told(&journals).len(), 3);
    }

    #[test]
    fn what_is_no_address_is_not_learned() {
        let mut journals = journals(&["https://j1:9443"]).unwrap();
        let wrong = ["http://j2:9443", "j2", "", "https://j2", "file:///etc/passwd", "https://j2:9443/x"];
        journals.learn(&endpoints(&wrong));
        assert_eq!(told(&journals), ["https://j1:9443"]);
        journals.learn(&endpoints(&["http://j2:9443", "https://j2:9443"]));
        assert_eq!(told(&journals), ["https://j2:9443", "https://j1:9443"]);
        journals.learn(&Told::default());
        assert_eq!(told(&journals).len(), 2);
    }

    fn evicted(numbers: std::ops::Range<u32>) -> Told {
        let evicted = numbers.map(|number| hash(number).as_bytes().to_vec()).collect();
        Told { evicted, ..Told::default() }
    }

    fn hash(number: u32) -> CertificateHash {
        CertificateHash::of(&number.to_be_bytes())
    }

    #[test]
    fn who_was_evicted_is_remembered_though_another_journal_has_not_heard_of_it() {
        let mut journals = journals(&["https://j1:9443"]).unwrap();
        journals.learn(&evicted(0..2));
        journals.learn(&evicted(1..3));
        journals.learn(&Told::default());
        assert_eq!(journals.trust.evicted(), [hash(0), hash(1), hash(2)]);
        // Not the length of a hash.
        journals.learn(&Told { evicted: vec![vec![], vec![7; 31], vec![7; 33]], ..Told::default() });
        assert_eq!(journals.trust.evicted().len(), 3);
        let clone = journals.clone();
        assert_eq!(clone.trust.evicted().len(), 3);
    }

    #[test]
    fn however_many_were_evicted_memory_is_bounded_and_the_latest_are_known() {
        let mut journals = journals(&["https://j1:9443"]).unwrap();
        let all = u32::try_from(EVICTED).unwrap();
        journals.learn(&evicted(0..all));
        journals.learn(&evicted(all..all + 2));
        assert_eq!(journals.trust.evicted().len(), EVICTED);
        assert_eq!(journals.trust.evicted().last(), Some(&hash(all + 1)));
        assert_eq!(journals.trust.evicted().first(), Some(&hash(2)));
        journals.learn(&evicted(0..10 * all));
        assert_eq!(journals.trust.evicted().len(), EVICTED);
    }

    #[test]
    fn rule_19_the_nodes_of_a_lost_journal_spread_evenly_over_the_others_and_none_begins_with_the_lost_one() {
        for journals_in_all in [2, 3, 5] {
            let addresses: Vec<String> =
                (0..journals_in_all).map(|number| format!("https://j{number}:9443")).collect();
            let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
            for learned in [false, true] {
                let mut journals = journals(&texts).unwrap();
                if learned {
                    journals.learn(&endpoints(&texts));
                }
                let lost: JournalAddress = texts[0].parse().unwrap();
                let (nodes, others) = (6000, journals_in_all - 1);
                let mut first = std::collections::BTreeMap::<String, usize>::new();
                for _ in 0..nodes {
                    let order = journals.in_order(Preference::Last(&lost));
                    assert_eq!((order.len(), order.back()), (journals_in_all, Some(&lost)));
                    *first.entry(order[0].to_string()).or_default() += 1;
                }
                assert_eq!(first.len(), others);
                // Six standard deviations: by chance once in 10^9 runs.
                let mean = nodes as f64 / others as f64;
                let bound = 6.0 * (mean * (1.0 - 1.0 / others as f64)).sqrt();
                assert!(first.values().all(|count| (*count as f64 - mean).abs() <= bound), "{first:?}");
            }
        }
    }

    #[test]
    fn a_journal_that_serves_comes_first_and_none_is_named_twice() {
        let mut journals = journals(&["https://j1:9443", "https://given:9443"]).unwrap();
        journals.learn(&endpoints(&["https://j1:9443", "https://j2:9443"]));
        for known in ["https://j2:9443", "https://given:9443", "https://j1:9443"] {
            let first = known.parse().unwrap();
            let order = journals.in_order(Preference::First(&first));
            assert_eq!((order.len(), &order[0]), (3, &first));
        }
        let unknown = "https://j9:9443".parse().unwrap();
        assert_eq!(journals.in_order(Preference::First(&unknown)).len(), 4);
        assert_eq!(journals.in_order(Preference::Last(&unknown)).len(), 3, "it was named by another name");
    }

    #[test]
    fn who_connects_from_an_address_of_its_own_does_so_to_those_that_it_learns_of() {
        let source = "127.0.0.9".parse().unwrap();
        let given: JournalAddress = "https://127.0.0.1:9443".parse().unwrap();
        let trust = journals(&["https://j1:9443"]).unwrap().trust;
        let mut journals = Journals::new(trust, vec![given.from_source(source)]).unwrap();
        journals.learn(&endpoints(&["https://127.0.0.1:9443", "https://127.0.0.1:9444"]));
        let order = journals.in_order(Preference::Any);
        assert_eq!(order.len(), 2);
        assert!(order.iter().all(|address| address.source() == Some(source)));
    }

    #[test]
    fn no_more_addresses_than_the_limit_are_learned() {
        let mut journals = journals(&["https://j1:9443"]).unwrap();
        let endpoints = (0..1000).map(|number| format!("https://n{number}:9443")).collect();
        journals.learn(&Told { endpoints, ..Told::default() });
        assert_eq!(journals.shuffled().len(), LEARNED + 1);
    }

    #[test]
    fn without_a_journal_the_usage_is_wrong() {
        assert!(matches!(journals(&[]).unwrap_err(), Failure::Usage(_)));
    }
}
