//! A journal's refusal of the certificate with which a client connected: a TLS alert (RFC 8446, section 6).
//!
//! Clients keep it and print it like any other refusal (R10: alerts are told to people). With TLS 1.3 the alert comes
//! after the client's handshake, on its first read, so that it lies below hyper's and tonic's errors: [`explain`]
//! digs it out.
//!
//! Not here, on purpose: what the client thinks of the server's certificate ([`super::ConnectError::NotTrusted`]).

use std::{error::Error, fmt, io};

use rustls::AlertDescription;

/// Why the journal ended a connection: what is wrong with the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionRefusal {
    /// It was revoked, or superseded by a newer one.
    Revoked,
    /// No fact records it, or it is no certificate for this listener.
    Unknown,
    /// Its time is over.
    Expired,
    /// There is none, and this listener needs one.
    Required,
}

/// The alerts that speak of the client's certificate. Libraries differ in how they call one that they do not accept.
const ALERTS: [(AlertDescription, ConnectionRefusal); 8] = [
    (AlertDescription::CertificateRevoked, ConnectionRefusal::Revoked),
    (AlertDescription::CertificateExpired, ConnectionRefusal::Expired),
    (AlertDescription::CertificateRequired, ConnectionRefusal::Required),
    (AlertDescription::CertificateUnknown, ConnectionRefusal::Unknown),
    (AlertDescription::UnknownCA, ConnectionRefusal::Unknown),
    (AlertDescription::BadCertificate, ConnectionRefusal::Unknown),
    (AlertDescription::UnsupportedCertificate, ConnectionRefusal::Unknown),
    (AlertDescription::AccessDenied, ConnectionRefusal::Unknown),
];

impl ConnectionRefusal {
    /// The stable name: `CERTIFICATE_REVOKED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "CERTIFICATE_REVOKED",
            Self::Unknown => "CERTIFICATE_UNKNOWN",
            Self::Expired => "CERTIFICATE_EXPIRED",
            Self::Required => "CERTIFICATE_REQUIRED",
        }
    }

    /// The sentence for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Revoked => "the journal has revoked this certificate; ask an operator for a new enrollment",
            Self::Unknown => {
                "the journal does not know this certificate; is it of this domain and this listener?"
            }
            Self::Expired => "this certificate has expired",
            Self::Required => "this listener needs a client certificate; give one with --credential",
        }
    }

    /// What an alert says about the client's certificate; `None` for alerts about other things.
    pub fn from_alert(alert: AlertDescription) -> Option<Self> {
        ALERTS.iter().find(|(known, _)| *known == alert).map(|(_, refusal)| *refusal)
    }
}

/// `CERTIFICATE_REVOKED: sentence`.
impl fmt::Display for ConnectionRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.as_str(), self.message())
    }
}

impl Error for ConnectionRefusal {}

/// Searches an error and all its causes for a journal's refusal of the client's certificate.
pub fn explain(error: &(dyn Error + 'static)) -> Option<ConnectionRefusal> {
    causes(error).find_map(|error| match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::AlertReceived(alert)) => ConnectionRefusal::from_alert(*alert),
        Some(_) | None => error.downcast_ref::<ConnectionRefusal>().copied(),
    })
}

/// An error and all its causes, the outermost first.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // The `source` of an I/O error is the source of what it wraps: it skips the one error that matters here.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_found_under_the_errors_around_it() {
        let tls = rustls::Error::AlertReceived(AlertDescription::CertificateRevoked);
        let read = io::Error::new(io::ErrorKind::InvalidData, tls);
        let mut status = tonic::Status::unknown("transport error");
        status.set_source(std::sync::Arc::new(io::Error::other(read)));
        assert_eq!(explain(&status), Some(ConnectionRefusal::Revoked));
    }

    #[test]
    fn other_alerts_and_errors_are_no_refusal() {
        let alert = rustls::Error::AlertReceived(AlertDescription::ProtocolVersion);
        assert_eq!(explain(&io::Error::new(io::ErrorKind::InvalidData, alert)), None);
        assert_eq!(explain(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
    }
}
