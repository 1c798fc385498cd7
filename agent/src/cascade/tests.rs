//! Identities that appear, are replaced, and go.

use proptest::prelude::*;

use super::*;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn offer(name: &str, number: u8, good_until: u64) -> Offer {
    Offer {
        spiffe_id: format!("spiffe://example.org/{name}").parse().unwrap(),
        certificate: CertificateHash::of(&[number]),
        good_until: secs(good_until),
    }
}

/// Goes by the first identity since second 10.
fn up() -> Cascade {
    let mut cascade = Cascade::new();
    cascade.enrolled();
    cascade.stands(None);
    cascade.offered(offer("a", 1, 100));
    assert_eq!(cascade.begin(secs(10)), Some(Order::Bind));
    cascade.bound(&offer("a", 1, 100).spiffe_id);
    assert_eq!(cascade.begin(secs(10)), Some(Order::Swap));
    assert_eq!(cascade.begin(secs(10)), None, "it is under way");
    cascade.stands(Some(offer("a", 1, 100)));
    cascade
}

#[test]
fn rule_11_a_node_without_a_workload_api_has_nothing_to_do_for_ever() {
    let mut cascade = Cascade::new();
    cascade.enrolled();
    cascade.stands(None);
    assert_eq!((cascade.begin(secs(1 << 40)), cascade.wakes_at(secs(1 << 40))), (None, None));
}

#[test]
fn rule_11_an_identity_that_appears_is_bound_and_then_taken_up() {
    let mut cascade = up();
    assert_eq!(cascade.begin(secs(10)), None);
    assert_eq!(cascade.wakes_at(secs(10)), Some(secs(100)));
    assert_eq!(cascade.keeps(secs(99)), Some(&offer("a", 1, 100)));
    assert_eq!(cascade.keeps(secs(100)), None, "the next stream is the certificate's");
}

#[test]
fn rule_11_a_newer_identity_of_the_same_name_takes_the_place_of_the_present_one() {
    let mut cascade = up();
    cascade.offered(offer("a", 2, 200));
    assert_eq!(cascade.begin(secs(50)), Some(Order::Swap));
    cascade.stands(Some(offer("a", 2, 200)));
    assert_eq!(cascade.wakes_at(secs(50)), Some(secs(200)));
    cascade.offered(offer("a", 2, 200));
    assert_eq!(cascade.begin(secs(60)), None, "it is the same");
    cascade.offered(offer("a", 3, 70));
    assert_eq!(
        cascade.begin(secs(60)),
        Some(Order::Swap),
        "the last that was given counts, though it ends sooner"
    );
}

#[test]
fn rule_11_an_identity_that_is_over_when_it_comes_is_no_better_one() {
    let mut cascade = up();
    cascade.offered(offer("a", 2, 40));
    assert_eq!((cascade.begin(secs(50)), cascade.wakes_at(secs(50))), (None, Some(secs(100))));
    assert_eq!(cascade.begin(secs(100)), Some(Order::Descend));
}

#[test]
fn rule_11_an_identity_that_nobody_replaced_is_left_before_it_ends() {
    let mut cascade = up();
    assert_eq!(cascade.begin(secs(99)), None);
    assert_eq!(cascade.begin(secs(100)), Some(Order::Descend));
    assert_eq!(cascade.wakes_at(secs(100)), None, "the journal is asked until it answers");
    cascade.stands(None);
    assert_eq!(
        (cascade.begin(secs(101)), cascade.wakes_at(secs(101))),
        (None, None),
        "what is over is no better one"
    );
    cascade.offered(offer("a", 2, 300));
    assert_eq!(cascade.begin(secs(150)), Some(Order::Swap), "it is still bound");
}

#[test]
fn rule_11_an_identity_of_another_name_waits_until_the_node_has_its_certificate_to_bind_it() {
    let mut cascade = up();
    cascade.offered(offer("b", 2, 400));
    assert_eq!(cascade.begin(secs(50)), None);
    assert_eq!(cascade.begin(secs(100)), Some(Order::Descend));
    cascade.stands(None);
    assert_eq!(cascade.begin(secs(101)), Some(Order::Bind));
}

