//! Which faults come when: drawn from a seed before the run begins.
//!
//! [`super::injection`] carries them out. Whom a fault meets is a role where it must be (who leads is known only then), so
//! that the same seed always gives the same schedule.
//!
//! **Invariant:** every kind that was asked for comes once before any comes again.

use std::{fmt, time::Duration};

use clap::ValueEnum;
use fastrand::Rng;
use serde::Serialize;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// kill -9; started again after a while, sometimes while it is cut off.
    Kill,
    /// SIGSTOP, also for longer than every timeout.
    Pause,
    /// Packets between journals are dropped: of one, of all, in one direction, between two.
    Partition,
    /// Some of the packets are dropped.
    Loss,
    /// No room on a journal's disk.
    DiskFull,
    /// A journal's file system can only be read.
    ReadOnly,
    /// Syncs of a journal's disk fail.
    IoError,
    /// Syncs of a journal's disk take long.
    SlowDisk,
    /// A journal's clock is wrong.
    Clock,
    /// All journals are killed at once.
    RestartAll,
    /// The leader is moved.
    Transfer,
    /// A journal is evicted, and another joins.
    Membership,
    /// A journal's clock is set while it runs, and set right again.
    ClockJump,
}

/// Whom a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// Who leads then.
    Leader,
    /// One of those who do not: this one, counted on round them.
    Follower(usize),
}

/// Which packets are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Between it and all other journals. Clients reach it.
    Alone,
    /// All that it sends to other journals.
    Mute,
    /// All that other journals send to it.
    Deaf,
    /// Between the smaller half, in which it is, and the larger: of five two and three, of three it alone.
    Halves,
    /// Between it and one other journal.
    FromOne,
    /// Between all journals: none has a majority.
    Apart,
    /// Between it and everybody, clients as well.
    Unplugged,
}

/// A fault as it is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// See [`Kind::Kill`].
    Kill {
        /// Whom.
        whom: Whom,
        /// It is cut off for a while before, and is started while it still is.
        cut_off: bool,
    },
    /// See [`Kind::Pause`].
    Pause {
        /// Whom.
        whom: Whom,
    },
    /// See [`Kind::Partition`].
    Partition {
        /// Whom.
        whom: Whom,
        /// Which packets.
        way: Way,
    },
    /// See [`Kind::Loss`].
    Loss {
        /// How many of a hundred packets, between all hosts.
        percent: u8,
    },
    /// See [`Kind::DiskFull`].
    DiskFull {
        /// Whom.
        whom: Whom,
        /// So many bytes are left.
        leaves: u64,
    },
    /// See [`Kind::ReadOnly`].
    ReadOnly {
        /// Whom.
        whom: Whom,
    },
    /// See [`Kind::IoError`].
    IoError {
        /// Whom.
        whom: Whom,
    },
    /// See [`Kind::SlowDisk`].
    SlowDisk {
        /// Whom.
        whom: Whom,
        /// How long each sync takes more.
        delay_ms: u32,
    },
    /// See [`Kind::Clock`].
    Clock {
        /// Whom.
        whom: Whom,
        /// How far its clock is off.
        ahead_secs: i32,
    },
    /// See [`Kind::RestartAll`].
    RestartAll {},
    /// See [`Kind::Transfer`].
    Transfer {
        /// To whom.
        to: Whom,
    },
    /// See [`Kind::Membership`].
    Membership {
        /// Who goes.
        whom: Whom,
    },
    /// See [`Kind::ClockJump`].
    ClockJump {
        /// Whom.
        whom: Whom,
        /// By how much.
        ahead_secs: i32,
    },
}

/// A fault and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// From the beginning of the load, in ms.
    pub at_ms: u64,
    /// How long, in ms.
    pub lasts_ms: u64,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Planned {
    /// From the beginning of the load.
    pub fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }

    /// How long.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.lasts_ms)
    }
}

/// All faults of a run.
pub fn draw(seed: u64, within: Duration, kinds: &[Kind]) -> Vec<Planned> {
    let mut rng = Rng::with_seed(seed);
    let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    let (mut planned, mut bag, mut at_ms) = (Vec::new(), Vec::new(), 500 + rng.u64(0..1500));
    while at_ms < within && !kinds.is_empty() {
        if bag.is_empty() {
            bag = kinds.to_vec();
            rng.shuffle(&mut bag);
        }
        let Some(kind) = bag.pop() else { break };
        let (fault, lasts_ms) = of(kind, &mut rng);
        planned.push(Planned { at_ms, lasts_ms: lasts_ms.min(within - at_ms), fault });
        // The next one often comes while this one lasts.
        at_ms += 300 + lasts_ms * rng.u64(50..130) / 100;
    }
    planned
}

