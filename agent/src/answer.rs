//! The answer of a journal, checked before anything is done with it: who this node is from now on.
//!
//! [`crate::enroll`] and [`crate::renew`] check every [`pb::EnrollResponse`] here; all that follows uses the
//! [`Identity`].
//!
//! Not here, on purpose: whether the journal was allowed to issue the certificate. It showed a certificate of the domain
//! CA, and journals check each other's certificates against the log (R10).
//!
//! **Invariant:** the certificate of an [`Identity`] is of a key that we made, and what the answer says about it is what stands
//! in it.

use std::{sync::Arc, time::Duration};

use events::vocabulary::{DomainId, NodeId, Serial, Timestamp};
use proto::{convert::moment, outcome::Failure, pb, pem_file::Credential};
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};

use crate::{key::NodeKey, workload_identity::Svid};

/// A renewal is never due sooner: an answer that is wrong about times must not make an agent ask without pause.
const SOONEST_RENEWAL: Duration = Duration::from_secs(1);

/// Who this node is: its name, its certificate, its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name that the operator gave it.
    pub node_id: NodeId,
    /// The domain it belongs to.
    pub domain_id: DomainId,
    /// Of the certificate.
    pub serial: Serial,
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The issuing authority's certificate, and those above it.
    pub ca_chain: Vec<CertificateDer<'static>>,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// When to renew, by the journal's clock.
    pub renew_after: Timestamp,
    /// What time it was at the journal when it answered.
    pub journal_time: Timestamp,
    /// When to renew, counted from the answer: this machine's clock may be wrong (R25).
    pub renew_in: Duration,
    /// When the certificate ends, counted from the answer: this machine's clock may be wrong (R25).
    pub expires_in: Duration,
    /// Absent in maintenance mode.
    pub vcluster: Option<String>,
    /// What to connect with: the certificate, without its chain, for journals know their authorities; or a workload identity.
    pub credential: Credential,
    /// Whose key that is, for a successor of this agent.
    pub(crate) holds: Holds,
}

/// By what a node proves who it is. One at a time: whoever has a workload identity has the certificate's key no more.
#[derive(Debug, Clone)]
pub(crate) enum Holds {
    /// The key of its certificate.
    Key(NodeKey),
    /// A workload identity that is bound to it (R11).
    Workload(Arc<Svid>),
}

impl Identity {
    /// The same enrollment, proved by a workload identity. The certificate's key is not held any more.
    pub(crate) fn lent(&self, svid: Arc<Svid>) -> Self {
        let credential = svid.credential.clone();
        Self { credential, holds: Holds::Workload(svid), ..self.clone() }
    }

    /// The workload identity by which it is proved, if it is.
    pub(crate) fn svid(&self) -> Option<&Arc<Svid>> {
        match &self.holds {
            Holds::Key(_) => None,
            Holds::Workload(svid) => Some(svid),
        }
    }
}

/// Why an answer is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal's answer cannot be used: {0}")]
pub struct AnswerError(String);

/// The stable name of an [`AnswerError`].
pub(crate) const REASON: &str = "ANSWER_INVALID";

impl From<AnswerError> for Failure {
    fn from(error: AnswerError) -> Self {
        Self::named(REASON, error.to_string())
    }
}

/// Checks an answer to a request for this key.
///
/// # Errors
/// Says what is wrong with it.
pub fn check(answer: pb::EnrollResponse, key: &NodeKey) -> Result<Identity, AnswerError> {
    if x509(&answer.certificate, "the certificate")?.public_key().raw != key.public_key() {
        return Err(wrong("the certificate is not of the key that was sent"));
    }
    let leaf = CertificateDer::from(answer.certificate.clone());
    let credential = key.credential(vec![leaf]).map_err(wrong)?;
    taken(answer, credential, Holds::Key(key.clone()))
}

/// Checks what an agent left that held a workload identity in the place of the certificate's key.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check_lent(answer: pb::EnrollResponse, svid: Arc<Svid>) -> Result<Identity, AnswerError> {
    taken(answer, svid.credential.clone(), Holds::Workload(svid))
}

fn taken(answer: pb::EnrollResponse, credential: Credential, holds: Holds) -> Result<Identity, AnswerError> {
    let certificate = x509(&answer.certificate, "the certificate")?;
    let serial: Serial = parsed("serial", &answer.serial)?;
    if certificate.raw_serial() != serial.as_bytes() {
        return Err(wrong("the serial is not that of the certificate"));
    }
    let authority =
        answer.ca_chain.first().ok_or_else(|| wrong("the chain of the certificate is missing"))?;
    if x509(authority, "the chain")?.subject().as_raw() != certificate.issuer().as_raw() {
        return Err(wrong("the chain does not begin with the certificate's issuer"));
    }
    let times = Times::read(&answer, &certificate)?;
    Ok(Identity {
        node_id: parsed("node_id", &answer.node_id)?,
        domain_id: parsed("domain_id", &answer.domain_id)?,
        serial,
        certificate: CertificateDer::from(answer.certificate),
        ca_chain: answer.ca_chain.into_iter().map(CertificateDer::from).collect(),
        not_before: times.not_before,
        not_after: times.not_after,
        renew_after: times.renew_after,
        journal_time: times.journal_time,
        renew_in: times.renew_after.since(times.journal_time).max(SOONEST_RENEWAL),
        expires_in: times.not_after.since(times.journal_time),
        vcluster: answer.vcluster_id,
        credential,
        holds,
    })
}

struct Times {
    not_before: Timestamp,
    not_after: Timestamp,
    renew_after: Timestamp,
    journal_time: Timestamp,
}

