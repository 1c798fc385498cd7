//! The pool under panics, crowds and changes of authority.

use std::future::Future;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::System;
use events::certificate::{Subject, Terms};
use futures_util::future::join_all;
use rcgen::{CertificateParams, KeyPair};
use tokio::time::timeout;

use super::*;
use crate::authority::{CsrError, Identity};
use crate::random;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DEADLINE: Duration = Duration::from_secs(60);
const WORKERS: usize = 3;

/// Runs inside a fresh actix System; fails after a deadline.
fn in_system<T>(test: impl AsyncFnOnce(Pool) -> T) -> T {
    System::new().block_on(async {
        let pool = Pool::start(NonZeroUsize::new(WORKERS));
        within(test(pool)).await
    })
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("the pool answers in time")
}

/// Test-only work: runs on a worker's thread.
struct Planted(Box<dyn FnOnce() + Send>, Place);

impl Message for Planted {
    type Result = Result<(), IssueError>;
}

impl Handler<Planted> for Worker {
    type Result = Result<(), IssueError>;

    fn handle(&mut self, Planted(plant, place): Planted, _: &mut SyncContext<Self>) -> Self::Result {
        caught(place, || {
            plant();
            Ok(())
        })
    }
}

impl Pool {
    async fn plant(&self, plant: impl FnOnce() + Send + 'static) -> Result<(), IssueError> {
        self.ask(|place| Planted(Box::new(plant), place)).await
    }
}

fn authority(generation: u32) -> EphemeralAuthority {
    let identity = Identity {
        domain: "example.org".parse().unwrap(),
        journal_id: "j1".parse().unwrap(),
        generation,
        id: AuthorityId::new(NOW, u128::from_be_bytes(random::bytes().unwrap())),
    };
    let lifetime = events::authority::DEFAULT_LIFETIME;
    EphemeralAuthority::create(identity, random::serial().unwrap(), NOW, lifetime).unwrap()
}

fn request() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
}

fn csr() -> Csr {
    Csr::parse(&request()).unwrap()
}

fn profile((authority, authority_not_after): (AuthorityId, Timestamp), csr: &Csr) -> Profile {
    let terms = Terms {
        now: NOW,
        serial: random::serial().unwrap(),
        jitter: 0,
        lifetime: Duration::from_secs(3600),
        authority,
        authority_not_after,
    };
    terms.profile(Subject::Node("compute-042".parse().unwrap()), csr.key())
}

async fn sign(pool: &Pool) -> Result<Der, IssueError> {
    let csr = csr();
    pool.sign(profile(pool.current().unwrap(), &csr), csr).await
}

#[test]
fn a_request_is_signed_or_only_verified() {
    in_system(async |pool| {
        pool.install(authority(1));
        assert!(sign(&pool).await.is_ok());
        assert_eq!(pool.verify(csr()).await, Ok(()));
    });
}

#[test]
fn a_wrong_proof_of_possession_is_refused_and_not_signed() {
    in_system(async |pool| {
        pool.install(authority(1));
        let mut bytes = request();
        *bytes.last_mut().unwrap() ^= 1;
        let bad = || Csr::parse(&bytes).unwrap();
        let refused = IssueError::Csr(CsrError::ProofOfPossession);
        assert_eq!(pool.verify(bad()).await, Err(refused.clone()));
        assert_eq!(pool.sign(profile(pool.current().unwrap(), &bad()), bad()).await, Err(refused));
    });
}

#[test]
fn a_panic_answers_its_request_and_costs_no_worker() {
    in_system(async |pool| {
        pool.install(authority(1));
        let panics = (0..WORKERS * 4).map(|_| pool.plant(|| panic!("planted")));
        for answer in join_all(panics).await {
            assert_eq!(answer, Err(IssueError::Panicked));
        }
        // Nobody passes the barrier unless every worker is still there.
        let barrier = Arc::new(Barrier::new(WORKERS));
        let meetings = (0..WORKERS).map(|_| {
            let barrier = Arc::clone(&barrier);
            pool.plant(move || {
                barrier.wait();
            })
        });
        assert_eq!(join_all(meetings).await, vec![Ok(()); WORKERS]);
        assert!(sign(&pool).await.is_ok());
        assert_eq!(pool.admission.available_permits(), WORKERS * ADMITTED_PER_WORKER);
    });
}

#[test]
fn a_crowd_beyond_the_admitted_number_waits_and_is_served() {
    in_system(async |pool| {
        let crowd = (0..WORKERS * ADMITTED_PER_WORKER * 2).map(|_| pool.plant(|| ()));
        assert!(join_all(crowd).await.iter().all(Result::is_ok));
        assert_eq!(pool.admission.available_permits(), WORKERS * ADMITTED_PER_WORKER);
    });
}

#[test]
fn a_caller_that_gives_up_keeps_its_place_until_its_request_has_left_the_queue() {
    in_system(async |pool| {
        let all = WORKERS * ADMITTED_PER_WORKER;
        let (release, held) = (Arc::new(Barrier::new(WORKERS + 1)), 1);
        let begun = Arc::new(AtomicUsize::new(0));
        let blocked: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (pool, release, begun) = (pool.clone(), Arc::clone(&release), Arc::clone(&begun));
                actix::spawn(async move {
                    pool.plant(move || {
                        begun.fetch_add(1, Ordering::Relaxed);
                        release.wait();
                    })
                    .await
                })
            })
            .collect();
        while begun.load(Ordering::Relaxed) < WORKERS {
            tokio::task::yield_now().await;
        }
        let mut waiting = Box::pin(pool.plant(|| ()));
        while pool.admission.available_permits() > all - WORKERS - held {
            tokio::select! {
                biased;
                _ = &mut waiting => unreachable!("all workers are blocked"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(waiting);
        assert_eq!(pool.admission.available_permits(), all - WORKERS - held);
        release.wait();
        for task in blocked {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        while pool.admission.available_permits() < all {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn rule_09_nothing_is_signed_before_an_authority_is_installed() {
    in_system(async |pool| {
        assert_eq!(pool.current(), None);
        let (csr, unannounced) = (csr(), authority(1));
        let profile = profile((unannounced.id(), unannounced.not_after()), &csr);
        let unknown = IssueError::UnknownAuthority { authority: unannounced.id() };
        assert_eq!(pool.sign(profile, csr).await, Err(unknown));
    });
}

#[test]
fn rule_09_the_previous_authority_signs_what_was_decided_before_the_swap_and_an_older_one_nothing() {
    in_system(async |pool| {
        let [first, second, third] = [1, 2, 3].map(authority);
        let (oldest, end) = (first.id(), first.not_after());
        pool.install(first);
        assert_eq!(pool.current(), Some((oldest, end)));
        pool.install(second);
        assert_ne!(pool.current(), Some((oldest, end)));
        let (one, other) = (csr(), csr());
        assert!(pool.sign(profile((oldest, end), &one), one).await.is_ok());
        pool.install(third);
        let unknown = IssueError::UnknownAuthority { authority: oldest };
        assert_eq!(pool.sign(profile((oldest, end), &other), other).await, Err(unknown));
        assert!(sign(&pool).await.is_ok());
    });
}

#[test]
fn after_its_system_has_stopped_the_pool_says_so() {
    let (pool, csr) = in_system(async |pool| (pool, csr()));
    let answer = System::new().block_on(within(pool.verify(csr)));
    assert_eq!(answer, Err(IssueError::Stopped));
}
