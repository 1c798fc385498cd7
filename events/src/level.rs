//! Format levels (R26): which facts may be written, so that every member of the quorum can read them.
//!
//! A release reads all levels up to its newest and announces that one. The log has a level of its own, 1 until
//! `LevelRaised` says otherwise; the leader raises it to what all voters and learners announced ([`agreed`]). What a fact
//! needs is a table ([`Fact::level`]): a new fact goes to the newest level if no release has that one yet, else to the next.
//!
//! `apply` refuses what is above the log's level ([`after`]), the auditor finds it, and a member that meets what is above its
//! own ([`legible`]) stops and says `upgrade`.
//!
//! Not here: how members announce their level, and what a fact of an unknown type looks like ([`crate::codec`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fact::Fact;
use crate::{authority, domain, member, node, operator, vcluster};

/// A set of types of facts; each level has those of all lower ones. **Stored** (R6) as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(u32);

impl Level {
    /// Of a log in which no fact says otherwise.
    pub const FIRST: Self = Self(1);
    /// Adds `LevelRaised`, `DomainDefaultSet`, `DomainRestored`, `CertificateRevoked`, `NodeUnassigned`, `NodeMoved`,
    /// `NodeDrained`, `NodeUndrained` and `IdentityBound`, and of `CertificateIssued` the cause `warm-reboot`.
    pub const SECOND: Self = Self(2);
    /// All that this release reads.
    pub const NEWEST: Self = Self::SECOND;

    /// The level with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A fact needs a higher level than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the fact needs format level {needs}, and the level is {level}")]
pub struct AboveLevel {
    /// What it needs.
    pub needs: Level,
    /// What there is.
    pub level: Level,
}

impl Fact {
    /// The level that a log must have for this fact, and a member must read.
    pub fn level(&self) -> Level {
        match self {
            Self::Domain(domain::Event::LevelRaised { level }) => (*level).max(Level::SECOND),
            Self::Domain(domain::Event::DefaultSet { .. } | domain::Event::Restored(_))
            | Self::Node(
                _,
                node::Event::CertificateIssued { cause: node::Cause::WarmReboot, .. }
                | node::Event::CertificateRevoked { .. }
                | node::Event::Unassigned { .. }
                | node::Event::Moved { .. }
                | node::Event::Drained {}
                | node::Event::Undrained {}
                | node::Event::IdentityBound { .. },
            ) => Level::SECOND,
            Self::Domain(
                domain::Event::Created(_)
                | domain::Event::JoinTokenCreated { .. }
                | domain::Event::RemarkErased { .. }
                | domain::Event::JoinTokenConsumed { .. },
            )
            | Self::Node(
                _,
                node::Event::Registered { .. }
                | node::Event::CertificateIssued { .. }
                | node::Event::EnrollmentConfirmed { .. }
                | node::Event::Deactivated { .. }
                | node::Event::Reactivated { .. }
                | node::Event::Revoked { .. }
                | node::Event::Assigned { .. }
                | node::Event::Contested { .. }
                | node::Event::Resolved {}
                | node::Event::HardwareReplaced { .. }
                | node::Event::AttemptsRefused(_),
            )
            | Self::Authority(_, authority::Event::Announced(_) | authority::Event::Retired {})
            | Self::Operator(
                _,
                operator::Event::Created { .. }
                | operator::Event::Renewed { .. }
                | operator::Event::Revoked { .. },
            )
            | Self::VCluster(_, vcluster::Event::OverlaySet { .. })
            | Self::Member(
                _,
                member::Event::Joining { .. }
                | member::Event::Joined
                | member::Event::Evicted { .. }
                | member::Event::Announced { .. },
            ) => Level::FIRST,
        }
    }
}

/// The log's level after a fact, which `LevelRaised` may follow in the same append.
///
/// # Errors
/// If the fact needs more than the log has. `LevelRaised` itself is what brings its level.
pub fn after(level: Level, fact: &Fact) -> Result<Level, AboveLevel> {
    if let Fact::Domain(domain::Event::LevelRaised { level: raised }) = fact {
        return Ok(level.max(*raised));
    }
    let needs = fact.level();
    if needs <= level { Ok(level) } else { Err(AboveLevel { needs, level }) }
}

/// [`after`] all facts of an append.
///
/// # Errors
/// As [`after`], for the first such fact.
pub fn after_all<'a>(level: Level, facts: impl IntoIterator<Item = &'a Fact>) -> Result<Level, AboveLevel> {
    facts.into_iter().try_fold(level, after)
}

/// Whether a member that reads up to a level may believe that it understands a fact: one that raises the log beyond it
/// means that the facts behind are of types that it does not know.
///
/// # Errors
/// If it must be upgraded.
pub fn legible(fact: &Fact, reads: Level) -> Result<(), AboveLevel> {
    let needs = fact.level();
    if needs <= reads { Ok(()) } else { Err(AboveLevel { needs, level: reads }) }
}

/// The level to which a log may be raised: what all of these read. None: one of them has not said, or there is nobody.
pub fn agreed(announced: impl IntoIterator<Item = Option<Level>>) -> Option<Level> {
    announced.into_iter().try_fold(None, |lowest: Option<Level>, one| {
        let one = one?;
        Some(Some(lowest.map_or(one, |lowest| lowest.min(one))))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{default_set, domain_created, level_raised};

    const THIRD: Level = Level(3);

    #[test]
    fn rule_26_nothing_above_the_logs_level_may_follow() {
        assert_eq!(after(Level::FIRST, &domain_created()), Ok(Level::FIRST));
        let above = AboveLevel { needs: Level::SECOND, level: Level::FIRST };
        assert_eq!(after(Level::FIRST, &default_set(b"1")), Err(above));
        assert_eq!(after(Level::SECOND, &default_set(b"1")), Ok(Level::SECOND));
        assert_eq!(after_all(Level::FIRST, &[level_raised(2), default_set(b"1")]), Ok(Level::SECOND));
        assert_eq!(after_all(Level::FIRST, &[default_set(b"1"), level_raised(2)]), Err(above));
    }

    #[test]
    fn rule_26_a_level_never_falls() {
        assert_eq!(after(Level::FIRST, &level_raised(3)), Ok(THIRD));
        assert_eq!(after(THIRD, &level_raised(2)), Ok(THIRD));
    }

    #[test]
    fn rule_26_a_member_does_not_understand_what_is_above_what_it_reads() {
        assert_eq!(legible(&domain_created(), Level::FIRST), Ok(()));
        assert_eq!(legible(&level_raised(2), Level::SECOND), Ok(()));
        for (fact, needs, reads) in [
            (level_raised(2), Level::SECOND, Level::FIRST),
            (level_raised(3), THIRD, Level::SECOND),
            (default_set(b"1"), Level::SECOND, Level::FIRST),
        ] {
            assert_eq!(legible(&fact, reads), Err(AboveLevel { needs, level: reads }));
        }
    }

    #[test]
    fn rule_26_all_must_have_said_what_they_read_and_the_lowest_counts() {
        let (one, two) = (Some(Level::FIRST), Some(Level::SECOND));
        assert_eq!(agreed([two, two, two]), Some(Level::SECOND));
        assert_eq!(agreed([two, one, Some(THIRD)]), Some(Level::FIRST));
        assert_eq!(agreed([two, None, two]), None);
        assert_eq!(agreed([]), None);
    }
}
