//! Reading beside a writer that flushes all the time: never a false alarm, and the writer is not disturbed.

use std::sync::atomic::{AtomicBool, Ordering};

use replay::reader::{LogError, OpenError};
use replay::verify::verify;
use rocksdb::Options;

use crate::story::{enroll, preface};
use crate::written_log::WrittenLog;

/// Enough for some dozen flushes of [`flushing`].
const NODES: u64 = 10_000;

/// Options by which a new write-ahead log begins every thousand facts or so, and compactions delete files.
fn flushing() -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(1 << 21);
    options.set_db_write_buffer_size(1 << 21);
    options
}

#[test]
fn a_log_that_is_being_written_verifies_as_of_one_moment() {
    let mut log = WrittenLog::create_with(flushing());
    preface(&mut log);
    enroll(&mut log, 1, 4);
    let (path, written) = (log.path(), AtomicBool::new(false));
    let reports = std::thread::scope(|scope| {
        scope.spawn(|| {
            (2..=NODES).for_each(|number| enroll(&mut log, number, number * 3 + 1));
            written.store(true, Ordering::Release);
        });
        let mut reports = vec![];
        while !written.load(Ordering::Acquire) {
            reports.push(verify(&path));
        }
        reports
    });
    let mut facts = 0;
    for report in reports {
        match report {
            Ok(report) => {
                assert!(report.ok(), "{:?}", report.violations.first());
                assert!(report.facts >= facts, "{} facts were {facts} before", report.facts);
                facts = report.facts;
            }
            // That it could not be read is allowed; that it looked damaged is not.
            Err(LogError::Open(OpenError::Moving { .. })) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    // When nobody writes any more, everything is seen.
    let report = verify(&path).unwrap();
    assert!(report.ok(), "{:?}", report.violations.first());
    assert_eq!(report.facts, NODES * 3 + 3);
}
