//! Where things lie in RocksDB: column families and keys. Shared by the journal, which writes, and `replay`, whose
//! reader is its own.

use std::fmt::{self, Write};

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

/// Whether this is [`head`] of the stream; takes no memory.
pub fn is_head(key: &[u8], stream: &StreamName) -> bool {
    struct Rest<'a>(&'a [u8]);
    impl Write for Rest<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(text.as_bytes()).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(key);
    write!(rest, "{stream}").is_ok() && rest.0.is_empty()
}

/// The key of one version of a subject's stream.
pub fn subject(stream: &StreamName, version: u64) -> Vec<u8> {
    let mut key = head(stream);
    key.push(0);
    key.extend(version.to_be_bytes());
    key
}
