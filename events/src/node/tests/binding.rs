//! A workload identity of others is bound to a node, and what ends that (R11).

use super::*;
use crate::node::Bind;

fn id(name: &str) -> crate::vocabulary::SpiffeId {
    format!("spiffe://example.org/{name}").parse().unwrap()
}

fn bind(secs: u64, name: &str, over: Option<u8>, holder: Option<&str>) -> Command {
    let holder = holder.map(node);
    Command::Bind(Bind { spiffe_id: id(name), holder, over: over.map(serial), now: at(secs) })
}

#[test]
fn rule_11_a_node_binds_over_a_certificate_that_lives_and_an_operator_whatever_was_enrolled() {
    let (own, order) = (|| bind(10, "a", Some(1), None), || bind(10, "a", None, None));
    for (given, over_own) in [
        (is_registered(), Err(Rejection::SerialSuperseded)),
        (is_unconfirmed(), record(bound_by("a", Some(1)))),
        (is_active(), record(bound_by("a", Some(1)))),
        (is_inactive(), record(bound_by("a", Some(1)))),
        (is_put_away(), Err(Rejection::SerialSuperseded)),
    ] {
        check(&given, own(), over_own);
        check(&given, order(), record(bound("a")));
    }
    for command in [own(), order()] {
        check(&[], command.clone(), Err(Rejection::NotFound));
        check(&is_revoked(), command, Err(Rejection::Revoked));
    }
    for (secs, over, lives) in [(3 * DAY - 1, 1, true), (3 * DAY, 1, false), (10, 7, false)] {
        let expected = if lives { record(bound_by("a", Some(1))) } else { Err(Rejection::SerialSuperseded) };
        check(&is_active(), bind(secs, "a", Some(over), None), expected);
    }
    check(&is_renewed(), bind(1299, "a", Some(1), None), record(bound_by("a", Some(1))));
    check(&is_renewed(), bind(1300, "a", Some(1), None), Err(Rejection::SerialSuperseded));
}

#[test]
fn rule_11_an_identity_of_another_node_is_refused_and_only_operators_hear_whose_it_is() {
    let told = Rejection::IdentityConflict { owner: Some(node("n7")) };
    check(&is_active(), bind(10, "a", None, Some("n7")), Err(told.clone()));
    assert_eq!(told.to_string(), "the workload identity proves the node n7");
    let untold = Rejection::IdentityConflict { owner: None };
    check(&is_active(), bind(10, "a", Some(1), Some("n7")), Err(untold.clone()));
    assert_eq!(untold.to_string(), "the workload identity proves another node");
}

#[test]
fn rule_11_what_is_bound_already_is_not_bound_again_unless_an_operator_makes_it_last() {
    let with = |event| [is_active(), vec![(0, event)]].concat();
    let own = with(bound_by("a", Some(1)));
    check(&own, bind(10, "a", Some(1), Some("n1")), NOTHING);
    check(&own, bind(10, "a", None, Some("n1")), record(bound("a")));
    check(&own, bind(10, "b", Some(1), None), record(bound_by("b", Some(1))));
    let order = with(bound("a"));
    check(&order, bind(10, "a", Some(1), Some("n1")), NOTHING);
    check(&order, bind(10, "a", None, Some("n1")), NOTHING);
}

#[test]
fn rule_11_what_a_node_bound_ends_when_it_enrolls_anew_and_what_an_operator_bound_with_the_epoch() {
    let after = |event: &Event, then: &[Event]| {
        let then = then.iter().map(|event| (20, event.clone()));
        state(&is_active().into_iter().chain([(10, event.clone())]).chain(then).collect::<Vec<_>>())
    };
    let (own, order) = (bound_by("a", Some(1)), bound("a"));
    let renewal = [renewed(2, 20, &[supersedes(1, 300)])];
    let anew = [goodbye(), re_enrolled(2, 20, &[supersedes(1, 0)], &[1])];
    let replacement = [replaced(&[7], &[1, 2], &[1])];
    let end = [revoked(&[1], &[1, 2])];
    let next_epoch = [revoked(&[1], &[1, 2]), registered(2, &[1])];
    for (then, own_lives, order_lives) in [
        (&[][..], true, true),
        (&renewal, true, true),
        (&anew, false, true),
        (&replacement, false, false),
        (&end, false, false),
        (&next_epoch, false, false),
    ] {
        for (event, lives) in [(&own, own_lives), (&order, order_lives)] {
            assert_eq!(after(event, then).bound().is_some(), lives, "{event:?}, then {then:?}");
        }
    }
}
