//! What this release is to others: its version, and the format level up to which it reads facts (R26).
//!
//! The log stops at what is above, the door asks a joiner for its own, the caretaker raises the log's level to what all
//! members read.
//!
//! A build with the feature `previous-level` pretends to be the release before: `pact-journal-previous`, beside which the
//! tests run this one. It says so in its first line; nothing that is shipped has the feature.

use events::level::Level;

/// The version.
#[cfg(not(feature = "previous-level"))]
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Told apart in `pact journal members`.
#[cfg(feature = "previous-level")]
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-previous");

/// All facts up to this level are understood.
#[cfg(not(feature = "previous-level"))]
pub const READS: Level = Level::NEWEST;

/// One level less than there is.
#[cfg(feature = "previous-level")]
pub const READS: Level = Level::new(Level::NEWEST.number() - 1);

/// Says what a build for tests pretends. Others have nothing to say.
pub fn confess() {
    #[cfg(feature = "previous-level")]
    tracing::warn!(reads = %READS, "pact-journal-previous pretends to be the release before; it is for tests only");
}
