//! The facts of a stream have the versions 1, 2, 3…, for ever: also of claims that views have forgotten (R1, R2).

use crate::fact::Record;

use super::{Before, ensure};

/// The invariant's name.
pub const NAME: &str = "stream_versions_follow";

pub(super) fn check(past: &Before<'_>, record: &Record) -> Result<(), String> {
    for at in &record.streams {
        let before = past.version(&at.name);
        ensure(before.checked_add(1) == Some(at.version), || {
            format!("version {} of {} follows version {before}", at.version, at.name)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::node::Cause;
    use crate::samples::{DAY, Log, certificate, goodbye, hardware, issued, join_token, key, token_consumed};

    #[test]
    fn rule_01_a_version_left_out_or_given_twice_is_found() {
        let log = Log::enrolled();
        for wrong in [0, 3, 5, u64::MAX] {
            let mut planted = log.next_of("n1", goodbye());
            assert_eq!(planted.streams[0].version, 4);
            planted.streams[0].version = wrong;
            assert_eq!(log.broken_by(planted), [super::NAME], "{wrong}");
        }
    }

    #[test]
    fn rule_02_the_versions_of_a_released_key_go_on() {
        let mut log = Log::enrolled();
        log.wait(5 * DAY).of("n1", goodbye());
        assert_eq!(log.views().keys.holder(&key(1)), None);
        let mut next = certificate(9, 5 * DAY);
        next.spki_sha256 = key(1);
        let mut planted = log.next_of("n2", issued(Cause::Enrolled, 1, next, &[], Some(hardware(&[3]))));
        assert_eq!(log.broken_by(planted.clone()), [""; 0]);
        planted.streams[1].version = 1;
        assert_eq!(log.broken_by(planted), [super::NAME]);
    }

    #[test]
    fn a_join_token_that_is_consumed_as_if_it_were_not_made_is_found_by_its_version() {
        let mut log = Log::new();
        let first = log.next(join_token());
        log.append(vec![join_token()]);
        let mut planted = log.next(token_consumed("j2"));
        planted.streams[1].version = first.streams[1].version;
        assert_eq!(log.broken_by(planted), [super::NAME]);
    }
}
