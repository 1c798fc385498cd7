//! Histories of nodes.

use replay::history::{HistoryError, history, of_serial};
use replay::told::TellError;

use crate::story::{node_id, serial, sound};
use crate::written_log::{put, value};

fn places(node: u64) -> Vec<u64> {
    history(sound().close().path(), &node_id(node)).unwrap().iter().map(|told| told.record.seq).collect()
}

#[test]
fn a_history_is_every_fact_of_its_node_and_of_no_other() {
    assert_eq!(places(1), [4, 5, 6, 10]);
    assert_eq!(places(2), [7, 8, 9]);
}

#[test]
fn a_node_that_no_fact_tells_of_is_not_found() {
    let error = history(sound().close().path(), &node_id(7)).unwrap_err();
    assert!(matches!(error, HistoryError::NodeNotFound { .. }), "{error}");
}

#[test]
fn no_history_is_told_from_a_damaged_log() {
    let log = sound().close();
    let store = log.reopen();
    let mut changed = value(&store, 9);
    changed[0] ^= 1;
    put(&store, 9, &changed);
    drop(store);
    let error = history(log.path(), &node_id(1)).unwrap_err();
    assert!(matches!(error, HistoryError::Log(TellError::Damaged(_))), "{error}");
}

#[test]
fn a_certificates_history_is_its_issuance_its_confirmation_and_its_revocation() {
    let log = sound().close();
    let places = |number| {
        let told = of_serial(log.path(), serial(number)).unwrap();
        told.iter().map(|told| told.record.seq).collect::<Vec<_>>()
    };
    assert_eq!(places(1), [5, 6, 10]);
    assert_eq!(places(2), [8, 9]);
    assert_eq!(places(0), [3], "an operator's");
    assert_eq!(places(u64::MAX), [2], "an authority's");
}

#[test]
fn a_certificate_that_no_fact_names_is_not_found() {
    let error = of_serial(sound().close().path(), serial(7)).unwrap_err();
    assert!(matches!(error, HistoryError::SerialNotFound { .. }), "{error}");
}
