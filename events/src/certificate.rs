//! Certificates as facts tell of them, and the profile that the server gives them (R8, R20).
//!
//! Here is decided what a certificate will say; `journal::authority` makes it so. Of a request only the public key
//! counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::vocabulary::{
    AuthorityId, CertificateHash, DomainId, KeyHash, NodeId, OperatorId, Serial, Timestamp, common_name,
    operator_common_name, spiffe_uri,
};

/// A certificate is valid from this long before its decision on: clocks of nodes go slow.
const BACKDATED: Duration = Duration::from_secs(300);

/// What a fact says of an issued certificate. **Stored.** The DER stands beside it in the fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its serial number.
    pub serial: Serial,
    /// Whose key it certifies.
    pub spki_sha256: KeyHash,
    /// The hash by which the acceptor finds it (R10).
    pub sha256: CertificateHash,
    /// Valid from; whole seconds.
    pub not_before: Timestamp,
    /// Valid until; whole seconds.
    pub not_after: Timestamp,
    /// When its holder should renew it (R20).
    pub renew_after: Timestamp,
    /// The authority that signed it.
    pub authority: AuthorityId,
}

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A node's agent.
    Node(NodeId),
    /// An operator.
    Operator(OperatorId),
}

/// All that a certificate will say but its key's bytes: decided before anything is signed (R8, R12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Whom it is for.
    pub subject: Subject,
    /// The key that the request must carry and prove.
    pub key: KeyHash,
    /// Its serial number.
    pub serial: Serial,
    /// Valid from; whole seconds.
    pub not_before: Timestamp,
    /// Valid until; whole seconds, never beyond the authority's.
    pub not_after: Timestamp,
    /// When its holder should renew it.
    pub renew_after: Timestamp,
    /// The authority that shall sign.
    pub authority: AuthorityId,
}

impl Certificate {
    /// When it was decided, to the second: validity begins a little earlier.
    pub fn issued_at(&self) -> Timestamp {
        self.not_before.plus(BACKDATED)
    }
}

impl Profile {
    /// The common name (R8).
    pub fn common_name(&self, domain: &DomainId) -> String {
        match &self.subject {
            Subject::Node(node) => common_name(node, domain),
            Subject::Operator(operator) => operator_common_name(operator, domain),
        }
    }

    /// The URI SAN (R8).
    pub fn spiffe_uri(&self, domain: &DomainId) -> String {
        match &self.subject {
            Subject::Node(node) => spiffe_uri(domain, "agent", node.as_str()),
            Subject::Operator(operator) => spiffe_uri(domain, "operator", operator.as_str()),
        }
    }

    /// What the fact will say of the certificate with this hash.
    pub fn certificate(&self, sha256: CertificateHash) -> Certificate {
        Certificate {
            serial: self.serial,
            spki_sha256: self.key,
            sha256,
            not_before: self.not_before,
            not_after: self.not_after,
            renew_after: self.renew_after,
            authority: self.authority,
        }
    }
}

/// What an issuance needs to know of the world: time and chance arrive as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The time of the decision.
    pub now: Timestamp,
    /// A fresh random serial number.
    pub serial: Serial,
    /// A random number; spreads renewals by ±10 % (R20).
    pub jitter: u16,
    /// How long the certificate shall live.
    pub lifetime: Duration,
    /// The authority that will sign.
    pub authority: AuthorityId,
    /// When that authority's certificate ends.
    pub authority_not_after: Timestamp,
}

impl Terms {
    /// The profile of a certificate on these terms.
    pub fn profile(&self, subject: Subject, key: KeyHash) -> Profile {
        let not_after = self.now.plus(self.lifetime).min(self.authority_not_after).whole_second();
        Profile {
            subject,
            key,
            serial: self.serial,
            not_before: self.now.minus(BACKDATED).whole_second(),
            not_after,
            renew_after: self.renew_after(not_after).min(not_after),
            authority: self.authority,
        }
    }

    /// Two thirds of the lifetime, times 0.9 to 1.1.
    fn renew_after(&self, not_after: Timestamp) -> Timestamp {
        let lifetime = not_after.since(self.now).as_millis();
        let permille = 900 + u128::from(self.jitter) * 200 / u128::from(u16::MAX);
        let wait = lifetime * 2 * permille / 3000;
        self.now.plus(Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(jitter: u16, authority_not_after: u64) -> Terms {
        Terms {
            now: Timestamp::from_millis(1_000_000_500),
            serial: Serial::from_random([7; 16]),
            jitter,
            lifetime: Duration::from_secs(3000),
            authority: AuthorityId::new(Timestamp::default(), 1),
            authority_not_after: Timestamp::from_millis(authority_not_after),
        }
    }

    fn profile(terms: &Terms) -> Profile {
        terms.profile(Subject::Node("n".parse().unwrap()), KeyHash::of(b"key"))
    }

    #[test]
    fn rule_08_a_certificate_begins_5_minutes_back_and_never_outlives_its_authority() {
        let free = profile(&terms(0, u64::MAX));
        assert_eq!(free.not_before, Timestamp::from_millis(999_700_000));
        assert_eq!(free.not_after, Timestamp::from_millis(1_003_000_000));
        assert_eq!(profile(&terms(0, 1_000_100_000)).not_after, Timestamp::from_millis(1_000_100_000));
    }

    #[test]
    fn rule_20_renewal_is_never_due_after_the_end() {
        let last = profile(&terms(0, 1_000_000_900));
        assert_eq!(last.not_after, Timestamp::from_millis(1_000_000_000));
        assert_eq!(last.renew_after, last.not_after);
    }

    #[test]
    fn rule_20_renewal_is_due_at_two_thirds_of_the_lifetime_give_or_take_a_tenth() {
        let after = |jitter| profile(&terms(jitter, u64::MAX)).renew_after.as_millis() - 1_000_000_500;
        assert_eq!(after(0), 1_799_700);
        assert_eq!(after(u16::MAX), 2_199_633);
        assert!((1_998_000..2_001_000).contains(&after(u16::MAX / 2 + 1)));
    }
}
