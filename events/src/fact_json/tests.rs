//! Every type of fact, as JSON.

use crate::authority::{self, Announced};
use crate::certificate::Certificate;
use crate::domain::Created;
use crate::node::{Cause, DeactivationCause, RefusalReason, RefusedAttempts, RevocationCause, Supersession};
use crate::stream::StreamVersion;
use crate::vocabulary::{
    AppendId, Assurance, AuthorityId, CertificateHash, Der, HardwareField, HardwareIdentity, JoinTokenId,
    KeyHash, Labels, LogId, Principal, Role, SecretHash, Serial, Timestamp,
};

use super::*;

const ENVELOPE: [&str; 12] = [
    "type",
    "seq",
    "streams",
    "append_id",
    "decided_at",
    "recorded_at",
    "principal",
    "proposed_by",
    "source",
    "source_sha256",
    "assurance",
    "chain",
];

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + millis)
}

fn serial(byte: u8) -> Serial {
    Serial::from_random([byte; 16])
}

fn authority_id() -> AuthorityId {
    AuthorityId::new(at(0), 1)
}

fn certificate() -> Certificate {
    Certificate {
        serial: serial(7),
        spki_sha256: KeyHash::of(b"key"),
        sha256: CertificateHash::of(b"der"),
        not_before: at(0),
        not_after: at(60_000),
        renew_after: at(40_000),
        authority: authority_id(),
    }
}

fn remark(text: &str) -> Remark {
    Remark::new([3; 16], text).unwrap()
}

fn record(fact: Fact) -> Record {
    let streams = (1..).zip(fact.streams()).map(|(version, name)| StreamVersion { name, version }).collect();
    Record {
        seq: 9,
        streams,
        append_id: AppendId::new([1; 16]),
        decided_at: at(1),
        recorded_at: at(2),
        principal: Principal::Operator("admin".parse().unwrap()),
        proposed_by: "j1".parse().unwrap(),
        source: Some(remark("10.0.0.1").hash()),
        assurance: Some(Assurance::Claimed),
        fact,
    }
}

fn node(event: node::Event) -> Fact {
    Fact::Node("compute-042".parse().unwrap(), event)
}

fn operator(event: operator::Event) -> Fact {
    Fact::Operator("admin".parse().unwrap(), event)
}

fn authority(event: authority::Event) -> Fact {
    Fact::Authority(authority_id(), event)
}

/// Checks type, subject and own fields of a fact: with the envelope's they are all that it has.
fn check(fact: Fact, kind: &str, own: &[&str]) {
    let json = to_json(&record(fact), &[], &Chain::from_bytes([0; 32]));
    let object = json.as_object().unwrap();
    assert_eq!(object["type"], kind);
    let mut expected: Vec<&str> = ENVELOPE.iter().chain(own).copied().collect();
    expected.sort_unstable();
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{kind}");
}

#[test]
fn facts_about_the_domain_keep_all_their_fields() {
    let created = Created {
        domain_id: "site-a".parse().unwrap(),
        log_id: LogId::new([5; 16]),
        domain_ca: Der::new(vec![0x30]),
        founder: "j1".parse().unwrap(),
    };
    let domain = |event| Fact::Domain(event);
    check(
        domain(domain::Event::Created(created)),
        "DomainCreated",
        &["domain_id", "log_id", "domain_ca", "founder"],
    );
    let token = domain::Event::JoinTokenCreated {
        token_id: JoinTokenId::new(at(0), 2),
        secret_sha256: SecretHash::of(b"s"),
        expires_at: at(5),
    };
    check(domain(token), "JoinTokenCreated", &["token_id", "secret_sha256", "expires_at"]);
    // The erased fact's place would cover the fact's own: it is renamed.
    let erased = domain::Event::RemarkErased { seq: 4, remark: remark("x").hash() };
    check(domain(erased), "RemarkErased", &["erased_seq", "remark"]);
}

