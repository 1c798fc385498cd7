//! Draining nodes: every cell, who may see it, and what it leaves alone.

use super::*;

const ADMIN: &str = "pact-platform-admin";

fn drain(draining: bool, asker: &str) -> Command {
    Command::Drain { draining, asker: role(asker) }
}

fn drains(given: &[(u64, Event)]) -> Vec<(u64, Event)> {
    [given.to_vec(), vec![(2000, Event::Drained {})]].concat()
}

#[test]
fn a_node_drains_and_takes_work_again_whatever_its_state() {
    for given in [is_registered(), is_unconfirmed(), is_active(), is_renewed(), is_inactive(), is_put_away()]
    {
        check(&given, drain(true, ADMIN), record(Event::Drained {}));
        check(&given, drain(false, ADMIN), NOTHING);
        let draining = drains(&given);
        check(&draining, drain(true, ADMIN), NOTHING);
        check(&draining, drain(false, ADMIN), record(Event::Undrained {}));
        let over = [draining, vec![(2001, Event::Undrained {})]].concat();
        assert_eq!(state(&over), state(&given));
    }
}

#[test]
fn what_does_not_exist_or_is_revoked_does_not_drain() {
    for draining in [true, false] {
        check(&[], drain(draining, ADMIN), Err(Rejection::NotFound));
        check(&is_revoked(), drain(draining, ADMIN), Err(Rejection::Revoked));
    }
    let gone = [drains(&is_active()), vec![(2001, revoked(&[1], &[1, 2]))]].concat();
    assert!(!state(&gone).is_draining());
    assert!(!state(&[gone, vec![(2002, registered(2, &[1]))]].concat()).is_draining());
}

#[test]
fn who_does_not_see_a_node_does_not_drain_it() {
    let prod = [is_active(), vec![(5, assigned("prod"))]].concat();
    check(&is_active(), drain(true, "pact-ops-prod"), Err(Rejection::NotFound));
    check(&prod, drain(true, "pact-ops-test"), Err(Rejection::NotFound));
    check(&prod, drain(true, "pact-ops-prod"), record(Event::Drained {}));
}

#[test]
fn a_node_drains_until_an_operator_or_the_end_says_otherwise() {
    let mut given = drains(&is_active());
    for event in [
        assigned("prod"),
        moved("prod", "test"),
        goodbye(),
        reactivated(1),
        put_away(1),
        re_enrolled(2, 9, &[], &[1]),
        replaced(&[1], &[2], &[2]),
    ] {
        given.push((2001, event.clone()));
        assert!(state(&given).is_draining(), "{event:?}");
    }
    let before = state(&is_active());
    let after = state(&drains(&is_active()));
    assert_eq!(after.usable_until(serial(1)), before.usable_until(serial(1)));
}
