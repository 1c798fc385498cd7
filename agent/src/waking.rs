//! A machine whose clock woke up wrong sets it by a journal's (R25).
//!
//! [`crate::journals`] holds one if the user said when the machine's image was built; [`crate::enroll`] tells it the time of
//! every journal that gave a certificate. A clock that is not behind the image is left alone: keeping time is not our task.
//!
//! Not here, on purpose: trusting that journal (`proto::pem_file::Trust::waking_after`). And nothing depends on it: the
//! agent counts from a journal's answers, so that a clock that cannot be set is only told.
//!
//! **Invariant:** the clock is never set to before the image was built, nor to after the end of the domain CA or of the certificate
//! that the journal showed: who stole an old one moves no clock beyond its time.

use std::{io, sync::Arc, time::SystemTime};

use events::vocabulary::Timestamp;
use proto::pem_file::Trust;
use rustix::time::{ClockId, Timespec, clock_settime};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// See the module. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Waking {
    image_built_at: Timestamp,
    /// The domain CA's end.
    latest: Timestamp,
    clock: Arc<dyn Clock>,
}

/// A machine's clock.
pub(crate) trait Clock: std::fmt::Debug + Send + Sync {
    /// What it says.
    fn now(&self) -> Timestamp;

    /// Sets it.
    fn set(&self, time: Timestamp) -> io::Result<()>;
}

/// The clock of this machine.
#[derive(Debug)]
struct OwnClock;

impl Clock for OwnClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn set(&self, time: Timestamp) -> io::Result<()> {
        let nanos = (time.as_millis() % 1000) * 1_000_000;
        let time = Timespec {
            tv_sec: i64::try_from(time.as_secs()).map_err(io::Error::other)?,
            tv_nsec: i64::try_from(nanos).map_err(io::Error::other)?,
        };
        Ok(clock_settime(ClockId::Realtime, time)?)
    }
}

/// What the clock of this machine says.
pub(crate) fn wall_clock() -> Timestamp {
    OwnClock.now()
}

impl Waking {
    /// Of this machine, with an image that was built then.
    pub(crate) fn of_this_machine(image_built_at: Timestamp, trust: &Trust) -> Self {
        Self::with(image_built_at, trust, Arc::new(OwnClock))
    }

    pub(crate) fn with(image_built_at: Timestamp, trust: &Trust, clock: Arc<dyn Clock>) -> Self {
        let ends = trust.certificates().iter().filter_map(|der| end(der));
        Self { image_built_at, latest: ends.max().unwrap_or(image_built_at), clock }
    }

    /// A journal whose certificate ends then says what time it is. Sets the clock if it is behind the image. An end that
    /// is not known is no reason to believe more than the image.
    pub(crate) fn hear(&self, told: Timestamp, server_ends: Option<Timestamp>) {
        let latest = self.latest.min(server_ends.unwrap_or(self.image_built_at));
        let now = self.clock.now();
        let Some(time) = time_to_set(now, self.image_built_at, latest, told) else { return };
        match self.clock.set(time) {
            Ok(()) => {
                tracing::warn!(was = %now, is = %time, "the clock was behind this image and is set by a journal");
            }
            Err(error) => {
                tracing::warn!(%now, journal = %told, %error, "the clock is wrong and cannot be set");
            }
        }
    }
}

/// What to set a clock to; `None`: it is not behind the image.
fn time_to_set(now: Timestamp, built: Timestamp, latest: Timestamp, told: Timestamp) -> Option<Timestamp> {
    (now < built).then(|| told.min(latest).max(built))
}

/// When a certificate ends; X.509 knows whole seconds.
pub(crate) fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let end = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(Timestamp::from_millis(end.checked_mul(1000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn rule_25_only_a_clock_behind_the_image_is_set() {
        let set = |now| time_to_set(at(now), at(1000), at(9000), at(5000));
        assert_eq!(set(0), Some(at(5000)));
        assert_eq!(set(999), Some(at(5000)));
        // From the image's time on it is left alone, also if the journal's is another.
        for now in [1000, 4999, 5001, 9001] {
            assert_eq!(set(now), None, "{now}");
        }
    }

    #[test]
    fn rule_25_a_clock_is_set_neither_before_the_image_nor_after_the_domain_ca_s_end() {
        let set = |told| time_to_set(at(0), at(1000), at(9000), at(told));
        for (told, expected) in
            [(0, 1000), (999, 1000), (1000, 1000), (1001, 1001), (9000, 9000), (9001, 9000)]
        {
            assert_eq!(set(told), Some(at(expected)), "{told}");
        }
        // A domain CA that ended before the image was built is no reason to go back.
        assert_eq!(time_to_set(at(0), at(1000), at(500), at(5000)), Some(at(1000)));
    }

    /// A clock at 1970 that notes what it was set to.
    #[derive(Debug, Default)]
    struct Noting(std::sync::Mutex<Vec<Timestamp>>);

    impl Clock for Noting {
        fn now(&self) -> Timestamp {
            at(0)
        }

        fn set(&self, time: Timestamp) -> io::Result<()> {
            self.0.lock().unwrap().push(time);
            Ok(())
        }
    }

    #[test]
    fn rule_25_a_clock_is_not_set_beyond_the_end_of_the_certificate_that_the_journal_showed() {
        let noting = Arc::new(Noting::default());
        let waking = Waking { image_built_at: at(1000), latest: at(9000), clock: noting.clone() };
        for server_ends in [Some(at(4000)), Some(at(5001)), Some(at(9999)), None] {
            waking.hear(at(5000), server_ends);
        }
        assert_eq!(*noting.0.lock().unwrap(), [at(4000), at(5000), at(5000), at(1000)]);
    }

    #[test]
    fn the_own_clock_says_what_the_system_says() {
        let before = OwnClock.now();
        assert!(OwnClock.now() >= before && before > at(1_700_000_000));
    }
}
