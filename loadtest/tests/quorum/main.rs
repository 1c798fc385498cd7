//! Faults of a quorum in the middle of a storm, on real processes: a member is killed, all are in turn or at once, one
//! stands still, the leader is moved, most of five are lost.
//!
//! Every machine knows all journals and uses the agent's own code; what it was told is compared with what each member
//! says, and `pact-replay verify --against` reads the logs of all.
//!
//! The sizes fit two cores; the tests run one after another. More machines: `PACT_FAULT_NODES`. The other binaries are
//! looked for in `PACT_BIN_DIR`, or beside the folder of this test.

#[cfg(test)]
mod demo;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod evict;
#[cfg(test)]
mod five;
#[cfg(test)]
mod kill;
#[cfg(test)]
#[path = "../faults/ledger.rs"]
mod ledger;
#[cfg(test)]
mod stand_still;
#[cfg(test)]
mod transfer;
#[cfg(test)]
mod trio;
