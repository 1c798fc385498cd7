//! A sound history in a few facts, told by the decisions that a journal would have taken.

use events::authority::{self, Announced};
use events::certificate::{Certificate, Subject, Terms};
use events::domain::{self, Created};
use events::fact::Fact;
use events::node::{
    self, Cause, DeactivationCause, RefusalReason, RefusedAttempts, RevocationCause, Supersession,
};
use events::vocabulary::{
    AuthorityId, CertificateHash, Der, HardwareField, HardwareIdentity, KeyHash, Labels, LogId, Mac, NodeId,
    Overlay, Principal, Remark, Role, Serial,
};
use events::{operator, vcluster};

use crate::written_log::{WrittenLog, at, remark};

pub fn domain_created(log_id: u8) -> Fact {
    Fact::Domain(domain::Event::Created(Created {
        domain_id: "site-a".parse().unwrap(),
        log_id: LogId::new([log_id; 16]),
        domain_ca: Der::new(b"the domain CA".to_vec()),
        founder: "j1".parse().unwrap(),
    }))
}

fn authority_id() -> AuthorityId {
    AuthorityId::new(at(0), 1)
}

pub fn serial(number: u64) -> Serial {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Serial::from_random(bytes)
}

fn authority_announced() -> Fact {
    let der = Der::new(b"the authority".to_vec());
    let announced = Announced {
        generation: 1,
        journal_id: "j1".parse().unwrap(),
        serial: serial(u64::MAX),
        sha256: CertificateHash::of(der.as_bytes()),
        not_before: at(0),
        not_after: at(45 * 24 * 3600),
        der,
    };
    Fact::Authority(authority_id(), authority::Event::Announced(announced))
}

/// A certificate over the key and with the serial of this number, decided at that second.
fn certificate(subject: Subject, number: u64, second: u64) -> (Certificate, Der) {
    let der = Der::new(format!("certificate {number} of {subject:?}, {}", "x".repeat(500)).into_bytes());
    let terms = Terms {
        now: at(second),
        serial: serial(number),
        jitter: 0,
        lifetime: std::time::Duration::from_secs(3 * 24 * 3600),
        authority: authority_id(),
        authority_not_after: at(45 * 24 * 3600),
    };
    let key = KeyHash::of(format!("key {number} {subject:?}").as_bytes());
    (terms.profile(subject, key).certificate(CertificateHash::of(der.as_bytes())), der)
}

fn operator_created(name: Option<&Remark>) -> Fact {
    let id: events::vocabulary::OperatorId = "admin".parse().unwrap();
    let (certificate, der) = certificate(Subject::Operator(id.clone()), 0, 3);
    let role = Role::PlatformAdmin;
    Fact::Operator(id, operator::Event::Created { role, certificate, der, name: name.map(Remark::hash) })
}

pub fn node_id(number: u64) -> NodeId {
    format!("compute-{number:06}").parse().unwrap()
}

fn mac(number: u64) -> Mac {
    let [.., b, c, d] = number.to_be_bytes();
    format!("02:00:00:{b:02x}:{c:02x}:{d:02x}").parse().unwrap()
}

fn hardware(number: u64) -> HardwareIdentity {
    HardwareIdentity::registered(&[mac(number).to_string()], &format!("SN{number}"), "").unwrap()
}

pub fn registered(number: u64) -> Fact {
    let event = node::Event::Registered { epoch: 1, hardware: hardware(number), labels: Labels::default() };
    Fact::Node(node_id(number), event)
}

/// The first certificate of a node; `serial_number` is the node's number in a sound history.
pub fn issued(number: u64, serial_number: u64, second: u64) -> Fact {
    let (mut certificate, der) = certificate(Subject::Node(node_id(number)), number, second);
    certificate.serial = serial(serial_number);
    let event = node::Event::CertificateIssued {
        cause: Cause::Enrolled,
        epoch: 1,
        certificate,
        der,
        supersedes: vec![],
        presented: Some(hardware(number)),
        boot_id: None,
    };
    Fact::Node(node_id(number), event)
}

/// A renewal of the node's first certificate; the former one lives on until 300 s after the first use of this one.
pub fn renewed(number: u64, serial_number: u64, second: u64) -> Fact {
    let (certificate, der) = certificate(Subject::Node(node_id(number)), serial_number, second);
    let event = node::Event::CertificateIssued {
        cause: Cause::Renewed,
        epoch: 1,
        certificate,
        der,
        supersedes: vec![Supersession { serial: serial(number), overlap_secs: 300 }],
        presented: None,
        boot_id: None,
    };
    Fact::Node(node_id(number), event)
}

pub fn confirmed(number: u64) -> Fact {
    used(number, number)
}

/// The first use of the certificate with that serial.
pub fn used(number: u64, serial_number: u64) -> Fact {
    Fact::Node(node_id(number), node::Event::EnrollmentConfirmed { serial: serial(serial_number) })
}

