//! Golden bytes of format 1, under `events/golden/format-1`: every later release reads them.
//!
//! `PACT_WRITE_GOLDEN=1` writes files that are missing; a file that exists is never written again.

use std::path::{Path, PathBuf};

use super::*;
use crate::append::Append;
use crate::authority;
use crate::codec::{decode, encode};
use crate::domain;
use crate::fact::Fact;
use crate::level::Level;
use crate::member;
use crate::node::{Cause, RefusalReason};
use crate::operator;
use crate::samples::{
    admin, announced, announced_at, assigned, authority_id, bound_by, certificate, confirmed, contested,
    default_set, disproved, distrusted, domain_created, evicted, hardware, issued, join_token, joined,
    joining, level_raised, moved, node, operator_created, operator_renewed, operator_revoked, overlay_set,
    put_away, reactivated, refused, replaced, restored, revoked, supersedes, token_consumed, unassigned,
    with_serial,
};
use crate::stream::{StreamName, StreamVersion};
use crate::vcluster;
use crate::vocabulary::{AppendId, Assurance, HardwareIdentity, Labels, Principal};

/// Every type of fact, in the order of the enums.
const TYPES: [&str; 34] = [
    "DomainCreated",
    "JoinTokenCreated",
    "RemarkErased",
    "NodeRegistered",
    "CertificateIssued",
    "EnrollmentConfirmed",
    "NodeDeactivated",
    "NodeReactivated",
    "NodeRevoked",
    "AuthorityAnnounced",
    "AuthorityRetired",
    "OperatorCreated",
    "OperatorRenewed",
    "OperatorRevoked",
    "NodeAssigned",
    "OverlaySet",
    "DomainDefaultSet",
    "JoinTokenConsumed",
    "JournalJoining",
    "JournalJoined",
    "JournalEvicted",
    "JournalAnnounced",
    "EnrollmentContested",
    "EnrollmentResolved",
    "HardwareReplaced",
    "AttemptsRefused",
    "LevelRaised",
    "DomainRestored",
    "CertificateRevoked",
    "NodeUnassigned",
    "NodeMoved",
    "NodeDrained",
    "NodeUndrained",
    "IdentityBound",
];

/// A new variant breaks the build here: it needs a name in [`TYPES`], an example and a golden file.
fn type_of(fact: &Fact) -> &'static str {
    match fact {
        Fact::Domain(domain::Event::Created(_)) => TYPES[0],
        Fact::Domain(domain::Event::JoinTokenCreated { .. }) => TYPES[1],
        Fact::Domain(domain::Event::RemarkErased { .. }) => TYPES[2],
        Fact::Node(_, Event::Registered { .. }) => TYPES[3],
        Fact::Node(_, Event::CertificateIssued { .. }) => TYPES[4],
        Fact::Node(_, Event::EnrollmentConfirmed { .. }) => TYPES[5],
        Fact::Node(_, Event::Deactivated { .. }) => TYPES[6],
        Fact::Node(_, Event::Reactivated { .. }) => TYPES[7],
        Fact::Node(_, Event::Revoked { .. }) => TYPES[8],
        Fact::Authority(_, authority::Event::Announced(_)) => TYPES[9],
        Fact::Authority(_, authority::Event::Retired {}) => TYPES[10],
        Fact::Operator(_, operator::Event::Created { .. }) => TYPES[11],
        Fact::Operator(_, operator::Event::Renewed { .. }) => TYPES[12],
        Fact::Operator(_, operator::Event::Revoked { .. }) => TYPES[13],
        Fact::Node(_, Event::Assigned { .. }) => TYPES[14],
        Fact::VCluster(_, vcluster::Event::OverlaySet { .. }) => TYPES[15],
        Fact::Domain(domain::Event::DefaultSet { .. }) => TYPES[16],
        Fact::Domain(domain::Event::JoinTokenConsumed { .. }) => TYPES[17],
        Fact::Member(_, member::Event::Joining { .. }) => TYPES[18],
        Fact::Member(_, member::Event::Joined) => TYPES[19],
        Fact::Member(_, member::Event::Evicted { .. }) => TYPES[20],
        Fact::Member(_, member::Event::Announced { .. }) => TYPES[21],
        Fact::Node(_, Event::Contested { .. }) => TYPES[22],
        Fact::Node(_, Event::Resolved {}) => TYPES[23],
        Fact::Node(_, Event::HardwareReplaced { .. }) => TYPES[24],
        Fact::Node(_, Event::AttemptsRefused(_)) => TYPES[25],
        Fact::Domain(domain::Event::LevelRaised { .. }) => TYPES[26],
        Fact::Domain(domain::Event::Restored(_)) => TYPES[27],
        Fact::Node(_, Event::CertificateRevoked { .. }) => TYPES[28],
        Fact::Node(_, Event::Unassigned { .. }) => TYPES[29],
        Fact::Node(_, Event::Moved { .. }) => TYPES[30],
        Fact::Node(_, Event::Drained {}) => TYPES[31],
        Fact::Node(_, Event::Undrained {}) => TYPES[32],
        Fact::Node(_, Event::IdentityBound { .. }) => TYPES[33],
    }
}

