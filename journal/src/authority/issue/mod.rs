//! Builds and signs one certificate exactly as its profile says (R8): names, clientAuth, digitalSignature, SKI, AKI,
//! not a CA; nothing else, and nothing of the request but its key.
//!
//! [`EphemeralAuthority::sign`](super::EphemeralAuthority::sign) is the only caller, with a key whose possession is
//! proved.

use events::certificate::Profile;
use events::vocabulary::{AuthorityId, Der, DomainId, KeyHash, Timestamp};
use rcgen::{
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};

use super::csr::{CsrError, KeyKind, VerifiedCsr};
use super::template::{self, Validity};

/// Why there is no certificate. [`Csr`](Self::Csr) is a refusal, the caller's fault; all others are failures of this
/// journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The request is refused.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// This process does not hold that authority's key (any more): decide again.
    #[error("this journal holds no key of authority {authority}")]
    UnknownAuthority {
        /// The authority that the profile names.
        authority: AuthorityId,
    },
    /// The profile was decided for another key than the request's.
    #[error("the certificate was decided for key {decided}, not {requested}")]
    WrongKey {
        /// The profile's.
        decided: KeyHash,
        /// The request's.
        requested: KeyHash,
    },
    /// The profile is valid at no moment, or longer than its authority.
    #[error(
        "no certificate can be valid from {not_before} to {not_after} when its authority ends {authority_not_after}"
    )]
    Validity {
        /// The profile's.
        not_before: Timestamp,
        /// The profile's.
        not_after: Timestamp,
        /// The authority's.
        authority_not_after: Timestamp,
    },
    /// The certificate could not be built or signed.
    #[error("the certificate could not be signed")]
    Signing(#[source] rcgen::Error),
    /// A worker panicked over this request; it serves on.
    #[error("the authority's worker panicked")]
    Panicked,
    /// The pool is stopping or was never started.
    #[error("the authority's workers are stopped")]
    Stopped,
}

/// The certificate of this profile and key.
pub(super) fn certificate(
    profile: &Profile,
    domain: &DomainId,
    csr: &VerifiedCsr<'_>,
    issuer: &Issuer<'_, impl SigningKey>,
) -> Result<Der, rcgen::Error> {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, profile.common_name(domain));
    let validity = Validity { not_before: profile.not_before, not_after: profile.not_after };
    let mut params = template::end_entity(subject, profile.serial, validity)?;
    params.subject_alt_names = vec![SanType::URI(profile.spiffe_uri(domain).try_into()?)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&Subject(csr), issuer)?;
    Ok(Der::new(certificate.der().to_vec()))
}

/// The key of the certificate's subject, by the kind that was read from the request's key and not from its signature.
pub(crate) struct Subject<'a>(pub(crate) &'a VerifiedCsr<'a>);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0.kind() {
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &PKCS_ECDSA_P384_SHA384,
            KeyKind::Ed25519 => &PKCS_ED25519,
        }
    }
}

#[cfg(test)]
mod tests;
