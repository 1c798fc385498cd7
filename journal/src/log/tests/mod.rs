//! The log on a real RocksDB in real directories. The clock is the tests' own.

mod committing;
mod failing;
mod fixture;
mod levels;
mod opening;
mod proof;
mod quorum;
mod raft;
mod restoring;
mod takeover;
