//! What whoever opens a log may set: the clock, the way to other members, when a leader is missed.
//!
//! A journal sets the way to the others and what its operators configure (`config`), and leaves the rest; tests set what
//! they need. Not here: the sizes of queues and batches, which nobody sets.
//!
//! **Invariant:** no setting changes what is recorded, but for the stamp of the clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use events::vocabulary::Timestamp;

use super::network::{NoPeers, Peers};
use super::writer::Clock;
use crate::boottime::{self, Boottime};

/// Raft entries that stay in the Raft log after they are applied, for a member that was away for a moment. Up to twice as
/// many lie there before the older half is purged: in a storm, of 100 appends each, 200 MB.
const KEEP_ENTRIES: u64 = 1_000;

/// A journal that has heard of no quorum for so long does not know who was revoked meanwhile (R17).
const STALE_AFTER: Duration = Duration::from_secs(30);

/// The way to other members, and what a test sets otherwise.
#[derive(Clone)]
pub struct Settings {
    /// Stamps the entries (R24).
    pub clock: Clock,
    /// Applied entries that stay in the Raft log.
    pub keep_entries: u64,
    /// The way to other members.
    pub peers: Arc<dyn Peers>,
    /// When a leader is missed.
    pub timing: Timing,
    /// A member that was not proven fresh for so long serves nobody (R17).
    pub stale_after: Duration,
    /// By which ages of proofs are counted (R17).
    pub boottime: Boottime,
    /// Bytes of disk below which only revocations and evictions are recorded (R3); 0: none.
    pub disk_reserve: u64,
}

/// When a leader is missed.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How often a leader is heard of, in ms.
    pub heartbeat_ms: u64,
    /// After so long without, up to a twelfth longer, another one stands for election, in ms. For the first half of it
    /// nobody votes for another.
    pub silence_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        // A core that is given away for most of a second, as in a storm on a shared machine, must not end a leader; nor a
        // disk that takes as long for a sync.
        let timing = Timing { heartbeat_ms: 150, silence_ms: 1_200 };
        Self {
            clock: Arc::new(system_time),
            keep_entries: KEEP_ENTRIES,
            peers: Arc::new(NoPeers),
            timing,
            stale_after: STALE_AFTER,
            boottime: Arc::new(boottime::now),
            disk_reserve: 0,
        }
    }
}

fn system_time() -> Timestamp {
    // A clock before 1970 is 1970: every append is then too far from it (R24), and none is recorded.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(since)
}
