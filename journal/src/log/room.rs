//! The reserve of disk (R3): below it only revocations and evictions are recorded, so that there is always room for them.
//!
//! A reading is taken now and then, not for each append. Each member goes by its own disk for what its own callers order.
//! The leader also looks at the others': once so many are short that a quorum would end with them, it records nothing else
//! either, whoever has room. A member with room goes on until then, and the short ones follow.
//!
//! Not here: what a full disk does ([`super::broken`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use events::append::Append;
use events::fact::Fact;
use events::{authority, member, node, operator};

/// How often the disk is looked at: in a storm the log grows by some MB a second.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Room {
    path: PathBuf,
    reserve: u64,
    free: AtomicU64,
    low: AtomicBool,
    /// As far as a leader knows; false of all others.
    quorum_low: AtomicBool,
}

impl Room {
    /// Of the disk on which `path` lies; the reserve in bytes, 0: none. The first reading is taken.
    pub(super) fn new(path: &Path, reserve: u64) -> Self {
        let (low, quorum_low) = (AtomicBool::new(false), AtomicBool::new(false));
        let room = Self { path: path.to_owned(), reserve, free: AtomicU64::new(u64::MAX), low, quorum_low };
        room.look();
        room
    }

    /// Takes a reading.
    pub(super) fn look(&self) {
        match free(&self.path) {
            Ok(free) => {
                self.free.store(free, Ordering::Relaxed);
                let (low, reserve) = (is_low(free, self.reserve), self.reserve);
                let before = self.low.swap(low, Ordering::Relaxed);
                if low && !before {
                    tracing::error!(
                        free,
                        reserve,
                        "little disk is left: only revocations and evictions are recorded"
                    );
                } else if before && !low {
                    tracing::info!(free, reserve, "there is enough disk again");
                }
            }
            // Nothing is known: what is written will show it.
            Err(error) => tracing::warn!(%error, "how much disk is left cannot be told"),
        }
    }

    /// Whether the reserve is reached.
    pub(super) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// This leader knows of so many voters, and of those which have reached their reserve.
    pub(super) fn count(&self, low: usize, voters: usize) {
        self.quorum_low.store(quorum_is_low(low, voters), Ordering::Relaxed);
    }

    /// Whether this member leads and a quorum would end with those that have reached theirs.
    pub(super) fn quorum_is_low(&self) -> bool {
        self.quorum_low.load(Ordering::Relaxed)
    }

    /// The bytes that are left; as of the last reading.
    pub(super) fn free(&self) -> u64 {
        self.free.load(Ordering::Relaxed)
    }
}

fn is_low(free: u64, reserve: u64) -> bool {
    free < reserve
}

/// Whether those that are short outnumber what a quorum can spare.
fn quorum_is_low(low: usize, voters: usize) -> bool {
    voters > 0 && voters - low.min(voters) < voters / 2 + 1
}

/// The bytes that this process may still write.
fn free(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether an append is recorded below the reserve: one that takes something away, or the few bytes by which a journal that
/// was started again can do so.
pub(super) fn is_spared(append: &Append) -> bool {
    let facts = &append.facts;
    // A former machine that comes back after a warm reboot ends the claimed certificate by the same append (R14).
    let ended =
        facts.iter().any(|fact| matches!(fact, Fact::Node(_, node::Event::CertificateRevoked { .. })));
    !facts.is_empty() && facts.iter().all(|fact| spares(fact) || (ended && comes_back(fact)))
}

fn comes_back(fact: &Fact) -> bool {
    matches!(fact, Fact::Node(_, node::Event::Reactivated { .. } | node::Event::Contested { .. }))
}

/// What is not named here is not spared, also what a later release adds.
fn spares(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Node(_, node::Event::Revoked { .. } | node::Event::CertificateRevoked { .. })
            | Fact::Operator(_, operator::Event::Revoked { .. })
            | Fact::Member(_, member::Event::Evicted { .. } | member::Event::Announced { .. })
            | Fact::Authority(_, authority::Event::Announced(_) | authority::Event::Retired {})
    )
}

#[cfg(test)]
mod tests {
    use events::node::DistrustCause;
    use events::vocabulary::{AppendId, Principal, Serial, Timestamp};

    use super::*;

    fn append(facts: Vec<Fact>) -> Append {
        Append {
            append_id: AppendId::new([1; 16]),
            decided_at: Timestamp::default(),
            principal: Principal::Anonymous,
            proposed_by: "j1".parse().unwrap(),
            source: None,
            assurance: None,
            expects: vec![],
            facts,
            remarks: vec![],
        }
    }

    #[test]
    fn rule_03_what_takes_a_certificate_away_is_recorded_below_the_reserve() {
        let node = |event| Fact::Node("n1".parse().unwrap(), event);
        let ended = node::Event::CertificateRevoked { cause: DistrustCause::JournalEvicted, serials: vec![] };
        assert!(spares(&node(ended.clone())));
        let serial = Serial::from_random([1; 16]);
        let back = node(node::Event::Reactivated { serial });
        assert!(
            is_spared(&append(vec![node(ended), back.clone()])),
            "a former machine ends what was claimed"
        );
        assert!(!is_spared(&append(vec![back])) && !is_spared(&append(vec![])));
        assert!(!spares(&node(node::Event::Resolved {})));
    }

    #[test]
    fn rule_03_below_the_reserve_and_not_at_it_the_disk_is_low() {
        for (free, reserve, low) in [
            (0, 0, false),
            (0, 1, true),
            ((256 << 20) - 1, 256 << 20, true),
            (256 << 20, 256 << 20, false),
            (u64::MAX, 256 << 20, false),
        ] {
            assert_eq!(is_low(free, reserve), low, "{free} of {reserve}");
        }
    }

    #[test]
    fn rule_03_a_quorum_is_low_once_those_with_room_are_no_majority() {
        for (low, voters, quorum) in [
            (0, 1, false),
            (1, 1, true),
            (0, 3, false),
            (1, 3, false),
            (2, 3, true),
            (3, 3, true),
            (1, 2, true),
            (2, 5, false),
            (3, 5, true),
            (0, 0, false),
        ] {
            assert_eq!(quorum_is_low(low, voters), quorum, "{low} of {voters}");
        }
    }
}
