//! The certificates that were revoked, with their holder or by themselves, until 24 hours after their notAfter (R16). The log keeps them
//! for ever.

use std::collections::BTreeMap;

use crate::fact::{Fact, Record};
use crate::vocabulary::{Serial, Timestamp};
use crate::{node, operator};

use super::certificates::Certificates;
use super::ends::Ends;
use super::keys::RELEASED_AFTER;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    revoked: BTreeMap<Serial, Revocation>,
    ends: Ends<Serial>,
}

/// One revoked certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub revoked_at: Timestamp,
    /// When it would have expired.
    pub not_after: Timestamp,
    /// The fact that revoked it.
    pub seq: u64,
}

impl Revocations {
    /// The revocation of a serial number.
    pub fn get(&self, serial: &Serial) -> Option<&Revocation> {
        self.revoked.get(serial)
    }

    /// All revocations, by serial number.
    pub fn iter(&self) -> impl Iterator<Item = (&Serial, &Revocation)> {
        self.revoked.iter()
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    pub(super) fn fold(&mut self, record: &Record, certificates: &Certificates) {
        match &record.fact {
            Fact::Node(
                _,
                node::Event::Revoked { serials, .. } | node::Event::CertificateRevoked { serials, .. },
            ) => {
                for serial in serials {
                    self.revoke(*serial, record, certificates);
                }
            }
            Fact::Operator(_, operator::Event::Revoked { serial, .. }) => {
                self.revoke(*serial, record, certificates);
            }
            Fact::Node(..)
            | Fact::Operator(..)
            | Fact::Domain(_)
            | Fact::Authority(..)
            | Fact::VCluster(..)
            | Fact::Member(..) => {}
        }
    }

    pub(super) fn revoke(&mut self, serial: Serial, record: &Record, certificates: &Certificates) {
        let Some(known) = certificates.by_serial(&serial) else { return };
        let not_after = known.not_after;
        let revocation = Revocation { revoked_at: record.recorded_at, not_after, seq: record.seq };
        self.revoked.entry(serial).or_insert(revocation);
        self.ends.insert(not_after.plus(RELEASED_AFTER), serial);
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((_, ended)) = self.ends.take(now) {
            for serial in ended {
                self.revoked.remove(&serial);
            }
        }
    }
}
