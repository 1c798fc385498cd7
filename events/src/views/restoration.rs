//! The fold of DomainRestored (R27): one fact of the domain after which nothing of before opens anything.
//!
//! Nodes keep their names, hardware, vClusters and marks, and must enroll again; who was revoked stays revoked. Of the
//! operators one is kept, and needs a new certificate. Journals and authorities of before are over, join tokens void.
//!
//! **Invariant:** the fact lies in the domain's stream alone, so no other stream gets a version: what an append expects
//! of a node is the same before and after. Nobody decides across a restore: it is made while no journal runs.

use crate::domain::Restored;
use crate::fact::Record;

use super::{Changed, LastRestore, Views};

impl Views {
    /// See the module. Join tokens are folded with all facts of the domain.
    pub(super) fn restore(&mut self, restored: &Restored, record: &Record) -> Changed {
        let (mut certificates, nodes, workloads) = self.registry.restore();
        let (ended, revoked) = self.operators.restore(&restored.operator);
        certificates.extend(ended);
        for serial in revoked {
            self.revocations.revoke(serial, record, &self.certificates);
        }
        self.authorities.void();
        let last = LastRestore { seq: record.seq, at: record.recorded_at };
        self.members.restore(&restored.founder, restored.raft_id, last);
        Changed { certificates, nodes, workloads, configurations: false, members: true }
    }
}

#[cfg(test)]
mod tests;