/// One fact of each type, with as many fields filled as it has.
fn examples() -> Vec<Fact> {
    let uuid = "4c4c4544-0042-3010-8050-b4c04f4d3132".parse().unwrap();
    let hardware = HardwareIdentity { uuid: Some(uuid), ..with_serial(&[1, 2], "SN-0042") };
    let labels = Labels::new([("rack".to_owned(), "r12".to_owned())]).unwrap();
    let replacement = HardwareIdentity { uuid: Some(uuid), ..with_serial(&[2, 3], "SN-0043") };
    let mut contest = contested(2, 9, &[1, 7]);
    if let Event::Contested { boot_id, .. } = &mut contest {
        *boot_id = Some("5ca1ab1e-0000-4000-8000-00000000b008".parse().unwrap());
    }
    let mut replaced = replaced(&[], &[1], &[2, 1]);
    if let Event::HardwareReplaced { hardware, .. } = &mut replaced {
        *hardware = replacement;
    }
    let mut issuance =
        issued(Cause::ReEnrolled, 2, certificate(2, 60), &[supersedes(1, 300)], Some(hardware.clone()));
    if let Event::CertificateIssued { boot_id, .. } = &mut issuance {
        *boot_id = Some("5ca1ab1e-0000-4000-8000-00000000b007".parse().unwrap());
    }
    let of = |event| Fact::Node(node("compute-042"), event);
    vec![
        domain_created(),
        join_token(),
        Fact::Domain(domain::Event::RemarkErased { seq: 300, remark: remark("stolen").hash() }),
        of(Event::Registered { epoch: 2, hardware, labels }),
        of(issuance),
        of(confirmed(2)),
        of(put_away(2)),
        of(reactivated(2)),
        of(revoked(&[2, 1], &[1, 2])),
        Fact::Authority(authority_id(1), announced(1, 0)),
        Fact::Authority(authority_id(1), authority::Event::Retired {}),
        Fact::Operator(admin(), operator_created(50, 0)),
        Fact::Operator(admin(), operator_renewed(51, 60, 50)),
        Fact::Operator(admin(), operator_revoked(51)),
        of(assigned("prod")),
        overlay_set("prod", b"services = []"),
        default_set(b""),
        token_consumed("j2"),
        joining("j2", 2),
        joined("j2"),
        evicted("j2"),
        announced_at("j1", "journal-1.example"),
        of(contest),
        of(Event::Resolved {}),
        of(replaced),
        of(Event::AttemptsRefused(refused(RefusalReason::HardwareMismatch, 60, 300))),
        level_raised(2),
        restored("j1000", 1000, 300),
        of(distrusted(&[2, 1])),
        of(unassigned("prod")),
        of(moved("prod", "test")),
        of(Event::Drained {}),
        of(Event::Undrained {}),
        of(bound_by("pact/compute-042", Some(2))),
    ]
}

