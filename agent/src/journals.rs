//! Whom to ask and whom to trust: the journals' addresses and the domain CA.
//!
//! [`crate::enroll`] and [`crate::run`] go through the addresses in an order of their own each time, so that the nodes
//! of a cluster spread over its journals. Those that the journals told come before those that were given: they know
//! better who is there, but what a node cannot reach by that name must not keep it out.
//!
//! **Invariant:** there is at least one address that was given; at most [`LEARNED`] others.

use std::{error::Error, sync::Arc};

use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pem_file::Trust,
};
use tonic::Status;

use crate::retry;

/// So many addresses are learned: a quorum has 3 to 5 journals.
pub const LEARNED: usize = 64;

/// The journals of a domain. Clones share the addresses that were given.
#[derive(Debug, Clone)]
pub struct Journals {
    /// The domain CA.
    pub trust: Trust,
    given: Arc<[JournalAddress]>,
    learned: Vec<JournalAddress>,
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
        Ok(Self { trust, given: addresses.into(), learned: Vec::new() })
    }

    /// Takes the addresses that a journal told, in the place of those that were told before. What is no address is
    /// left out; if nothing is left, the former stay.
    pub fn learn(&mut self, told: &[String]) {
        let mut learned: Vec<JournalAddress> = Vec::new();
        for text in told.iter().take(LEARNED) {
            match text.parse() {
                Ok(address) if learned.contains(&address) => {}
                Ok(address) => learned.push(address),
                Err(error) => tracing::warn!(%error, "a journal told an address that cannot be used"),
            }
        }
        if !learned.is_empty() {
            self.learned = learned;
        }
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

    fn told(journals: &Journals) -> Vec<String> {
        journals.shuffled().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_journals_told_comes_first_and_what_was_given_stays() {
        let mut journals = journals(&["https://j1:9443", "https://given:9443"]).unwrap();
        let tell = |journals: &mut Journals, texts: &[&str]| {
            journals.learn(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        };
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
        journals.learn(&wrong.map(str::to_owned));
        assert_eq!(told(&journals), ["https://j1:9443"]);
        journals.learn(&["http://j2:9443".to_owned(), "https://j2:9443".to_owned()]);
        assert_eq!(told(&journals), ["https://j2:9443", "https://j1:9443"]);
        journals.learn(&[]);
        assert_eq!(told(&journals).len(), 2);
    }

    #[test]
    fn no_more_addresses_than_the_limit_are_learned() {
        let mut journals = journals(&["https://j1:9443"]).unwrap();
        journals.learn(&(0..1000).map(|number| format!("https://n{number}:9443")).collect::<Vec<_>>());
        assert_eq!(journals.shuffled().len(), LEARNED + 1);
    }

    #[test]
    fn without_a_journal_the_usage_is_wrong() {
        assert!(matches!(journals(&[]).unwrap_err(), Failure::Usage(_)));
    }
}
