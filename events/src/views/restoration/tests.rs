//! A domain in which everything has happened, before and after its restore.

use crate::fact::Fact;
use crate::member::{self, State as MemberState, TokenState};
use crate::node::{self, State};
use crate::operator;
use crate::samples::{
    Log, admin, announced, at, authority_id, certificate, confirmed, contested, der, endpoints, enrolled,
    goodbye, hardware, issued, join_token, joined, joining, journal, key, level_raised, node,
    operator_created, operator_renewed, re_enrolled, registered, renewed, restored, revoked, serial,
    supersedes, token_consumed,
};
use crate::stream::StreamName;
use crate::views::Views;
use crate::views::{Identified, Standing};
use crate::vocabulary::{CertificateHash, SecretHash};

/// Nodes in every state, two operators, three journals, of which one is joining, and an open join token.
fn before() -> Log {
    let mut log = Log::enrolled();
    log.of("n1", renewed(2, 0, &[supersedes(1, 300)])).of("n1", contested(2, 9, &[1, 2]));
    log.of("n3", registered(1, &[5])).of("n3", enrolled(3, 0, &[5])).of("n3", goodbye());
    log.of("n4", registered(1, &[6])).of("n4", enrolled(4, 0, &[6])).of("n4", revoked(&[4], &[6]));
    log.append(vec![Fact::Operator("ada".parse().unwrap(), operator_created(51, 0))]);
    log.append(vec![Fact::Operator(admin(), operator_renewed(52, 0, 50))]);
    log.joins("j2", 2).append(vec![joined("j2")]).joins("j3", 3);
    log.append(vec![join_token(), level_raised(2)]);
    log
}

fn after() -> Log {
    let mut log = before();
    log.append(vec![restored("j1000", 1000, log.records.len() as u64)]);
    assert_eq!(log.last_breaks(), [""; 0]);
    log
}

fn hash(number: u8) -> CertificateHash {
    CertificateHash::of(der(number).as_bytes())
}

#[test]
fn rule_27_no_certificate_of_before_opens_anything() {
    let (before, after) = (before().views(), after().views());
    let valid =
        |views: &Views, number| matches!(views.standing(&hash(number), at(0)), Standing::Valid { .. });
    for number in [1, 2, 3] {
        assert!(valid(&before, number), "{number}");
        assert_eq!(after.standing(&hash(number), at(0)), Standing::Expired, "{number}: it asks for another");
    }
    for number in [50, 51, 52] {
        assert!(valid(&before, number), "{number}");
        assert_eq!(after.standing(&hash(number), at(0)), Standing::Revoked, "{number}");
    }
    for views in [before, after] {
        assert_eq!(views.standing(&hash(4), at(0)), Standing::Revoked, "its node was revoked");
    }
}

#[test]
fn rule_17_what_a_restore_ends_is_reported() {
    let log = after();
    let (last, earlier) = log.records.split_last().unwrap();
    let mut views = Views::default();
    for record in earlier {
        views.fold(record);
    }
    let changed = views.fold(last);
    let mut certificates = changed.certificates;
    certificates.sort();
    let mut expected = [1, 2, 3, 50, 51, 52].map(hash);
    expected.sort();
    assert_eq!(certificates, expected);
    assert_eq!(changed.nodes, [node("n1"), node("n3")]);
    assert!(changed.members && !changed.configurations);
    assert_eq!(views, log.views());
}

#[test]
fn rule_27_nodes_keep_their_hardware_and_must_enroll_again_and_the_revoked_stay_revoked() {
    let (before, after) = (before().views(), after().views());
    let state = |name: &str| &after.registry.node(&node(name)).unwrap().state;
    assert!(matches!(state("n1"), State::Inactive { current: None, enrollment } if enrollment.contested));
    assert!(matches!(state("n2"), State::Registered { .. }));
    assert!(matches!(state("n3"), State::Inactive { current: None, .. }));
    assert!(matches!(state("n4"), State::Revoked { .. }));
    let census = after.registry.census();
    assert_eq!((census.registered, census.active, census.inactive, census.revoked), (1, 0, 2, 1));
    for name in ["n1", "n2", "n3", "n4"] {
        let (old, new) =
            (before.registry.node(&node(name)).unwrap(), after.registry.node(&node(name)).unwrap());
        assert_eq!(old.version, new.version, "no fact lies in the stream of {name}");
        assert_eq!(old.state.enrollment(), new.state.enrollment());
    }
    assert_eq!(after.registry.identify(&hardware(&[5])), Identified::Node(node("n3")));
    assert_eq!(after.key_claim(key(3)), before.key_claim(key(3)), "its key stays its own");
}

#[test]
fn rule_27_a_node_enrolls_again_by_an_authority_of_the_new_journal_only() {
    let mut log = after();
    let old = re_enrolled(9, 0, &[], &[5]);
    assert_eq!(log.broken_by_node("n3", old), ["authority_is_announced_first"]);
    log.append(vec![Fact::Authority(authority_id(2), announced(2, 0))]);
    let mut next = certificate(9, 0);
    next.authority = authority_id(2);
    let again = issued(node::Cause::ReEnrolled, 1, next, &[], Some(hardware(&[5])));
    assert_eq!(log.broken_by_node("n3", again.clone()), [""; 0]);
    log.of("n3", again);
    assert!(matches!(log.views().standing(&hash(9), at(1)), Standing::Valid { .. }));
    for event in [confirmed(2), crate::samples::reactivated(2), renewed(8, 0, &[supersedes(2, 300)])] {
        assert!(!log.broken_by_node("n1", event).is_empty());
    }
}

