//! A node comes into a vCluster, out of it, and from one into another: every cell, and who may see it.

use super::*;

const ADMIN: &str = "pact-platform-admin";

fn group(name: &str) -> Group {
    Group { id: name.parse().unwrap(), exists: true }
}

fn assign(to: &str, asker: &str) -> Command {
    Command::Assign { to: group(to), asker: role(asker) }
}

fn unassign(asker: &str) -> Command {
    Command::Unassign { asker: role(asker) }
}

fn move_to(to: &str, asker: &str) -> Command {
    Command::Move { to: group(to), asker: role(asker) }
}

/// Every state but the unknown and the revoked one: nothing else counts.
fn wherever() -> [Vec<(u64, Event)>; 6] {
    [is_registered(), is_unconfirmed(), is_active(), is_renewed(), is_inactive(), is_put_away()]
}

fn then(given: &[(u64, Event)], event: Event) -> Vec<(u64, Event)> {
    [given.to_vec(), vec![(2000, event)]].concat()
}

fn is_in(vcluster: &str) -> Rejection {
    Rejection::Assigned { vcluster: vcluster.parse().unwrap() }
}

#[test]
fn a_node_in_no_vcluster_comes_into_one_whatever_its_state() {
    for given in wherever() {
        check(&given, assign("prod", ADMIN), record(assigned("prod")));
        check(&given, unassign(ADMIN), NOTHING);
        check(&given, move_to("prod", ADMIN), Err(Rejection::Unassigned));
    }
}

#[test]
fn a_node_in_a_vcluster_leaves_it_or_moves_and_is_assigned_to_no_other() {
    for given in wherever() {
        let given = then(&given, assigned("prod"));
        check(&given, assign("prod", ADMIN), NOTHING);
        check(&given, assign("test", ADMIN), Err(is_in("prod")));
        check(&given, unassign(ADMIN), record(unassigned("prod")));
        check(&given, move_to("prod", ADMIN), NOTHING);
        check(&given, move_to("test", ADMIN), record(moved("prod", "test")));
    }
}

#[test]
fn the_same_order_again_changes_nothing() {
    for given in wherever() {
        let left = then(&then(&given, assigned("prod")), unassigned("prod"));
        check(&left, unassign(ADMIN), NOTHING);
        check(&left, assign("test", ADMIN), record(assigned("test")));
        let elsewhere = then(&then(&given, assigned("prod")), moved("prod", "test"));
        check(&elsewhere, move_to("test", ADMIN), NOTHING);
        check(&elsewhere, move_to("prod", ADMIN), record(moved("test", "prod")));
    }
}

#[test]
fn what_does_not_exist_or_is_revoked_is_in_no_vcluster_that_could_change() {
    let orders = || [assign("prod", ADMIN), unassign(ADMIN), move_to("test", ADMIN)];
    for order in orders() {
        check(&[], order, Err(Rejection::NotFound));
    }
    let grouped = [is_active(), vec![(5, assigned("prod")), (6, revoked(&[1], &[1, 2]))]].concat();
    for order in orders() {
        check(&is_revoked(), order.clone(), Err(Rejection::Revoked));
        check(&grouped, order, Err(Rejection::Revoked));
    }
    let again = then(&grouped, registered(2, &[1]));
    assert_eq!(state(&again).vcluster(), None, "a new epoch begins in none");
}

#[test]
fn a_vcluster_without_an_overlay_does_not_exist() {
    let nowhere = || Group { id: "nowhere".parse().unwrap(), exists: false };
    let absent = || Err(Rejection::VClusterNotFound { vcluster: "nowhere".parse().unwrap() });
    let asker = || role(ADMIN);
    check(&is_active(), Command::Assign { to: nowhere(), asker: asker() }, absent());
    let grouped = then(&is_active(), assigned("prod"));
    check(&grouped, Command::Move { to: nowhere(), asker: asker() }, absent());
    check(&grouped, Command::Assign { to: nowhere(), asker: asker() }, Err(is_in("prod")));
}

#[test]
fn for_whom_a_node_is_not_visible_it_does_not_exist() {
    let prod = then(&is_active(), assigned("prod"));
    let gone = then(&prod, revoked(&[1], &[1, 2]));
    for asker in ["pact-ops-test", "pact-viewer-test"] {
        for order in [assign("test", asker), unassign(asker), move_to("test", asker)] {
            for given in [&is_active(), &prod, &gone] {
                check(given, order.clone(), Err(Rejection::NotFound));
            }
        }
    }
    // An unassigned node is the platform admin's alone.
    check(&is_active(), assign("prod", "pact-ops-prod"), Err(Rejection::NotFound));
    check(&prod, assign("prod", "pact-ops-prod"), NOTHING);
    check(&prod, unassign("pact-ops-prod"), record(unassigned("prod")));
    check(&prod, move_to("prod", "pact-ops-prod"), NOTHING);
    check(&gone, unassign("pact-ops-prod"), Err(Rejection::Revoked));
}

#[test]
fn a_change_of_the_vcluster_leaves_the_certificate_alone() {
    let before = state(&is_renewed());
    for event in [assigned("prod"), moved("prod", "test"), unassigned("test")] {
        let after = state(&then(&is_renewed(), event));
        assert_eq!((after.current(), after.overlap()), (before.current(), before.overlap()));
        assert_eq!(after.usable_until(serial(2)), before.usable_until(serial(2)));
    }
}
