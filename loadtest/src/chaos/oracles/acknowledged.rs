//! Every fact that was acknowledged to a client stands in the log of every journal, as it was told (R3).

use events::fact::Fact;

use super::{Evidence, Verdict, Violation, violation};
use crate::chaos::{
    history::{Call, Came, Told, What},
    log_order::LogOrder,
};

/// See the module.
pub(super) fn in_every_log(evidence: &Evidence<'_>) -> Verdict {
    let calls = evidence.history.calls();
    let (mut checked, mut violations) = (0, Vec::new());
    for call in &calls {
        let Came::Done(told) = &call.came else { continue };
        checked += 1;
        for (journal, log) in &evidence.logs {
            violations.extend(missing(call, told, log).map(|why| broken(call, journal, &why)));
        }
    }
    Verdict::of("acknowledged-facts-are-in-every-log", checked, violations)
}

fn broken(call: &Call, journal: &str, why: &str) -> Violation {
    violation(
        &call.about,
        call.ended,
        format!("{:?} was acknowledged; in the log of {journal} {why}", call.what),
    )
}

/// What a log lacks of an answer.
fn missing(call: &Call, told: &Told, log: &LogOrder) -> Option<String> {
    if let Some(seq) = told.seq.filter(|seq| *seq > log.last()) {
        return Some(format!("there is no fact {seq}: it ends with {}", log.last()));
    }
    match call.what {
        What::Enroll | What::Renew => {
            let serial = told.serial.as_ref()?;
            let Some(seq) = log.issued(serial) else { return Some(format!("no fact issues {serial}")) };
            let owner = log.record(seq).map(|record| record.fact.subject().to_string()).unwrap_or_default();
            (owner != format!("node/{}", call.about)).then(|| format!("{serial} was issued to {owner}"))
        }
        What::Register => not_about(call, told, log),
        What::CreateOperator | What::RevokeOperator | What::SetOverlay => {
            let seq = told.seq?;
            let ids = |record: &events::fact::Record| match &record.fact {
                Fact::Operator(id, _) => id.to_string() == call.about,
                Fact::VCluster(id, _) => id.to_string() == call.about,
                Fact::Domain(_) | Fact::Node(..) | Fact::Authority(..) | Fact::Member(..) => false,
            };
            let found = log.records.iter().take(usize::try_from(seq).unwrap_or(usize::MAX)).any(ids);
            (!found).then(|| format!("no fact up to {seq} is about it"))
        }
        What::Revoke | What::Deactivate | What::Place { .. } | What::Inspect { .. } => {
            differs(call, told, log)
        }
        What::Goodbye => None,
    }
}

/// The fact that an answer names must be about its node.
fn not_about(call: &Call, told: &Told, log: &LogOrder) -> Option<String> {
    let seq = told.seq?;
    let subject = log.record(seq).map(|record| record.fact.subject().to_string()).unwrap_or_default();
    (subject != format!("node/{}", call.about)).then(|| format!("fact {seq} is about {subject}"))
}

/// How it stands with a node, as it was told, must be how the facts say that it stood.
fn differs(call: &Call, told: &Told, log: &LogOrder) -> Option<String> {
    let (seq, node) = (told.seq?, told.node.as_ref()?);
    let then = log.node_at(&call.about, seq);
    let by_version =
        log.node_between(&call.about, 0, log.last()).flatten().find(|at| at.version == node.version);
    match by_version {
        Some(found) if found == node => None,
        found => Some(format!(
            "fact {seq} leaves {then:?}, version {} is {found:?}; told was {node:?}",
            node.version
        )),
    }
}
