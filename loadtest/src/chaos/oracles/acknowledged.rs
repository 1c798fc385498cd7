//! Every fact that was acknowledged to a client stands in the log of every journal, as it was told (R3).

use events::{domain, fact::Fact, member, operator, vcluster};

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
        What::CreateOperator
        | What::RevokeOperator
        | What::SetOverlay { .. }
        | What::CreateJoinToken
        | What::Evict => {
            let seq = told.seq?;
            let facts = log.up_to(seq).iter().map(|record| &record.fact);
            (!stands(call, told, facts)).then(|| format!("no fact up to {seq} says so"))
        }
        What::Revoke | What::Deactivate | What::Place { .. } | What::Inspect { .. } => {
            differs(call, told, log)
        }
        What::Goodbye | What::TransferLeader => None,
    }
}

/// Whether these facts say what was acknowledged: of a vCluster the last one about it, for it may have had other overlays before.
fn stands<'a>(call: &Call, told: &Told, facts: impl DoubleEndedIterator<Item = &'a Fact>) -> bool {
    let mut backwards = facts.rev();
    let created = |fact: &Fact| {
        let Fact::Operator(id, operator::Event::Created { certificate, .. }) = fact else { return false };
        id.to_string() == call.about && told.serial == Some(certificate.serial.to_string())
    };
    let overlay = |fact: &Fact| {
        let Fact::VCluster(id, vcluster::Event::OverlaySet { overlay }) = fact else { return None };
        (id.to_string() == call.about).then_some(overlay.sha256)
    };
    match &call.what {
        What::CreateOperator => backwards.any(created),
        What::RevokeOperator => backwards.any(|fact| {
            matches!(fact, Fact::Operator(id, operator::Event::Revoked { .. }) if id.to_string() == call.about)
        }),
        What::SetOverlay { sha256 } => backwards.find_map(overlay) == Some(*sha256),
        What::Evict => backwards.any(
            |fact| matches!(fact, Fact::Member(id, member::Event::Evicted { .. }) if id.to_string() == call.about),
        ),
        What::CreateJoinToken => backwards
            .next()
            .is_some_and(|fact| matches!(fact, Fact::Domain(domain::Event::JoinTokenCreated { .. }))),
        What::Register
        | What::Enroll
        | What::Renew
        | What::Revoke
        | What::Deactivate
        | What::Place { .. }
        | What::Goodbye
        | What::Inspect { .. }
        | What::TransferLeader => true,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use events::{
        certificate::Certificate,
        vocabulary::{
            AuthorityId, CertificateHash, Der, JoinTokenId, KeyHash, Overlay, OverlayHash, SecretHash,
            Timestamp,
        },
    };

    use super::*;

    fn call(about: &str, what: What) -> Call {
        let (began, ended) = (Duration::ZERO, Duration::from_secs(1));
        Call { about: about.to_owned(), what, asked: None, began, ended, came: Came::Done(Told::default()) }
    }

    fn stands_in(about: &str, what: What, facts: &[Fact]) -> bool {
        stands(&call(about, what), &Told::default(), facts.iter())
    }

    fn set(vcluster: &str, overlay: &[u8]) -> Fact {
        let overlay = Overlay::of(overlay).unwrap();
        Fact::VCluster(vcluster.parse().unwrap(), vcluster::Event::OverlaySet { overlay })
    }

    fn revoked(operator: &str) -> Fact {
        let serial = "47".repeat(16).parse().unwrap();
        Fact::Operator(operator.parse().unwrap(), operator::Event::Revoked { serial, reason: None })
    }

    fn token() -> Fact {
        Fact::Domain(domain::Event::JoinTokenCreated {
            token_id: JoinTokenId::new(Timestamp::default(), 1),
            secret_sha256: SecretHash::of(b"secret"),
            expires_at: Timestamp::default(),
        })
    }

    #[test]
    fn an_overlay_that_was_acknowledged_is_the_last_one_of_its_vcluster() {
        let what = || What::SetOverlay { sha256: OverlayHash::of(b"2") };
        assert!(stands_in("a", what(), &[set("a", b"1"), set("a", b"2"), set("b", b"3")]));
        assert!(!stands_in("a", what(), &[set("a", b"1")]), "it was lost, and another one is there");
        assert!(!stands_in("a", what(), &[set("a", b"2"), set("a", b"1")]), "another one came after it");
        assert!(!stands_in("a", what(), &[set("b", b"2")]));
    }

    fn created(operator: &str, serial: &str) -> Fact {
        let at = Timestamp::default();
        let certificate = Certificate {
            serial: serial.parse().unwrap(),
            spki_sha256: KeyHash::of(b"key"),
            sha256: CertificateHash::of(b"der"),
            not_before: at,
            not_after: at,
            renew_after: at,
            authority: AuthorityId::new(at, 1),
        };
        let (role, der) = ("pact-platform-admin".parse().unwrap(), Der::new(b"der".to_vec()));
        let event = operator::Event::Created { role, certificate, der, name: None };
        Fact::Operator(operator.parse().unwrap(), event)
    }

    #[test]
    fn an_operator_that_was_created_has_the_certificate_that_was_told() {
        let [told, other] = ["47", "48"].map(|byte| byte.repeat(16));
        let stands_in = |facts: &[Fact]| {
            let told = Told { serial: Some(told.clone()), ..Told::default() };
            stands(&call("ada", What::CreateOperator), &told, facts.iter())
        };
        assert!(stands_in(&[created("ada", &told), token()]));
        assert!(!stands_in(&[created("ada", &other)]), "it exists, with another certificate");
        assert!(!stands_in(&[created("bob", &told)]));
    }

    #[test]
    fn an_operator_that_was_revoked_is_so_by_a_fact_of_its_own() {
        let what = || What::RevokeOperator;
        assert!(stands_in("ada", what(), &[revoked("ada"), token()]));
        assert!(!stands_in("ada", what(), &[revoked("bob"), token()]));
    }

    #[test]
    fn a_token_that_was_acknowledged_is_the_fact_that_the_answer_names() {
        assert!(stands_in("j1", What::CreateJoinToken, &[revoked("ada"), token()]));
        assert!(!stands_in("j1", What::CreateJoinToken, &[token(), revoked("ada")]));
    }

    #[test]
    fn a_journal_that_was_evicted_is_so_by_a_fact_of_its_own() {
        let evicted = Fact::Member("j2".parse().unwrap(), member::Event::Evicted { reason: None });
        assert!(stands_in("j2", What::Evict, &[token(), evicted.clone()]));
        assert!(!stands_in("j3", What::Evict, &[token(), evicted]));
    }
}