pub fn goodbye(number: u64) -> Fact {
    let event = node::Event::Deactivated { cause: DeactivationCause::Goodbye, supersedes: None };
    Fact::Node(node_id(number), event)
}

pub fn overlay_set(vcluster: &str, overlay: &[u8]) -> Fact {
    let overlay = Overlay::of(overlay).unwrap();
    Fact::VCluster(vcluster.parse().unwrap(), vcluster::Event::OverlaySet { overlay })
}

pub fn default_set(overlay: &[u8]) -> Fact {
    Fact::Domain(domain::Event::DefaultSet { overlay: Overlay::of(overlay).unwrap() })
}

pub fn assigned(number: u64, vcluster: &str) -> Fact {
    Fact::Node(node_id(number), node::Event::Assigned { vcluster: vcluster.parse().unwrap() })
}

/// A machine with a further address asked with another key while the node's own was there.
pub fn contested(number: u64) -> Fact {
    let mut presented = hardware(number);
    presented.macs.insert(mac(number + 1000));
    let rival_spki_sha256 = KeyHash::of(b"rival");
    let event =
        node::Event::Contested { serial: serial(number), rival_spki_sha256, presented, boot_id: None };
    Fact::Node(node_id(number), event)
}

pub fn resolved(number: u64) -> Fact {
    Fact::Node(node_id(number), node::Event::Resolved {})
}

/// Another machine, whose number is 500 more, is the node.
pub fn replaced(number: u64) -> Fact {
    let event = node::Event::HardwareReplaced {
        hardware: hardware(number + 500),
        released: vec![mac(number)],
        serials: vec![serial(number)],
    };
    Fact::Node(node_id(number), event)
}

/// Three machines with another serial were refused in the minute before.
pub fn refused(number: u64, second: u64) -> Fact {
    let attempts = RefusedAttempts {
        reason: RefusalReason::HardwareMismatch,
        first: at(second - 50),
        last: at(second),
        count: 3,
        differing: vec![HardwareField::BmcSerial],
    };
    Fact::Node(node_id(number), node::Event::AttemptsRefused(attempts))
}

pub fn revoked(number: u64, reason: &Remark) -> Fact {
    let event = node::Event::Revoked {
        cause: RevocationCause::Revoked,
        serials: vec![serial(number)],
        macs: vec![mac(number)],
        reason: Some(reason.hash()),
    };
    Fact::Node(node_id(number), event)
}

/// Who is answerable for a fact of the story.
pub fn principal_of(fact: &Fact) -> Principal {
    let admin = || Principal::Operator("admin".parse().unwrap());
    let journal = || Principal::Journal("j1".parse().unwrap());
    match fact {
        Fact::Domain(_) | Fact::Authority(..) | Fact::Operator(..) | Fact::Member(..) => journal(),
        Fact::VCluster(..) => admin(),
        Fact::Node(
            _,
            node::Event::Registered { .. }
            | node::Event::Revoked { .. }
            | node::Event::Assigned { .. }
            | node::Event::Unassigned { .. }
            | node::Event::Moved { .. }
            | node::Event::Drained {}
            | node::Event::Undrained {}
            | node::Event::IdentityBound { over: None, .. }
            | node::Event::Resolved {}
            | node::Event::HardwareReplaced { .. }
            | node::Event::CertificateRevoked { .. },
        ) => admin(),
        Fact::Node(_, node::Event::CertificateIssued { .. }) => Principal::Anonymous,
        Fact::Node(id, node::Event::IdentityBound { over: Some(_), .. }) => Principal::Node(id.clone()),
        Fact::Node(id, node::Event::EnrollmentConfirmed { .. } | node::Event::Reactivated { .. }) => {
            Principal::Node(id.clone())
        }
        Fact::Node(
            _,
            node::Event::Deactivated { .. } | node::Event::Contested { .. } | node::Event::AttemptsRefused(_),
        ) => journal(),
    }
}

/// Domain, authority, operator.
pub fn preface(log: &mut WrittenLog) {
    let name = remark("Ada Admin");
    log.append(domain_created(1), &[]);
    log.append(authority_announced(), &[]);
    log.append(operator_created(Some(&name)), std::slice::from_ref(&name));
}

/// Three facts about a node. `next_seq` is the place of the first.
pub fn enroll(log: &mut WrittenLog, number: u64, next_seq: u64) {
    log.append(registered(number), &[remark("10.0.0.9")]);
    log.append(issued(number, number, next_seq + 1), &[remark("10.0.0.9")]);
    log.append(confirmed(number), &[]);
}

/// The preface, two enrolled nodes (facts 4–6 and 7–9), and the revocation of the first (fact 10).
pub fn sound() -> WrittenLog {
    let mut log = WrittenLog::create();
    preface(&mut log);
    enroll(&mut log, 1, 4);
    enroll(&mut log, 2, 7);
    log.append(revoked(1, &remark("stolen")), &[remark("stolen"), remark("10.0.0.8")]);
    log
}