/// Types that say more since they were first written: what they could not say before.
fn later_words() -> Vec<(&'static str, Fact)> {
    let mut rebooted =
        issued(Cause::WarmReboot, 2, certificate(3, 60), &[supersedes(2, 0)], Some(hardware(&[1])));
    if let Event::CertificateIssued { boot_id, .. } = &mut rebooted {
        *boot_id = Some("5ca1ab1e-0000-4000-8000-00000000b009".parse().unwrap());
    }
    let of = |event| Fact::Node(node("compute-042"), event);
    vec![
        ("CertificateIssued-warm-reboot", of(rebooted)),
        ("CertificateRevoked-former-key-proved", of(disproved(&[3]))),
    ]
}

/// A log in which every type of fact may follow.
fn newest() -> Log {
    let mut log = Log::enrolled();
    log.append(vec![level_raised(Level::NEWEST.number())]);
    log
}

fn folder() -> PathBuf {
    // Tests run in the folder of their package; where it was when they were compiled may be elsewhere by now.
    PathBuf::from("golden/format-1")
}

/// The bytes and the JSON of a golden file; written first if they are missing and may be.
fn golden(name: &str, bytes: &[u8], json: &serde_json::Value) -> (Vec<u8>, serde_json::Value) {
    let (hex_file, json_file) = (folder().join(format!("{name}.hex")), folder().join(format!("{name}.json")));
    let missing = !hex_file.exists() && !json_file.exists();
    if missing && std::env::var("PACT_WRITE_GOLDEN").is_ok_and(|set| set == "1") {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&hex_file, hex::encode(bytes) + "\n").unwrap();
        std::fs::write(&json_file, serde_json::to_string_pretty(json).unwrap() + "\n").unwrap();
    }
    let read = |file: &Path| {
        std::fs::read_to_string(file).unwrap_or_else(|error| {
            panic!("{}: {error}; PACT_WRITE_GOLDEN=1 writes new files", file.display())
        })
    };
    (hex::decode(read(&hex_file).trim()).unwrap(), serde_json::from_str(&read(&json_file)).unwrap())
}

#[test]
fn rule_06_golden_facts_are_read_and_written_as_ever() {
    let log = newest();
    for (fact, name) in examples().into_iter().zip(TYPES) {
        assert_eq!(type_of(&fact), name, "every type of fact has one example");
        let example = log.next(fact);
        let json = serde_json::to_value(&example).unwrap();
        let (body, json) = golden(name, &encode_body(&example).unwrap(), &json);
        let record = decode_body(&body).unwrap();
        assert_eq!(type_of(&record.fact), name);
        assert_eq!(serde_json::to_value(&record).unwrap(), json, "{name}");
        assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record, "{name}");
        assert_eq!(hex::encode(encode_body(&record).unwrap()), hex::encode(&body), "{name}");
    }
    assert_eq!(examples().len(), TYPES.len());
}

#[test]
fn rule_06_golden_facts_with_later_words_are_read_and_written_as_ever() {
    let log = newest();
    for (name, fact) in later_words() {
        let example = log.next(fact);
        let json = serde_json::to_value(&example).unwrap();
        let (body, json) = golden(name, &encode_body(&example).unwrap(), &json);
        let record = decode_body(&body).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), json, "{name}");
        assert_eq!(hex::encode(encode_body(&record).unwrap()), hex::encode(&body), "{name}");
    }
}

