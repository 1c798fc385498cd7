//! The one place where the journal reads the time. Everything else gets it as data (design §11).

use std::time::SystemTime;

use events::vocabulary::Timestamp;

/// The present moment by the system's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