#[test]
fn facts_about_a_node_keep_all_their_fields() {
    let hardware = HardwareIdentity::registered(&["aa:bb:cc:dd:ee:01".to_owned()], "SN1", "").unwrap();
    let labels = Labels::new([("rack".to_owned(), "7".to_owned())]).unwrap();
    check(
        node(node::Event::Registered { epoch: 1, hardware: hardware.clone(), labels }),
        "NodeRegistered",
        &["node_id", "epoch", "hardware", "labels"],
    );
    let issued = node::Event::CertificateIssued {
        cause: Cause::ReEnrolled,
        epoch: 1,
        certificate: certificate(),
        der: Der::new(b"der".to_vec()),
        supersedes: vec![Supersession { serial: serial(6), overlap_secs: 0 }],
        presented: Some(hardware),
        boot_id: None,
    };
    let fields = ["node_id", "cause", "epoch", "certificate", "der", "supersedes", "presented", "boot_id"];
    check(node(issued), "CertificateIssued", &fields);
    let confirmed = node::Event::EnrollmentConfirmed { serial: serial(7) };
    check(node(confirmed), "EnrollmentConfirmed", &["node_id", "serial"]);
    let deactivated = node::Event::Deactivated { cause: DeactivationCause::Goodbye, supersedes: None };
    check(node(deactivated), "NodeDeactivated", &["node_id", "cause", "supersedes"]);
    check(node(node::Event::Reactivated { serial: serial(7) }), "NodeReactivated", &["node_id", "serial"]);
    let revoked = node::Event::Revoked {
        cause: RevocationCause::Revoked,
        serials: vec![serial(7)],
        macs: vec!["aa:bb:cc:dd:ee:01".parse().unwrap()],
        reason: None,
    };
    check(node(revoked), "NodeRevoked", &["node_id", "cause", "serials", "macs", "reason", "reason_sha256"]);
}

#[test]
fn facts_about_strange_machines_keep_all_their_fields() {
    let hardware = HardwareIdentity::registered(&["aa:bb:cc:dd:ee:01".to_owned()], "SN1", "").unwrap();
    let contested = node::Event::Contested {
        serial: serial(7),
        rival_spki_sha256: KeyHash::of(b"rival"),
        presented: hardware.clone(),
        boot_id: None,
    };
    let fields = ["node_id", "serial", "rival_spki_sha256", "presented", "boot_id"];
    check(node(contested), "EnrollmentContested", &fields);
    check(node(node::Event::Resolved {}), "EnrollmentResolved", &["node_id"]);
    let (prod, test) = (|| "prod".parse().unwrap(), || "test".parse().unwrap());
    let unassigned = node::Event::Unassigned { vcluster: prod() };
    check(node(unassigned), "NodeUnassigned", &["node_id", "vcluster"]);
    let moved = node::Event::Moved { from: prod(), to: test() };
    check(node(moved), "NodeMoved", &["node_id", "from", "to"]);
    check(node(node::Event::Drained {}), "NodeDrained", &["node_id"]);
    check(node(node::Event::Undrained {}), "NodeUndrained", &["node_id"]);
    let spiffe_id = "spiffe://example.org/a".parse().unwrap();
    let bound = node::Event::IdentityBound { spiffe_id, over: Some(serial(7)) };
    check(node(bound), "IdentityBound", &["node_id", "spiffe_id", "over"]);
    let replaced = node::Event::HardwareReplaced { hardware, released: vec![], serials: vec![serial(7)] };
    check(node(replaced), "HardwareReplaced", &["node_id", "hardware", "released", "serials"]);
    let refused = node::Event::AttemptsRefused(RefusedAttempts {
        reason: RefusalReason::HardwareMismatch,
        first: at(0),
        last: at(5),
        count: 3,
        differing: vec![HardwareField::BmcSerial, HardwareField::ForeignMac],
    });
    let fields = ["node_id", "reason", "first", "last", "count", "differing"];
    check(node(refused.clone()), "AttemptsRefused", &fields);
    let told = to_json(&record(node(refused)), &[], &Chain::from_bytes([0; 32]));
    assert_eq!(told["reason"], "HARDWARE_MISMATCH");
    assert_eq!(told["differing"], json!(["bmc_serial", "foreign_mac"]));
}

