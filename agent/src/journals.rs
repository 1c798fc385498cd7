//! Whom to ask and whom to trust: the journals' addresses and the domain CA.
//!
//! [`crate::enroll`] and [`crate::run`] go through the addresses in an order of their own each time, so that the nodes
//! of a cluster spread over its journals.
//!
//! **Invariant:** there is at least one address.

use std::error::Error;

use proto::{
    channel::{Connection, JournalAddress},
    outcome::Failure,
    pem_file::Trust,
};
use tonic::Status;

use crate::retry;

/// The journals of a domain.
#[derive(Debug, Clone)]
pub struct Journals {
    /// The domain CA.
    pub trust: Trust,
    addresses: Vec<JournalAddress>,
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
        Ok(Self { trust, addresses })
    }

    /// The addresses, in a random order.
    pub fn shuffled(&self) -> Vec<JournalAddress> {
        let mut addresses = self.addresses.clone();
        // Fisher and Yates. The remainder favours some orders by less than the number of journals in 2^64.
        for last in (1..addresses.len()).rev() {
            let span = last as u64 + 1;
            addresses.swap(last, (retry::random() % span) as usize);
        }
        addresses
    }
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

    #[test]
    fn without_a_journal_the_usage_is_wrong() {
        assert!(matches!(journals(&[]).unwrap_err(), Failure::Usage(_)));
    }
}
