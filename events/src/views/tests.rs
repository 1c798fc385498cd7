//! What is seen after histories: who a machine is, what a certificate opens, what is forgotten when.

use super::*;
use crate::authority;
use crate::certificate::Certificate;
use crate::node::{Cause, Event};
use crate::samples::{
    DAY, Log, admin, announced, at, authority_id, bound, certificate, confirmed, contested, der, distrusted,
    enrolled, evicted, goodbye, hardware, issued, joined, journal, key, level_raised, mac, node,
    operator_renewed, operator_revoked, put_away, re_enrolled, reactivated, registered, renewed, replaced,
    revoked, serial, supersedes, with_serial,
};
use crate::vocabulary::{HardwareIdentity, Labels};

fn hash(number: u8) -> CertificateHash {
    CertificateHash::of(der(number).as_bytes())
}

fn with_hardware(epoch: u32, hardware: HardwareIdentity) -> Event {
    Event::Registered { epoch, hardware, labels: Labels::default() }
}

fn uuid(last: u8) -> crate::vocabulary::SystemUuid {
    format!("4c4c4544-0042-3010-8050-b4c04f4d31{last:02x}").parse().unwrap()
}

fn identified(log: &Log, presented: &HardwareIdentity) -> Identified {
    log.views().registry.identify(presented)
}

fn mismatch(candidate: &str) -> Identified {
    Identified::Mismatch { candidate: node(candidate) }
}

/// n1 and n2 are blades of one chassis: one serial, different addresses.
fn blades() -> Log {
    let mut log = Log::new();
    log.of("n1", with_hardware(1, with_serial(&[1], "CHASSIS")));
    log.of("n2", with_hardware(1, with_serial(&[2], "CHASSIS")));
    log
}

#[test]
fn rule_13_hardware_that_nobody_knows_is_nobodys() {
    let log = blades();
    assert_eq!(identified(&log, &hardware(&[9])), Identified::Nobody);
    assert_eq!(identified(&log, &with_serial(&[9], "OTHER")), Identified::Nobody);
    assert_eq!(identified(&log, &HardwareIdentity::default()), Identified::Nobody);
}

#[test]
fn rule_13_blades_that_share_a_serial_are_told_apart_by_their_addresses() {
    let log = blades();
    assert_eq!(identified(&log, &with_serial(&[1], "CHASSIS")), Identified::Node(node("n1")));
    assert_eq!(identified(&log, &with_serial(&[2, 9], "CHASSIS")), Identified::Node(node("n2")));
    assert_eq!(identified(&log, &with_serial(&[9], "CHASSIS")), mismatch("n1"));
    assert_eq!(identified(&log, &with_serial(&[], "CHASSIS")), mismatch("n1"));
    assert_eq!(identified(&log, &hardware(&[2])), mismatch("n2"));
}

#[test]
fn rule_13_a_known_field_beside_unknown_ones_is_a_mismatch() {
    let log = blades();
    assert_eq!(identified(&log, &with_serial(&[1], "OTHER")), mismatch("n1"));
    let mut log = Log::new();
    log.of("n1", with_hardware(1, HardwareIdentity { uuid: Some(uuid(1)), ..hardware(&[1]) }));
    let presented = HardwareIdentity { uuid: Some(uuid(1)), ..hardware(&[9]) };
    assert_eq!(identified(&log, &presented), mismatch("n1"));
    let presented = HardwareIdentity { uuid: Some(uuid(2)), ..hardware(&[1]) };
    assert_eq!(identified(&log, &presented), mismatch("n1"));
    let presented = HardwareIdentity { uuid: Some(uuid(1)), ..hardware(&[1]) };
    assert_eq!(identified(&log, &presented), Identified::Node(node("n1")));
}

