//! A certificate that is over opens nothing once that was acknowledged and every journal had the time to know it (R17); and
//! a key, a serial, a token serves once (R2, R8, R15).

use std::{collections::BTreeMap, time::Duration};

use events::{domain, fact::Fact, node, operator};

use super::{Evidence, Verdict, violation};
use crate::chaos::STALE_AFTER;

/// A journal may be cut off and not know of it for as long as it may serve without news. What is beyond that is for
/// streams of a stale journal, and for a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// Nobody is let in with what is over.
pub(super) fn over_is_refused(evidence: &Evidence<'_>) -> Verdict {
    let late = |began: Duration, since: Duration| began > since + STALE_AFTER + SLACK;
    let let_in = evidence.probes.let_in();
    let broken = let_in.iter().filter(|let_in| late(let_in.began, let_in.since)).map(|let_in| {
        let (journal, serial) = (&evidence.quorum.members[let_in.journal].name, &let_in.serial);
        let after = (let_in.began - let_in.since).as_secs_f64();
        let seen =
            format!("{journal} lets it in with {serial} {after:.1} s after the end of that was acknowledged");
        violation(&let_in.holder, let_in.began, seen)
    });
    Verdict::of("what-is-over-opens-nothing", evidence.probes.tried(), broken.collect())
}

/// What serves once served once.
pub(super) fn used_once(evidence: &Evidence<'_>) -> Verdict {
    let (mut used, mut violations, mut checked) = (BTreeMap::new(), Vec::new(), 0_u64);
    for record in &evidence.order().records {
        let subject = record.fact.subject().to_string();
        // Whose certificate has expired may come with the same key (R2, R14 b): also by a clock that was wrong for a moment.
        if let Fact::Node(_, node::Event::Deactivated { cause: node::DeactivationCause::Expiry, .. }) =
            &record.fact
        {
            used.retain(|what: &String, (_, whose)| !(what.starts_with("key ") && *whose == subject));
        }
        for what in spent(&record.fact) {
            checked += 1;
            if let Some((before, _)) = used.insert(what.clone(), (record.seq, subject.clone())) {
                let at = evidence.history.since_beginning(record.recorded_at);
                let seen = format!("{what} was used by the facts {before} and {}", record.seq);
                violations.push(violation(&subject, at, seen));
            }
        }
    }
    Verdict::of("keys-serials-and-tokens-serve-once", checked, violations)
}

/// What a fact uses up.
fn spent(fact: &Fact) -> Vec<String> {
    match fact {
        Fact::Node(_, node::Event::CertificateIssued { certificate, .. })
        | Fact::Operator(
            _,
            operator::Event::Created { certificate, .. } | operator::Event::Renewed { certificate, .. },
        ) => vec![format!("key {:?}", certificate.spki_sha256), format!("serial {}", certificate.serial)],
        Fact::Domain(domain::Event::JoinTokenConsumed { secret_sha256, .. }) => {
            vec![format!("token {secret_sha256:?}")]
        }
        Fact::Domain(_) | Fact::Node(..) | Fact::Operator(..) | Fact::Authority(..) => vec![],
        Fact::VCluster(..) | Fact::Member(..) => vec![],
    }
}
