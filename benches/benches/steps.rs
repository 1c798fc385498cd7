//! The steps of an enrollment that cost CPU, each for itself: find the node, read its request, decide, check, sign, write
//! the fact, read it, fold it.
//!
//! `make bench` runs it. Times on shared machines are noise: compare two runs on one machine.

use std::hint::black_box;
use std::time::Duration;

use benches::history::History;
use benches::world::World;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use events::codec::{decode_body, encode_body};
use events::fact::Record;
use events::invariants::Auditor;
use events::node::{Command, decide};
use events::views::Views;
use events::vocabulary::{KeyHash, Timestamp};
use journal::authority::Csr;

/// The journal's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Nodes and laps of the history that is folded: 55,005 facts, 22,000 of them with certificates.
const NODES: u32 = 5000;
const LAPS: u32 = 2;

fn before_the_signature(criterion: &mut Criterion) {
    let world = World::new();
    let key = world.csr().key();
    let mut group = criterion.benchmark_group("decide");
    group.bench_function("find the node", |b| {
        b.iter(|| world.views.registry.identify(black_box(&world.hardware)));
    });
    group.bench_function("enroll", |b| b.iter(|| world.issue(key)));
    let event = world.issue(key).complete(world.certificate()).pop().expect("an issuance has a fact");
    let mut views = world.views.clone();
    views.fold(&world.recorded(event));
    let state = views.registry.node(&world.node).map(|node| node.state.clone()).unwrap_or_default();
    let serial = state.current().map(|held| held.certificate.serial).expect("it has a certificate");
    let now = Timestamp::from_millis(1_800_000_000_001);
    group.bench_function("confirm", |b| {
        b.iter(|| decide(&world.node, black_box(&state), Command::Confirm { serial, now }));
    });
    group.bench_function("goodbye", |b| {
        b.iter(|| decide(&world.node, black_box(&state), Command::Goodbye { serial }));
    });
    group.finish();
}

fn request_and_signature(criterion: &mut Criterion) {
    let world = World::new();
    let csr = world.csr();
    let profile = world.issue(csr.key()).profile;
    let mut group = criterion.benchmark_group("csr");
    group.bench_function("read", |b| b.iter(|| Csr::parse(black_box(&world.request))));
    group.bench_function("check", |b| {
        b.iter(|| Csr::parse(black_box(&world.request)).and_then(|csr| csr.verify().map(|csr| csr.key())));
    });
    group.bench_function("check and sign", |b| {
        b.iter(|| {
            let csr = Csr::parse(black_box(&world.request)).expect("the request is valid");
            let verified = csr.verify().expect("the proof of possession holds");
            world.authority.sign(&profile, &verified).expect("the profile is the authority's")
        });
    });
    group.bench_function("hash", |b| b.iter(|| KeyHash::of(black_box(&world.request))));
    group.finish();
}

fn stored_bytes(criterion: &mut Criterion) {
    let records = History::records(10, 1);
    let bodies: Vec<Vec<u8>> =
        records.iter().map(|record| encode_body(record).expect("a fact can be written")).collect();
    let whole = records.len() as u64;
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(whole));
    group.bench_function("encode", |b| {
        b.iter(|| records.iter().map(encode_body).filter(Result::is_ok).count());
    });
    group.bench_function("decode", |b| {
        b.iter(|| bodies.iter().map(|body| decode_body(body)).filter(Result::is_ok).count());
    });
    group.finish();
}

fn views(criterion: &mut Criterion) {
    let records = History::records(NODES, LAPS);
    let fold = |mut views: Views, records: &[Record]| {
        for record in records {
            black_box(views.fold(record));
        }
        views
    };
    let audit = |mut auditor: Auditor, records: &[Record]| {
        let broken = records.iter().filter(|record| !auditor.check(record).is_empty()).count();
        assert_eq!(broken, 0, "the history is sound");
        auditor
    };
    let mut group = criterion.benchmark_group("views");
    group.sample_size(10);
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("fold", |b| {
        b.iter_batched(Views::default, |views| fold(views, &records), BatchSize::LargeInput);
    });
    group.bench_function("fold and check every invariant", |b| {
        b.iter_batched(Auditor::default, |auditor| audit(auditor, &records), BatchSize::LargeInput);
    });
    group.finish();
}

/// Long enough for figures that agree with those of the next run by 2 or 3 %.
fn settings() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

criterion_group!(
    name = benches;
    config = settings();
    targets = before_the_signature, request_and_signature, stored_bytes, views
);
criterion_main!(benches);