#[test]
fn rule_13_a_machine_with_addresses_of_two_nodes_finds_the_one_that_it_matches() {
    let mut log = Log::new();
    log.of("n1", with_hardware(1, with_serial(&[1], "SN1")))
        .of("n2", with_hardware(1, with_serial(&[2], "SN2")));
    let presented = with_serial(&[1, 2], "SN2");
    assert_eq!(identified(&log, &presented), Identified::Node(node("n2")));
    let claims = log.views().registry.mac_claims(&presented.macs);
    assert_eq!(claims, [(mac(1), node("n1")), (mac(2), node("n2"))].into(), "by which decide refuses it");
}

#[test]
fn rule_02_a_released_address_leads_to_its_last_owner() {
    let mut log = Log::enrolled();
    log.of("n1", revoked(&[1], &[1, 2]));
    assert_eq!(identified(&log, &hardware(&[1])), Identified::Node(node("n1")));
    assert!(log.views().registry.mac_claims(&[mac(1), mac(2)]).is_empty());
    log.of("n3", registered(1, &[1]));
    assert_eq!(identified(&log, &hardware(&[1])), Identified::Node(node("n3")));
    assert_eq!(identified(&log, &hardware(&[2])), Identified::Node(node("n1")));
    assert_eq!(log.views().registry.mac_claims(&[mac(1), mac(2)]), [(mac(1), node("n3"))].into());
}

#[test]
fn rule_16_a_new_epoch_forgets_the_former_hardware() {
    let mut log = Log::new();
    log.of("n1", with_hardware(1, with_serial(&[1], "SN1"))).of("n1", revoked(&[], &[1]));
    assert_eq!(identified(&log, &with_serial(&[9], "SN1")), mismatch("n1"));
    log.of("n1", with_hardware(2, with_serial(&[2], "SN2")));
    assert_eq!(identified(&log, &with_serial(&[9], "SN1")), Identified::Nobody);
    assert_eq!(identified(&log, &with_serial(&[2], "SN2")), Identified::Node(node("n1")));
}

#[test]
fn the_registry_tells_who_registered_a_node_and_when() {
    let mut log = Log::enrolled();
    log.wait(60).of("n1", revoked(&[1], &[1, 2])).wait(60).of("n1", registered(2, &[1]));
    let views = log.views();
    let node = views.registry.node(&node("n1")).unwrap();
    assert_eq!((node.registered_at, node.version), (at(120), 5));
    assert_eq!(node.registered_by.to_string(), "operator:admin");
    assert_eq!((views.registry.len(), views.registry.is_empty()), (2, false));
    assert_eq!(
        log.records[usize::try_from(node.issued_seq).unwrap() - 1].fact,
        crate::fact::Fact::Node(crate::samples::node("n1"), enrolled(1, 0, &[1, 2]),)
    );
}

fn standing(log: &Log, number: u8, secs: u64) -> Standing {
    log.views().standing(&hash(number), at(secs))
}

fn valid(number: u8, until: u64) -> Standing {
    let identity = Identity::Node { node_id: node("n1"), serial: serial(number) };
    Standing::Valid { identity, until: at(until) }
}

#[test]
fn rule_10_a_certificate_that_no_fact_records_opens_nothing() {
    assert_eq!(standing(&Log::enrolled(), 7, 0), Standing::Unknown);
    let authority = 101;
    assert_eq!(standing(&Log::enrolled(), authority, 0), Standing::Unknown);
}

#[test]
fn rule_10_a_certificate_is_valid_until_its_end() {
    let log = Log::enrolled();
    assert_eq!(standing(&log, 1, 0), valid(1, 3 * DAY));
    assert_eq!(standing(&log, 1, 3 * DAY - 1), valid(1, 3 * DAY));
    assert_eq!(standing(&log, 1, 3 * DAY), Standing::Expired);
}