impl Times {
    fn read(answer: &pb::EnrollResponse, certificate: &X509Certificate<'_>) -> Result<Self, AnswerError> {
        let read = |name: &str, time: Option<_>| {
            let time = time.ok_or_else(|| wrong(format!("{name} is missing")))?;
            moment::from_wire(&time).map_err(|error| wrong(format!("{name}: {error}")))
        };
        let times = Self {
            not_before: read("not_before", answer.not_before)?,
            not_after: read("not_after", answer.not_after)?,
            renew_after: read("renew_after", answer.renew_after)?,
            journal_time: read("journal_time", answer.journal_time)?,
        };
        let validity = certificate.validity();
        if !same_second(times.not_before, validity.not_before)
            || !same_second(times.not_after, validity.not_after)
        {
            return Err(wrong("its times are not those of the certificate"));
        }
        let in_order = times.not_before < times.renew_after && times.renew_after < times.not_after;
        if !in_order {
            return Err(wrong("the certificate is not to be renewed within its lifetime"));
        }
        if times.not_after <= times.journal_time {
            return Err(wrong("the certificate has expired already"));
        }
        Ok(times)
    }
}

/// X.509 knows whole seconds (RFC 5280, 4.1.2.5).
fn same_second(told: Timestamp, written: ASN1Time) -> bool {
    i64::try_from(told.as_secs()) == Ok(written.timestamp())
}

fn x509<'der>(der: &'der [u8], what: &str) -> Result<X509Certificate<'der>, AnswerError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(wrong(format!("{what} is not X.509"))),
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, AnswerError> {
    text.parse().map_err(|error| wrong(format!("{field}: {error}")))
}

fn wrong(what: impl Into<String>) -> AnswerError {
    AnswerError(what.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fake_journal::FakeAuthority;

    fn issued(key: &NodeKey) -> pb::EnrollResponse {
        FakeAuthority::new().answer(key.csr())
    }

    /// Spoils a good answer and expects to be told so.
    fn refused(spoil: impl FnOnce(&mut pb::EnrollResponse), told: &str) {
        let key = NodeKey::generate().unwrap();
        let mut answer = issued(&key);
        spoil(&mut answer);
        let error = check(answer, &key).unwrap_err().to_string();
        assert_eq!(error, format!("the journal's answer cannot be used: {told}"));
    }

    #[test]
    fn a_good_answer_gives_an_identity() {
        let key = NodeKey::generate().unwrap();
        let answer = issued(&key);
        let identity = check(answer.clone(), &key).unwrap();
        assert_eq!(identity.node_id.as_str(), answer.node_id);
        assert_eq!(identity.serial.to_string(), answer.serial);
        assert_eq!(identity.certificate.as_ref(), answer.certificate);
        assert_eq!(identity.credential.chain(), std::slice::from_ref(&identity.certificate));
        assert!(identity.renew_in > SOONEST_RENEWAL);
        assert!(identity.expires_in > identity.renew_in);
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let other = NodeKey::generate().unwrap();
        let told = "the certificate is not of the key that was sent";
        refused(|answer| *answer = issued(&other), told);
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        refused(|answer| answer.certificate.clear(), "the certificate is not X.509");
        refused(|answer| answer.certificate.push(0), "the certificate is not X.509");
        refused(|answer| answer.certificate.truncate(100), "the certificate is not X.509");
    }

    #[test]
    fn a_chain_that_is_missing_or_of_others_is_refused() {
        refused(|answer| answer.ca_chain.clear(), "the chain of the certificate is missing");
        refused(|answer| answer.ca_chain[0].clear(), "the chain is not X.509");
        let own = |answer: &mut pb::EnrollResponse| answer.ca_chain[0] = answer.certificate.clone();
        refused(own, "the chain does not begin with the certificate's issuer");
    }

    #[test]
    fn times_that_contradict_the_certificate_or_each_other_are_refused() {
        let shift = |time: &mut Option<prost_types::Timestamp>, seconds: i64| {
            time.as_mut().unwrap().seconds += seconds;
        };
        let contradiction = "its times are not those of the certificate";
        refused(|answer| answer.not_after = None, "not_after is missing");
        refused(|answer| shift(&mut answer.not_after, 1), contradiction);
        refused(|answer| shift(&mut answer.not_before, -1), contradiction);
        let order = "the certificate is not to be renewed within its lifetime";
        refused(|answer| answer.renew_after = answer.not_after, order);
        refused(|answer| answer.renew_after = answer.not_before, order);
        refused(|answer| answer.journal_time = answer.not_after, "the certificate has expired already");
        refused(
            |answer| shift(&mut answer.renew_after, i64::MAX / 2),
            "renew_after: expected a time between 1970 and 9999",
        );
    }

    #[test]
    fn a_serial_or_name_that_is_wrong_is_refused() {
        refused(|answer| answer.serial = "4f".repeat(16), "the serial is not that of the certificate");
        let key = NodeKey::generate().unwrap();
        let answer = pb::EnrollResponse { node_id: "Not A Name".to_owned(), ..issued(&key) };
        assert!(check(answer, &key).unwrap_err().to_string().contains("node_id: "));
    }

    #[test]
    fn a_renewal_that_is_overdue_still_waits_a_moment() {
        let key = NodeKey::generate().unwrap();
        let mut answer = issued(&key);
        answer.journal_time = answer.renew_after;
        assert_eq!(check(answer, &key).unwrap().renew_in, SOONEST_RENEWAL);
    }

    proptest! {
        #[test]
        fn no_certificate_makes_the_check_panic(certificate: Vec<u8>, authority: Vec<u8>) {
            let key = NodeKey::generate().unwrap();
            let answer = pb::EnrollResponse { certificate, ca_chain: vec![authority], ..Default::default() };
            prop_assert!(check(answer, &key).is_err());
        }
    }
}
