//! What `apply` decides about an append (R1, R7, R24), with the log's versions given by the test.

use std::convert::Infallible;

use super::*;
use crate::node::Event;
use crate::samples::{
    at, authority_id, confirmed, default_set, domain_created, enrolled, goodbye, level_raised, mac, node,
    registered, remark, revoked,
};

type Versions = BTreeMap<StreamName, u64>;

fn append(facts: Vec<Fact>, expects: &[(StreamName, u64)]) -> Append {
    Append {
        append_id: AppendId::new([7; 16]),
        decided_at: at(1000),
        principal: Principal::Anonymous,
        proposed_by: "j1".parse().unwrap(),
        source: None,
        assurance: Some(Assurance::Claimed),
        expects: expects
            .iter()
            .map(|(name, version)| StreamVersion { name: name.clone(), version: *version })
            .collect(),
        facts,
        remarks: vec![],
    }
}

fn of_n1(event: Event) -> Fact {
    Fact::Node(node("n1"), event)
}

fn n1() -> StreamName {
    StreamName::Node(node("n1"))
}

fn authority() -> StreamName {
    StreamName::Authority(authority_id(1))
}

/// After fact 10, recorded at second 1000.
fn ten() -> Last {
    Last { seq: 10, recorded_at: at(1000), level: Level::FIRST }
}

/// Settles after fact 10, recorded at second 1000, under the leader's stamp of that second.
fn settled(append: &Append, versions: &Versions) -> Result<Vec<Record>, Outcome> {
    settled_at(append, versions, at(1000))
}

fn settled_at(append: &Append, versions: &Versions, stamp: Timestamp) -> Result<Vec<Record>, Outcome> {
    let version = |name: &StreamName| Ok::<_, Infallible>(versions.get(name).copied().unwrap_or(0));
    settle(append, ten(), stamp, version).unwrap()
}

#[test]
fn rule_01_an_append_whose_versions_hold_is_recorded_whole() {
    let append = append(vec![of_n1(goodbye()), of_n1(confirmed(1))], &[(n1(), 3), (authority(), 1)]);
    let versions: Versions = [(n1(), 3), (authority(), 1)].into();
    let records = settled(&append, &versions).unwrap();
    let places: Vec<(u64, u64)> =
        records.iter().map(|record| (record.seq, record.subject_version())).collect();
    assert_eq!(places, [(11, 4), (12, 5)]);
    for (record, fact) in records.iter().zip(&append.facts) {
        assert_eq!((&record.fact, record.append_id), (fact, append.append_id));
        assert_eq!((record.decided_at, record.recorded_at), (at(1000), at(1000)));
        assert_eq!(record.version_of(&authority()), None, "a stream that is only read is not written");
    }
}

#[test]
fn rule_01_another_version_of_a_stream_that_is_written_is_a_conflict() {
    let append = append(vec![of_n1(goodbye())], &[(n1(), 3)]);
    for found in [0, 2, 4] {
        let conflict = Outcome::Conflict { stream: n1(), expected: 3, found };
        assert_eq!(settled(&append, &[(n1(), found)].into()), Err(conflict));
    }
}

#[test]
fn rule_01_another_version_of_a_stream_that_was_only_read_is_a_conflict() {
    let append = append(vec![of_n1(goodbye())], &[(n1(), 3), (authority(), 1)]);
    let conflict = Outcome::Conflict { stream: authority(), expected: 1, found: 2 };
    assert_eq!(settled(&append, &[(n1(), 3), (authority(), 2)].into()), Err(conflict));
}

#[test]
fn rule_02_of_two_claims_in_one_batch_the_first_wins() {
    let mac = StreamName::Mac(mac(1));
    let claim = |name: &str| {
        let subject = StreamName::Node(node(name));
        append(vec![Fact::Node(node(name), registered(1, &[1]))], &[(subject, 0), (mac.clone(), 0)])
    };
    let mut versions = Versions::new();
    let mut last = ten();
    let outcomes = ["n1", "n2"].map(|name| {
        let version = |name: &StreamName| Ok::<_, Infallible>(versions.get(name).copied().unwrap_or(0));
        let outcome = settle(&claim(name), last, at(1000), version).unwrap();
        for record in outcome.iter().flatten() {
            last = last.behind(record);
            versions.extend(record.streams.iter().map(|at| (at.name.clone(), at.version)));
        }
        outcome.map(|records| records.len())
    });
    let conflict = Outcome::Conflict { stream: mac, expected: 0, found: 1 };
    assert_eq!(outcomes, [Ok(1), Err(conflict)]);
}

#[test]
fn rule_07_an_append_sent_again_is_a_conflict_and_recorded_once() {
    let append = append(vec![of_n1(goodbye())], &[(n1(), 3)]);
    let mut versions: Versions = [(n1(), 3)].into();
    let records = settled(&append, &versions).unwrap();
    versions.insert(n1(), records[0].subject_version());
    let conflict = Outcome::Conflict { stream: n1(), expected: 3, found: 4 };
    assert_eq!(settled(&append, &versions), Err(conflict));
}

