//! The steps of one enrollment that cost CPU: read the request, decide, check and sign, write the fact, fold it.
//!
//! `make bench` runs it. Times on shared machines are noise: compare two runs on one machine.

use std::hint::black_box;

use benches::World;
use criterion::{Criterion, criterion_group, criterion_main};
use events::codec::{decode_body, encode_body};
use events::node::{Decision, decide};
use events::vocabulary::KeyHash;
use journal::authority::Csr;
use journal::domain_ca::operator_request;

fn steps(criterion: &mut Criterion) {
    let world = World::new();
    let request = operator_request().expect("a request can be made");
    let csr = Csr::parse(&request.csr).expect("the request is valid");
    let issue = || match decide(&world.node, &world.state(), world.enroll(csr.key())) {
        Ok(Decision::Issue(issue)) => issue,
        Ok(Decision::Nothing | Decision::Record(_) | Decision::Repeat(_)) | Err(_) => {
            panic!("a certificate is due")
        }
    };
    let profile = issue().profile;
    let sign = || {
        let verified = csr.verify().expect("the proof of possession holds");
        world.authority.sign(&profile, &verified).expect("the profile is the authority's")
    };
    let event = issue().complete(sign()).pop().expect("an issuance has a fact");
    let record = world.recorded(event);
    let body = encode_body(&record).expect("a fact can be written");

    let mut group = criterion.benchmark_group("enrollment");
    group.bench_function("read request", |b| b.iter(|| Csr::parse(black_box(&request.csr))));
    group.bench_function("decide", |b| b.iter(issue));
    group.bench_function("check and sign", |b| b.iter(sign));
    group.bench_function("encode fact", |b| b.iter(|| encode_body(black_box(&record))));
    group.bench_function("decode fact", |b| b.iter(|| decode_body(black_box(&body))));
    group.bench_function("fold fact", |b| {
        b.iter_batched_ref(
            || world.views.clone(),
            |views| views.fold(black_box(&record)),
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("gate", |b| {
        let hardware =
            world.state().enrollment().map(|enrollment| enrollment.hardware.clone()).unwrap_or_default();
        b.iter(|| world.views.registry.identify(black_box(&hardware)));
    });
    group.bench_function("hash key", |b| b.iter(|| KeyHash::of(black_box(&request.csr))));
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
