//! The registry: every node, and the index by which a machine's hardware finds its node (R13).

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use crate::fact::{Fact, Record};
use crate::node::{Event, MacClaims, State, evolve_in_place, restored};
use crate::stream::StreamName;
use crate::table::Table;
use crate::vocabulary::{
    BmcSerial, CertificateHash, HardwareField, HardwareIdentity, Mac, NodeId, Principal, Timestamp,
};

use super::by_name::ByName;
use super::changed::{Change, Listener};

/// All nodes that were ever registered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    nodes: ByName<Node>,
    macs: Table<6, MacHolder>,
    serials: BTreeMap<BmcSerial, Sharers>,
    uuids: Table<16, Sharers>,
    census: Census,
    contests: u64,
}

/// One node as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its state.
    pub state: State,
    /// The version of its stream.
    pub version: u64,
    /// When its present epoch began.
    pub registered_at: Timestamp,
    /// Who began it.
    pub registered_by: Principal,
    /// The fact that carries its newest certificate; 0: none yet.
    pub issued_seq: u64,
    /// When it got its newest certificate or came back: one that is away is missed from then on (R19).
    pub active_since: Timestamp,
    /// The fact that put it into its present vCluster, or into none.
    pub grouped_seq: u64,
}

/// How many nodes there are of each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// They may enroll.
    pub registered: u64,
    /// They have a certificate and are believed present.
    pub active: u64,
    /// They are believed gone.
    pub inactive: u64,
    /// Their enrollment is over.
    pub revoked: u64,
}

impl Census {
    fn of(&mut self, state: &State) -> Option<&mut u64> {
        match state {
            State::Unknown => None,
            State::Registered { .. } => Some(&mut self.registered),
            State::Active { .. } => Some(&mut self.active),
            State::Inactive { .. } => Some(&mut self.inactive),
            State::Revoked { .. } => Some(&mut self.revoked),
        }
    }

    fn leave(&mut self, state: &State) {
        if let Some(count) = self.of(state) {
            *count -= 1;
        }
    }

    fn enter(&mut self, state: &State) {
        if let Some(count) = self.of(state) {
            *count += 1;
        }
    }
}

/// The nodes that have a serial or UUID in common: mostly one, which takes no memory of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sharers {
    /// The first by name.
    first: Option<NodeId>,
    others: BTreeSet<NodeId>,
}

impl Sharers {
    fn insert(&mut self, id: &NodeId) {
        match &mut self.first {
            None => self.first = Some(id.clone()),
            Some(first) => {
                let later = if id < first { std::mem::replace(first, id.clone()) } else { id.clone() };
                if later != *first {
                    self.others.insert(later);
                }
            }
        }
    }

    fn remove(&mut self, id: &NodeId) {
        if self.first.as_ref() == Some(id) {
            self.first = self.others.pop_first();
        } else {
            self.others.remove(id);
        }
    }

    /// By name.
    fn iter(&self) -> impl Iterator<Item = &NodeId> {
        self.first.iter().chain(&self.others)
    }
}

/// Who has an address, or had it last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MacHolder {
    node: NodeId,
    released: bool,
    version: u64,
}

/// What a presented hardware identity finds (R13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identified {
    /// No field is known to anybody.
    Nobody,
    /// It matches this node, maybe a revoked one.
    Node(NodeId),
    /// Some field is known, and it is no full match. `candidate` is a node that the caller resembles.
    Mismatch {
        /// For the journal's own records; never told to the caller.
        candidate: NodeId,
    },
}

impl Registry {
    /// A node by its name.
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Whether a node's enrollment is over.
    pub(super) fn is_revoked(&self, id: &NodeId) -> bool {
        self.node(id).is_some_and(|node| matches!(node.state, State::Revoked { .. }))
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.iter()
    }