/// Every type stands in the catalogue that people read, in one row of one table.
#[test]
fn every_type_of_fact_is_in_the_documents() {
    let catalogue = std::fs::read_to_string("../docs/facts.md").unwrap();
    for name in TYPES {
        let rows = catalogue.lines().filter(|line| line.starts_with(&format!("| {name} |"))).count();
        assert_eq!(rows, 1, "{name}");
    }
    let cells = catalogue.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let named = |cell: &str| cell.chars().all(char::is_alphanumeric) && cell.starts_with(char::is_uppercase);
    let unknown: Vec<&str> =
        cells.map(|(cell, _)| cell).filter(|cell| named(cell) && !TYPES.contains(cell)).collect();
    assert_eq!(unknown, [""; 0], "rows of types that there are not");
}

/// And so does every field of its own.
#[test]
fn every_field_of_a_fact_is_in_the_documents() {
    let catalogue = std::fs::read_to_string("../docs/facts.md").unwrap();
    let log = newest();
    for (fact, name) in examples().into_iter().zip(TYPES) {
        let row = catalogue.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap();
        let chain = Chain::from_bytes([0; 32]);
        let told = crate::fact_json::to_json(&log.next(fact), &[], &chain);
        let envelope = crate::fact_json::to_json(&log.next_of("n2", Event::Resolved {}), &[], &chain);
        for field in told.as_object().unwrap().keys() {
            let of_subject = ["authority_id", "operator_id", "vcluster"].contains(&field.as_str())
                || name.starts_with("Journal") && field == "journal_id";
            let of_all = envelope.get(field).is_some() || of_subject;
            let of_remark =
                field.ends_with("_sha256") && told.get(field.trim_end_matches("_sha256")).is_some();
            assert!(of_all || of_remark || row.contains(&format!("`{field}`")), "{name}: {field}");
        }
    }
}

#[test]
fn rule_06_a_golden_value_is_taken_apart_as_ever() {
    let example = Log::enrolled().next_of("compute-042", revoked(&[2, 1], &[1, 2]));
    let body = encode_body(&example).unwrap();
    let remarks = [remark("stolen"), remark("192.0.2.7")];
    let chain = Chain::start(LogId::new([3; 16]), CertificateHash::of(&[0x30, 0x00])).next(&body);
    let value = StoredValue::write(&chain, &body, &remarks).unwrap();
    let told = |value: &StoredValue<'_>| {
        let remarks = value.remarks().unwrap();
        let texts: Vec<&str> = remarks.iter().map(Remark::text).collect();
        let record = decode_body(value.body).unwrap();
        serde_json::json!({ "chain": value.chain.to_string(), "record": record, "remarks": texts })
    };
    let json = told(&StoredValue::parse(&value).unwrap());
    let (bytes, json) = golden("StoredValue", &value, &json);
    let parsed = StoredValue::parse(&bytes).unwrap();
    assert_eq!(told(&parsed), json);
    let again = StoredValue::write(&parsed.chain, parsed.body, &parsed.remarks().unwrap()).unwrap();
    assert_eq!(hex::encode(again), hex::encode(bytes));
}

#[test]
fn rule_06_a_golden_batch_of_appends_is_read_and_written_as_ever() {
    let append = |number: u8, facts: Vec<Fact>| Append {
        append_id: AppendId::new([number; 16]),
        decided_at: at(number.into()),
        principal: Principal::Operator(admin()),
        proposed_by: "j1".parse().unwrap(),
        source: Some(remark("192.0.2.7").hash()),
        assurance: Some(Assurance::Token),
        expects: vec![StreamVersion { name: StreamName::Node(node("compute-042")), version: 300 }],
        facts,
        remarks: vec![remark("192.0.2.7")],
    };
    // The types of the first release: the file is from then.
    let facts = &examples()[..14];
    let batch = vec![append(1, facts[..3].to_vec()), append(2, facts[3..].to_vec())];
    let json = serde_json::to_value(&batch).unwrap();
    let (bytes, json) = golden("AppendBatch", &encode::<{ 1 << 20 }>(&batch).unwrap(), &json);
    let read: Vec<Append> = decode::<_, { 1 << 20 }>(&bytes).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), json);
    assert_eq!(hex::encode(encode::<{ 1 << 20 }>(&read).unwrap()), hex::encode(bytes));
}
