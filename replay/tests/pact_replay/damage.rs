//! Each kind of damage is found, named, and told once; a sound log has none.

use events::codec::{Chain, StoredValue, decode_body, encode_body, keys};
use events::domain;
use events::fact::Fact;
use events::vocabulary::CertificateHash;
use replay::reader::LogError;
use replay::verify::{Report, verify};

use crate::story::{self, issued, registered, sound};
use crate::written_log::{Closed, WrittenLog, files, put, remark, value};

/// What was found: seq and invariant.
fn found(report: &Report) -> Vec<(u64, &'static str)> {
    report.violations.iter().map(|violation| (violation.seq, violation.invariant)).collect()
}

/// What is found when somebody changes the values of a sound log, by the reader's own checks.
fn found_after(damage: impl FnOnce(&rocksdb::DB)) -> Vec<(u64, &'static str)> {
    let log = sound().close();
    damage(&log.reopen());
    let own = ["sequence", "value", "chain", "beginning", "body", "remarks", "heads"];
    let report = verify(log.path()).unwrap();
    assert!(!report.ok());
    found(&report).into_iter().filter(|(_, invariant)| own.contains(invariant)).collect()
}

/// Rewrites the body of a fact and leaves its chain.
fn change_body(store: &rocksdb::DB, seq: u64, change: impl FnOnce(&mut Vec<u8>)) {
    let old = value(store, seq);
    let stored = StoredValue::parse(&old).unwrap();
    let mut body = stored.body.to_vec();
    change(&mut body);
    put(store, seq, &StoredValue::write(&stored.chain, &body, &stored.remarks().unwrap()).unwrap());
}

#[test]
fn a_sound_log_verifies_to_its_head() {
    let log = sound().close();
    let report = verify(log.path()).unwrap();
    assert_eq!(found(&report), []);
    assert_eq!(report.facts, 10);
    let head = StoredValue::parse(&value(&log.reopen(), 10)).unwrap().chain;
    assert_eq!(report.head, Some(head));
}

#[test]
fn rule_06_a_changed_byte_of_a_body_breaks_the_chain_at_its_fact_and_only_there() {
    // One byte of the certificate's DER: the fact decodes as before.
    let damage = |store: &rocksdb::DB| {
        change_body(store, 5, |body| {
            let x = body.iter().rposition(|byte| *byte == b'x').unwrap();
            body[x] = b'y';
        });
    };
    assert_eq!(found_after(damage), [(5, "chain")]);
}

#[test]
fn rule_06_a_changed_link_is_found() {
    let damage = |store: &rocksdb::DB| {
        let mut changed = value(store, 5);
        changed[0] ^= 1;
        put(store, 5, &changed);
    };
    // The link itself, and the next one, which was made from the true link.
    assert_eq!(found_after(damage), [(5, "chain"), (6, "chain")]);
}

#[test]
fn rule_06_a_missing_fact_is_a_gap() {
    let damage = |store: &rocksdb::DB| {
        store.delete_cf(store.cf_handle(keys::FACTS).unwrap(), keys::fact(5)).unwrap();
    };
    assert_eq!(found_after(damage), [(6, "sequence")]);
}

#[test]
fn rule_06_swapped_facts_are_found() {
    let damage = |store: &rocksdb::DB| {
        let (fifth, sixth) = (value(store, 5), value(store, 6));
        put(store, 5, &sixth);
        put(store, 6, &fifth);
    };
    let found = found_after(damage);
    assert_eq!(found, [(5, "chain"), (5, "sequence"), (6, "chain"), (6, "sequence"), (7, "chain")]);
}

#[test]
fn a_log_without_its_last_fact_disagrees_with_its_heads() {
    let damage = |store: &rocksdb::DB| {
        store.delete_cf(store.cf_handle(keys::FACTS).unwrap(), keys::fact(10)).unwrap();
    };
    assert_eq!(found_after(damage), [(10, "heads"), (10, "heads")]); // Of the node and of its MAC.
}

#[test]
fn a_stream_that_lacks_its_head_is_found() {
    let damage = |store: &rocksdb::DB| {
        store.delete_cf(store.cf_handle(keys::HEADS).unwrap(), b"domain").unwrap();
    };
    assert_eq!(found_after(damage), [(0, "heads")]);
}

#[test]
fn a_head_with_another_version_is_found() {
    let damage = |store: &rocksdb::DB| {
        for version in [2_u64, u64::MAX] {
            let head = [version.to_be_bytes(), 1_u64.to_be_bytes()].concat();
            store.put_cf(store.cf_handle(keys::HEADS).unwrap(), b"domain", head).unwrap();
        }
    };
    assert_eq!(found_after(damage), [(1, "heads")]);
}

#[test]
fn a_head_under_another_spelling_does_not_stand_in_for_a_missing_one() {
    let damage = |store: &rocksdb::DB| {
        let heads = store.cf_handle(keys::HEADS).unwrap();
        let mode = rocksdb::IteratorMode::From(b"mac/", rocksdb::Direction::Forward);
        let (mac, head) = store.iterator_cf(heads, mode).next().unwrap().unwrap();
        let other = String::from_utf8(mac.to_vec()).unwrap().replace(':', "-");
        assert_ne!(other.as_bytes(), &*mac);
        store.put_cf(heads, other, head).unwrap();
        store.delete_cf(heads, b"domain").unwrap();
    };
    assert_eq!(found_after(damage), [(0, "heads")]);
}

#[test]
fn a_value_cut_short_is_found() {
    assert_eq!(found_after(|store| put(store, 5, &value(store, 5)[..35])), [(5, "value")]);
}

