//! Values of the log, as a disk gives them back: `events::codec`.
//!
//! What is decoded is encoded and decoded again equal, in the same bytes from then on; it can be told as JSON and
//! folded, for what has happened is never refused (R6). An erased remark leaves chain and body as they were (R4).

#![no_main]

use events::codec::{StoredValue, decode_body, encode_body};
use events::views::Views;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let Ok(parsed) = StoredValue::parse(value) else {
        assert!(
            value.len() < 36
                || value.len() - 36
                    < u32::from_be_bytes([value[32], value[33], value[34], value[35]]) as usize
        );
        return;
    };
    let remarks = parsed.remarks();
    if let Ok(remarks) = &remarks {
        let written = StoredValue::write(&parsed.chain, parsed.body, remarks).expect("a reader took as much");
        let again = StoredValue::parse(&written).expect("it was written here");
        assert_eq!((again.chain, again.body), (parsed.chain, parsed.body));
        assert_eq!(again.remarks().expect("they were written here"), *remarks);
        if let Some(remark) = remarks.first() {
            let erased = parsed.without(remark.hash()).expect("its remarks are sound");
            let erased = StoredValue::parse(&erased).expect("it was written here");
            assert_eq!((erased.chain, erased.body), (parsed.chain, parsed.body));
            assert!(!erased.remarks().expect("they were written here").contains(remark));
        }
    }
    let Ok(record) = decode_body(parsed.body) else { return };
    let body = encode_body(&record).expect("a reader took as much");
    assert!(body.len() <= parsed.body.len(), "a writer takes the shortest form");
    let again = decode_body(&body).expect("it was written here");
    assert_eq!(again, record);
    assert_eq!(encode_body(&again).expect("it was written before"), body);
    events::fact_json::to_json(&record, remarks.as_deref().unwrap_or_default(), &parsed.chain);
    Views::default().fold(&record);
});
