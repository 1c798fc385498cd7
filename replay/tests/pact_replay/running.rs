//! Reading beside a writer that flushes all the time: never a false alarm, and the writer is not disturbed.

use std::sync::atomic::{AtomicBool, Ordering};

use replay::verify::{VerifyError, verify};
use rocksdb::Options;

use crate::story::{enroll, preface};
use crate::written_log::WrittenLog;

#[test]
fn a_log_that_is_being_written_verifies_as_of_one_moment() {
    let mut options = Options::default();
    // Small: a flush and a new write-ahead log every few dozen facts, and compactions that delete files.
    options.set_write_buffer_size(1 << 16);
    options.set_db_write_buffer_size(1 << 16);
    let mut log = WrittenLog::create_with(options);
    preface(&mut log);
    enroll(&mut log, 1, 4);
    let (path, stop) = (log.path(), AtomicBool::new(false));
    let facts = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 2.. {
                enroll(&mut log, number, number * 3 + 1);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let read: Vec<_> = (0..40).map(|_| verify(&path)).collect();
        stop.store(true, Ordering::Relaxed);
        read
    });
    let mut last = 0;
    for read in facts {
        match read {
            Ok(report) => {
                assert!(report.ok(), "{:?}", report.violations.first());
                assert!(report.facts >= last);
                last = report.facts;
            }
            Err(VerifyError::Open(replay::reader::OpenError::Moving { .. })) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(last > 6, "the writer came to nothing beside the reader");
}
