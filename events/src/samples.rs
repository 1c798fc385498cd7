//! A small domain for tests: facts with few words, and a log that gives them their envelopes.
//!
//! **Invariant:** [`Log`] records nothing that the log's real `apply` ([`crate::append::settle`]) would not.

mod broken;
mod log;

pub(crate) use self::log::Log;

use std::time::Duration;

use crate::authority;
use crate::certificate::Certificate;
use crate::domain;
use crate::fact::Fact;
use crate::level::Level;
use crate::member::{self, Endpoints};
use crate::node::{
    Cause, DeactivationCause, DistrustCause, Event, RefusalReason, RefusedAttempts, RevocationCause,
    Supersession,
};
use crate::operator;
use crate::vocabulary::{
    AppendId, Assurance, AuthorityId, CertificateHash, Der, Digest, HardwareField, HardwareIdentity,
    JoinTokenId, JournalId, KeyHash, Labels, LogId, Mac, NodeId, OperatorId, Overlay, Principal, Remark,
    Role, SecretHash, Serial, Timestamp,
};

/// The day on which all sample histories begin.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
pub(crate) const DAY: u64 = 24 * 3600;

/// A moment, in seconds after [`START`].
pub(crate) fn at(secs: u64) -> Timestamp {
    START.plus(Duration::from_secs(secs))
}

pub(crate) fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

pub(crate) fn admin() -> OperatorId {
    "admin".parse().unwrap()
}

pub(crate) fn mac(number: u8) -> Mac {
    Mac::new([0xaa, 0xbb, 0xcc, 0xdd, 0xee, number]).unwrap()
}

pub(crate) fn hardware(macs: &[u8]) -> HardwareIdentity {
    HardwareIdentity { macs: macs.iter().copied().map(mac).collect(), bmc_serial: None, uuid: None }
}

pub(crate) fn with_serial(macs: &[u8], bmc_serial: &str) -> HardwareIdentity {
    HardwareIdentity { bmc_serial: Some(bmc_serial.parse().unwrap()), ..hardware(macs) }
}

pub(crate) fn serial(number: u8) -> Serial {
    Serial::from_random([number; 16])
}

pub(crate) fn key(number: u8) -> KeyHash {
    KeyHash::of(&[number])
}

pub(crate) fn der(number: u8) -> Der {
    Der::new(vec![number; 40])
}

pub(crate) fn authority_id(number: u8) -> AuthorityId {
    AuthorityId::new(START, number.into())
}

/// The certificate with this number, decided `secs` after [`START`]; it lives 3 days.
pub(crate) fn certificate(number: u8, secs: u64) -> Certificate {
    Certificate {
        serial: serial(number),
        spki_sha256: key(number),
        sha256: CertificateHash::of(der(number).as_bytes()),
        not_before: at(secs).minus(Duration::from_secs(300)),
        not_after: at(secs + 3 * DAY),
        renew_after: at(secs + 2 * DAY),
        authority: authority_id(1),
    }
}

pub(crate) fn registered(epoch: u32, macs: &[u8]) -> Event {
    Event::Registered { epoch, hardware: hardware(macs), labels: Labels::default() }
}

pub(crate) fn supersedes(number: u8, overlap_secs: u32) -> Supersession {
    Supersession { serial: serial(number), overlap_secs }
}

pub(crate) fn issued(
    cause: Cause,
    epoch: u32,
    certificate: Certificate,
    supersedes: &[Supersession],
    presented: Option<HardwareIdentity>,
) -> Event {
    let number = certificate.serial.as_bytes()[15];
    let supersedes = supersedes.to_vec();
    Event::CertificateIssued {
        cause,
        epoch,
        certificate,
        der: der(number),
        supersedes,
        presented,
        boot_id: None,
    }
}

pub(crate) fn enrolled(number: u8, secs: u64, macs: &[u8]) -> Event {
    issued(Cause::Enrolled, 1, certificate(number, secs), &[], Some(hardware(macs)))
}

pub(crate) fn re_enrolled(number: u8, secs: u64, over: &[Supersession], macs: &[u8]) -> Event {
    issued(Cause::ReEnrolled, 1, certificate(number, secs), over, Some(hardware(macs)))
}

pub(crate) fn renewed(number: u8, secs: u64, over: &[Supersession]) -> Event {
    issued(Cause::Renewed, 1, certificate(number, secs), over, None)
}

pub(crate) fn confirmed(number: u8) -> Event {
    Event::EnrollmentConfirmed { serial: serial(number) }
}

