//! A public key belongs to one node and epoch, or to one certificate of one operator, until it is released 24 hours
//! after its last certificate's notAfter (R2, R8).

use crate::fact::{Fact, Record};
use crate::node::{Event, KeyHolder};

use super::{Before, ensure, issued};

/// The invariant's name.
pub const NAME: &str = "key_has_one_holder";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Some((certificate, _)) = issued(&record.fact) else { return Ok(()) };
    let Some(holder) = past.views.keys.holder(&certificate.spki_sha256) else { return Ok(()) };
    let own = match (&record.fact, holder) {
        (Fact::Node(id, Event::CertificateIssued { epoch, .. }), KeyHolder::Node(holder, held)) => {
            id == holder && epoch == held
        }
        (
            Fact::Node(..)
            | Fact::Operator(..)
            | Fact::Domain(_)
            | Fact::Authority(..)
            | Fact::VCluster(..)
            | Fact::Member(..),
            _,
        ) => false,
    };
    ensure(own, || match holder {
        KeyHolder::Node(holder, epoch) => format!("the key belongs to {holder} in its epoch {epoch}"),
        KeyHolder::Operator => "the key belongs to an operator".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use crate::fact::Fact;
    use crate::node::{Cause, Event};
    use crate::operator;
    use crate::samples::{
        DAY, Log, admin, certificate, der, goodbye, hardware, issued, key, re_enrolled, registered, revoked,
        serial, supersedes,
    };

    fn with_key(number: u8, held: u8, epoch: u32, secs: u64, macs: &[u8]) -> Event {
        let mut next = certificate(number, secs);
        next.spki_sha256 = key(held);
        issued(Cause::Enrolled, epoch, next, &[], Some(hardware(macs)))
    }

    #[test]
    fn rule_08_a_key_of_another_node_or_an_operator_is_found() {
        let log = Log::enrolled();
        assert_eq!(log.broken_by_node("n2", with_key(7, 1, 1, 0, &[3])), [super::NAME]);
        assert_eq!(log.broken_by_node("n2", with_key(7, 50, 1, 0, &[3])), [super::NAME]);
        assert_eq!(log.broken_by_node("n2", with_key(7, 7, 1, 0, &[3])), [""; 0]);
    }

    #[test]
    fn rule_08_a_key_of_an_earlier_epoch_is_found_until_it_is_released() {
        let mut log = Log::enrolled();
        log.of("n1", revoked(&[1], &[1, 2])).of("n1", registered(2, &[1]));
        assert_eq!(log.broken_by_node("n1", with_key(7, 1, 2, 0, &[1])), [super::NAME]);
        log.wait(4 * DAY).of("n2", revoked(&[], &[3]));
        assert_eq!(log.broken_by_node("n1", with_key(7, 1, 2, 4 * DAY, &[1])), [""; 0]);
    }

    #[test]
    fn rule_08_a_node_may_keep_its_key_within_an_epoch() {
        let mut log = Log::enrolled();
        log.of("n1", goodbye());
        let Event::CertificateIssued { mut certificate, .. } = re_enrolled(7, 0, &[], &[1]) else {
            unreachable!("it is an issuance");
        };
        certificate.spki_sha256 = key(1);
        let event = issued(Cause::ReEnrolled, 1, certificate, &[supersedes(1, 0)], Some(hardware(&[1])));
        assert_eq!(log.broken_by_node("n1", event), [""; 0]);
    }

    #[test]
    fn rule_08_an_operator_with_a_used_key_is_found() {
        let log = Log::enrolled();
        for held in [1, 50] {
            let mut certificate = certificate(51, 0);
            certificate.spki_sha256 = key(held);
            let renewed = operator::Event::Renewed { certificate, der: der(51), supersedes: serial(50) };
            assert_eq!(log.broken_by(log.next(Fact::Operator(admin(), renewed))), [super::NAME]);
        }
    }
}