#[test]
fn rule_15_the_former_certificate_is_valid_5_minutes_from_the_first_use_of_the_new_one() {
    let mut log = Log::enrolled();
    log.wait(900).of("n1", renewed(2, 900, &[supersedes(1, 300)]));
    assert_eq!(standing(&log, 1, 2 * DAY), valid(1, 3 * DAY));
    log.wait(100).of("n1", confirmed(2));
    assert_eq!(standing(&log, 1, 1299), valid(1, 1300));
    assert_eq!(standing(&log, 1, 1300), Standing::Revoked);
    assert_eq!(standing(&log, 1, 1301), Standing::Revoked);
    assert_eq!(standing(&log, 2, 1301), valid(2, 900 + 3 * DAY));
}

#[test]
fn rule_16_a_revoked_or_superseded_certificate_opens_nothing() {
    let mut log = Log::enrolled();
    log.of("n1", put_away(1));
    assert_eq!(standing(&log, 1, 1), Standing::Revoked);
    let mut log = Log::enrolled();
    log.of("n1", revoked(&[1], &[1, 2]));
    assert_eq!(standing(&log, 1, 1), Standing::Revoked);
    log.of("n1", registered(2, &[1]));
    assert_eq!(standing(&log, 1, 1), Standing::Revoked);
}

#[test]
fn rule_19_an_inactive_nodes_certificate_stays_valid_and_its_overlap_does_not() {
    let mut log = Log::enrolled();
    log.of("n1", renewed(2, 0, &[supersedes(1, 300)])).of("n1", goodbye());
    assert_eq!(standing(&log, 2, 1), valid(2, 3 * DAY));
    assert_eq!(standing(&log, 1, 1), Standing::Revoked);
    log.of("n1", reactivated(2));
    assert_eq!(standing(&log, 2, 1), valid(2, 3 * DAY));
    assert_eq!(standing(&log, 1, 1), Standing::Revoked);
}

#[test]
fn rule_10_an_operators_role_comes_from_the_fact() {
    let mut log = Log::new();
    let identity = |number| Identity::Operator {
        operator_id: admin(),
        role: Role::PlatformAdmin,
        serial: serial(number),
    };
    let valid = |number| Standing::Valid { identity: identity(number), until: at(3 * DAY) };
    assert_eq!(standing(&log, 50, 0), valid(50));
    log.append(vec![Fact::Operator(admin(), operator_renewed(51, 0, 50))]);
    let former = Standing::Valid { identity: identity(50), until: at(300) };
    assert_eq!((standing(&log, 50, 0), standing(&log, 51, 0)), (former, valid(51)));
    assert_eq!(standing(&log, 50, 300), Standing::Revoked);
    log.append(vec![Fact::Operator(admin(), operator_revoked(51))]);
    assert_eq!((standing(&log, 50, 0), standing(&log, 51, 0)), (Standing::Revoked, Standing::Revoked));
    assert_eq!(standing(&log, 51, 3 * DAY), Standing::Expired);
}

/// Folds one more fact about n1 and tells which certificates it changed.
fn changed(log: &mut Log, event: Event) -> Vec<CertificateHash> {
    let mut views = log.views();
    log.of("n1", event);
    let changed = views.fold(log.records.last().unwrap()).certificates;
    assert_eq!(views, log.views());
    changed
}

#[test]
fn rule_17_what_a_fact_ends_or_shortens_is_reported() {
    let mut log = Log::enrolled();
    assert_eq!(changed(&mut log, renewed(2, 0, &[supersedes(1, 300)])), []);
    assert_eq!(changed(&mut log, confirmed(2)), [hash(1)], "its overlap has an end now");
    assert_eq!(changed(&mut log, renewed(3, 0, &[supersedes(2, 300), supersedes(1, 0)])), [hash(1)]);
    assert_eq!(changed(&mut log, goodbye()), [hash(2)]);
    assert_eq!(changed(&mut log, reactivated(3)), []);
    assert_eq!(changed(&mut log, put_away(3)), [hash(3)]);
    let again = crate::samples::re_enrolled(4, 0, &[], &[1]);
    assert_eq!(changed(&mut log, again), []);
    assert_eq!(changed(&mut log, renewed(5, 0, &[supersedes(4, 300)])), []);
    assert_eq!(changed(&mut log, revoked(&[5, 4], &[1, 2])), [hash(5), hash(4)]);
    assert_eq!(changed(&mut log, registered(2, &[1])), []);
}

