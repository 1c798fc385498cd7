//! A shorter way through the bytes of the facts that a log is full of: those of nodes that are registered, get certificates,
//! use them, go and come back. Reading is half of what an auditor's and a journal's start cost, and serde hands each
//! field through a dozen calls.
//!
//! It knows no errors. Whatever it does not know or would refuse is none of its business: [`super::binary`] reads it, and says
//! what is wrong.
//!
//! **Invariant:** what it reads, the plain way reads equal; tests compare the two on sound bytes and on damaged ones.

use std::collections::BTreeSet;

use crate::certificate::Certificate;
use crate::fact::{Fact, Record};
use crate::node::{Cause, DeactivationCause, Event, Supersession};
use crate::stream::{MAX_STREAMS, StreamName, StreamVersion};
use crate::vocabulary::{
    AppendId, Assurance, AuthorityId, CertificateHash, Der, HardwareIdentity, JournalId, KeyHash, Labels,
    MAX_MACS, Mac, NodeId, Principal, RemarkHash, Serial, StoredRemark, SystemUuid, Timestamp,
};

/// A node has two certificates that one more can supersede.
const MOST_SUPERSEDED: u64 = 2;

/// Reads a record that fills the bytes to the last. None: read it the plain way.
pub(super) fn read(bytes: &[u8]) -> Option<Box<Record>> {
    let mut from = Bytes { rest: bytes, node: None };
    let record = from.record()?;
    from.rest.is_empty().then_some(record)
}

/// Reads the remarks of a fact that has one: most have. None: read them the plain way.
pub(super) fn read_remark(bytes: &[u8]) -> Option<StoredRemark<'_>> {
    let mut from = Bytes { rest: bytes, node: None };
    if from.byte()? != 1 {
        return None;
    }
    let remark = StoredRemark::new(from.array()?, from.utf8()?).ok()?;
    from.rest.is_empty().then_some(remark)
}

/// What is not read yet.
struct Bytes<'a> {
    rest: &'a [u8],
    /// The node whose name was checked last: a fact tells it up to three times.
    node: Option<NodeId>,
}

impl<'a> Bytes<'a> {
    fn record(&mut self) -> Option<Box<Record>> {
        let (seq, streams) = (self.number()?, self.streams()?);
        let append_id = AppendId::new(self.array()?);
        let (decided_at, recorded_at) = (self.time()?, self.time()?);
        let (principal, proposed_by) = (self.principal()?, JournalId::from_bytes(self.text()?).ok()?);
        let source = self.option(|from| from.array().map(RemarkHash::new))?;
        let assurance = self.option(Self::assurance)?;
        let fact = self.fact()?;
        Some(Box::new(Record {
            seq,
            streams,
            append_id,
            decided_at,
            recorded_at,
            principal,
            proposed_by,
            source,
            assurance,
            fact,
        }))
    }

