//! Whatever the vocabulary can say is read back as it was written (R6).

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::authority;
use crate::certificate::Certificate;
use crate::domain;
use crate::fact::Fact;
use crate::level::Level;
use crate::member;
use crate::node::{
    Cause, DeactivationCause, DistrustCause, RefusalReason, RefusedAttempts, RevocationCause, Supersession,
};
use crate::operator;
use crate::stream::StreamVersion;
use crate::vocabulary::{
    AppendId, Assurance, AuthorityId, BootId, Digest, HardwareField, HardwareIdentity, JoinTokenId, KeyHash,
    Labels, Mac, NodeId, Principal, RemarkHash, Role, SecretHash, Serial, SystemUuid, Timestamp, VClusterId,
};

fn name() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?").unwrap()
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

fn serial() -> impl Strategy<Value = Serial> {
    any::<[u8; 16]>().prop_map(Serial::from_random)
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_filter_map("no machine has it", |bytes| Mac::new(bytes).ok())
}

fn remark_hash() -> impl Strategy<Value = Option<RemarkHash>> {
    option::of(any::<[u8; 32]>().prop_map(RemarkHash::new))
}

fn der() -> impl Strategy<Value = Der> {
    vec(any::<u8>(), 0..600).prop_map(Der::new)
}

fn ulid() -> impl Strategy<Value = AuthorityId> {
    (time(), any::<u128>()).prop_map(|(time, random)| AuthorityId::new(time, random))
}

fn uuid() -> impl Strategy<Value = SystemUuid> {
    proptest::string::string_regex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
        .unwrap()
        .prop_map(|text| text.parse().unwrap())
}

fn hardware() -> impl Strategy<Value = HardwareIdentity> {
    let bmc_serial = proptest::string::string_regex("[!-~]([ -~äß]{0,20}[!-~])?").unwrap();
    (btree_set(mac(), 0..16), option::of(bmc_serial), option::of(uuid())).prop_map(|(macs, serial, uuid)| {
        HardwareIdentity { macs, bmc_serial: serial.map(|text| text.parse().unwrap()), uuid }
    })
}

fn labels() -> impl Strategy<Value = Labels> {
    vec(("[a-zA-Z0-9._/-]{1,63}", "[ -~äß]{0,60}"), 0..8).prop_map(|pairs| Labels::new(pairs).unwrap())
}

fn certificate() -> impl Strategy<Value = Certificate> {
    (serial(), any::<[u8; 32]>(), any::<[u8; 32]>(), [time(), time(), time()], ulid()).prop_map(
        |(serial, key, hash, [not_before, not_after, renew_after], authority)| Certificate {
            serial,
            spki_sha256: KeyHash::new(key),
            sha256: CertificateHash::new(hash),
            not_before,
            not_after,
            renew_after,
            authority,
        },
    )
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        Just(Role::PlatformAdmin),
        name().prop_map(|name| Role::Ops(name.parse().unwrap())),
        name().prop_map(|name| Role::Viewer(name.parse().unwrap())),
    ]
}

fn issuance() -> impl Strategy<Value = Event> {
    let cause =
        proptest::sample::select(vec![Cause::Enrolled, Cause::ReEnrolled, Cause::Renewed, Cause::WarmReboot]);
    let over =
        (serial(), any::<u32>()).prop_map(|(serial, overlap_secs)| Supersession { serial, overlap_secs });
    let boot = "[a-zA-Z0-9-]{1,64}".prop_map(|text| text.parse::<BootId>().unwrap());
    (cause, any::<u32>(), certificate(), der(), vec(over, 0..3), option::of(hardware()), option::of(boot))
        .prop_map(|(cause, epoch, certificate, der, supersedes, presented, boot_id)| {
            Event::CertificateIssued { cause, epoch, certificate, der, supersedes, presented, boot_id }
        })
}