#[test]
fn rule_17_an_operators_ended_certificate_is_reported() {
    let mut log = Log::new();
    let mut changed = |event| {
        let mut views = log.views();
        log.append(vec![Fact::Operator(admin(), event)]);
        views.fold(log.records.last().unwrap()).certificates
    };
    assert_eq!(changed(operator_renewed(51, 0, 50)), [hash(50)]);
    assert_eq!(changed(operator_revoked(51)), [hash(50), hash(51)]);
}

/// Lets time pass and folds a fact that has nothing to do with n1.
fn elapse(log: &mut Log, secs: u64) {
    log.wait(secs).append(vec![crate::samples::join_token()]);
}

#[test]
fn rule_02_a_key_is_released_24_hours_after_its_certificate_by_the_time_of_facts() {
    let mut log = Log::enrolled();
    let holder = |log: &Log| log.views().key_claim(key(1)).holder;
    let own = Some(KeyHolder::Node(node("n1"), 1));
    assert_eq!(log.views().version(&StreamName::Key(key(1))), Some(1));
    elapse(&mut log, 4 * DAY - 1);
    assert_eq!(holder(&log), own);
    log.wait(1000);
    assert_eq!(holder(&log), own, "no fact came, so no time has passed");
    let mut log = Log::enrolled();
    elapse(&mut log, 4 * DAY);
    assert_eq!(holder(&log), None);
    assert_eq!(log.views().version(&StreamName::Key(key(1))), None);
}

#[test]
fn rule_02_a_key_is_released_after_the_last_of_its_certificates() {
    let mut log = Log::enrolled();
    log.wait(DAY).of("n1", goodbye());
    let next = Certificate { spki_sha256: key(1), ..certificate(2, DAY) };
    log.of("n1", issued(Cause::ReEnrolled, 1, next, &[supersedes(1, 0)], Some(hardware(&[1]))));
    assert_eq!(log.views().version(&StreamName::Key(key(1))), Some(2));
    elapse(&mut log, 4 * DAY - 1);
    assert!(log.views().key_claim(key(1)).holder.is_some());
    elapse(&mut log, 1);
    assert!(log.views().key_claim(key(1)).holder.is_none());
}

#[test]
fn a_certificate_is_forgotten_24_hours_after_its_end() {
    let mut log = Log::enrolled();
    elapse(&mut log, 4 * DAY - 1);
    assert_eq!(standing(&log, 1, 4 * DAY), Standing::Expired);
    assert_eq!(log.views().certificates.by_serial(&serial(1)).map(|known| known.seq), Some(6));
    elapse(&mut log, 1);
    assert_eq!(standing(&log, 1, 4 * DAY), Standing::Unknown);
    assert!(log.views().certificates.by_serial(&serial(1)).is_none());
}

#[test]
fn rule_16_a_revocation_is_forgotten_24_hours_after_the_certificates_end() {
    let mut log = Log::enrolled();
    log.wait(10).of("n1", revoked(&[1], &[1, 2]));
    let revocation = log.views().revocations.get(&serial(1)).cloned().unwrap();
    assert_eq!((revocation.revoked_at, revocation.not_after), (at(10), at(3 * DAY)));
    assert_eq!(revocation.seq, log.views().seq);
    elapse(&mut log, 4 * DAY - 11);
    assert_eq!(log.views().revocations.iter().count(), 1);
    elapse(&mut log, 1);
    assert_eq!(log.views().revocations.iter().count(), 0);
}

