//! Why no connection came about, sorted by who has to act.
//!
//! [`super::Connection::open`] answers with it; [`crate::outcome`] gives it an exit code.

use std::{io, time::Duration};

use events::vocabulary::Timestamp;
use rustls::{CertificateError, pki_types::UnixTime};

use super::{
    address::JournalAddress,
    connection_refusal::{ConnectionRefusal, causes, explain},
};

/// Why a connection to a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there, or the connection was lost on the way.
    #[error("no journal answers at {address}: {source}")]
    Unreachable {
        /// Where.
        address: JournalAddress,
        /// The system's reason.
        source: io::Error,
    },
    /// The deadline passed.
    #[error("no connection to {address} within {} ms", within.as_millis())]
    Deadline {
        /// Where.
        address: JournalAddress,
        /// How long the caller wanted to wait.
        within: Duration,
    },
    /// The server is not a journal of this domain, or its certificate does not fit the address or the time.
    #[error("the server at {address} is not trusted: {why}")]
    NotTrusted {
        /// Where.
        address: JournalAddress,
        /// What is wrong with its certificate, and where to look.
        why: String,
    },
    /// The server's certificate is that of a journal that is known to be evicted (design §7).
    #[error("the journal at {address} was evicted from the quorum")]
    Evicted {
        /// Where.
        address: JournalAddress,
    },
    /// The server speaks no TLS 1.3 with HTTP/2.
    #[error("the server at {address} does not speak as a journal does: {why}")]
    Incompatible {
        /// Where.
        address: JournalAddress,
        /// What TLS says.
        why: String,
    },
    /// The journal refused the client's certificate.
    #[error(transparent)]
    Refused(#[from] ConnectionRefusal),
}

impl ConnectError {
    /// Sorts an error of the TLS handshake.
    pub(super) fn of_handshake(address: &JournalAddress, error: io::Error) -> Self {
        if let Some(refusal) = explain(&error) {
            return Self::Refused(refusal);
        }
        let address = address.clone();
        let tls = causes(&error).find_map(|error| error.downcast_ref::<rustls::Error>()).cloned();
        match tls {
            Some(rustls::Error::InvalidCertificate(CertificateError::Revoked)) => Self::Evicted { address },
            Some(rustls::Error::InvalidCertificate(certificate)) => {
                Self::NotTrusted { why: distrust(&address, &certificate), address }
            }
            Some(tls) => Self::Incompatible { why: tls.to_string(), address },
            None => Self::Unreachable { address, source: error },
        }
    }
}

fn moment(time: UnixTime) -> Timestamp {
    Timestamp::from_millis(time.as_secs().saturating_mul(1000))
}

/// What is wrong with a server's certificate, in words that say where to look.
fn distrust(address: &JournalAddress, error: &CertificateError) -> String {
    if *error == CertificateError::UnknownIssuer || *error == CertificateError::BadSignature {
        "its certificate is not signed by the domain CA given with --ca".to_owned()
    } else if matches!(
        error,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    ) {
        let host = address.host();
        format!("its certificate does not carry the name `{host}`; use a name given to `--advertise`")
    } else if let CertificateError::ExpiredContext { time, not_after } = error {
        let (time, until) = (moment(*time), moment(*not_after));
        format!(
            "its certificate has expired, or this machine's clock is wrong: it ended at {until}, and here it is {time}"
        )
    } else if let CertificateError::NotValidYetContext { time, not_before } = error {
        let (time, from) = (moment(*time), moment(*not_before));
        format!(
            "its certificate is not valid yet, or this machine's clock is wrong: it begins at {from}, and here it is {time}"
        )
    } else if matches!(error, CertificateError::Expired | CertificateError::NotValidYet) {
        "its certificate is not valid now, or this machine's clock is wrong".to_owned()
    } else {
        format!("its certificate is wrong ({error})")
    }
}