    fn streams(&mut self) -> Option<Vec<StreamVersion>> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= MAX_STREAMS)?;
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let name = self.stream_name()?;
            streams.push(StreamVersion { name, version: self.number()? });
        }
        Some(streams)
    }

    fn stream_name(&mut self) -> Option<StreamName> {
        match self.byte()? {
            1 => self.node_id().map(StreamName::Node),
            4 => self.mac().map(StreamName::Mac),
            5 => self.array().map(KeyHash::new).map(StreamName::Key),
            _ => None,
        }
    }

    fn principal(&mut self) -> Option<Principal> {
        let text = self.text()?;
        match text.strip_prefix(b"node:") {
            Some(name) => self.checked_node_id(name).map(Principal::Node),
            None => Principal::from_bytes(text).ok(),
        }
    }

    fn assurance(&mut self) -> Option<Assurance> {
        match self.byte()? {
            0 => Some(Assurance::Claimed),
            1 => Some(Assurance::Token),
            _ => None,
        }
    }

    fn fact(&mut self) -> Option<Fact> {
        if self.byte()? != 1 {
            return None;
        }
        let node_id = self.node_id()?;
        Some(Fact::Node(node_id, self.event()?))
    }

    fn event(&mut self) -> Option<Event> {
        Some(match self.byte()? {
            0 => {
                let (epoch, hardware) = (self.small_number()?, self.hardware()?);
                // Labels are words of people: each is checked where it is made.
                let labels = if self.number()? == 0 { Labels::default() } else { return None };
                Event::Registered { epoch, hardware, labels }
            }
            1 => Event::CertificateIssued {
                cause: self.cause()?,
                epoch: self.small_number()?,
                certificate: self.certificate()?,
                der: Der::new(self.text()?.to_vec()),
                supersedes: self.supersedes()?,
                presented: self.option(Self::hardware)?,
                boot_id: self.option(|from| from.utf8()?.parse().ok())?,
            },
            2 => Event::EnrollmentConfirmed { serial: self.serial()? },
            3 => Event::Deactivated {
                cause: self.deactivation_cause()?,
                supersedes: self.option(Self::serial)?,
            },
            4 => Event::Reactivated { serial: self.serial()? },
            _ => return None,
        })
    }

    fn cause(&mut self) -> Option<Cause> {
        match self.byte()? {
            0 => Some(Cause::Enrolled),
            1 => Some(Cause::ReEnrolled),
            2 => Some(Cause::Renewed),
            3 => Some(Cause::WarmReboot),
            _ => None,
        }
    }

    fn deactivation_cause(&mut self) -> Option<DeactivationCause> {
        match self.byte()? {
            0 => Some(DeactivationCause::Silence),
            1 => Some(DeactivationCause::Goodbye),
            2 => Some(DeactivationCause::Expiry),
            3 => Some(DeactivationCause::Operator),
            _ => None,
        }
    }

    fn certificate(&mut self) -> Option<Certificate> {
        Some(Certificate {
            serial: self.serial()?,
            spki_sha256: KeyHash::new(self.array()?),
            sha256: CertificateHash::new(self.array()?),
            not_before: self.time()?,
            not_after: self.time()?,
            renew_after: self.time()?,
            authority: AuthorityId::from_bytes(self.array()?),
        })
    }

    fn supersedes(&mut self) -> Option<Vec<Supersession>> {
        let count = self.number().filter(|count| *count <= MOST_SUPERSEDED)?;
        let superseded =
            |_| Some(Supersession { serial: self.serial()?, overlap_secs: self.small_number()? });
        (0..count).map(superseded).collect()
    }

    fn hardware(&mut self) -> Option<HardwareIdentity> {
        let count = self.number().filter(|count| *count <= MAX_MACS as u64)?;
        let mut macs = BTreeSet::new();
        for _ in 0..count {
            macs.insert(self.mac()?);
        }
        let bmc_serial = self.option(|from| from.utf8()?.parse().ok())?;
        let uuid = self.option(|from| from.array().map(SystemUuid::from_bytes))?;
        Some(HardwareIdentity { macs, bmc_serial, uuid })
    }

    fn node_id(&mut self) -> Option<NodeId> {
        let name = self.text()?;
        self.checked_node_id(name)
    }

    fn checked_node_id(&mut self, name: &[u8]) -> Option<NodeId> {
        if let Some(known) = self.node.as_ref().filter(|known| known.as_bytes() == name) {
            return Some(known.clone());
        }
        self.node = Some(NodeId::from_bytes(name).ok()?);
        self.node.clone()
    }

    fn mac(&mut self) -> Option<Mac> {
        Mac::new(self.array()?).ok()
    }

    fn serial(&mut self) -> Option<Serial> {
        Serial::checked(self.array()?).ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        let millis = self.number()?;
        Some(Timestamp::from_millis(millis)).filter(|time| time.as_millis() == millis)
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn utf8(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.text()?).ok()
    }

    /// As many bytes as a number before them says.
    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(text)
    }

    /// A number as bincode's standard configuration writes it: one byte, or a byte that says how many follow, the lowest
    /// first.
    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            number @ 0..=250 => Some(number.into()),
            251 => self.array().map(u16::from_le_bytes).map(u64::from),
            252 => self.array().map(u32::from_le_bytes).map(u64::from),
            253 => self.array().map(u64::from_le_bytes),
            254.. => None,
        }
    }

    fn small_number(&mut self) -> Option<u32> {
        match self.byte()? {
            number @ 0..=250 => Some(number.into()),
            251 => self.array().map(u16::from_le_bytes).map(u32::from),
            252 => self.array().map(u32::from_le_bytes),
            253.. => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }
}