#[test]
fn rule_16_an_operators_revocation_is_listed() {
    let mut log = Log::new();
    log.append(vec![Fact::Operator(admin(), operator_revoked(50))]);
    assert!(log.views().revocations.get(&serial(50)).is_some());
}

#[test]
fn rule_09_an_authority_knows_its_last_certificates_end_and_its_journals_next_generation() {
    let mut log = Log::enrolled();
    log.of("n2", enrolled(3, 60, &[3]));
    let views = log.views();
    let authority = views.authorities.get(&authority_id(1)).unwrap();
    assert_eq!(authority.last_not_after, Some(at(60 + 3 * DAY)));
    assert_eq!(views.authorities.next_generation(&"j1".parse().unwrap()), 2);
    assert_eq!(views.authorities.next_generation(&"j2".parse().unwrap()), 1);
    log.append(vec![Fact::Authority(authority_id(7), announced(7, 0))]);
    log.append(vec![Fact::Authority(authority_id(7), authority::Event::Retired {})]);
    let views = log.views();
    assert_eq!(views.authorities.next_generation(&"j1".parse().unwrap()), 8);
    assert_eq!(
        views.authorities.get(&authority_id(7)).map(|one| (one.version, one.last_not_after)),
        Some((2, None))
    );
}

#[test]
fn rule_01_views_know_the_versions_of_streams() {
    let views = Log::enrolled().views();
    let of_nobody = StreamName::Node(node("n9"));
    let known = [
        (StreamName::Domain, Some(1)),
        (StreamName::Node(node("n1")), Some(3)),
        (of_nobody, Some(0)),
        (StreamName::Authority(authority_id(1)), Some(1)),
        (StreamName::Authority(authority_id(9)), Some(0)),
        (StreamName::Operator(admin()), Some(1)),
        (StreamName::Mac(mac(1)), Some(1)),
        (StreamName::Mac(mac(9)), Some(0)),
        (StreamName::Key(key(1)), Some(1)),
        (StreamName::Key(key(50)), Some(1)),
        (StreamName::Key(key(9)), None),
        (StreamName::Join(crate::vocabulary::SecretHash::of(b"secret")), Some(0)),
        (StreamName::Journal("j1".parse().unwrap()), Some(0)),
    ];
    for (stream, version) in known {
        assert_eq!(views.version(&stream), version, "{stream}");
    }
    let mut log = Log::enrolled();
    log.of("n1", revoked(&[1], &[1, 2]));
    assert_eq!(log.views().version(&StreamName::Mac(mac(1))), Some(2));
    log.of("n3", registered(1, &[1]));
    assert_eq!(log.views().version(&StreamName::Mac(mac(1))), Some(3));
}

#[test]
fn folding_twice_gives_equal_views() {
    let log = Log::whole_life();
    assert_eq!(log.views(), log.views());
    let (first, rest) = log.records.split_at(7);
    let mut views = Log::default().then(first.to_vec()).views();
    let copy = views.clone();
    for record in rest {
        views.fold(record);
    }
    assert_eq!(views, log.views());
    assert_ne!(copy, views);
}

#[test]
fn replaced_hardware_moves_the_claims_and_ends_what_the_former_machine_held() {
    let mut log = Log::enrolled();
    log.of("n1", replaced(&[2, 9], &[1], &[1]));
    let views = log.views();
    let registry = &views.registry;
    let owner = |number| registry.mac_owner(&mac(number)).map(NodeId::as_str);
    assert_eq!([1, 2, 9].map(owner), [None, Some("n1"), Some("n1")]);
    assert_eq!([1, 2, 9].map(|number| registry.mac_version(&mac(number))), [2, 2, 1]);
    assert_eq!(registry.identify(&hardware(&[9])), Identified::Node(node("n1")));
    assert_eq!(registry.identify(&hardware(&[1])), mismatch("n1"), "the former machine");
    assert_eq!(views.standing(&hash(1), at(1)), Standing::Revoked);
    let record = log.records.last().unwrap();
    let mut before = Log::enrolled().views();
    assert_eq!(before.fold(record).certificates, [hash(1)], "its connections are cut");
    log.of("n4", registered(1, &[1]));
    assert_eq!(log.views().registry.identify(&hardware(&[1])), Identified::Node(node("n4")));
}