fn node_event() -> impl Strategy<Value = Event> {
    let gone = prop_oneof![
        Just(DeactivationCause::Silence),
        Just(DeactivationCause::Goodbye),
        Just(DeactivationCause::Expiry),
        Just(DeactivationCause::Operator)
    ];
    let end = prop_oneof![Just(RevocationCause::Decommissioned), Just(RevocationCause::Revoked)];
    prop_oneof![
        (any::<u32>(), hardware(), labels()).prop_map(|(epoch, hardware, labels)| Event::Registered {
            epoch,
            hardware,
            labels
        }),
        issuance(),
        serial().prop_map(|serial| Event::EnrollmentConfirmed { serial }),
        (gone, option::of(serial())).prop_map(|(cause, supersedes)| Event::Deactivated { cause, supersedes }),
        serial().prop_map(|serial| Event::Reactivated { serial }),
        (end, vec(serial(), 0..3), vec(mac(), 0..4), remark_hash())
            .prop_map(|(cause, serials, macs, reason)| Event::Revoked { cause, serials, macs, reason }),
        (serial(), any::<[u8; 32]>(), hardware()).prop_map(|(serial, key, presented)| Event::Contested {
            serial,
            rival_spki_sha256: KeyHash::new(key),
            presented,
            boot_id: None,
        }),
        Just(Event::Resolved {}),
        (hardware(), vec(mac(), 0..16), vec(serial(), 0..3)).prop_map(|(hardware, released, serials)| {
            Event::HardwareReplaced { hardware, released, serials }
        }),
        refused_attempts().prop_map(Event::AttemptsRefused),
        (distrust_cause(), vec(serial(), 0..3))
            .prop_map(|(cause, serials)| Event::CertificateRevoked { cause, serials }),
        grouping(),
        proptest::sample::select(vec![Event::Drained {}, Event::Undrained {}]),
        ("[a-z0-9.-]{1,40}", "[a-zA-Z0-9-]{1,40}", option::of(serial())).prop_map(|(domain, path, over)| {
            let spiffe_id = format!("spiffe://{domain}/{path}").parse().unwrap();
            Event::IdentityBound { spiffe_id, over }
        }),
    ]
}

fn distrust_cause() -> impl Strategy<Value = DistrustCause> {
    proptest::sample::select(vec![DistrustCause::JournalEvicted, DistrustCause::FormerKeyProved])
}

fn grouping() -> impl Strategy<Value = Event> {
    let name = || "[a-z0-9]{1,40}".prop_map(|text| text.parse::<VClusterId>().unwrap());
    prop_oneof![
        name().prop_map(|vcluster| Event::Assigned { vcluster }),
        name().prop_map(|vcluster| Event::Unassigned { vcluster }),
        (name(), name()).prop_map(|(from, to)| Event::Moved { from, to }),
    ]
}

fn refused_attempts() -> impl Strategy<Value = RefusedAttempts> {
    let reason = proptest::sample::select(vec![
        RefusalReason::HardwareMismatch,
        RefusalReason::AlreadyActive,
        RefusalReason::NodeRevoked,
        RefusalReason::KeyReused,
        RefusalReason::CsrInvalid,
    ]);
    let field = proptest::sample::select(vec![
        HardwareField::Macs,
        HardwareField::BmcSerial,
        HardwareField::Uuid,
        HardwareField::ForeignMac,
    ]);
    (reason, time(), time(), any::<u64>(), vec(field, 0..4)).prop_map(
        |(reason, first, last, count, differing)| RefusedAttempts { reason, first, last, count, differing },
    )
}

fn domain_event() -> impl Strategy<Value = domain::Event> {
    prop_oneof![
        (name(), any::<[u8; 16]>(), der(), name()).prop_map(|(domain, log, domain_ca, founder)| {
            domain::Event::Created(domain::Created {
                domain_id: domain.parse().unwrap(),
                log_id: LogId::new(log),
                domain_ca,
                founder: founder.parse().unwrap(),
            })
        }),
        (time(), any::<u128>(), any::<[u8; 32]>(), time()).prop_map(|(made, random, secret, expires_at)| {
            domain::Event::JoinTokenCreated {
                token_id: JoinTokenId::new(made, random),
                secret_sha256: SecretHash::new(secret),
                expires_at,
            }
        }),
        (any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(seq, hash)| domain::Event::RemarkErased { seq, remark: RemarkHash::new(hash) }),
        (any::<[u8; 32]>(), name()).prop_map(|(secret, name)| domain::Event::JoinTokenConsumed {
            secret_sha256: SecretHash::new(secret),
            journal: name.parse().unwrap(),
        }),
        any::<u32>().prop_map(|level| domain::Event::LevelRaised { level: Level::new(level) }),
        (any::<u64>(), any::<[u8; 32]>(), name(), any::<u64>(), name()).prop_map(
            |(restored_seq, head, founder, raft_id, operator)| {
                domain::Event::Restored(domain::Restored {
                    restored_seq,
                    restored_head: Digest::new(head),
                    founder: founder.parse().unwrap(),
                    raft_id,
                    operator: operator.parse().unwrap(),
                })
            }
        ),
    ]
}

fn authority_event() -> impl Strategy<Value = authority::Event> {
    let announced = (any::<u32>(), name(), certificate(), der()).prop_map(|(generation, name, said, der)| {
        authority::Event::Announced(authority::Announced {
            generation,
            journal_id: name.parse().unwrap(),
            serial: said.serial,
            sha256: said.sha256,
            not_before: said.not_before,
            not_after: said.not_after,
            der,
        })
    });
    prop_oneof![announced, Just(authority::Event::Retired {})]
}

