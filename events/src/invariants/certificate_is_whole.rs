//! A fact carries the very certificate that it tells of (its SHA-256 is the one by which the acceptor finds it, R10),
//! with a validity that makes sense (R8, R20).
//!
//! Not here: what the DER itself says; `replay` reads it with a parser of its own.

use crate::authority;
use crate::fact::{Fact, Record};
use crate::vocabulary::{CertificateHash, Der};

use super::{Before, ensure, issued};

/// The invariant's name.
pub const NAME: &str = "certificate_is_whole";

pub(super) fn check(_: &Before<'_>, record: &Record) -> Result<(), String> {
    match &record.fact {
        Fact::Authority(_, authority::Event::Announced(announced)) => {
            same_bytes(&announced.der, announced.sha256)?;
            ensure(announced.not_before < announced.not_after, || "it is never valid".to_owned())
        }
        Fact::Authority(_, authority::Event::Retired {})
        | Fact::Domain(_)
        | Fact::VCluster(..)
        | Fact::Member(..) => Ok(()),
        Fact::Node(..) | Fact::Operator(..) => {
            let Some((certificate, der)) = issued(&record.fact) else { return Ok(()) };
            same_bytes(der, certificate.sha256)?;
            let (from, until) = (certificate.not_before, certificate.not_after);
            ensure(from < until, || format!("it is valid from {from} until {until}"))?;
            let renewal = certificate.renew_after;
            ensure(from <= renewal && renewal <= until, || format!("its renewal is due at {renewal}"))
        }
    }
}

fn same_bytes(der: &Der, sha256: CertificateHash) -> Result<(), String> {
    ensure(CertificateHash::of(der.as_bytes()) == sha256, || {
        format!("the certificate's bytes do not have the SHA-256 {sha256}")
    })
}

#[cfg(test)]
mod tests {
    use crate::authority;
    use crate::certificate::Certificate;
    use crate::fact::Fact;
    use crate::node::Cause;
    use crate::operator;
    use crate::samples::{
        Log, admin, announced, at, authority_id, certificate, der, hardware, issued, operator_renewed,
    };
    use crate::vocabulary::CertificateHash;

    fn breaks(certificate: Certificate) -> Vec<&'static str> {
        Log::enrolled()
            .broken_by_node("n2", issued(Cause::Enrolled, 1, certificate, &[], Some(hardware(&[3]))))
    }

    #[test]
    fn rule_10_a_certificate_with_another_hash_is_found() {
        let good = certificate(7, 0);
        assert_eq!(breaks(good.clone()), [""; 0]);
        let other = CertificateHash::of(b"another certificate");
        assert_eq!(breaks(Certificate { sha256: other, ..good }), [super::NAME]);
    }

    #[test]
    fn rule_08_a_validity_that_makes_no_sense_is_found() {
        let good = certificate(7, 0);
        let (from, until) = (good.not_before, good.not_after);
        assert_eq!(breaks(Certificate { not_after: from, renew_after: from, ..good }), [super::NAME]);
        assert_eq!(breaks(Certificate { not_before: until, ..certificate(7, 0) }), [super::NAME]);
        for wrong in [at(0).minus(std::time::Duration::from_secs(301)), at(3 * 24 * 3600 + 1)] {
            assert_eq!(breaks(Certificate { renew_after: wrong, ..certificate(7, 0) }), [super::NAME]);
        }
        for right in [from, until] {
            assert_eq!(breaks(Certificate { renew_after: right, ..certificate(7, 0) }), [""; 0]);
        }
    }

    #[test]
    fn rule_10_an_operators_certificate_with_another_hash_is_found() {
        let log = Log::new();
        assert_eq!(log.broken_by(log.next(Fact::Operator(admin(), operator_renewed(51, 0, 50)))), [""; 0]);
        let certificate = certificate(51, 0);
        let event =
            operator::Event::Renewed { certificate, der: der(52), supersedes: crate::samples::serial(50) };
        assert_eq!(log.broken_by(log.next(Fact::Operator(admin(), event))), [super::NAME]);
    }

    #[test]
    fn rule_09_an_authority_with_another_hash_or_no_validity_is_found() {
        let log = Log::new();
        let authority::Event::Announced(good) = announced(2, 0) else { unreachable!("it is announced") };
        let planted = [
            authority::Announced { der: der(1), ..good.clone() },
            authority::Announced { not_before: good.not_after, ..good },
        ];
        for announced in planted {
            let fact = Fact::Authority(authority_id(2), authority::Event::Announced(announced));
            assert_eq!(log.broken_by(log.next(fact)), [super::NAME]);
        }
    }
}
