//! Faults in the middle of a storm, on real processes: the journal is killed, its disk runs full, it stands still; and in a
//! machine of its own: the power goes, its disk lies.
//!
//! The machines use the agent's own code and remember what they were told; afterwards the journal is asked, and
//! `pact-replay verify` reads its log.
//!
//! The sizes fit two cores and a few minutes. Larger: `PACT_FAULT_NODES` (machines of a round or storm),
//! `PACT_FAULT_ROUNDS` (kills), `PACT_FAULT_CUTS` (of power), `PACT_FAULT_PAUSE_SECS`, `PACT_FAULT_SEED` (the moments of the kills).
//! The other binaries are looked for in `PACT_BIN_DIR`, or beside the folder of this test.

#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod pause;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod settings;
