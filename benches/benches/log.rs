//! What the log bears: appends by how many come at once, verification, the start of a journal.
//!
//! On a real disk, synced: in cargo's directory for temporary files, which lies beside what was built.

use std::path::Path;
use std::time::{Duration, Instant};

use benches::history::{BLOCK, Happening, Step};
use benches::table::{LONG_LOG_LAPS, LONG_LOG_NODES};
use benches::written_log::WrittenLog;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use events::append::Append;
use journal::log::Log;
use replay::verify::verify;
use tokio::runtime::Runtime;

/// The journal's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is a directory for temporary files")
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime can be started")
}

/// Enrollments, each of another node: a certificate's fact in two streams and the versions of two more.
struct Enrollments {
    written: WrittenLog,
    next: u32,
}

impl Enrollments {
    /// More nodes than any measurement needs.
    const NODES: u32 = 900_000;

    async fn new(dir: &Path) -> Self {
        let mut written = WrittenLog::create(dir, Self::NODES).await;
        written.happen(Happening::Domain).await;
        written.happen(Happening::Authority).await;
        Self { written, next: 0 }
    }

    /// Registers the next nodes; answers their enrollments.
    async fn prepare(&mut self, count: usize) -> Vec<Append> {
        let mut appends = vec![];
        while appends.len() < count {
            self.written.happen(Happening::Block(Step::Register, self.next)).await;
            appends.extend(self.written.prepare(Happening::Block(Step::Enroll, self.next)));
            self.next += BLOCK;
        }
        appends.truncate(count);
        appends
    }
}

fn append(criterion: &mut Criterion) {
    let (dir, runtime) = (temporary(), runtime());
    let mut enrollments = runtime.block_on(Enrollments::new(dir.path()));
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10);
    for at_once in [1, 16, 64, 256, 1024] {
        group.throughput(Throughput::Elements(at_once as u64));
        group.bench_function(at_once.to_string(), |b| {
            b.iter_custom(|times| {
                let times = usize::try_from(times).expect("criterion counts in memory");
                let mut appends = runtime.block_on(enrollments.prepare(times * at_once)).into_iter();
                let begin = Instant::now();
                for _ in 0..times {
                    runtime.block_on(enrollments.written.append(appends.by_ref().take(at_once).collect()));
                }
                begin.elapsed()
            });
        });
    }
    group.finish();
    runtime.block_on(enrollments.written.log.stop());
}

fn whole_log(criterion: &mut Criterion) {
    let dir = temporary();
    let facts = runtime().block_on(WrittenLog::write(dir.path(), LONG_LOG_NODES, LONG_LOG_LAPS));
    let mut group = criterion.benchmark_group("log");
    group.sample_size(10);
    group.throughput(Throughput::Elements(facts));
    group.bench_function("verify", |b| {
        b.iter(|| {
            let report = verify(dir.path()).expect("the log can be read");
            assert!(report.ok() && report.facts == facts, "the log is sound");
        });
    });
    let journal = "j1".parse().expect("the name is valid");
    group.bench_function("start", |b| {
        b.iter(|| {
            let inspected = Log::inspect(dir.path(), &journal).expect("the log is sound");
            assert_eq!(inspected.views().seq, facts);
        });
    });
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

criterion_group!(name = benches; config = settings(); targets = append, whole_log);
criterion_main!(benches);
