//! Replaced hardware: every cell, and what becomes of the former machine.

use super::*;
use crate::node::MAX_MACS_CHANGED;

fn replace(secs: u64, hardware: HardwareIdentity) -> Command {
    Command::ReplaceHardware { hardware, macs: MacClaims::default(), now: at(secs) }
}

#[test]
fn hardware_is_replaced_in_every_state_but_the_unknown_and_the_revoked() {
    let order = || replace(10, hardware(&[2, 3]));
    check(&[], order(), Err(Rejection::NotFound));
    check(&is_registered(), order(), record(replaced(&[2, 3], &[1], &[])));
    for given in [is_unconfirmed(), is_active(), is_inactive()] {
        check(&given, order(), record(replaced(&[2, 3], &[1], &[1])));
    }
    check(&is_renewed(), replace(1001, hardware(&[2, 3])), record(replaced(&[2, 3], &[1], &[2, 1])));
    check(&is_put_away(), order(), record(replaced(&[2, 3], &[1], &[])));
    check(&is_revoked(), order(), Err(Rejection::Revoked));
}

#[test]
fn the_same_hardware_again_changes_nothing() {
    for given in [is_registered(), is_unconfirmed(), is_active(), is_inactive(), is_put_away()] {
        check(&given, replace(10, hardware(&[1, 2])), NOTHING);
    }
}

#[test]
fn a_replaced_machine_is_none_any_more_and_its_epoch_goes_on() {
    for (given, has_enrolled) in [
        (is_registered(), false),
        (is_unconfirmed(), true),
        (is_renewed(), true),
        (is_inactive(), true),
        (is_put_away(), true),
    ] {
        let after = state(&[given, vec![(2000, replaced(&[3], &[1, 2], &[]))]].concat());
        assert_eq!(matches!(after, State::Inactive { current: None, .. }), has_enrolled, "{after:?}");
        assert_eq!(matches!(after, State::Registered { .. }), !has_enrolled, "{after:?}");
        let enrollment = after.enrollment().unwrap();
        assert_eq!((enrollment.epoch, &enrollment.hardware), (1, &hardware(&[3])));
        assert_eq!((after.usable_until(serial(1)), after.usable_until(serial(2))), (None, None));
    }
}

#[test]
fn the_new_machine_enrolls_and_the_former_one_is_a_stranger() {
    let given = [is_active(), vec![(10, replaced(&[3], &[1, 2], &[1]))]].concat();
    check(&given, enroll(11, hardware(&[3]), 9), record(re_enrolled(9, 11, &[], &[3])));
    check(&given, enroll(11, hardware(&[1]), 9), Err(Rejection::HardwareMismatch));
    check(&given, renew(11, 1, 9), Err(Rejection::SerialSuperseded));
    check(&given, confirm(11, 1), Err(Rejection::SerialSuperseded));
    let fresh = [is_registered(), vec![(10, replaced(&[3], &[1, 2], &[]))]].concat();
    check(&fresh, enroll(11, hardware(&[3]), 9), record(enrolled(9, 11, &[3])));
}

#[test]
fn rule_02_an_address_of_another_node_is_a_conflict() {
    let macs = MacClaims::from([(mac(3), node("n2")), (mac(2), node("n1"))]);
    let order = Command::ReplaceHardware { hardware: hardware(&[2, 3]), macs, now: at(10) };
    check(&is_active(), order, Err(Rejection::HardwareConflict { owner: node("n2") }));
}

#[test]
fn rule_02_no_more_addresses_change_at_once_than_a_fact_has_streams_for() {
    let sixteen = |from: u8| (from..from + 16).collect::<Vec<u8>>();
    let given = [(0, registered(1, &sixteen(0)))];
    check(&given, replace(10, hardware(&sixteen(16))), Err(Rejection::TooManyMacs { addresses: 32 }));
    check(
        &given,
        replace(10, hardware(&sixteen(15))),
        record(replaced(&sixteen(15), &sixteen(0)[..15], &[])),
    );
    assert_eq!(MAX_MACS_CHANGED, 31);
}
