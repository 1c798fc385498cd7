//! The shortcut beside the plain way (R6): equal where it reads, silent where that refuses.

use proptest::prelude::*;
use proptest::sample::Index;

use super::round_trip::record;
use super::*;
use crate::codec::shortcut::{read, read_remark};
use crate::fact::Fact;
use crate::vocabulary::StoredRemark;

/// What the shortcut reads; panics if the plain way reads anything else.
fn compared(bytes: &[u8]) -> Option<Record> {
    let plain = decode::<Record, { 1 << 20 }>(bytes).ok();
    let short = read(bytes).map(|record| *record);
    assert!(short.is_none() || short == plain, "{short:#?}\n{plain:#?}");
    short
}

/// The same of remarks.
fn compared_remark(bytes: &[u8]) -> bool {
    let hashes = |remarks: Vec<StoredRemark<'_>>| remarks.iter().map(StoredRemark::hash).collect::<Vec<_>>();
    let plain = decode::<Vec<StoredRemark<'_>>, { 1 << 14 }>(bytes).ok().map(hashes);
    let short = read_remark(bytes).map(|remark| hashes(vec![remark]));
    assert!(short.is_none() || short == plain, "{short:?} {plain:?}");
    short.is_some()
}

/// Whether the shortcut is for such facts.
fn is_meant(fact: &Fact) -> bool {
    match fact {
        Fact::Node(_, Event::Registered { labels, .. }) => labels.iter().next().is_none(),
        Fact::Node(_, Event::CertificateIssued { supersedes, .. }) => supersedes.len() <= 2,
        Fact::Node(
            _,
            Event::EnrollmentConfirmed { .. } | Event::Deactivated { .. } | Event::Reactivated { .. },
        ) => true,
        Fact::Node(
            _,
            Event::Revoked { .. }
            | Event::Assigned { .. }
            | Event::Contested { .. }
            | Event::Resolved {}
            | Event::HardwareReplaced { .. }
            | Event::AttemptsRefused(_)
            | Event::CertificateRevoked { .. }
            | Event::Unassigned { .. }
            | Event::Moved { .. }
            | Event::Drained {}
            | Event::Undrained {}
            | Event::IdentityBound { .. },
        )
        | Fact::Domain(_)
        | Fact::Authority(..)
        | Fact::Operator(..)
        | Fact::VCluster(..)
        | Fact::Member(..) => false,
    }
}

#[test]
fn rule_06_the_shortcut_reads_the_facts_that_it_is_for() {
    let mut taken = 0;
    for record in &Log::whole_life().records {
        let body = encode_body(record).unwrap();
        let short = compared(&body[1..]);
        assert_eq!(short.is_some(), is_meant(&record.fact), "{record:#?}");
        taken += usize::from(short.is_some());
    }
    assert!(taken >= 10, "only {taken}");
}

#[test]
fn rule_06_every_wrong_byte_is_to_the_shortcut_what_it_is_to_the_plain_way() {
    for record in Log::whole_life().records.iter().filter(|record| is_meant(&record.fact)) {
        let body = encode_body(record).unwrap();
        for at in 1..body.len() {
            compared(&body[1..at]);
            for byte in [0, 1, 2, 5, b'-', b'a', 250, 251, 252, 253, 254, 255, body[at] ^ 1, body[at] ^ 0x80]
            {
                let mut wrong = body[1..].to_vec();
                wrong[at - 1] = byte;
                compared(&wrong);
            }
        }
    }
}

#[test]
fn rule_06_a_number_that_is_written_too_long_is_read_alike() {
    let mut log = Log::enrolled();
    log.of("n1", goodbye());
    let body = encode_body(log.records.last().unwrap()).unwrap();
    let seq = body[1];
    for long in [&[251, seq, 0][..], &[252, seq, 0, 0, 0], &[253, seq, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(compared(&[long, &body[2..]].concat()), log.records.last().cloned());
    }
    assert_eq!(compared(&[&[254][..], &[0; 16], &body[2..]].concat()), None);
}

#[test]
fn rule_04_the_shortcut_reads_one_remark_and_no_more() {
    let remarks = [remark("192.0.2.7"), remark("stolen")];
    let bytes = |count: usize| encode::<{ 1 << 14 }>(&&remarks[..count]).unwrap();
    assert!(compared_remark(&bytes(1)) && !compared_remark(&bytes(0)) && !compared_remark(&bytes(2)));
}

proptest! {
    #[test]
    fn rule_06_any_record_is_to_the_shortcut_what_it_is_to_the_plain_way(
        record in record(),
        damage in prop::collection::vec((any::<Index>(), 0..3_u8, any::<u8>()), 0..4),
    ) {
        let mut body = encode_body(&record).unwrap().split_off(1);
        prop_assert_eq!(compared(&body).is_some(), is_meant(&record.fact) && record.streams.len() <= 32);
        for (at, kind, byte) in damage {
            let at = at.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
            compared(&body);
            if body.is_empty() {
                break;
            }
        }
    }

    #[test]
    fn rule_04_any_remark_is_to_the_shortcut_what_it_is_to_the_plain_way(
        text in "\\PC{0,300}",
        at in any::<Index>(),
        byte in any::<u8>(),
    ) {
        let written = Remark::new([7; 16], &text);
        let mut bytes = encode::<{ 1 << 14 }>(&vec![([7_u8; 16], text)]).unwrap();
        prop_assert_eq!(compared_remark(&bytes), written.is_ok());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        compared_remark(&bytes);
    }
}
