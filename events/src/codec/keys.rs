//! Where things lie in RocksDB: column families and keys. Shared by the journal, which writes, and `replay`, whose
//! reader is its own.

use crate::stream::StreamName;

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

/// Whether this, from which the stream was read, is its [`head`], and not another way to write the same name.
pub fn is_head(key: &[u8], stream: &StreamName) -> bool {
    match stream {
        // Names are written in one way, hashes in two.
        StreamName::Domain
        | StreamName::Node(_)
        | StreamName::Operator(_)
        | StreamName::Key(_)
        | StreamName::Join(_)
        | StreamName::VCluster(_)
        | StreamName::Journal(_) => !key.iter().any(u8::is_ascii_uppercase),
        StreamName::Authority(_) | StreamName::Mac(_) => head(stream) == key,
    }
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
    use super::*;

    #[test]
    fn a_stream_has_one_key_of_a_head_whatever_is_read_as_its_name() {
        let key = "key/0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
        let written =
            ["domain", "node/a", "operator/a", "journal/a", "vcluster/a", "mac/0a:bb:cc:dd:ee:01", key];
        for text in written {
            let stream: StreamName = text.parse().unwrap();
            assert_eq!(head(&stream), text.as_bytes());
            assert!(is_head(text.as_bytes(), &stream), "{text}");
        }
        let upper = format!("key/{}", key[4..].to_uppercase());
        for text in ["mac/0A:bb:cc:dd:ee:01", "mac/0abb.ccdd.ee01", "mac/0abbccddee01", &upper] {
            let stream: StreamName = text.parse().unwrap();
            assert!(!is_head(text.as_bytes(), &stream), "{text}");
        }
        let authority: StreamName = "authority/01JTZ5E2G0W5Y0Q3M7N8P9R6ST".parse().unwrap();
        assert!(is_head(b"authority/01JTZ5E2G0W5Y0Q3M7N8P9R6ST", &authority));
        assert!(!is_head(b"authority/01jtz5e2g0w5y0q3m7n8p9r6st", &authority));
    }
}