    /// The nodes behind a name, in their order: whoever looks at very many lets others in between.
    pub fn nodes_after(&self, last: Option<&NodeId>) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.after(last)
    }

    /// How many nodes there are of each state.
    pub fn census(&self) -> Census {
        self.census
    }

    /// How many contests have begun, settled or not: `pact_contested_total`.
    pub fn contests(&self) -> u64 {
        self.contests
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node was ever registered.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 0
    }

    /// Finds the node that a machine is (R13). A released address leads to its last owner, so that a revoked node is
    /// told so (R2).
    pub fn identify(&self, presented: &HardwareIdentity) -> Identified {
        let by_mac =
            presented.macs.iter().filter_map(|mac| self.macs.get(mac.as_bytes())).map(|holder| &holder.node);
        let by_serial = presented.bmc_serial.iter().filter_map(|serial| self.serials.get(serial));
        let by_uuid = presented.uuid.iter().filter_map(|uuid| self.uuids.get(uuid.as_bytes()));
        let sharers = by_serial.chain(by_uuid).flat_map(Sharers::iter);
        let mut first = None;
        for id in by_mac.chain(sharers) {
            let node = self.nodes.get(id).and_then(|node| node.state.enrollment());
            if node.is_some_and(|enrollment| enrollment.hardware.is_matched_by(presented)) {
                return Identified::Node(id.clone());
            }
            first = first.or(Some(id));
        }
        first.map_or(Identified::Nobody, |candidate| Identified::Mismatch { candidate: candidate.clone() })
    }

    /// Why a machine is not the node that it resembles (R13). Nothing, if it is.
    pub fn differing(&self, id: &NodeId, presented: &HardwareIdentity) -> Vec<HardwareField> {
        let node = self.nodes.get(id).and_then(|node| node.state.enrollment());
        let own = node.into_iter().flat_map(|enrollment| enrollment.hardware.differing(presented));
        let foreign = presented.macs.iter().filter_map(|mac| self.mac_owner(mac)).any(|owner| owner != id);
        own.chain(foreign.then_some(HardwareField::ForeignMac)).collect()
    }

    /// Who has each of the addresses now.
    pub fn mac_claims<'a>(&self, macs: impl IntoIterator<Item = &'a Mac>) -> MacClaims {
        macs.into_iter().filter_map(|mac| Some((*mac, self.mac_owner(mac)?.clone()))).collect()
    }

    /// Who has an address now.
    pub(crate) fn mac_owner(&self, mac: &Mac) -> Option<&NodeId> {
        self.macs.get(mac.as_bytes()).filter(|holder| !holder.released).map(|holder| &holder.node)
    }

    /// The version of an address's claim stream.
    pub fn mac_version(&self, mac: &Mac) -> u64 {
        self.macs.get(mac.as_bytes()).map_or(0, |holder| holder.version)
    }

    /// Another node that has a field of this hardware which most machines have alone, for each such field (R2): blades share
    /// their chassis' serial, and some firmware repeats UUIDs. A node whose enrollment was revoked has none.
    pub fn sharing(&self, id: &NodeId, hardware: &HardwareIdentity) -> Vec<(HardwareField, NodeId)> {
        let another = |sharers: Option<&Sharers>| {
            let enrolled = |other: &&NodeId| {
                let state = self.nodes.get(other).map(|node| &node.state);
                *other != id && state.is_some_and(|state| !matches!(state, State::Revoked { .. }))
            };
            sharers?.iter().find(enrolled).cloned()
        };
        let serial = another(hardware.bmc_serial.as_ref().and_then(|serial| self.serials.get(serial)));
        let uuid = another(hardware.uuid.as_ref().and_then(|uuid| self.uuids.get(uuid.as_bytes())));
        let serial = serial.map(|node| (HardwareField::BmcSerial, node));
        serial.into_iter().chain(uuid.map(|node| (HardwareField::Uuid, node))).collect()
    }

    /// See [`super::Views::look_ahead`].
    pub(super) fn touch(&self, fact: &Fact) {
        let Fact::Node(id, event) = fact else { return };
        black_box(self.nodes.touch(id));
        for mac in macs(event).into_iter().flatten() {
            black_box(self.macs.touch(mac.as_bytes()));
        }
    }

    /// After [`Self::touch`].
    pub(super) fn touch_entries(&self, fact: &Fact) {
        let Fact::Node(id, event) = fact else { return };
        if let Some(node) = self.nodes.touch_entry(id) {
            let current = node.state.current().map(|held| (held.certificate.serial, held.confirmed_at));
            black_box((node.version, node.grouped_seq, current, node.state.vcluster().is_some()));
        }
        for mac in macs(event).into_iter().flatten() {
            black_box(self.macs.touch_entry(mac.as_bytes()).map(|holder| holder.version));
        }
    }

    /// Folds a fact about a node; tells the certificates whose usability changed.
    pub(super) fn fold<L: Listener>(
        &mut self,
        id: &NodeId,
        event: &Event,
        record: &Record,
        listener: &mut L,
    ) {
        let node = self.nodes.get_or_insert_with(id, || Node {
            state: State::Unknown,
            version: 0,
            registered_at: record.recorded_at,
            registered_by: record.principal.clone(),
            issued_seq: 0,
            active_since: record.recorded_at,
            grouped_seq: record.seq,
        });
        let before = L::LISTENS.then(|| usable(&node.state));
        if matches!(event, Event::Registered { .. } | Event::HardwareReplaced { .. }) {
            unindex(&mut self.serials, &mut self.uuids, id, &node.state);
        }
        self.census.leave(&node.state);
        evolve_in_place(&mut node.state, event, record.recorded_at, record.assurance);
        self.census.enter(&node.state);
        node.version = record.subject_version();
        let after = L::LISTENS.then(|| usable(&node.state));
        match event {
            Event::Registered { hardware, .. } => {
                node.registered_at = record.recorded_at;
                node.registered_by = record.principal.clone();
                node.grouped_seq = record.seq;
                self.claim(id, hardware, record);
            }
            Event::Revoked { macs, .. } => self.release(id, macs, record),
            Event::CertificateIssued { .. } => {
                node.issued_seq = record.seq;
                node.active_since = record.recorded_at;
            }
            Event::Assigned { .. } | Event::Unassigned { .. } | Event::Moved { .. } => {
                node.grouped_seq = record.seq;
            }
            Event::Reactivated { .. } => node.active_since = record.recorded_at,
            Event::HardwareReplaced { hardware, released, .. } => {
                self.release(id, released, record);
                self.claim(id, hardware, record);
            }
            Event::Contested { .. } => self.contests += 1,
            Event::EnrollmentConfirmed { .. }
            | Event::Deactivated { .. }
            | Event::Resolved {}
            | Event::AttemptsRefused(_)
            | Event::CertificateRevoked { .. }
            | Event::Drained {}
            | Event::Undrained {} => {}
        }
        if let (Some(before), Some(after)) = (before, after) {
            let ended = before.into_iter().flatten().filter(|old| !after.contains(&Some(*old)));
            ended.for_each(|(hash, _)| listener.hear(Change::Certificate(hash)));
        }
    }

    /// The domain was restored (R27): nodes keep their hardware and lose their certificates. Answers those, and whose they
    /// were. No stream gets a version by it.
    pub(super) fn restore(&mut self) -> (Vec<CertificateHash>, Vec<NodeId>) {
        let (mut ended, mut changed) = (vec![], vec![]);
        let census = &mut self.census;
        self.nodes.change_each(|id, node| {
            let held = usable(&node.state);
            ended.extend(held.into_iter().flatten().map(|(hash, _)| hash));
            let old = std::mem::take(&mut node.state);
            census.leave(&old);
            let next = restored(old.clone());
            census.enter(&next);
            if next != old {
                changed.push(id.clone());
            }
            node.state = next;
        });
        (ended, changed)
    }

    fn claim(&mut self, id: &NodeId, hardware: &HardwareIdentity, record: &Record) {
        for mac in &hardware.macs {
            let version = record.version_of(&StreamName::Mac(*mac)).unwrap_or_default();
            self.macs.insert(*mac.as_bytes(), MacHolder { node: id.clone(), released: false, version });
        }
        if let Some(serial) = &hardware.bmc_serial {
            self.serials.entry(serial.clone()).or_default().insert(id);
        }
        if let Some(uuid) = hardware.uuid {
            self.uuids.get_or_insert_with(uuid.as_bytes(), Sharers::default).insert(id);
        }
    }

    fn release(&mut self, id: &NodeId, macs: &[Mac], record: &Record) {
        for mac in macs {
            if let Some(holder) = self.macs.get_mut(mac.as_bytes()).filter(|holder| holder.node == *id) {
                holder.released = true;
                holder.version = record.version_of(&StreamName::Mac(*mac)).unwrap_or(holder.version);
            }
        }
    }
}

