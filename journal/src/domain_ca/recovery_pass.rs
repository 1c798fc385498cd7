//! A certificate for one purpose: whoever holds the domain CA key shows it on the cluster listener and may make one
//! administrator (design §7).
//!
//! The key behind it is made for one handshake, in which it proves itself; so nothing is signed but this certificate. It
//! names the log and the operator, is no server's and no journal's, and ends within minutes. Used twice it makes nothing: the
//! name is taken by then.

use std::time::Duration;

use events::vocabulary::{DomainId, LogId, OperatorId, Serial, Timestamp, spiffe_uri};
use rcgen::{DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType};
use zeroize::Zeroizing;

use super::{DomainCa, MakeError, certificates_pem};
use crate::authority::template::{self, Validity};
use events::vocabulary::Der;

/// The kind in its URI.
const KIND: &str = "recovery";

/// How far the clocks of whoever recovers and of the journal may differ: they are one machine.
const SLACK: Duration = Duration::from_secs(120);

/// What a pass says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryPass {
    /// The log in which the operator is made.
    pub log_id: LogId,
    /// The operator.
    pub operator: OperatorId,
}

impl RecoveryPass {
    /// What the URI of a verified certificate says, if it is a pass of this domain.
    pub fn of_uri(uri: &str, domain: &DomainId) -> Option<Self> {
        let rest = uri.strip_prefix(spiffe_uri(domain, KIND, "").as_str())?;
        let (log_id, operator) = rest.split_once('/')?;
        Some(Self { log_id: log_id.parse().ok()?, operator: operator.parse().ok()? })
    }

    fn uri(&self, domain: &DomainId) -> String {
        spiffe_uri(domain, KIND, &format!("{}/{}", self.log_id, self.operator))
    }
}

impl DomainCa {
    /// Certificate chain and key of a pass, as PEM.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn recovery_pass(
        &self,
        pass: &RecoveryPass,
        now: Timestamp,
        serial: Serial,
    ) -> Result<Zeroizing<String>, MakeError> {
        let key = KeyPair::generate()?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, format!("pact-recovery/{}", self.domain));
        let validity = Validity {
            not_before: now.minus(SLACK).whole_second(),
            not_after: now.plus(SLACK).whole_second(),
        };
        let mut params = template::end_entity(subject, serial, validity)?;
        params.subject_alt_names.push(SanType::URI(pass.uri(&self.domain).try_into()?));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = Der::new(params.signed_by(&key, &self.issuer)?.der().to_vec());
        let chain = certificates_pem([&certificate, &self.certificate]);
        Ok(Zeroizing::new([chain.as_str(), Zeroizing::new(key.serialize_pem()).as_str()].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_read_back_from_its_uri_and_from_no_other() {
        let domain: DomainId = "hpc".parse().unwrap();
        let pass = RecoveryPass { log_id: LogId::new([7; 16]), operator: "rescue".parse().unwrap() };
        let uri = pass.uri(&domain);
        assert_eq!(RecoveryPass::of_uri(&uri, &domain), Some(pass.clone()));
        assert_eq!(RecoveryPass::of_uri(&uri, &"other".parse().unwrap()), None);
        let log_id = pass.log_id;
        for wrong in [
            format!("spiffe://hpc/journal/{log_id}/rescue"),
            format!("spiffe://hpc/recovery/{log_id}"),
            format!("spiffe://hpc/recovery/{log_id}/"),
            format!("spiffe://hpc/recovery/{log_id}/a/b"),
            "spiffe://hpc/recovery/1/rescue".to_owned(),
        ] {
            assert_eq!(RecoveryPass::of_uri(&wrong, &domain), None, "{wrong}");
        }
    }
}