#[test]
fn replaced_hardware_is_found_by_its_own_serial_and_no_more_by_the_former_one() {
    let mut log = Log::new();
    log.of("n1", with_hardware(1, with_serial(&[1], "OLD")));
    let hardware = with_serial(&[1], "NEW");
    log.of("n1", Event::HardwareReplaced { hardware: hardware.clone(), released: vec![], serials: vec![] });
    assert_eq!(identified(&log, &hardware), Identified::Node(node("n1")));
    assert_eq!(identified(&log, &with_serial(&[], "OLD")), Identified::Nobody);
    assert_eq!(identified(&log, &with_serial(&[], "NEW")), mismatch("n1"));
}

#[test]
fn rule_13_what_hinders_a_match_is_known_to_the_journal() {
    use crate::vocabulary::HardwareField::{BmcSerial, ForeignMac, Macs};
    let log = blades();
    let views = log.views();
    let differing = |presented: &HardwareIdentity| views.registry.differing(&node("n1"), presented);
    assert_eq!(differing(&with_serial(&[1], "CHASSIS")), []);
    assert_eq!(differing(&with_serial(&[1], "OTHER")), [BmcSerial]);
    assert_eq!(differing(&with_serial(&[1, 2], "CHASSIS")), [ForeignMac]);
    assert_eq!(differing(&hardware(&[2])), [Macs, BmcSerial, ForeignMac]);
}

#[test]
fn rule_14_contests_are_counted_when_they_begin() {
    let mut log = Log::enrolled();
    assert_eq!(log.views().registry.contests(), 0);
    log.of("n1", contested(1, 9, &[1]));
    assert!(log.views().registry.node(&node("n1")).unwrap().state.is_contested());
    log.of("n1", Event::Resolved {}).of("n1", contested(1, 8, &[1]));
    assert_eq!(log.views().registry.contests(), 2);
}

#[test]
fn rule_16_a_new_epoch_has_nothing_of_the_former_one() {
    let mut log = Log::enrolled();
    log.append(vec![crate::samples::overlay_set("prod", b"x")]).of("n1", crate::samples::assigned("prod"));
    log.of("n1", contested(1, 9, &[1])).of("n1", revoked(&[1], &[1, 2])).of("n1", registered(2, &[9]));
    let views = log.views();
    let known = views.registry.node(&node("n1")).unwrap();
    assert_eq!(
        (known.state.vcluster(), known.state.current(), known.state.is_contested()),
        (None, None, false)
    );
    assert_eq!(known.state.enrollment().map(|enrollment| enrollment.epoch), Some(2));
    assert_eq!(views.standing(&hash(1), at(1)), Standing::Revoked, "its old serial stays revoked");
    assert!(views.revocations.get(&serial(1)).is_some());
    assert_eq!(views.key_claim(key(1)).holder, Some(KeyHolder::Node(node("n1"), 1)), "so does its old key");
}

#[test]
fn a_certificate_that_is_not_trusted_any_more_opens_nothing_and_stands_among_the_revoked() {
    let mut log = Log::enrolled();
    log.joins("j2", 2).append(vec![joined("j2")]).append(vec![evicted("j1"), level_raised(2)]);
    let before = log.views();
    assert_eq!(before.authorities_of(&journal("j1")), [authority_id(1)].into());
    assert_eq!(before.authorities_of(&journal("j2")), [].into());
    assert_eq!(before.authorities_of_evicted(), [authority_id(1)].into());

    let next = log.next_of("n1", distrusted(&[1]));
    let mut after = before.clone();
    let changed = after.fold(&next);

    assert_eq!(changed.certificates, [hash(1)], "its connections are looked at");
    assert!(matches!(before.standing(&hash(1), at(0)), Standing::Valid { .. }));
    assert_eq!(after.standing(&hash(1), at(0)), Standing::Revoked);
    assert_eq!(after.revocations.get(&serial(1)).map(|revoked| revoked.seq), Some(next.seq));
    assert_eq!((after.registry.census().active, after.registry.census().inactive), (0, 1));
}