#[test]
fn rule_06_bytes_left_over_in_a_body_are_found() {
    let damage = |store: &rocksdb::DB| change_body(store, 5, |body| body.push(0));
    assert_eq!(found_after(damage), [(5, "chain"), (5, "body")]);
}

#[test]
fn rule_06_bytes_left_over_are_found_also_under_a_chain_that_holds() {
    let mut log = sound();
    let record = log.record(registered(3));
    let mut body = encode_body(&record).unwrap();
    body.push(0);
    log.append_body(&record, &body, &[]);
    assert_eq!(found(&verify(log.close().path()).unwrap()), [(11, "body")]);
}

#[test]
fn rule_26_a_format_of_a_later_release_asks_for_an_upgrade() {
    let mut log = sound();
    let record = log.record(registered(3));
    let mut body = encode_body(&record).unwrap();
    body[0] = 2;
    log.append_body(&record, &body, &[]);
    let error = verify(log.close().path()).unwrap_err();
    assert!(matches!(error, LogError::Later { seq: 11, .. }), "{error}");
    assert!(error.to_string().contains("upgrade"));
}

#[test]
fn rule_26_a_level_of_a_later_release_asks_for_an_upgrade() {
    let mut log = sound();
    let later = events::level::Level::new(events::level::Level::NEWEST.number() + 1);
    log.append(Fact::Domain(domain::Event::LevelRaised { level: later }), &[]);
    let error = verify(log.close().path()).unwrap_err();
    assert!(matches!(error, LogError::Later { seq: 11, .. }), "{error}");
    assert!(error.to_string().contains("upgrade"));
}

#[test]
fn rule_26_a_format_byte_that_was_damaged_is_a_violation() {
    let log = sound().close();
    change_body(&log.reopen(), 5, |body| body[0] = 2);
    let report = verify(log.path()).unwrap();
    assert_eq!(found(&report)[..2], [(5, "chain"), (5, "body")]);
    assert!(report.violations[1].message.contains("upgrade"), "{report:?}");
}

#[test]
fn rule_04_an_erased_remark_changes_nothing() {
    let log = sound().close();
    let store = log.reopen();
    let old = value(&store, 10);
    let erased = StoredValue::parse(&old).unwrap().without(remark("stolen").hash()).unwrap();
    assert_ne!(erased, old);
    put(&store, 10, &erased);
    drop(store);
    assert_eq!(found(&verify(log.path()).unwrap()), []);
}

#[test]
fn rule_04_a_forged_remark_is_found() {
    let damage = |store: &rocksdb::DB| {
        let old = value(store, 10);
        let stored = StoredValue::parse(&old).unwrap();
        let forged = [remark("mislaid")];
        put(store, 10, &StoredValue::write(&stored.chain, stored.body, &forged).unwrap());
    };
    assert_eq!(found_after(damage), [(10, "remarks")]);
}

#[test]
fn remarks_that_cannot_be_read_are_found() {
    let damage = |store: &rocksdb::DB| put(store, 10, &[value(store, 10), vec![1]].concat());
    assert_eq!(found_after(damage), [(10, "remarks")]);
}

#[test]
fn rule_06_the_beginning_of_another_log_is_found() {
    let damage = |store: &rocksdb::DB| {
        change_body(store, 1, |body| {
            let mut record = decode_body(body).unwrap();
            record.fact = story::domain_created(2);
            *body = encode_body(&record).unwrap();
        });
    };
    assert_eq!(found_after(damage), [(1, "chain")]);
}

#[test]
fn rule_06_a_first_fact_taken_whole_from_another_log_does_not_lead_to_the_second() {
    let damage = |store: &rocksdb::DB| {
        let old = value(store, 1);
        let mut record = decode_body(StoredValue::parse(&old).unwrap().body).unwrap();
        record.fact = story::domain_created(2);
        let body = encode_body(&record).unwrap();
        let domain_ca = CertificateHash::of(b"the domain CA");
        let chain = Chain::start(events::vocabulary::LogId::new([2; 16]), domain_ca).next(&body);
        put(store, 1, &StoredValue::write(&chain, &body, &[]).unwrap());
    };
    assert_eq!(found_after(damage), [(2, "chain")]);
}

#[test]
fn a_log_that_begins_with_something_else_has_no_beginning() {
    let mut log = WrittenLog::create();
    log.append(registered(1), &[]);
    let report = verify(log.close().path()).unwrap();
    assert!(found(&report).contains(&(1, "beginning")), "{report:?}");
}

#[test]
fn a_log_without_facts_is_not_sound() {
    assert_eq!(found(&verify(WrittenLog::create().close().path()).unwrap()), [(1, "sequence")]);
}

#[test]
fn a_fact_that_breaks_an_invariant_is_found() {
    let mut log = sound();
    log.append(registered(3), &[]);
    log.append(issued(3, 2, 12), &[]); // The serial of node 2's certificate.
    let report = verify(log.close().path()).unwrap();
    assert!(found(&report).contains(&(12, "serial_is_unique")), "{report:?}");
}

#[test]
fn violations_are_listed_up_to_a_limit_and_counted_beyond() {
    let mut log = WrittenLog::create();
    story::preface(&mut log);
    for _ in 0..replay::verify::MAX_LISTED + 10 {
        log.append(registered(1), &[]);
        let record = log.record(registered(1));
        log.append_body(&record, b"", &[]);
    }
    let report = verify(log.close().path()).unwrap();
    assert_eq!(report.violations.len(), replay::verify::MAX_LISTED);
    assert!(report.violation_count >= replay::verify::MAX_LISTED as u64 + 10);
}

#[test]
fn reading_changes_no_file() {
    let log: Closed = sound().close();
    let before = files(log.path());
    verify(log.path()).unwrap();
    assert!(files(log.path()) == before, "a file was changed, created or deleted");
}
