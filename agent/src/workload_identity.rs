//! A workload identity of others (R11), an X.509-SVID: what the SPIFFE Workload API gave, and what is done with its key.
//!
//! [`crate::workload_api`] brings it, [`crate::cascade`] says what it is used for.
//!
//! **Invariant:** its key is shown to nobody but TLS, a signature that binds it, and a successor of this agent (R18); the bytes
//! that this type owns are zeroized when it is dropped.

use std::fmt;

use events::vocabulary::{CertificateHash, SpiffeId, Timestamp};
use proto::{binding, pb::BindIdentityRequest, pem_file::Credential};
use rustls::{
    SignatureScheme,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

/// All that TLS 1.3 signs with and authorities of workloads give out keys for; the first that fits the key is taken.
const SCHEMES: [SignatureScheme; 7] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
];

/// See the module.
pub struct Svid {
    pub(crate) spiffe_id: SpiffeId,
    pub(crate) certificate: CertificateHash,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// Chain and key, to connect with. Journals know the bundle, not what lies between.
    pub(crate) credential: Credential,
    key: Zeroizing<Vec<u8>>,
}

/// Why an identity cannot be used. Shows nothing of its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the workload identity cannot be used: {0}")]
pub struct UnusableSvid(String);

impl Svid {
    /// Takes a chain (DER, the identity's own certificate first) and its key (DER, PKCS#8).
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Self, UnusableSvid> {
        let wrong = |what: &str| UnusableSvid(what.to_owned());
        let leaf = chain.first().ok_or_else(|| wrong("it has no certificate"))?;
        let (_, parsed) =
            X509Certificate::from_der(leaf).map_err(|_| wrong("its certificate is not X.509"))?;
        let moment = |seconds: i64| {
            u64::try_from(seconds).ok().map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)))
        };
        let (not_before, not_after) = (
            moment(parsed.validity().not_before.timestamp()),
            moment(parsed.validity().not_after.timestamp()),
        );
        let (Some(not_before), Some(not_after)) = (not_before, not_after) else {
            return Err(wrong("its certificate is of a time before 1970"));
        };
        let spiffe_id = name(&parsed).ok_or_else(|| wrong("its certificate names no one workload"))?;
        let certificate = CertificateHash::of(leaf);
        let key = Zeroizing::new(key.to_vec());
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let credential = Credential::new(chain, der).map_err(wrong)?;
        Ok(Self { spiffe_id, certificate, not_before, not_after, credential, key })
    }

    /// Its chain, and its key for the program that this process becomes.
    pub(crate) fn parts(&self) -> (Vec<Vec<u8>>, &[u8]) {
        (self.credential.chain().iter().map(|der| der.to_vec()).collect(), &self.key)
    }

    /// What binds it to the node that connects with this certificate.
    ///
    /// # Errors
    /// If its key signs nothing.
    pub(crate) fn binding(&self, over: &CertificateHash) -> Result<BindIdentityRequest, UnusableSvid> {
        let unable = || UnusableSvid("its key signs by no known scheme".to_owned());
        let signer = self.credential.certified_key().key.choose_scheme(&SCHEMES).ok_or_else(unable)?;
        let proof = signer.sign(&binding::signed_bytes(over)).map_err(|_| unable())?;
        let signature_scheme = u32::from(u16::from(signer.scheme()));
        Ok(BindIdentityRequest { svid_chain: self.parts().0, proof, signature_scheme })
    }
}

/// The one URI that it has, if that is a workload's name.
fn name(certificate: &X509Certificate<'_>) -> Option<SpiffeId> {
    let names = certificate.subject_alternative_name().ok().flatten()?;
    let mut uris = names.value.general_names.iter().filter_map(|name| {
        if let x509_parser::extensions::GeneralName::URI(uri) = name { Some(*uri) } else { None }
    });
    let one = uris.next()?.parse().ok()?;
    uris.next().is_none().then_some(one)
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Svid({}, until {})", self.spiffe_id, self.not_after)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData, SanType};

    use super::*;

    fn made(uris: &[&str], with: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate_for(with).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn rule_11_the_binding_is_signed_with_the_identitys_key_for_one_certificate() {
        for with in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let (der, key) = made(&["spiffe://example.org/a"], with);
            let svid = Svid::new(vec![der.clone()], &key.serialize_der()).unwrap();
            assert_eq!(svid.spiffe_id.as_str(), "spiffe://example.org/a");
            let over = CertificateHash::of(b"certificate");
            let binding = svid.binding(&over).unwrap();
            let kind: &dyn ring::signature::VerificationAlgorithm = match binding.signature_scheme {
                0x0403 => &ring::signature::ECDSA_P256_SHA256_ASN1,
                0x0503 => &ring::signature::ECDSA_P384_SHA384_ASN1,
                0x0807 => &ring::signature::ED25519,
                other => panic!("{other:#x}"),
            };
            let signed = ring::signature::UnparsedPublicKey::new(kind, key.der_bytes());
            assert!(signed.verify(&binding::signed_bytes(&over), &binding.proof).is_ok());
            assert_eq!(binding.svid_chain, [der]);
        }
    }

    #[test]
    fn an_identity_that_is_none_is_refused_and_its_key_is_not_shown() {
        let (der, key) = made(&["spiffe://example.org/a"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let (_, other) = made(&[], &rcgen::PKCS_ECDSA_P256_SHA256);
        let none = made(&[], &rcgen::PKCS_ECDSA_P256_SHA256);
        let two = made(&["spiffe://example.org/a", "spiffe://example.org/b"], &rcgen::PKCS_ECDSA_P256_SHA256);
        for (chain, key, told) in [
            (vec![], &key, "it has no certificate"),
            (vec![vec![1, 2, 3]], &key, "its certificate is not X.509"),
            (vec![der.clone()], &other, "the private key does not belong to the first certificate"),
            (vec![none.0.clone()], &none.1, "its certificate names no one workload"),
            (vec![two.0.clone()], &two.1, "its certificate names no one workload"),
        ] {
            let error = Svid::new(chain, &key.serialize_der()).unwrap_err();
            assert_eq!(error.to_string(), format!("the workload identity cannot be used: {told}"));
        }
        let told = format!("{:?}", Svid::new(vec![der], &key.serialize_der()).unwrap());
        assert!(told.starts_with("Svid(spiffe://example.org/a, until "), "{told}");
    }
}
