//! The stored bytes: golden files, round trips, and what no reader accepts (R6).

use super::*;
use crate::fact::Record;
use crate::level::Level;
use crate::node::Event;
use crate::samples::{Log, at, goodbye, remark};
use crate::vocabulary::{CertificateHash, Der, LogId, Remark};

mod golden;
mod round_trip;
mod shortcut;

/// A body that is as long as possible, or just too long: its DER is what is left.
fn record_with_der(length: usize) -> Record {
    let mut record = Log::enrolled().records[5].clone();
    let crate::fact::Fact::Node(_, Event::CertificateIssued { der, .. }) = &mut record.fact else {
        panic!("the sixth fact is an issuance");
    };
    *der = Der::new(vec![7; length]);
    record
}

#[test]
fn rule_06_what_is_written_up_to_the_limit_is_read_and_more_is_refused() {
    let limit = 1 << 20;
    let rest = encode_body(&record_with_der(1 << 19)).unwrap().len() - 1 - (1 << 19);
    for length in limit - rest - 3..=limit - rest {
        let record = record_with_der(length);
        let body = encode_body(&record).unwrap();
        assert_eq!(decode_body(&body).unwrap(), record, "{length}");
    }
    let refused = encode_body(&record_with_der(limit - rest + 1));
    assert!(matches!(refused, Err(EncodeError::TooLarge { .. })));
    let refused = decode_body(&vec![1; limit + 2]);
    assert!(matches!(refused, Err(DecodeError::TooLarge { .. })));
}

#[test]
fn rule_06_bytes_after_the_value_are_refused() {
    for record in &Log::whole_life().records {
        let mut body = encode_body(record).unwrap();
        body.push(0);
        assert!(matches!(decode_body(&body), Err(DecodeError::LeftOver { bytes: 1 })));
    }
}

#[test]
fn the_beginning_of_a_body_says_what_the_whole_of_it_does() {
    for record in Log::whole_life().records {
        let body = encode_body(&record).unwrap();
        let Outline { seq, streams, append_id } = outline(&body).unwrap();
        assert_eq!((seq, streams, append_id), (record.seq, record.streams, record.append_id));
    }
    assert!(matches!(outline(&[]), Err(DecodeError::Truncated)));
    assert!(matches!(outline(&[2, 0]), Err(DecodeError::UnknownFormat { format: 2 })));
    assert!(outline(&[1, 7]).is_err());
}

#[test]
fn rule_26_a_format_of_a_later_release_says_upgrade() {
    let mut body = encode_body(&Log::enrolled().records[5]).unwrap();
    for format in [0, 2, 255] {
        body[0] = format;
        let refused = decode_body(&body).unwrap_err();
        assert!(matches!(refused, DecodeError::UnknownFormat { format: found } if found == format));
        assert!(refused.to_string().contains("upgrade"), "{refused}");
    }
}

#[test]
fn rule_26_a_level_beyond_what_is_read_says_upgrade() {
    let body = encode_body(&Log::enrolled().next(crate::samples::level_raised(3))).unwrap();
    let refused = decode_body_up_to(&body, Level::SECOND).unwrap_err();
    assert!(refused.needs_upgrade() && refused.to_string().contains("upgrade"), "{refused}");
    assert!(decode_body_up_to(&body, Level::new(3)).is_ok());
}

#[test]
fn rule_02_a_fact_outside_its_subjects_stream_is_refused() {
    let good = Log::enrolled().records[5].clone();
    let mut turned = good.clone();
    turned.streams.reverse();
    let none = Record { streams: vec![], ..good.clone() };
    let many = Record { streams: vec![good.streams[0].clone(); 33], ..good };
    for record in [turned, none, many] {
        let body = encode_body(&record).unwrap();
        assert!(matches!(decode_body(&body), Err(DecodeError::Misplaced)));
    }
}

#[test]
fn rule_06_a_truncated_value_is_refused_at_every_length() {
    let record = &Log::enrolled().records[5];
    let body = encode_body(record).unwrap();
    for length in 0..body.len() {
        assert!(decode_body(&body[..length]).is_err(), "{length}");
    }
    let chain = Chain::from_bytes([5; 32]);
    let value = StoredValue::write(&chain, &body, &[]).unwrap();
    for length in 0..value.len() {
        assert!(matches!(StoredValue::parse(&value[..length]), Err(DecodeError::Truncated)), "{length}");
    }
    let value = StoredValue::write(&chain, &body, &[remark("stolen")]).unwrap();
    for length in 36 + body.len() + 1..value.len() {
        assert!(StoredValue::parse(&value[..length]).unwrap().remarks().is_err(), "{length}");
    }
}