pub(crate) fn reactivated(number: u8) -> Event {
    Event::Reactivated { serial: serial(number) }
}

pub(crate) fn deactivated(cause: DeactivationCause) -> Event {
    Event::Deactivated { cause, supersedes: None }
}

pub(crate) fn goodbye() -> Event {
    deactivated(DeactivationCause::Goodbye)
}

/// An operator's deactivation, which ends the certificate.
pub(crate) fn put_away(number: u8) -> Event {
    Event::Deactivated { cause: DeactivationCause::Operator, supersedes: Some(serial(number)) }
}

pub(crate) fn revoked(serials: &[u8], macs: &[u8]) -> Event {
    Event::Revoked {
        cause: RevocationCause::Revoked,
        serials: serials.iter().copied().map(serial).collect(),
        macs: macs.iter().copied().map(mac).collect(),
        reason: Some(remark("stolen").hash()),
    }
}

/// An evicted journal had signed one of these.
pub(crate) fn distrusted(serials: &[u8]) -> Event {
    Event::CertificateRevoked {
        cause: DistrustCause::JournalEvicted,
        serials: serials.iter().copied().map(serial).collect(),
    }
}

/// The key of a certificate that a warm reboot had replaced was proved, which ended these.
pub(crate) fn disproved(serials: &[u8]) -> Event {
    Event::CertificateRevoked {
        cause: DistrustCause::FormerKeyProved,
        serials: serials.iter().copied().map(serial).collect(),
    }
}

/// Another boot of the machine, the one of this name, got the certificate over these.
pub(crate) fn rebooted(number: u8, secs: u64, boot: &str, over: &[u8], macs: &[u8]) -> Event {
    let over: Vec<Supersession> = over.iter().map(|number| supersedes(*number, 0)).collect();
    in_boot(boot, issued(Cause::WarmReboot, 1, certificate(number, secs), &over, Some(hardware(macs))))
}

/// The same issuance, asked for in the boot of this name.
pub(crate) fn in_boot(boot: &str, issuance: Event) -> Event {
    let Event::CertificateIssued { cause, epoch, certificate, der, supersedes, presented, .. } = issuance
    else {
        panic!("it is no issuance: {issuance:?}");
    };
    let boot_id = Some(boot.parse().unwrap());
    Event::CertificateIssued { cause, epoch, certificate, der, supersedes, presented, boot_id }
}

/// The machine with the certificate of one number answers while another asks with the key of the other number.
pub(crate) fn contested(standing: u8, rival: u8, macs: &[u8]) -> Event {
    Event::Contested {
        serial: serial(standing),
        rival_spki_sha256: key(rival),
        presented: hardware(macs),
        boot_id: None,
    }
}

pub(crate) fn replaced(macs: &[u8], released: &[u8], serials: &[u8]) -> Event {
    Event::HardwareReplaced {
        hardware: hardware(macs),
        released: released.iter().copied().map(mac).collect(),
        serials: serials.iter().copied().map(serial).collect(),
    }
}

/// So many attempts within a minute from this second on.
pub(crate) fn refused(reason: RefusalReason, secs: u64, count: u64) -> RefusedAttempts {
    let differing = match reason {
        RefusalReason::HardwareMismatch => vec![HardwareField::BmcSerial, HardwareField::ForeignMac],
        RefusalReason::AlreadyActive
        | RefusalReason::NodeRevoked
        | RefusalReason::KeyReused
        | RefusalReason::CsrInvalid => vec![],
    };
    RefusedAttempts { reason, first: at(secs), last: at(secs + 59), count, differing }
}

pub(crate) fn assigned(vcluster: &str) -> Event {
    Event::Assigned { vcluster: vcluster.parse().unwrap() }
}

pub(crate) fn unassigned(vcluster: &str) -> Event {
    Event::Unassigned { vcluster: vcluster.parse().unwrap() }
}

pub(crate) fn moved(from: &str, to: &str) -> Event {
    Event::Moved { from: from.parse().unwrap(), to: to.parse().unwrap() }
}

/// An operator binds the workload of this name.
pub(crate) fn bound(name: &str) -> Event {
    bound_by(name, None)
}

/// The node does over the certificate of this number, or else an operator.
pub(crate) fn bound_by(name: &str, over: Option<u8>) -> Event {
    let spiffe_id = format!("spiffe://example.org/{name}").parse().unwrap();
    Event::IdentityBound { spiffe_id, over: over.map(serial) }
}

