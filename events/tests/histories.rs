//! Whole histories: random commands against a small domain, decided on views that may be old, settled by the log's own
//! rule, with every invariant checked after every fact.
//!
//! The model is the journal without its machinery: a list of records, a map of versions, and the views.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use events::codec::{decode_body, encode_body};
use events::fact::Record;
use events::invariants::Auditor;
use events::views::{Standing, Views};
use proptest::test_runner::{Config, TestRunner};

#[path = "histories/journals.rs"]
mod journals;
#[path = "histories/operators.rs"]
mod operators;
#[path = "histories/step.rs"]
mod step;
#[path = "histories/world.rs"]
mod world;

use step::{Step, steps};
use world::World;

/// How often each kind of thing happened in all cases: a history in which nothing happens proves nothing.
type Tally = BTreeMap<String, u64>;

#[test]
fn every_history_keeps_the_invariants() {
    let tally = RefCell::new(Tally::new());
    let config = Config { cases: 4000, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let world = live(&steps);
        refold(&world.records, &world.views);
        let mut tally = tally.borrow_mut();
        for record in &world.records {
            *tally.entry(type_of(record)).or_default() += 1;
        }
        for (name, count) in world.outcomes {
            *tally.entry(name.to_owned()).or_default() += count;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert_everything_happened(&tally.into_inner());
}

/// Runs the commands and checks after each of them.
fn live(steps: &[Step]) -> World {
    let mut world = World::new();
    let mut auditor = Auditor::default();
    let mut checked = 0;
    for step in steps {
        let before = world.records.len();
        world.take(step);
        for record in &world.records[checked..] {
            assert_eq!(auditor.check(record), [], "after {step:?}: {record:#?}");
        }
        checked = world.records.len();
        assert_eq!(*auditor.views(), world.views);
        if before < checked {
            at_most_one_overlap(&world);
        }
    }
    world
}

/// Of anybody's certificates two open something at most: the current one and its predecessor (R15).
fn at_most_one_overlap(world: &World) {
    let mut valid: BTreeMap<String, usize> = BTreeMap::new();
    for hash in &world.issued {
        if let Standing::Valid { identity, .. } = world.views.standing(hash, world.now) {
            let holder = match identity {
                events::views::Identity::Node { node_id, .. } => format!("node {node_id}"),
                events::views::Identity::Operator { operator_id, .. } => format!("operator {operator_id}"),
            };
            *valid.entry(holder).or_default() += 1;
        }
    }
    for (holder, count) in valid {
        assert!(count <= 2, "{holder} has {count} certificates");
    }
}

/// The stored bytes suffice: read back and folded again they give the same views.
fn refold(records: &[Record], views: &Views) {
    let mut again = Views::default();
    for record in records {
        let body = encode_body(record).expect("a decided fact can be written");
        let read = decode_body(&body).expect("what was written is read");
        assert_eq!(read, *record);
        again.fold(&read);
    }
    assert_eq!(again, *views);
}

/// The name of the variant, as JSON writes it.
fn type_of(record: &Record) -> String {
    let json = serde_json::to_value(&record.fact).expect("a fact is written as JSON");
    let mut at = &json;
    loop {
        match at {
            serde_json::Value::Object(fields) => {
                let (name, inner) = fields.iter().next().expect("a variant has a name");
                if !["Domain", "Node", "Authority", "Operator", "Member"].contains(&name.as_str()) {
                    let cause = inner.get("cause").and_then(serde_json::Value::as_str);
                    return cause.map_or(name.clone(), |cause| format!("{name} {cause}"));
                }
                at = inner;
            }
            serde_json::Value::Array(items) => at = items.last().expect("an id and an event"),
            serde_json::Value::String(name) => return name.clone(),
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
                panic!("a fact is no {at}")
            }
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a list of all that must happen")]
fn assert_everything_happened(tally: &Tally) {
    let expected: BTreeSet<&str> = [
        "DomainCreated",
        "NodeRegistered",
        "CertificateIssued enrolled",
        "CertificateIssued re-enrolled",
        "CertificateIssued renewed",
        "CertificateIssued warm-reboot",
        "EnrollmentConfirmed",
        "NodeDeactivated silence",
        "NodeDeactivated goodbye",
        "NodeDeactivated expiry",
        "NodeDeactivated operator",
        "NodeReactivated",
        "NodeRevoked decommissioned",
        "NodeRevoked revoked",
        "EnrollmentContested",
        "EnrollmentResolved",
        "HardwareReplaced",
        "AttemptsRefused",
        "CertificateRevoked journal-evicted",
        "CertificateRevoked former-key-proved",
        "a former key in a request",
        "refused: PerhapsRebooted",
        "VCluster",
        "NodeAssigned",
        "NodeUnassigned",
        "NodeMoved",
        "NodeDrained",
        "NodeUndrained",
        "IdentityBound",
        "AuthorityAnnounced",
        "AuthorityRetired",
        "OperatorCreated",
        "OperatorRenewed",
        "OperatorRevoked",
        "JoinTokenCreated",
        "JoinTokenConsumed",
        "JournalJoining",
        "JournalJoined",
        "JournalEvicted",
        "JournalAnnounced",
        "LevelRaised",
        "DomainDefaultSet",
        "DomainRestored",
        "restore refused",
        "above the level",
        "the level is there",
        "committed",
        "conflict on an old view",
        "repetition refused",
        "skewed",
        "the same certificate again",
        "refused: AlreadyActive",
        "refused: AlreadyEnrolled",
        "refused: CsrInvalid",
        "refused: HardwareConflict",
        "refused: HardwareMismatch",
        "refused: KeyReused",
        "refused: IdentityConflict",
        "refused: Revoked",
        "refused: SerialSuperseded",
        "journal refused: AlreadyExists",
        "journal refused: Evicted",
        "journal refused: LastJournal",
        "journal refused: NameUsed",
        "journal refused: NotFound",
        "journal refused: TokenConsumed",
        "journal refused: TokenExpired",
        "journal refused: TokenUnknown",
        "the same journal again",
    ]
    .into();
    let missing: Vec<&&str> = expected.iter().filter(|name| !tally.contains_key(**name)).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}; happened: {tally:#?}");
}
