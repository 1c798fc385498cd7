//! A journal's server certificate: 30 days, for the names under which it is reached, and for dialling other journals.
//!
//! Agents, operators and other journals check its chain to the domain CA, the name they dialled, its validity and, on
//! the cluster listener, its URI (design §7). serverAuth serves all listeners, clientAuth the dialling side of the
//! cluster.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use events::vocabulary::{Der, JournalId, Serial, Timestamp, names_fit_together, spiffe_uri};
use rcgen::{DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData, SanType};
use zeroize::Zeroizing;

use super::{DomainCa, certificates_pem};
use crate::authority::template::{self, Validity};
use crate::authority::{Subject, VerifiedCsr};

/// How long a server certificate is valid (design §7), at most as long as the domain CA.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Clocks of nodes go slow: valid from 5 minutes back, as a node's certificate (R8).
pub const BACKDATED: Duration = Duration::from_secs(300);

/// A journal's certificate and key.
pub struct ServerCredential {
    /// Its certificate.
    pub certificate: Der,
    /// Its certificate, then the domain CA's: a joining journal finds the pinned root in it.
    pub chain_pem: String,
    /// The private key as PKCS #8 PEM, for a file of mode 0600. Wiped when dropped.
    pub key_pem: Zeroizing<String>,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Why a journal gets no server certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerCertificateError {
    /// A name under which nobody can reach it.
    #[error("{name:?} is neither an IP address nor a host name")]
    Host {
        /// What was given.
        name: String,
    },
    /// It must have a name or address.
    #[error("a journal needs at least one host name or IP address")]
    NoHost,
    /// They would not fit into one common name (design §8).
    #[error("the journal id and the domain have too many characters together")]
    NamesTooLong,
    /// The domain CA has ended.
    #[error("the domain CA ended at {not_after}")]
    Expired {
        /// When.
        not_after: Timestamp,
    },
    /// The key or certificate could not be made.
    #[error("the server certificate could not be signed")]
    Signing(#[from] rcgen::Error),
}

impl DomainCa {
    /// Makes a P-256 key and a certificate for it. `advertise`: host names and IP addresses; repetitions count once.
    ///
    /// # Errors
    /// If names or time do not allow a certificate.
    pub fn server_certificate(
        &self,
        journal_id: &JournalId,
        advertise: &[String],
        now: Timestamp,
        serial: Serial,
    ) -> Result<ServerCredential, ServerCertificateError> {
        let key = KeyPair::generate()?;
        let (certificate, not_after) = self.sign(journal_id, advertise, &key, now, serial)?;
        let chain_pem = certificates_pem([&certificate, &self.certificate]);
        let key_pem = Zeroizing::new(key.serialize_pem());
        Ok(ServerCredential { certificate, chain_pem, key_pem, not_after })
    }

    /// The certificate of a journal that made its key itself and proved it (design §7: a key never travels).
    ///
    /// # Errors
    /// As [`DomainCa::server_certificate`].
    pub fn certify(
        &self,
        journal_id: &JournalId,
        advertise: &[String],
        request: &VerifiedCsr<'_>,
        now: Timestamp,
        serial: Serial,
    ) -> Result<Der, ServerCertificateError> {
        Ok(self.sign(journal_id, advertise, &Subject(request), now, serial)?.0)
    }

    fn sign(
        &self,
        journal_id: &JournalId,
        advertise: &[String],
        key: &impl PublicKeyData,
        now: Timestamp,
        serial: Serial,
    ) -> Result<(Der, Timestamp), ServerCertificateError> {
        if !names_fit_together(journal_id.as_str(), &self.domain) {
            return Err(ServerCertificateError::NamesTooLong);
        }
        if now >= self.not_after {
            return Err(ServerCertificateError::Expired { not_after: self.not_after });
        }
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, format!("pact-journal/{journal_id}@{}", self.domain));
        let not_after = now.plus(LIFETIME).min(self.not_after).whole_second();
        let validity = Validity { not_before: now.minus(BACKDATED).whole_second(), not_after };
        let mut params = template::end_entity(subject, serial, validity)?;
        params.subject_alt_names = hosts(advertise)?;
        params
            .subject_alt_names
            .push(SanType::URI(spiffe_uri(&self.domain, "journal", journal_id.as_str()).try_into()?));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok((Der::new(params.signed_by(key, &self.issuer)?.der().to_vec()), not_after))
    }
}

fn hosts(advertise: &[String]) -> Result<Vec<SanType>, ServerCertificateError> {
    let distinct: BTreeSet<&str> = advertise.iter().map(String::as_str).collect();
    if distinct.is_empty() {
        return Err(ServerCertificateError::NoHost);
    }
    distinct.into_iter().map(host).collect()
}

fn host(name: &str) -> Result<SanType, ServerCertificateError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        Ok(SanType::IpAddress(address))
    } else if is_host_name(name) {
        Ok(SanType::DnsName(name.try_into()?))
    } else {
        Err(ServerCertificateError::Host { name: name.to_owned() })
    }
}

/// The preferred name syntax (RFC 1034, 3.5; RFC 1123, 2.1), and the underscore that real machines have. No wildcard,
/// no final dot; and not all digits at the end, which would be a mistyped address.
fn is_host_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= 253 && name.split('.').all(label) && !name.rsplit('.').next().is_some_and(numeric)
}