#[test]
fn rule_06_a_flipped_bit_never_panics_and_never_gives_the_same_fact() {
    let record = &Log::enrolled().records[5];
    let body = encode_body(record).unwrap();
    for bit in 0..body.len() * 8 {
        let mut flipped = body.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = decode_body(&flipped) {
            assert_ne!(read, *record, "bit {bit}");
        }
        let _ = StoredValue::parse(&flipped).map(|value| value.remarks().is_ok());
    }
}

#[test]
fn rule_06_the_chain_is_what_the_design_says() {
    let start = Chain::start(LogId::new([3; 16]), CertificateHash::of(&[0x30, 0x00]));
    let first = start.next(b"\x01body");
    let second = first.next(b"\x01next");
    let expected = [
        "5d25c1b201da16f486360d51db9a713ca1c7c1bded3491efa1aae2a235bd46f7",
        "1c83a81574fcb2fe4347365f083b010eb206337931f3b519db9d1c2b044b29d7",
        "d02a57889c7069182f319a81e10ceae1616945640a9dcab538f68c4df562350a",
    ];
    assert_eq!([start, first, second].map(|chain| chain.to_string()), expected);
    assert_eq!(Chain::from_bytes(*second.as_bytes()), second);
    assert_ne!(start.next(b"\x01next"), second);
}

#[test]
fn rule_04_an_erased_remark_leaves_chain_and_body() {
    let record = &Log::enrolled().records[5];
    let body = encode_body(record).unwrap();
    let chain = Chain::from_bytes([5; 32]);
    let (reason, source) = (remark("stolen"), remark("192.0.2.7"));
    let value = StoredValue::write(&chain, &body, &[reason.clone(), source.clone()]).unwrap();
    let erased = StoredValue::parse(&value).unwrap().without(reason.hash()).unwrap();
    let parsed = StoredValue::parse(&erased).unwrap();
    assert_eq!((parsed.chain, parsed.body), (chain, body.as_slice()));
    assert_eq!(parsed.remarks().unwrap(), std::slice::from_ref(&source));
    assert!(!erased.windows(6).any(|bytes| bytes == b"stolen"), "nothing of the text is left");
    let empty = parsed.without(source.hash()).unwrap();
    assert_eq!(StoredValue::parse(&empty).unwrap().remarks().unwrap(), []);
    assert_eq!(empty.len(), 36 + body.len());
    assert_eq!(parsed.without(reason.hash()).unwrap(), erased, "erasing twice changes nothing");
}

#[test]
fn rule_06_more_remarks_than_a_reader_accepts_are_not_written() {
    let long = |number| Remark::new([number; 16], &"x".repeat(1024)).unwrap();
    let chain = Chain::from_bytes([5; 32]);
    let fifteen: Vec<Remark> = (0..15).map(long).collect();
    let value = StoredValue::write(&chain, b"body", &fifteen).unwrap();
    assert_eq!(StoredValue::parse(&value).unwrap().remarks().unwrap(), fifteen);
    let sixteen: Vec<Remark> = (0..16).map(long).collect();
    assert!(matches!(StoredValue::write(&chain, b"body", &sixteen), Err(EncodeError::TooLarge { .. })));
}

#[test]
fn rule_06_keys_sort_by_seq_and_version() {
    assert!(keys::fact(255) < keys::fact(256) && keys::fact(u64::MAX - 1) < keys::fact(u64::MAX));
    assert_eq!(keys::seq(&keys::fact(7)), Some(7));
    assert_eq!(keys::seq(b"7"), None);
    let stream: crate::stream::StreamName = "node/n1".parse().unwrap();
    assert_eq!(keys::head(&stream), b"node/n1");
    assert!(keys::subject(&stream, 255) < keys::subject(&stream, 256));
    assert!(keys::subject(&stream, 1).starts_with(b"node/n1\0"));
}

#[test]
fn a_fact_is_readable_in_json() {
    let mut log = Log::enrolled();
    log.wait(1).of("n1", goodbye());
    let json = serde_json::to_value(log.records.last().unwrap()).unwrap();
    assert_eq!(json["recorded_at"], at(1).to_string());
    assert_eq!(json["streams"][0], serde_json::json!({"name": "node/n1", "version": 4}));
    assert_eq!(json["fact"]["Node"][1]["NodeDeactivated"]["cause"], "goodbye");
}
