//! A certificate is signed by an authority that was announced before, is not retired, and is valid at the time; the
//! certificate never outlives it (R8, R9).

use crate::fact::Record;

use super::{Before, ensure, issued};

/// The invariant's name.
pub const NAME: &str = "authority_is_announced_first";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Some((certificate, _)) = issued(&record.fact) else { return Ok(()) };
    let id = &certificate.authority;
    let authority = past.views.authorities.get(id);
    ensure(authority.is_some_and(|authority| authority.state.may_sign(record.decided_at)), || {
        format!("the authority {id} could not sign at {}", record.decided_at)
    })?;
    let end =
        authority.and_then(|authority| authority.state.announced()).map(|announced| announced.not_after);
    ensure(end.is_some_and(|end| certificate.not_after <= end), || {
        format!("the certificate outlives the authority {id}")
    })
}

#[cfg(test)]
mod tests {
    use crate::authority;
    use crate::fact::{Fact, Record};
    use crate::node::{Cause, Event};
    use crate::samples::{DAY, Log, announced, at, authority_id, certificate, enrolled, hardware, issued};

    fn signed_by(number: u8, secs: u64) -> Event {
        let mut next = certificate(7, secs);
        next.authority = authority_id(number);
        issued(Cause::Enrolled, 1, next, &[], Some(hardware(&[3])))
    }

    #[test]
    fn rule_09_a_certificate_of_an_unannounced_authority_is_found() {
        let mut log = Log::enrolled();
        assert_eq!(log.broken_by_node("n2", signed_by(2, 0)), [super::NAME]);
        log.append(vec![Fact::Authority(authority_id(2), announced(2, 0))]);
        assert_eq!(log.broken_by_node("n2", signed_by(2, 0)), [""; 0]);
    }

    #[test]
    fn rule_09_a_certificate_of_a_retired_authority_is_found() {
        let mut log = Log::enrolled();
        log.append(vec![Fact::Authority(authority_id(2), announced(2, 0))]);
        log.append(vec![Fact::Authority(authority_id(2), authority::Event::Retired {})]);
        assert_eq!(log.broken_by_node("n2", signed_by(2, 0)), [super::NAME]);
    }

    #[test]
    fn rule_09_a_certificate_beside_its_authoritys_validity_is_found() {
        let mut log = Log::enrolled();
        assert_eq!(log.broken_by_node("n2", enrolled(7, 42 * DAY, &[3])), [""; 0]);
        assert_eq!(log.broken_by_node("n2", enrolled(7, 42 * DAY + 1, &[3])), [super::NAME]);
        let early = Record {
            decided_at: at(0).minus(std::time::Duration::from_secs(301)),
            ..log.next_of("n2", enrolled(7, 0, &[3]))
        };
        assert_eq!(log.broken_by(early), [super::NAME]);
        log.wait(45 * DAY);
        assert_eq!(log.broken_by_node("n2", enrolled(7, 0, &[3])), [super::NAME]);
    }
}