pub(crate) fn overlay_set(vcluster: &str, bytes: &[u8]) -> Fact {
    let overlay = Overlay::of(bytes).unwrap();
    Fact::VCluster(vcluster.parse().unwrap(), crate::vcluster::Event::OverlaySet { overlay })
}

pub(crate) fn remark(text: &str) -> Remark {
    Remark::new([9; 16], text).unwrap()
}

pub(crate) fn domain_created() -> Fact {
    Fact::Domain(domain::Event::Created(domain::Created {
        domain_id: "hpc".parse().unwrap(),
        log_id: LogId::new([3; 16]),
        domain_ca: Der::new(vec![0x30, 0x00]),
        founder: "j1".parse().unwrap(),
    }))
}

pub(crate) fn join_token() -> Fact {
    Fact::Domain(domain::Event::JoinTokenCreated {
        token_id: JoinTokenId::new(START, 7),
        secret_sha256: SecretHash::of(b"secret"),
        expires_at: at(365 * DAY),
    })
}

pub(crate) fn default_set(overlay: &[u8]) -> Fact {
    Fact::Domain(domain::Event::DefaultSet { overlay: Overlay::of(overlay).unwrap() })
}

pub(crate) fn level_raised(level: u32) -> Fact {
    Fact::Domain(domain::Event::LevelRaised { level: Level::new(level) })
}

pub(crate) fn token_consumed(name: &str) -> Fact {
    Fact::Domain(domain::Event::JoinTokenConsumed {
        secret_sha256: SecretHash::of(b"secret"),
        journal: journal(name),
    })
}

/// The domain goes on behind fact `after` with the journal `founder`; `admin` is kept.
pub(crate) fn restored_by(founder: &str, raft_id: u64, after: u64) -> domain::Restored {
    domain::Restored {
        restored_seq: after,
        restored_head: Digest::of(b"head"),
        founder: journal(founder),
        raft_id,
        operator: admin(),
    }
}

pub(crate) fn restored(founder: &str, raft_id: u64, after: u64) -> Fact {
    Fact::Domain(domain::Event::Restored(restored_by(founder, raft_id, after)))
}

pub(crate) fn journal(name: &str) -> JournalId {
    name.parse().unwrap()
}

pub(crate) fn endpoints(host: &str) -> Endpoints {
    Endpoints {
        cluster: format!("{host}:9444"),
        agent: format!("https://{host}:9443"),
        operator: format!("https://{host}:9446"),
    }
}

/// Its server certificate and its key have the number of its Raft id.
pub(crate) fn joining(name: &str, raft_id: u8) -> Fact {
    let event = member::Event::Joining {
        raft_id: raft_id.into(),
        endpoints: endpoints(name),
        certificate: CertificateHash::of(&[raft_id]),
        key: key(raft_id),
        token: SecretHash::of(b"secret"),
    };
    Fact::Member(journal(name), event)
}

pub(crate) fn joined(name: &str) -> Fact {
    Fact::Member(journal(name), member::Event::Joined)
}

pub(crate) fn evicted(name: &str) -> Fact {
    Fact::Member(journal(name), member::Event::Evicted { reason: Some(remark("broken").hash()) })
}

/// Its server certificate is the hash of the host.
pub(crate) fn announced_at(name: &str, host: &str) -> Fact {
    let certificate = CertificateHash::of(host.as_bytes());
    Fact::Member(journal(name), member::Event::Announced { endpoints: endpoints(host), certificate })
}

/// An authority of 45 days; its certificate's number is its own plus 100.
pub(crate) fn announced(number: u8, secs: u64) -> authority::Event {
    let der = der(100 + number);
    authority::Event::Announced(authority::Announced {
        generation: number.into(),
        journal_id: "j1".parse().unwrap(),
        serial: serial(100 + number),
        sha256: CertificateHash::of(der.as_bytes()),
        not_before: at(secs).minus(Duration::from_secs(300)),
        not_after: at(secs + 45 * DAY),
        der,
    })
}

pub(crate) fn operator_created(number: u8, secs: u64) -> operator::Event {
    operator::Event::Created {
        role: Role::PlatformAdmin,
        certificate: certificate(number, secs),
        der: der(number),
        name: Some(remark("Ada").hash()),
    }
}

pub(crate) fn operator_renewed(number: u8, secs: u64, over: u8) -> operator::Event {
    operator::Event::Renewed {
        certificate: certificate(number, secs),
        der: der(number),
        supersedes: serial(over),
    }
}

pub(crate) fn operator_revoked(number: u8) -> operator::Event {
    operator::Event::Revoked { serial: serial(number), reason: None }
}
