//! One authority: a P-256 key that was made in this process's memory and dies with it (R9), and its self-signed
//! certificate.
//!
//! The journal makes one at start and every 15 days; init makes a one-off one that signs the first operator's
//! certificate. The [`Pool`](super::Pool) owns it from its installation on.
//!
//! What is zeroized, honestly: of the key no serialized form is kept, so there is none to wipe. ring owns the rest
//! and wipes neither the scalar inside its key pair nor the short-lived PKCS #8 document from which it is made; against
//! those stand memory locking and the ban on core dumps, which the process sets up before the first key is made.
//!
//! **Invariant:** the key leaves this file in no form: no accessor, no serialization, no `Debug`.

use std::fmt;
use std::time::Duration;

use events::authority::Announced;
use events::certificate::Profile;
use events::vocabulary::{AuthorityId, CertificateHash, Der, DomainId, JournalId, Serial, Timestamp};
use rcgen::{
    DistinguishedName, DnType, Issuer, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::csr::VerifiedCsr;
use super::issue::{self, IssueError};
use super::template::{self, Validity};

/// An authority is valid from this long before it was made on: longer than the 5 minutes by which it backdates what
/// it signs, so that no certificate begins before its authority.
const BACKDATED: Duration = Duration::from_secs(600);

/// Which authority it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The trust domain for which it signs.
    pub domain: DomainId,
    /// The journal in whose memory it lives.
    pub journal_id: JournalId,
    /// Counts the authorities of that journal, from 1.
    pub generation: u32,
    /// Its name in the log; another one for each generation of each journal, so that no two authorities ever have the same
    /// subject.
    pub id: AuthorityId,
}

/// Why no authority could be made. Without one this journal issues nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// ring made no key.
    #[error("no key could be made for the authority")]
    Key,
    /// The certificate could not be built or signed.
    #[error("the authority's certificate could not be signed")]
    Certificate(#[source] rcgen::Error),
}

/// The private key and certificate of one authority.
pub struct EphemeralAuthority {
    identity: Identity,
    announced: Announced,
    issuer: Issuer<'static, AuthorityKey>,
}

impl EphemeralAuthority {
    /// Makes a key and signs its certificate, valid from 10 minutes before `now` until `lifetime` after it
    /// (`events::authority::DEFAULT_LIFETIME`).
    pub fn create(
        identity: Identity,
        serial: Serial,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Self, CreateError> {
        let validity = Validity {
            not_before: now.minus(BACKDATED).whole_second(),
            not_after: now.plus(lifetime).whole_second(),
        };
        let key = AuthorityKey::generate().ok_or(CreateError::Key)?;
        let params =
            template::authority(subject(&identity), serial, validity).map_err(CreateError::Certificate)?;
        let certificate = params.self_signed(&key).map_err(CreateError::Certificate)?;
        let der = Der::new(certificate.der().to_vec());
        let announced = Announced {
            generation: identity.generation,
            journal_id: identity.journal_id.clone(),
            serial,
            sha256: CertificateHash::of(der.as_bytes()),
            not_before: validity.not_before,
            not_after: validity.not_after,
            der,
        };
        Ok(Self { identity, announced, issuer: Issuer::new(params, key) })
    }

    /// Its id.
    pub fn id(&self) -> AuthorityId {
        self.identity.id
    }

    /// What the log must say of it before its first signature (R9).
    pub fn announced(&self) -> Announced {
        self.announced.clone()
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.announced.not_after
    }

    /// Signs a certificate as decided, for a key whose possession is proved. Refuses a profile of another authority,
    /// for another key, or with a validity that is empty or exceeds its own. 20 µs.
    pub fn sign(&self, profile: &Profile, csr: &VerifiedCsr<'_>) -> Result<Der, IssueError> {
        if profile.authority != self.identity.id {
            return Err(IssueError::UnknownAuthority { authority: profile.authority });
        }
        if profile.key != csr.key() {
            return Err(IssueError::WrongKey { decided: profile.key, requested: csr.key() });
        }
        if profile.not_before >= profile.not_after || profile.not_after > self.announced.not_after {
            return Err(IssueError::Validity {
                not_before: profile.not_before,
                not_after: profile.not_after,
                authority_not_after: self.announced.not_after,
            });
        }
        issue::certificate(profile, &self.identity.domain, csr, &self.issuer).map_err(IssueError::Signing)
    }
}

/// Names for people, each with at most 64 characters (RFC 5280, appendix A.1): the id alone makes it unique, and all
/// in one common name would not fit.
fn subject(identity: &Identity) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, identity.domain.as_str());
    subject.push(DnType::OrganizationalUnitName, format!("{}/{}", identity.journal_id, identity.generation));
    subject.push(DnType::CommonName, format!("pact-authority/{}", identity.id));
    subject
}