#[test]
fn rule_27_one_operator_is_kept_and_comes_back_with_a_new_certificate() {
    let mut log = after();
    let views = log.views();
    let state = |name: &str| views.operators.get(&name.parse().unwrap()).unwrap().state.clone();
    let role = crate::vocabulary::Role::PlatformAdmin;
    assert_eq!(state("admin"), operator::State::Kept { role: role.clone(), last: serial(52) });
    assert_eq!(state("ada"), operator::State::Revoked { role });
    assert!(views.revocations.get(&serial(51)).is_some() && views.revocations.get(&serial(52)).is_none());
    let ada = |event| Fact::Operator("ada".parse().unwrap(), event);
    log.append(vec![Fact::Authority(authority_id(2), announced(2, 0))]);
    let renewal = |number: u8, over| {
        let mut next = certificate(number, 0);
        next.authority = authority_id(2);
        operator::Event::Renewed { certificate: next, der: der(number), supersedes: serial(over) }
    };
    assert_eq!(log.broken_by(log.next(ada(renewal(60, 51)))), ["revoked_is_final"]);
    let wrong = log.next(Fact::Operator(admin(), renewal(60, 50)));
    assert_eq!(log.broken_by(wrong), ["operator_fact_fits_its_state"]);
    log.append(vec![Fact::Operator(admin(), renewal(60, 52))]);
    assert_eq!(log.last_breaks(), [""; 0]);
    assert!(matches!(log.views().standing(&hash(60), at(0)), Standing::Valid { .. }));
    assert_eq!(log.views().standing(&hash(52), at(0)), Standing::Revoked, "it has no overlap");
}

#[test]
fn rule_27_all_journals_of_before_are_evicted_and_the_new_one_votes_alone() {
    let views = after().views();
    let members = &views.members;
    for (name, raft_id) in [("j1", 1), ("j2", 2), ("j3", 3)] {
        assert_eq!(members.get(&journal(name)).unwrap().state, MemberState::Evicted { raft_id });
        assert!(members.is_evicted(&journal(name)));
    }
    assert!(members.is_last_voter(&journal("j1000")));
    assert_eq!(members.by_raft_id(1000).map(|(id, _)| id.clone()), Some(journal("j1000")));
    assert_eq!(members.next_raft_id(), 1001);
    assert_eq!(members.restored().map(|last| last.at), Some(at(0)));
    assert_eq!(members.evicted_certificates().len(), 2, "of those who had said so");
    assert_eq!(views.version(&StreamName::Journal(journal("j1000"))), Some(0));
    let announced =
        member::Event::Announced { endpoints: endpoints("h"), certificate: CertificateHash::of(b"c") };
    let log = after();
    for name in ["j1", "j2", "j3"] {
        let planted = Fact::Member(journal(name), announced.clone());
        assert_eq!(log.broken_by(log.next(planted)), ["member_fact_fits_its_state"]);
    }
    assert_eq!(log.broken_by(log.next(Fact::Member(journal("j1000"), announced))), [""; 0]);
}

#[test]
fn rule_09_nobody_waits_for_what_an_authority_of_before_signed() {
    assert_eq!(before().views().authorities.announced().count(), 1);
    let log = after();
    assert_eq!(log.views().authorities.announced().count(), 0);
    let retired = Fact::Authority(authority_id(1), crate::authority::Event::Retired {});
    assert_eq!(log.broken_by(log.next(retired)), ["authority_fact_fits_its_state"]);
}

#[test]
fn rule_27_a_join_token_of_before_is_void_and_a_new_one_lets_in() {
    let mut log = after();
    let secret = SecretHash::of(b"secret");
    assert_eq!(log.views().join_tokens.state(&secret), TokenState::Void);
    assert_eq!(log.broken_by(log.next(token_consumed("j4"))), ["join_token_is_consumed_once"]);
    let command = member::Command::Join {
        endpoints: endpoints("j4"),
        certificate: CertificateHash::of(b"c"),
        key: key(4),
        token: log.views().token_claim(secret),
        raft_id: 1001,
        now: at(0),
    };
    let refused = member::decide(&journal("j4"), &MemberState::Unknown, command);
    assert_eq!(refused, Err(member::Rejection::TokenExpired));
    log.append(vec![level_raised(3)]);
    let Fact::Member(id, mut event) = joining("j4", 5) else { unreachable!("it is a member's") };
    if let member::Event::Joining { token, raft_id, .. } = &mut event {
        (*token, *raft_id) = (SecretHash::of(b"new"), 1001);
    }
    let mut created = join_token();
    if let Fact::Domain(crate::domain::Event::JoinTokenCreated { secret_sha256, .. }) = &mut created {
        *secret_sha256 = SecretHash::of(b"new");
    }
    log.append(vec![created]).append(event.into_facts(&id));
    assert_eq!(log.last_breaks(), [""; 0]);
}
