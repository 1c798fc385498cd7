//! Where a journal listens: `https://HOST:PORT`, as users write it.
//!
//! Command lines, configuration files and the answers of journals are parsed into it once.
//!
//! **Invariant:** the host is a DNS name or IP address that a certificate can carry.

use std::{fmt, net::IpAddr, str::FromStr};

use http::Uri;
use rustls::pki_types::ServerName;

/// A listener of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JournalAddress {
    uri: Uri,
    name: ServerName<'static>,
    host: String,
    port: u16,
    source: Option<IpAddr>,
}

/// A text that is no address of a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of a journal: {reason}; `https://HOST:PORT` would be")]
pub struct InvalidAddress {
    text: String,
    reason: &'static str,
}

impl JournalAddress {
    /// The whole address, for requests.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The name that the server's certificate must carry.
    pub fn server_name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// The host, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same listener, reached from one of this machine's own addresses. An address has some 28,000 ports to connect
    /// from, and who plays thousands of machines needs more.
    #[must_use]
    pub fn from_source(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Where to connect from; `None` leaves it to the system.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }
}

impl FromStr for JournalAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        parse(text.trim()).map_err(|reason| InvalidAddress { text: text.to_owned(), reason })
    }
}

fn parse(text: &str) -> Result<JournalAddress, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
    if uri.scheme_str() != Some("https") {
        return Err("it does not begin with https://");
    }
    let authority = uri.authority().ok_or("it has no host")?;
    if authority.as_str().contains('@') {
        return Err("it has a user");
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err("it has a path");
    }
    let port = authority.port_u16().filter(|port| *port != 0).ok_or("it has no port")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| "its host is no name and no IP address")?;
    Ok(JournalAddress { name, host, port, uri, source: None })
}

impl fmt::Display for JournalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.to_string().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ip_addresses_are_read_and_shown_as_written() {
        for (text, host, port) in [
            ("https://journal-1.example:9443", "journal-1.example", 9443),
            ("https://127.0.0.1:1", "127.0.0.1", 1),
            ("https://[::1]:9446", "::1", 9446),
        ] {
            let address: JournalAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_told_with_an_example() {
        for (text, reason) in [
            ("", "it is not a URL"),
            ("http://localhost:9443", "it does not begin with https://"),
            ("localhost:9443", "it does not begin with https://"),
            ("https://localhost", "it has no port"),
            ("https://localhost:0", "it has no port"),
            ("https://localhost:9443/v1", "it has a path"),
            ("https://me@localhost:9443", "it has a user"),
            ("https://-:9443", "its host is no name and no IP address"),
        ] {
            let error = text.parse::<JournalAddress>().unwrap_err();
            assert_eq!(error.reason, reason, "{text}");
            assert!(error.to_string().ends_with("`https://HOST:PORT` would be"));
        }
    }
}
