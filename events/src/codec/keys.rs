//! Where things lie in RocksDB: column families and keys. Shared by the journal, which writes, and `replay`, whose
//! reader is its own.

use crate::stream::StreamName;
use crate::vocabulary::{KeyHash, Mac, NodeId};

/// The folder of the RocksDB inside a journal's data directory.
pub const DIRECTORY: &str = "log";

/// Column family: seq (u64, big-endian) -> [`super::StoredValue`].
pub const FACTS: &str = "facts";
/// Column family: stream name -> version ‖ seq of its last fact (u64 each, big-endian).
pub const HEADS: &str = "heads";
/// Column family: stream name ‖ 0x00 ‖ version (u64, big-endian) -> seq, for the streams of subjects.
pub const SUBJECTS: &str = "subjects";
/// Column family: overlays of vClusters by SHA-256.
pub const OVERLAYS: &str = "overlays";
/// Column family: the Raft log.
pub const RAFT_LOG: &str = "raft_log";
/// Column family: vote, purge mark, applied index, membership.
pub const RAFT_STATE: &str = "raft_state";

/// All of them.
pub const ALL: [&str; 6] = [FACTS, HEADS, SUBJECTS, OVERLAYS, RAFT_LOG, RAFT_STATE];

/// The key of a fact.
pub const fn fact(seq: u64) -> [u8; 8] {
    seq.to_be_bytes()
}

/// The place of a fact; none if the key is not 8 bytes long.
pub fn seq(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// The key of a stream's head.
pub fn head(stream: &StreamName) -> Vec<u8> {
    stream.to_string().into_bytes()
}

/// The stream that has this key of a [`head`]; none for any other way to write its name, which no journal writes.
///
/// Claims and nodes first and by themselves: a log has hundreds of thousands of them, and a handful of the others.
pub fn stream_of_head(key: &[u8]) -> Option<StreamName> {
    if let Some(digits) = key.strip_prefix(b"key/") {
        return lower_hex(digits).map(|hash| StreamName::Key(KeyHash::new(hash)));
    }
    if let Some(name) = key.strip_prefix(b"node/") {
        return NodeId::from_bytes(name).ok().map(StreamName::Node);
    }
    if let Some(address) = key.strip_prefix(b"mac/") {
        return mac(address).map(StreamName::Mac);
    }
    let stream: StreamName = std::str::from_utf8(key).ok()?.parse().ok()?;
    (head(&stream) == key).then_some(stream)
}

fn mac(address: &[u8]) -> Option<Mac> {
    let mut bytes = [0; 6];
    let digits = address.chunks(3).map(|chunk| match chunk {
        [digits @ .., b':'] => (digits, false),
        digits => (digits, true),
    });
    let mut count = 0;
    for (digits, last) in digits {
        [*bytes.get_mut(count)?] = lower_hex(digits)?;
        count += 1;
        if last != (count == bytes.len()) {
            return None;
        }
    }
    if count == bytes.len() { Mac::new(bytes).ok() } else { None }
}

/// What a lower-case digit stands for; more than a digit can, if it is none.
const DIGITS: [u8; 256] = {
    let mut digits = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Reads `N` bytes from as many pairs of lower-case digits and nothing else.
fn lower_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_chunks::<2>();
    let pairs: &[[u8; 2]; N] = pairs.try_into().ok().filter(|_| rest.is_empty())?;
    let (mut bytes, mut seen) = ([0; N], 0);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(bytes)
}

/// The key of one version of a subject's stream.
pub fn subject(stream: &StreamName, version: u64) -> Vec<u8> {
    let mut key = head(stream);
    key.push(0);
    key.extend(version.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "key/0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";

    #[test]
    fn a_stream_is_found_by_the_key_of_its_head() {
        let join = KEY.replace("key", "join");
        let written = [
            "domain",
            "node/a",
            "operator/a",
            "journal/a",
            "vcluster/a",
            "mac/0a:bb:cc:dd:ee:01",
            "authority/01JTZ5E2G0W5Y0Q3M7N8P9R6ST",
            KEY,
            &join,
        ];
        for text in written {
            let stream: StreamName = text.parse().unwrap();
            assert_eq!(head(&stream), text.as_bytes());
            assert_eq!(stream_of_head(text.as_bytes()), Some(stream), "{text}");
        }
    }

    #[test]
    fn no_stream_is_found_by_another_way_to_write_its_name() {
        let upper = |text: &str, from: usize| format!("{}{}", &text[..from], text[from..].to_uppercase());
        let join = KEY.replace("key", "join");
        for text in [
            "mac/0A:bb:cc:dd:ee:01",
            "mac/0abb.ccdd.ee01",
            "mac/0abbccddee01",
            "mac/0a-bb-cc-dd-ee-01",
            "mac/ 0a:bb:cc:dd:ee:01",
            "mac/00:00:00:00:00:00",
            "mac/0a:bb:cc:dd:ee:01:",
            "mac/0a:bb:cc:dd:ee:01:02",
            "mac/0a:bb:cc:dd:ee",
            "mac/0a:bb:cc:dd:ee:",
            "mac/0a:bb:cc:dd:ee:1",
            "mac/",
            "authority/01jtz5e2g0w5y0q3m7n8p9r6st",
            "node/A",
            "node/",
            "key/",
            "",
            &upper(KEY, 4),
            &upper(&join, 5),
            &KEY[..67],
            &format!("{KEY}a"),
            &format!("{}:", &KEY[..67]),
        ] {
            assert_eq!(stream_of_head(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_bytes_are_a_key_are_the_only_key_of_their_stream(key in any::<Vec<u8>>(), kind in 0..5_usize) {
            let kind: &[u8] = [&b"key/"[..], b"mac/", b"node/", b"operator/", b""][kind];
            let key = [kind, &key].concat();
            if let Some(stream) = stream_of_head(&key) {
                assert_eq!(head(&stream), key);
            }
        }

        #[test]
        fn every_key_and_address_is_found(hash in any::<[u8; 32]>(), address in any::<[u8; 6]>()) {
            let mac = Mac::new(address).ok().map(StreamName::Mac);
            for stream in mac.into_iter().chain([StreamName::Key(KeyHash::new(hash))]) {
                assert_eq!(stream_of_head(&head(&stream)), Some(stream));
            }
        }
    }
}