fn of(kind: Kind, rng: &mut Rng) -> (Fault, u64) {
    let whom = if rng.bool() { Whom::Leader } else { Whom::Follower(rng.usize(0..4)) };
    match kind {
        Kind::Kill => {
            let cut_off = rng.u8(0..3) == 0;
            let lasts = if cut_off { rng.u64(5000..7000) } else { rng.u64(0..3000) };
            (Fault::Kill { whom, cut_off }, lasts)
        }
        // The longest is longer than what makes a journal stale, and than every wait for an answer.
        Kind::Pause => (Fault::Pause { whom }, *pick(rng, &[300, 2000, 5000, 9000, 14_000])),
        Kind::Partition => {
            let ways =
                [Way::Alone, Way::Halves, Way::Mute, Way::Deaf, Way::FromOne, Way::Apart, Way::Unplugged];
            let way = *pick(rng, &ways);
            (Fault::Partition { whom, way }, *pick(rng, &[1500, 4000, 9000, 17_000]))
        }
        Kind::Loss => (Fault::Loss { percent: rng.u8(3..35) }, rng.u64(2000..6000)),
        Kind::DiskFull => {
            (Fault::DiskFull { whom, leaves: *pick(rng, &[0, 64 << 10, 2 << 20]) }, rng.u64(2000..5000))
        }
        Kind::ReadOnly => (Fault::ReadOnly { whom }, rng.u64(1500..4000)),
        Kind::IoError => (Fault::IoError { whom }, rng.u64(1000..3000)),
        Kind::SlowDisk => {
            (Fault::SlowDisk { whom, delay_ms: *pick(rng, &[20, 150, 600]) }, rng.u64(2000..6000))
        }
        Kind::Clock => {
            (Fault::Clock { whom, ahead_secs: *pick(rng, &[-45, -15, 15, 45]) }, rng.u64(4000..7000))
        }
        Kind::RestartAll => (Fault::RestartAll {}, rng.u64(0..1000)),
        Kind::Transfer => (Fault::Transfer { to: Whom::Follower(rng.usize(0..4)) }, 0),
        Kind::Membership => {
            (Fault::Membership { whom: Whom::Follower(rng.usize(0..4)) }, rng.u64(2000..5000))
        }
        Kind::ClockJump => {
            // Less than 10 s is right (R24), and as long as the grace period of these runs.
            let ahead_secs = *pick(rng, &[-45, -15, 15, 45, 3600]);
            (Fault::ClockJump { whom, ahead_secs }, rng.u64(1500..7000))
        }
    }
}

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[rng.usize(0..all.len())]
}

/// As people read it.
impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        write!(f, "{:6.1} s, for {:4.1} s: {}", seconds(self.at_ms), seconds(self.lasts_ms), self.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { whom, cut_off: false } => write!(f, "kill {whom}"),
            Self::Kill { whom, cut_off: true } => write!(f, "cut {whom} off and kill it"),
            Self::Pause { whom } => write!(f, "pause {whom}"),
            Self::Partition { whom, way } => write!(f, "partition, {way:?}: {whom}"),
            Self::Loss { percent } => write!(f, "lose {percent} % of all packets"),
            Self::DiskFull { whom, leaves } => write!(f, "{leaves} bytes are left on the disk of {whom}"),
            Self::ReadOnly { whom } => write!(f, "the disk of {whom} is read-only"),
            Self::IoError { whom } => write!(f, "syncs of {whom} fail"),
            Self::SlowDisk { whom, delay_ms } => write!(f, "syncs of {whom} take {delay_ms} ms more"),
            Self::Clock { whom, ahead_secs } => write!(f, "the clock of {whom} is {ahead_secs} s ahead"),
            Self::RestartAll {} => write!(f, "kill all"),
            Self::Transfer { to } => write!(f, "move the lead to {to}"),
            Self::Membership { whom } => write!(f, "evict {whom}, another joins"),
            Self::ClockJump { whom, ahead_secs } => write!(f, "the clock of {whom} is set by {ahead_secs} s"),
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => write!(f, "the leader"),
            Self::Follower(nth) => write!(f, "follower {nth}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_one_another() {
        assert_eq!(draw(7, LONG, Kind::value_variants()), draw(7, LONG, Kind::value_variants()));
        assert_ne!(draw(7, LONG, Kind::value_variants()), draw(8, LONG, Kind::value_variants()));
    }

    #[test]
    fn every_kind_comes_once_before_any_comes_again_and_nothing_outlasts_the_run() {
        let kinds = Kind::value_variants();
        let planned = draw(3, LONG, kinds);
        assert!(planned.len() > 3 * kinds.len(), "{}", planned.len());
        for round in planned.chunks_exact(kinds.len()) {
            let of_a_round: BTreeSet<_> = round
                .iter()
                .map(|planned| std::mem::discriminant(&planned.fault))
                .map(|kind| format!("{kind:?}"))
                .collect();
            assert_eq!(of_a_round.len(), kinds.len());
        }
        assert!(planned.iter().all(|planned| planned.at() + planned.lasts() <= LONG));
        assert_eq!(draw(3, LONG, &[]), []);
    }
}
