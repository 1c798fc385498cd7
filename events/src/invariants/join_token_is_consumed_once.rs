//! A join token is created once and consumed at most once: while it lives, for a journal that was never a member (§7).

use crate::domain;
use crate::fact::{Fact, Record};

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "join_token_is_consumed_once";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    let Fact::Domain(event) = &record.fact else { return Ok(()) };
    match event {
        domain::Event::JoinTokenCreated { secret_sha256, .. } => {
            let known = past.views.join_tokens.get(secret_sha256).is_some();
            ensure(!known, || format!("the join token {secret_sha256} was created before"))
        }
        domain::Event::JoinTokenConsumed { secret_sha256, journal } => {
            let Some(token) = past.views.join_tokens.get(secret_sha256) else {
                return Err(format!("the join token {secret_sha256} was never created"));
            };
            if let Some(by) = &token.consumed_by {
                return Err(format!("the join token {secret_sha256} was consumed by {by}"));
            }
            ensure(!token.void, || {
                format!("the join token {secret_sha256} was made before the domain was restored")
            })?;
            let expires_at = token.expires_at;
            let lives = record.decided_at < expires_at;
            ensure(lives, || format!("the join token {secret_sha256} expired at {expires_at}"))?;
            let known = past.views.members.get(journal).is_some();
            ensure(!known, || format!("{journal} is a member or was one, and consumes a join token"))
        }
        domain::Event::Created(_)
        | domain::Event::RemarkErased { .. }
        | domain::Event::DefaultSet { .. }
        | domain::Event::LevelRaised { .. }
        | domain::Event::Restored(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::fact::Fact;
    use crate::samples::{DAY, Log, join_token, token_consumed};

    fn breaks(log: &Log, fact: Fact) -> Vec<&'static str> {
        log.broken_by(log.next(fact))
    }

    #[test]
    fn a_token_created_or_consumed_twice_is_found() {
        let mut log = Log::new();
        log.append(vec![join_token()]);
        assert_eq!(breaks(&log, join_token()), [super::NAME]);
        assert_eq!(breaks(&log, token_consumed("j2")), [""; 0]);
        log.append(vec![token_consumed("j2")]);
        assert_eq!(breaks(&log, token_consumed("j2")), [super::NAME]);
        assert_eq!(breaks(&log, token_consumed("j3")), [super::NAME]);
    }

    #[test]
    fn a_token_consumed_that_was_never_created_or_has_expired_is_found() {
        let mut log = Log::new();
        assert_eq!(breaks(&log, token_consumed("j2")), [super::NAME]);
        log.append(vec![join_token()]).wait(365 * DAY - 1);
        assert_eq!(breaks(&log, token_consumed("j2")), [""; 0]);
        log.wait(1);
        assert_eq!(breaks(&log, token_consumed("j2")), [super::NAME]);
    }

    #[test]
    fn a_token_consumed_for_a_member_is_found() {
        let mut log = Log::new();
        log.append(vec![join_token()]);
        assert_eq!(breaks(&log, token_consumed("j1")), [super::NAME]);
    }
}