#[test]
fn facts_about_operators_and_authorities_keep_all_their_fields() {
    let der = || Der::new(b"der".to_vec());
    let created = operator::Event::Created {
        role: Role::PlatformAdmin,
        certificate: certificate(),
        der: der(),
        name: None,
    };
    let fields = ["operator_id", "role", "certificate", "der", "name", "name_sha256"];
    check(operator(created), "OperatorCreated", &fields);
    let renewed = operator::Event::Renewed { certificate: certificate(), der: der(), supersedes: serial(6) };
    check(operator(renewed), "OperatorRenewed", &["operator_id", "certificate", "der", "supersedes"]);
    let revoked = operator::Event::Revoked { serial: serial(7), reason: None };
    check(operator(revoked), "OperatorRevoked", &["operator_id", "serial", "reason", "reason_sha256"]);
    let announced = Announced {
        generation: 1,
        journal_id: "j1".parse().unwrap(),
        serial: serial(1),
        sha256: CertificateHash::of(b"ca"),
        not_before: at(0),
        not_after: at(9),
        der: der(),
    };
    let fields =
        ["authority_id", "generation", "journal_id", "serial", "sha256", "not_before", "not_after", "der"];
    check(authority(authority::Event::Announced(announced)), "AuthorityAnnounced", &fields);
    check(authority(authority::Event::Retired {}), "AuthorityRetired", &["authority_id"]);
}

#[test]
fn facts_about_journals_keep_all_their_fields() {
    let member = |event| Fact::Member("j2".parse().unwrap(), event);
    let endpoints = || member::Endpoints { cluster: "h:1".to_owned(), ..member::Endpoints::default() };
    let joining = member::Event::Joining {
        raft_id: 2,
        endpoints: endpoints(),
        certificate: CertificateHash::of(b"der"),
        key: KeyHash::of(b"key"),
        token: SecretHash::of(b"s"),
    };
    let fields = ["journal_id", "raft_id", "endpoints", "certificate", "key", "token"];
    check(member(joining), "JournalJoining", &fields);
    check(member(member::Event::Joined), "JournalJoined", &["journal_id"]);
    let evicted = member::Event::Evicted { reason: None };
    check(member(evicted), "JournalEvicted", &["journal_id", "reason", "reason_sha256"]);
    let certificate = CertificateHash::of(b"der");
    let announced = member::Event::Announced { endpoints: endpoints(), certificate };
    check(member(announced), "JournalAnnounced", &["journal_id", "endpoints", "certificate"]);
    let journal = "j2".parse().unwrap();
    let consumed = domain::Event::JoinTokenConsumed { secret_sha256: SecretHash::of(b"s"), journal };
    check(Fact::Domain(consumed), "JoinTokenConsumed", &["secret_sha256", "journal"]);
    let raised = domain::Event::LevelRaised { level: crate::level::Level::SECOND };
    check(Fact::Domain(raised), "LevelRaised", &["level"]);
}

#[test]
fn the_envelope_is_written_as_the_contract_says() {
    let record = record(node(node::Event::EnrollmentConfirmed { serial: serial(7) }));
    let json = to_json(&record, &[remark("10.0.0.1")], &Chain::from_bytes([0xab; 32]));
    assert_eq!(json["seq"], 9);
    assert_eq!(json["streams"], json!([{"name": "node/compute-042", "version": 1}]));
    assert_eq!(json["append_id"], "01".repeat(16));
    assert_eq!(json["recorded_at"], "2026-01-01T00:00:00.002Z");
    assert_eq!(json["principal"], "operator:admin");
    assert_eq!(json["proposed_by"], "j1");
    assert_eq!(json["assurance"], "claimed");
    assert_eq!(json["source"], "10.0.0.1");
    assert_eq!(json["node_id"], "compute-042");
    assert_eq!(json["chain"], "ab".repeat(32));
}

#[test]
fn rule_04_an_erased_remark_leaves_its_hash() {
    let reason = remark("stolen");
    let revoked = node::Event::Revoked {
        cause: RevocationCause::Revoked,
        serials: vec![],
        macs: vec![],
        reason: Some(reason.hash()),
    };
    let record = record(node(revoked));
    let chain = Chain::from_bytes([0; 32]);
    let told = to_json(&record, std::slice::from_ref(&reason), &chain);
    assert_eq!((&told["reason"], &told["source"]), (&json!("stolen"), &Value::Null));
    let erased = to_json(&record, &[], &chain);
    assert_eq!(erased["reason"], Value::Null);
    assert_eq!(erased["reason_sha256"], reason.hash().to_string());
    assert_eq!(erased["source_sha256"], remark("10.0.0.1").hash().to_string());
}