/// n1 is active with the certificate 1 and bound to the workload a.
fn proved() -> Log {
    let mut log = Log::enrolled();
    log.append(vec![level_raised(2)]).of("n1", bound("a"));
    log
}

fn workload(name: &str) -> crate::vocabulary::SpiffeHash {
    let id: crate::vocabulary::SpiffeId = format!("spiffe://example.org/{name}").parse().unwrap();
    id.hash()
}

#[test]
fn rule_11_a_workload_opens_what_its_nodes_current_certificate_does() {
    let mut log = proved();
    let standing = |log: &Log, secs| log.views().workload_standing(&workload("a"), at(secs));
    let valid = |number, until| Standing::Valid {
        identity: Identity::Node { node_id: node("n1"), serial: serial(number) },
        until: at(until),
    };
    assert_eq!(standing(&log, 10), valid(1, 3 * DAY));
    assert_eq!(log.views().workload_standing(&workload("b"), at(10)), Standing::Unknown);
    assert_eq!(standing(&log, 3 * DAY), Standing::Expired);
    log.of("n1", renewed(2, 10, &[supersedes(1, 300)]));
    assert_eq!(standing(&log, 10), valid(2, 3 * DAY + 10));
    log.of("n1", goodbye());
    assert_eq!(standing(&log, 10), valid(2, 3 * DAY + 10));
    log.of("n1", re_enrolled(3, 20, &[supersedes(2, 0)], &[1]));
    assert_eq!(standing(&log, 10), valid(3, 3 * DAY + 20));
    log.of("n1", put_away(3));
    assert_eq!(standing(&log, 10), Standing::Revoked);
    log.of("n1", revoked(&[], &[1, 2]));
    assert_eq!(standing(&log, 10), Standing::Revoked);
    log.of("n1", registered(2, &[1]));
    assert_eq!(standing(&log, 10), Standing::Unknown);
}

#[test]
fn rule_11_the_last_workload_that_was_bound_counts_and_the_former_is_free() {
    let mut log = proved();
    log.of("n1", bound("b"));
    let views = log.views();
    assert_eq!(views.workload_standing(&workload("a"), at(10)), Standing::Unknown);
    assert_eq!(views.registry.workload_owner(&workload("a")), None);
    assert_eq!(views.registry.workload_owner(&workload("b")), Some(&node("n1")));
    log.of("n2", bound("a"));
    assert_eq!(log.views().workload_standing(&workload("a"), at(10)), Standing::Revoked);
    assert_eq!(log.views().registry.workload_owner(&workload("a")), Some(&node("n2")));
}

#[test]
fn rule_17_a_workload_whose_standing_changed_is_reported() {
    for (event, reported) in [
        (confirmed(9), false),
        (bound("b"), true),
        (renewed(2, 10, &[supersedes(1, 300)]), true),
        (goodbye(), false),
        (put_away(1), true),
        (replaced(&[7], &[1, 2], &[1]), true),
        (revoked(&[1], &[1, 2]), true),
    ] {
        let log = proved();
        let next = log.next_of("n1", event);
        let told = log.views().fold(&next).workloads;
        assert_eq!(told, if reported { vec![workload("a")] } else { vec![] }, "{next:?}");
    }
    let log = proved();
    let restored = log.next(crate::samples::restored("j9", 9, log.records.len() as u64));
    assert_eq!(log.views().fold(&restored).workloads, [workload("a")]);
}
