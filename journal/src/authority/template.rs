//! What certificates of pact have in common, on rcgen: validity, serial number, names, key identifiers; and the one
//! shape of a CA certificate, for ephemeral authorities and for the domain CA.
//!
//! Not here, on purpose: `rcgen::CertificateSigningRequestParams`. It would take the key's kind from the signature
//! and copy what a request asks for (R8).

use events::vocabulary::{Serial, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, IsCa, KeyUsagePurpose, SerialNumber};
use time::OffsetDateTime;

/// When a certificate is valid; whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// From this moment.
    pub not_before: Timestamp,
    /// To this moment, which still belongs to it.
    pub not_after: Timestamp,
}

/// A certificate with nothing but serial number, validity and subject.
pub(crate) fn bare(
    subject: DistinguishedName,
    serial: Serial,
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = moment(validity.not_before)?;
    params.not_after = moment(validity.not_after)?;
    params.distinguished_name = subject;
    Ok(params)
}

/// A certificate for an end: no CA, signs handshakes, says whose key it is and who signed it.
pub(crate) fn end_entity(
    subject: DistinguishedName,
    serial: Serial,
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = bare(subject, serial, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A CA's certificate: signs certificates of ends only, no further CA (RFC 5280, 4.2.1.9), and no revocation lists:
/// what is revoked stands in the log.
pub(crate) fn authority(
    subject: DistinguishedName,
    serial: Serial,
    validity: Validity,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = bare(subject, serial, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

fn moment(at: Timestamp) -> Result<OffsetDateTime, rcgen::Error> {
    let seconds = i64::try_from(at.as_secs()).map_err(|_| rcgen::Error::Time)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| rcgen::Error::Time)
}
