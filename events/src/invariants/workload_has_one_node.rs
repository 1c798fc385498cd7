//! A workload identity of others proves one node at a time, and whoever bound it was that node or an operator (R11).

use crate::fact::{Fact, Record};
use crate::node::Event;
use crate::vocabulary::Principal;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "workload_has_one_node";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Node(id, Event::IdentityBound { spiffe_id, over }) = &record.fact else { return Ok(()) };
    let owner = past.views.registry.workload_owner(&spiffe_id.hash()).filter(|owner| *owner != id);
    owner.map_or(Ok(()), |owner| Err(format!("{spiffe_id} proves {owner}")))?;
    let may = match &record.principal {
        Principal::Node(asker) => over.is_some() && asker == id,
        Principal::Operator(_) => over.is_none(),
        Principal::Anonymous | Principal::Journal(_) => false,
    };
    ensure(may, || format!("{} may not bind it so", record.principal))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Log, bound, bound_by, level_raised, node, revoked};
    use crate::vocabulary::Principal;

    fn log() -> Log {
        let mut log = Log::enrolled();
        log.append(vec![level_raised(2)]);
        log
    }

    #[test]
    fn rule_11_an_identity_that_proves_two_nodes_is_found() {
        let mut log = log();
        log.of("n1", bound("a"));
        assert_eq!(log.broken_by_node("n2", bound("a")), [super::NAME]);
        assert_eq!(log.broken_by_node("n2", bound("b")), [""; 0]);
        log.of("n1", bound("b"));
        assert_eq!(log.broken_by_node("n2", bound("a")), [""; 0]);
        log.of("n1", revoked(&[1], &[1, 2]));
        assert_eq!(log.broken_by_node("n2", bound("b")), [""; 0]);
    }

    #[test]
    fn rule_11_whoever_is_neither_the_node_nor_an_operator_is_found() {
        let log = log();
        let by = |principal, event| {
            let mut record = log.next_of("n1", event);
            record.principal = principal;
            log.broken_by(record)
        };
        let (own, other) = (Principal::Node(node("n1")), Principal::Node(node("n2")));
        assert_eq!(by(own.clone(), bound_by("a", Some(1))), [""; 0]);
        assert_eq!(by(own, bound("a")), [super::NAME]);
        assert_eq!(by(other, bound_by("a", Some(1))), [super::NAME]);
        assert_eq!(by(Principal::Anonymous, bound("a")), [super::NAME]);
        assert_eq!(log.broken_by_node("n1", bound_by("a", Some(1))), [super::NAME]);
    }
}
