//! The certificates that were issued, found by the hash of the exact bytes (R10). Kept until 24 hours after notAfter,
//! so that a late caller hears "expired" and not "unknown".

use std::hint::black_box;

use crate::certificate::Certificate;
use crate::fact::Record;
use crate::table::Table;
use crate::vocabulary::{CertificateHash, NodeId, OperatorId, Serial, Timestamp};

use super::ends::Ends;
use super::keys::RELEASED_AFTER;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    known: Table<32, Known>,
    by_serial: Table<16, CertificateHash>,
    ends: Ends<CertificateHash>,
}

/// What the view remembers of a certificate; the rest stands in the fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whose it is.
    pub holder: Holder,
    /// Its serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after: Timestamp,
    /// The fact that carries it.
    pub seq: u64,
}

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A node's.
    Node(NodeId),
    /// An operator's.
    Operator(OperatorId),
}

impl Certificates {
    /// A certificate by the hash of its DER.
    pub fn get(&self, hash: &CertificateHash) -> Option<&Known> {
        self.known.get(hash.as_bytes())
    }

    /// A certificate by its serial number.
    pub fn by_serial(&self, serial: &Serial) -> Option<&Known> {
        self.by_serial.get(serial.as_bytes()).and_then(|hash| self.get(hash))
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.len() == 0
    }

    /// See [`super::Views::look_ahead`].
    pub(super) fn touch(&self, certificate: &Certificate) {
        black_box(self.known.touch(certificate.sha256.as_bytes()));
        black_box(self.by_serial.touch(certificate.serial.as_bytes()));
    }

    pub(super) fn fold(&mut self, record: &Record) {
        let Some((certificate, receiver)) = super::issued(record) else { return };
        let (holder, seq) = (receiver.holder(), record.seq);
        let known = Known { holder, serial: certificate.serial, not_after: certificate.not_after, seq };
        self.ends.insert(known.not_after.plus(RELEASED_AFTER), certificate.sha256);
        self.by_serial.insert(*known.serial.as_bytes(), certificate.sha256);
        self.known.insert(*certificate.sha256.as_bytes(), known);
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((_, ended)) = self.ends.take(now) {
            for hash in &ended {
                black_box(self.known.touch(hash.as_bytes()));
            }
            for hash in &ended {
                let serial = self.known.touch_entry(hash.as_bytes()).map(|known| known.serial);
                black_box(serial.map(|serial| self.by_serial.touch(serial.as_bytes())));
            }
            for hash in ended {
                if let Some(known) = self.known.remove(hash.as_bytes()) {
                    self.by_serial.remove(known.serial.as_bytes());
                }
            }
        }
    }
}
