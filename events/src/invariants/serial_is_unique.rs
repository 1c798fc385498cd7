//! No two certificates have one serial number: of nodes, operators and authorities, for ever (R2).

use crate::fact::Record;

use super::{Before, ensure, past};

/// The invariant's name.
pub const NAME: &str = "serial_is_unique";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Some(serial) = past::serial(&record.fact) else { return Ok(()) };
    ensure(!past.knows_serial(&serial), || format!("another certificate has had the serial {serial}"))
}

#[cfg(test)]
mod tests {
    use crate::authority;
    use crate::fact::Fact;
    use crate::node::{Cause, Event};
    use crate::samples::{
        DAY, Log, announced, authority_id, certificate, enrolled, hardware, issued, operator_created,
        registered, revoked, serial,
    };
    use crate::vocabulary::CertificateHash;

    /// A certificate that is new in all but its serial number.
    fn with_serial_of(number: u8, epoch: u32, secs: u64, macs: &[u8]) -> Event {
        let mut next = certificate(7, secs);
        next.serial = serial(number);
        next.sha256 = CertificateHash::of(&[number; 40]);
        issued(Cause::Enrolled, epoch, next, &[], Some(hardware(macs)))
    }

    #[test]
    fn rule_02_a_serial_of_a_node_an_operator_or_an_authority_is_found_at_a_node() {
        let log = Log::enrolled();
        for number in [1, 50, 101] {
            assert_eq!(
                log.broken_by_node("n2", with_serial_of(number, 1, 0, &[3])),
                [super::NAME],
                "{number}"
            );
        }
        assert_eq!(log.broken_by_node("n2", enrolled(7, 0, &[3])), [""; 0]);
    }

    #[test]
    fn rule_02_a_serial_that_comes_again_after_the_views_forgot_it_is_found() {
        let mut log = Log::enrolled();
        log.of("n1", revoked(&[1], &[1, 2])).wait(40 * DAY);
        log.of("n1", registered(2, &[1]));
        assert!(log.views().certificates.is_empty());
        assert_eq!(log.broken_by_node("n1", with_serial_of(1, 2, 40 * DAY, &[1])), [super::NAME]);
    }

    #[test]
    fn rule_02_a_nodes_serial_is_found_at_operators_and_authorities() {
        let log = Log::enrolled();
        let authority::Event::Announced(mut announced) = announced(2, 0) else {
            unreachable!("it is announced")
        };
        announced.serial = serial(1);
        let fact = Fact::Authority(authority_id(2), authority::Event::Announced(announced));
        assert_eq!(log.broken_by(log.next(fact)), [super::NAME]);
        let created = Fact::Operator("eve".parse().unwrap(), operator_created(1, 0));
        assert!(log.broken_by(log.next(created)).contains(&super::NAME));
    }
}