impl fmt::Debug for EphemeralAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EphemeralAuthority({} of {}, key ..)", self.identity.id, self.identity.journal_id)
    }
}

/// The key itself. rcgen's own key pair would keep a serialized copy for as long as it lives.
struct AuthorityKey(EcdsaKeyPair);

impl AuthorityKey {
    fn generate() -> Option<Self> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).ok()?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).ok().map(Self)
    }
}

impl PublicKeyData for AuthorityKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for AuthorityKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature =
            self.0.sign(&SystemRandom::new(), message).map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::extensions::ParsedExtension;
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn identity(journal_id: &str, domain: &str, random: u128) -> Identity {
        Identity {
            domain: domain.parse().unwrap(),
            journal_id: journal_id.parse().unwrap(),
            generation: u32::MAX,
            id: AuthorityId::new(Timestamp::from_millis(1_800_000_000_000), random),
        }
    }

    fn create(identity: Identity) -> EphemeralAuthority {
        let now = Timestamp::from_millis(1_800_000_000_999);
        EphemeralAuthority::create(identity, Serial::from_random([9; 16]), now, Duration::from_secs(3600))
            .unwrap()
    }

    #[test]
    fn rule_09_an_authority_says_what_its_certificate_says() {
        let authority = create(identity("j1", "example.org", 1));
        let announced = authority.announced();
        let (rest, certificate) = X509Certificate::from_der(announced.der.as_bytes()).unwrap();
        assert!(rest.is_empty());
        assert_eq!(certificate.raw_serial(), announced.serial.as_bytes());
        assert_eq!(announced.sha256, CertificateHash::of(announced.der.as_bytes()));
        assert_eq!(announced.not_before, Timestamp::from_millis(1_799_999_400_000));
        assert_eq!(announced.not_after, Timestamp::from_millis(1_800_003_600_000));
        assert_eq!(certificate.validity().not_before.timestamp(), 1_799_999_400);
        assert_eq!(certificate.validity().not_after.timestamp(), 1_800_003_600);
        certificate.verify_signature(None).unwrap();
    }

    #[test]
    fn rule_09_an_authority_may_sign_ends_and_nothing_else() {
        let announced = create(identity("j1", "example.org", 1)).announced();
        let (_, certificate) = X509Certificate::from_der(announced.der.as_bytes()).unwrap();
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign());
        assert_eq!(usage.value.flags.count_ones(), 1);
        let identifies = |extension: &ParsedExtension<'_>| matches!(extension, ParsedExtension::SubjectKeyIdentifier(id) if id.0.len() == 20);
        assert!(certificate.extensions().iter().any(|e| identifies(e.parsed_extension())));
        assert_eq!(certificate.extensions().len(), 3);
    }

    #[test]
    fn rule_09_subjects_all_differ_and_fit_into_64_characters() {
        let (journal_id, domain) = ("j".repeat(43), "d".repeat(40));
        let [one, two] = [1, 2].map(|n| create(identity(&journal_id, &domain, n)).announced().der);
        let subject = |der: &Der| {
            let (_, certificate) = X509Certificate::from_der(der.as_bytes()).unwrap();
            certificate.subject().iter_attributes().for_each(|attribute| {
                assert!(attribute.as_str().unwrap().chars().count() <= 64);
            });
            certificate.subject().to_string()
        };
        assert_ne!(subject(&one), subject(&two));
        assert!(subject(&one).contains("CN=pact-authority/"), "{}", subject(&one));
    }

    #[test]
    fn rule_09_debug_shows_no_key() {
        let text = format!("{:?}", create(identity("j1", "example.org", 1)));
        assert_eq!(text, format!("EphemeralAuthority({} of j1, key ..)", identity("j1", "d", 1).id));
    }
}
