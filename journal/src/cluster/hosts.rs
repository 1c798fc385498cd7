//! The host names and addresses of a journal: from where it says that it listens, and from the certificate that it has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use events::member::Endpoints;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The hosts of where a journal listens.
pub fn hosts_of(endpoints: &Endpoints) -> Vec<String> {
    let Endpoints { cluster, agent, operator } = endpoints;
    let host = |endpoint: &String| {
        let address = endpoint.strip_prefix("https://").unwrap_or(endpoint);
        let (host, _) = address.rsplit_once(':')?;
        Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
    };
    [cluster, agent, operator].into_iter().filter_map(host).collect()
}

/// The host names and addresses that a certificate is valid for. Ask only of one that was verified.
pub fn names_of(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return vec![] };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return vec![] };
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    };
    names.value.general_names.iter().filter_map(host).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let v6 = || <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    v4.or_else(|_| v6()).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn hosts_are_told_from_the_endpoints() {
        let endpoints = Endpoints {
            cluster: "j2.example:9444".to_owned(),
            agent: "https://10.0.0.2:9443".to_owned(),
            operator: "https://[::1]:9446".to_owned(),
        };
        assert_eq!(hosts_of(&endpoints), ["j2.example", "10.0.0.2", "::1"]);
    }

    #[test]
    fn a_certificate_tells_its_hosts_and_nothing_else() {
        let names = ["j2.example".to_owned(), "10.0.0.2".to_owned(), "::1".to_owned()];
        let certificate = CertificateParams::new(names.clone())
            .unwrap()
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap();
        assert_eq!(names_of(certificate.der()), names);
        assert_eq!(names_of(b"none"), [""; 0]);
    }
}