#[test]
fn rule_24_a_decision_more_than_60_seconds_from_the_stamp_is_skewed() {
    let append = append(vec![of_n1(goodbye())], &[(n1(), 0)]);
    for millis in [59_999, 60_000] {
        let away = Duration::from_millis(millis);
        assert!(settled_at(&append, &Versions::new(), at(1000).plus(away)).is_ok(), "{millis}");
        assert!(settled_at(&append, &Versions::new(), at(1000).minus(away)).is_ok(), "{millis}");
    }
    let away = Duration::from_millis(60_001);
    for stamp in [at(1000).plus(away), at(1000).minus(away)] {
        assert_eq!(settled_at(&append, &Versions::new(), stamp), Err(Outcome::Skewed));
    }
}

#[test]
fn rule_24_after_a_fact_from_the_future_nothing_is_recorded_until_then() {
    let decided = |secs| Append { decided_at: at(secs), ..append(vec![of_n1(goodbye())], &[(n1(), 0)]) };
    assert_eq!(settled_at(&decided(939), &Versions::new(), at(939)), Err(Outcome::Skewed));
    assert!(settled_at(&decided(940), &Versions::new(), at(940)).is_ok());
}

#[test]
fn rule_24_recorded_at_never_runs_back() {
    let append = append(vec![of_n1(goodbye())], &[(n1(), 0)]);
    let recorded = |secs| settled_at(&append, &Versions::new(), at(secs)).unwrap()[0].recorded_at;
    assert_eq!(recorded(990), at(1000), "the leader's clock is behind the last fact");
    assert_eq!(recorded(1000), at(1000));
    assert_eq!(recorded(1010), at(1010));
}

#[test]
fn rule_01_a_malformed_append_is_refused_before_anything_else() {
    let goodbyes = |count| append(vec![of_n1(goodbye()); count], &[(n1(), 0)]);
    assert_eq!(goodbyes(0).check(), Err(InvalidAppend::Facts { facts: 0 }));
    assert_eq!(goodbyes(MAX_FACTS).check(), Ok(()));
    assert_eq!(goodbyes(MAX_FACTS + 1).check(), Err(InvalidAppend::Facts { facts: 17 }));
    let unread = append(vec![of_n1(enrolled(1, 0, &[1]))], &[(n1(), 0)]);
    assert!(matches!(unread.check(), Err(InvalidAppend::Unread { stream: StreamName::Key(_) })));
    let many: Vec<u8> = (0..32).collect();
    let wide = append(vec![of_n1(revoked(&[], &many))], &[(n1(), 0)]);
    assert_eq!(wide.check(), Err(InvalidAppend::Streams { streams: 33 }));
    for append in [goodbyes(0), goodbyes(MAX_FACTS + 1), unread, wide] {
        assert_eq!(settled_at(&append, &Versions::new(), at(9000)), Err(Outcome::Malformed));
    }
}

#[test]
fn a_store_that_cannot_be_read_is_a_failure_and_no_outcome() {
    let append = append(vec![of_n1(goodbye())], &[(n1(), 0)]);
    let broken = |_: &StreamName| Err("the disk is gone");
    assert_eq!(settle(&append, ten(), at(1000), broken), Err("the disk is gone"));
}

#[test]
fn the_first_fact_of_a_log_has_seq_1() {
    let append = append(vec![domain_created()], &[(StreamName::Domain, 0)]);
    let version = |_: &StreamName| Ok::<_, Infallible>(0);
    let records = settle(&append, Last::default(), at(1000), version).unwrap().unwrap();
    assert_eq!((records[0].seq, records[0].subject_version()), (1, 1));
}

#[test]
fn rule_04_a_fact_gets_the_remarks_that_it_names() {
    let (reason, source, other) = (remark("stolen"), remark("192.0.2.7"), remark("of another fact"));
    let append = Append {
        source: Some(source.hash()),
        remarks: vec![reason.clone(), other, source.clone()],
        ..append(vec![of_n1(revoked(&[], &[])), of_n1(goodbye())], &[(n1(), 0)])
    };
    let records = settled(&append, &Versions::new()).unwrap();
    assert_eq!(append.remarks_of(&records[0]), [reason, source.clone()]);
    assert_eq!(append.remarks_of(&records[1]), [source]);
}

#[test]
fn rule_26_what_is_above_the_logs_level_is_not_recorded() {
    let set = append(vec![default_set(b"1")], &[(StreamName::Domain, 1)]);
    let versions: Versions = [(StreamName::Domain, 1)].into();
    let above = Outcome::AboveLevel { needs: Level::SECOND, level: Level::FIRST };
    assert_eq!(settled(&set, &versions), Err(above));
    let raised = append(vec![level_raised(2), default_set(b"1")], &[(StreamName::Domain, 1)]);
    let records = settled(&raised, &versions).unwrap();
    let last = records.iter().fold(ten(), Last::behind);
    assert_eq!(last, Last { seq: 12, recorded_at: at(1000), level: Level::SECOND });
    let next = append(vec![default_set(b"2")], &[(StreamName::Domain, 3)]);
    let version = |_: &StreamName| Ok::<_, Infallible>(3);
    assert!(settle(&next, last, at(1000), version).unwrap().is_ok());
}
