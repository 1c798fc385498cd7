//! What an issued certificate must look like: exactly R8, whatever the request asked for.

use proto::pb;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::Oid;
use x509_parser::oid_registry::asn1_rs::oid;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The curve of a P-256 key.
pub const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
/// The curve of a P-384 key.
pub const P384: Oid<'static> = oid!(1.3.132.0.34);

/// Reads an issued certificate and hands it to a look.
pub fn look<T>(issued: &pb::EnrollResponse, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let (rest, certificate) = X509Certificate::from_der(&issued.certificate).expect("it is a certificate");
    assert!(rest.is_empty(), "nothing follows it");
    look(&certificate)
}

/// The named curve of its key.
pub fn curve(issued: &pb::EnrollResponse) -> Oid<'static> {
    look(issued, |certificate| {
        let parameters =
            certificate.public_key().algorithm.parameters.as_ref().expect("an EC key names its curve");
        parameters.as_oid().expect("by an OID").to_owned()
    })
}

/// Checks that the certificate says what R8 says of it, and nothing else.
pub fn is_exactly_rule_8(issued: &pb::EnrollResponse, node_id: &str, domain: &str) {
    assert_eq!((issued.node_id.as_str(), issued.domain_id.as_str()), (node_id, domain));
    let (_, authority) = X509Certificate::from_der(&issued.ca_chain[0]).expect("the issuer comes along");
    look(issued, |certificate| {
        let subject = format!("CN=pact-service-agent/{node_id}@{domain}");
        assert_eq!(certificate.subject().to_string(), subject);
        assert_eq!(certificate.issuer(), authority.subject());
        assert!(certificate.verify_signature(Some(authority.public_key())).is_ok());
        let serial = hex::encode(certificate.raw_serial());
        assert!(serial.len() == 32 && matches!(serial.as_bytes()[0], b'4'..=b'7'), "{serial}");
        assert_eq!(issued.serial, serial);
        let not_after = issued.not_after.as_ref().map(|moment| moment.seconds);
        assert_eq!(not_after, Some(certificate.validity().not_after.timestamp()));
        let mut seen: Vec<&str> = certificate
            .extensions()
            .iter()
            .map(|one| {
                extension(one.parsed_extension(), one.critical, &format!("spiffe://{domain}/agent/{node_id}"))
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, ["AKI", "EKU", "KU", "SAN", "SKI", "basicConstraints"]);
    });
}

/// The name of an extension that says what it must.
fn extension(extension: &ParsedExtension<'_>, critical: bool, uri: &str) -> &'static str {
    use ParsedExtension as Parsed;
    if let Parsed::BasicConstraints(basic) = extension {
        assert!(!basic.ca && basic.path_len_constraint.is_none());
        "basicConstraints"
    } else if let Parsed::KeyUsage(usage) = extension {
        assert!(critical && usage.digital_signature() && usage.flags.count_ones() == 1);
        "KU"
    } else if let Parsed::ExtendedKeyUsage(usage) = extension {
        let others = usage.any || usage.server_auth || usage.code_signing || usage.email_protection;
        let more = usage.time_stamping || usage.ocsp_signing || !usage.other.is_empty();
        assert!(usage.client_auth && !others && !more, "{usage:?}");
        "EKU"
    } else if let Parsed::SubjectAlternativeName(names) = extension {
        assert_eq!(names.general_names, [GeneralName::URI(uri)]);
        "SAN"
    } else if let Parsed::SubjectKeyIdentifier(_) = extension {
        "SKI"
    } else {
        assert!(matches!(extension, Parsed::AuthorityKeyIdentifier(_)), "nobody ordered {extension:?}");
        "AKI"
    }
}