fn operator_event() -> impl Strategy<Value = operator::Event> {
    prop_oneof![
        (role(), certificate(), der(), remark_hash()).prop_map(|(role, certificate, der, name)| {
            operator::Event::Created { role, certificate, der, name }
        }),
        (certificate(), der(), serial()).prop_map(|(certificate, der, supersedes)| {
            operator::Event::Renewed { certificate, der, supersedes }
        }),
        (serial(), remark_hash()).prop_map(|(serial, reason)| operator::Event::Revoked { serial, reason }),
    ]
}

fn endpoints() -> impl Strategy<Value = member::Endpoints> {
    let endpoint = || "[!-~]{1,300}";
    (endpoint(), endpoint(), endpoint()).prop_map(|(cluster, agent, operator)| member::Endpoints {
        cluster,
        agent,
        operator,
    })
}

fn member_event() -> impl Strategy<Value = member::Event> {
    let hash = || any::<[u8; 32]>();
    prop_oneof![
        (any::<u64>(), endpoints(), hash(), hash(), hash()).prop_map(
            |(raft_id, endpoints, certificate, key, token)| member::Event::Joining {
                raft_id,
                endpoints,
                certificate: CertificateHash::new(certificate),
                key: KeyHash::new(key),
                token: SecretHash::new(token),
            }
        ),
        Just(member::Event::Joined),
        remark_hash().prop_map(|reason| member::Event::Evicted { reason }),
        (endpoints(), hash()).prop_map(|(endpoints, certificate)| member::Event::Announced {
            endpoints,
            certificate: CertificateHash::new(certificate),
        }),
    ]
}

fn fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        domain_event().prop_map(Fact::Domain),
        (name(), node_event()).prop_map(|(id, event)| Fact::Node(id.parse().unwrap(), event)),
        (ulid(), authority_event()).prop_map(|(id, event)| Fact::Authority(id, event)),
        (name(), operator_event()).prop_map(|(id, event)| Fact::Operator(id.parse().unwrap(), event)),
        (name(), member_event()).prop_map(|(id, event)| Fact::Member(id.parse().unwrap(), event)),
    ]
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        Just(Principal::Anonymous),
        name().prop_map(|name| Principal::Operator(name.parse().unwrap())),
        name().prop_map(|name| Principal::Node(name.parse::<NodeId>().unwrap())),
        name().prop_map(|name| Principal::Journal(name.parse().unwrap())),
    ]
}

pub(super) fn record() -> impl Strategy<Value = Record> {
    let assurance = option::of(prop_oneof![Just(Assurance::Claimed), Just(Assurance::Token)]);
    let envelope = (any::<u64>(), any::<u64>(), any::<[u8; 16]>(), time(), time());
    (envelope, principal(), name(), remark_hash(), assurance, fact()).prop_map(
        |((seq, version, id, decided_at, recorded_at), principal, journal, source, assurance, fact)| Record {
            seq,
            streams: fact.streams().into_iter().map(|name| StreamVersion { name, version }).collect(),
            append_id: AppendId::new(id),
            decided_at,
            recorded_at,
            principal,
            proposed_by: journal.parse().unwrap(),
            source,
            assurance,
            fact,
        },
    )
}

proptest! {
    #[test]
    fn rule_06_any_record_is_read_as_it_was_written(record in record()) {
        let body = encode_body(&record).unwrap();
        let json = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), decode_body(&body).unwrap());
        prop_assert_eq!(decode_body(&body).unwrap(), record);
    }

    #[test]
    fn rule_06_any_record_with_a_wrong_byte_never_panics(record in record(), at in any::<usize>(), byte in any::<u8>()) {
        let mut body = encode_body(&record).unwrap();
        let at = at % body.len();
        body[at] = byte;
        let _ = decode_body(&body);
        let _ = decode_body(&body[..at]);
    }

    #[test]
    fn rule_06_no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode_body(&bytes);
        let _ = decode_body(&[&[1], bytes.as_slice()].concat());
        let _ = StoredValue::parse(&bytes).map(|value| (value.remarks().is_ok(), decode_body(value.body).is_ok()));
    }

    #[test]
    fn rule_04_any_remarks_are_read_as_they_were_written(texts in vec("[ -~äß]{0,200}", 0..4), salt in any::<[u8; 16]>()) {
        let remarks: Vec<Remark> = texts.iter().map(|text| Remark::new(salt, text).unwrap()).collect();
        let value = StoredValue::write(&Chain::from_bytes([1; 32]), b"body", &remarks).unwrap();
        prop_assert_eq!(StoredValue::parse(&value).unwrap().remarks().unwrap(), remarks);
    }
}