#[test]
fn rule_11_whoever_is_enrolled_anew_binds_anew() {
    let mut cascade = up();
    cascade.lost();
    assert_eq!(cascade.begin(secs(20)), None, "nothing is begun without a stream");
    cascade.stands(None);
    assert_eq!(cascade.begin(secs(20)), Some(Order::Swap));
    cascade.enrolled();
    cascade.stands(None);
    assert_eq!(cascade.begin(secs(21)), Some(Order::Bind));
}

#[test]
fn what_fails_is_tried_again_at_longer_and_longer_intervals() {
    let mut cascade = Cascade::new();
    cascade.stands(None);
    cascade.offered(offer("a", 1, 10_000));
    let (mut now, mut waits) = (secs(0), vec![]);
    for _ in 0..12 {
        assert_eq!(cascade.begin(now), Some(Order::Bind));
        let wait = cascade.failed(now, u64::MAX);
        assert_eq!(cascade.begin(now), None);
        assert_eq!(cascade.wakes_at(now), Some(now + wait));
        now += wait;
        waits.push(wait);
    }
    assert!(waits.is_sorted() && waits[0] <= FIRST_WAIT && waits[11] <= LONGEST_WAIT, "{waits:?}");
    assert!(waits[11] >= LONGEST_WAIT / 2);
}

#[test]
fn an_identity_is_good_for_three_fourths_of_its_life_and_a_long_one_until_ten_minutes_before_its_end() {
    for (lifetime, until, good) in
        [(60, 60, 45), (3600, 3700, 3100), (86_400, 90_000, 89_400), (0, 10, 10), (60, 10, 0)]
    {
        assert_eq!(Offer::good_until(secs(lifetime), secs(until)), secs(good));
    }
}

#[derive(Debug, Clone)]
enum Happens {
    Offer(u8, u8, u64),
    Stands(bool),
    Lost,
    Enrolled,
    Done,
    Fails(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (0..2_u8, 0..4_u8, 0..500_u64).prop_map(|(name, number, good)| Happens::Offer(name, number, good)),
        any::<bool>().prop_map(Happens::Stands),
        Just(Happens::Lost),
        Just(Happens::Enrolled),
        Just(Happens::Done),
        any::<u64>().prop_map(Happens::Fails),
    ]
}

proptest! {
    #[test]
    fn nothing_is_swapped_to_unbound_and_whatever_is_due_has_a_time(history in proptest::collection::vec((happens(), 0..50_u64), 1..80)) {
        let (mut cascade, mut now) = (Cascade::new(), secs(0));
        for (happens, later) in history {
            now += secs(later);
            match happens {
                Happens::Offer(name, number, good) => cascade.offered(offer(["a", "b"][usize::from(name)], number, good)),
                Happens::Stands(workload) => cascade.stands(cascade.offered.clone().filter(|_| workload)),
                Happens::Lost => cascade.lost(),
                Happens::Enrolled => cascade.enrolled(),
                Happens::Done => {
                    if let (Some(Order::Bind), Some(offer)) = (cascade.under_way, cascade.offered.clone()) {
                        cascade.bound(&offer.spiffe_id);
                    }
                }
                Happens::Fails(random) => {
                    cascade.failed(now, random);
                }
            }
            let wakes = cascade.wakes_at(now);
            let before = cascade.uses.clone();
            match cascade.begin(now) {
                Some(order) => {
                    prop_assert!(wakes.is_some_and(|at| at <= now));
                    prop_assert!(before != Uses::Nothing);
                    let offered = cascade.offered.clone();
                    if order == Order::Swap && before == Uses::Certificate {
                        prop_assert_eq!(cascade.bound.clone(), offered.map(|offer| offer.spiffe_id));
                    }
                    prop_assert_eq!(cascade.begin(now), None);
                }
                None => prop_assert!(wakes.is_none_or(|at| at > now)),
            }
        }
    }
}