/// The addresses by which a fact claims a node or finds it.
fn macs(event: &Event) -> Option<&BTreeSet<Mac>> {
    match event {
        Event::Registered { hardware, .. }
        | Event::HardwareReplaced { hardware, .. }
        | Event::CertificateIssued { presented: Some(hardware), .. } => Some(&hardware.macs),
        Event::CertificateIssued { presented: None, .. }
        | Event::EnrollmentConfirmed { .. }
        | Event::Deactivated { .. }
        | Event::Reactivated { .. }
        | Event::Revoked { .. }
        | Event::Assigned { .. }
        | Event::Contested { .. }
        | Event::Resolved {}
        | Event::AttemptsRefused(_)
        | Event::CertificateRevoked { .. }
        | Event::Unassigned { .. }
        | Event::Moved { .. }
        | Event::Drained {}
        | Event::Undrained {} => None,
    }
}

/// A new epoch forgets the former hardware, and so does a new machine.
fn unindex(
    serials: &mut BTreeMap<BmcSerial, Sharers>,
    uuids: &mut Table<16, Sharers>,
    id: &NodeId,
    state: &State,
) {
    let Some(enrollment) = state.enrollment() else { return };
    if let Some(serial) = &enrollment.hardware.bmc_serial
        && let Some(nodes) = serials.get_mut(serial)
    {
        nodes.remove(id);
    }
    if let Some(uuid) = &enrollment.hardware.uuid
        && let Some(nodes) = uuids.get_mut(uuid.as_bytes())
    {
        nodes.remove(id);
    }
}

/// The node's certificates that open something, and until when: the current one and the one in overlap.
fn usable(state: &State) -> [Option<(CertificateHash, Option<Timestamp>)>; 2] {
    [state.current(), state.overlap()].map(|held| {
        let certificate = &held?.certificate;
        Some((certificate.sha256, state.usable_until(certificate.serial)))
    })
}
