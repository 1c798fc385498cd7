//! What invariants know of the history before the fact in question: the views, and what views forget on purpose.
//!
//! **Invariant:** nothing in here is ever dropped: an auditor must notice what comes again after years.

use std::collections::{BTreeMap, BTreeSet};

use crate::authority;
use crate::fact::{Fact, Record};
use crate::node;
use crate::operator;
use crate::stream::StreamName;
use crate::views::Views;
use crate::vocabulary::{AppendId, KeyHash, SecretHash, Serial, Timestamp};

/// Everything before the fact in question.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The views, folded up to the fact before.
    pub views: Views,
    serials: BTreeSet<Serial>,
    appends: BTreeSet<AppendId>,
    keys: BTreeMap<KeyHash, u64>,
    joins: BTreeMap<SecretHash, u64>,
    last_append: Option<LastAppend>,
}

/// The append of the fact before.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastAppend {
    pub(super) append_id: AppendId,
    pub(super) decided_at: Timestamp,
    pub(super) recorded_at: Timestamp,
    pub(super) facts: usize,
}

impl Past {
    /// Whether a certificate has had this serial number, a node's, an operator's or an authority's.
    pub(super) fn knows_serial(&self, serial: &Serial) -> bool {
        self.serials.contains(serial)
    }

    /// Whether an append has had this id.
    pub(super) fn knows_append(&self, id: &AppendId) -> bool {
        self.appends.contains(id)
    }

    /// The append of the fact before.
    pub(super) fn last_append(&self) -> Option<LastAppend> {
        self.last_append
    }

    /// The version of any stream; 0: it is empty.
    pub(super) fn version(&self, stream: &StreamName) -> u64 {
        match stream {
            StreamName::Key(key) => self.keys.get(key).copied().unwrap_or(0),
            StreamName::Join(hash) => self.joins.get(hash).copied().unwrap_or(0),
            StreamName::Domain
            | StreamName::Node(_)
            | StreamName::Authority(_)
            | StreamName::Operator(_)
            | StreamName::Mac(_) => self.views.version(stream).unwrap_or(0),
        }
    }

    /// The state of a node.
    pub(super) fn node(&self, id: &crate::vocabulary::NodeId) -> &node::State {
        self.views.registry.node(id).map_or(&node::State::Unknown, |node| &node.state)
    }

    /// The state of an operator.
    pub(super) fn operator(&self, id: &crate::vocabulary::OperatorId) -> &operator::State {
        self.views.operators.get(id).map_or(&operator::State::Unknown, |operator| &operator.state)
    }

    pub(super) fn fold(&mut self, record: &Record) {
        for at in &record.streams {
            match &at.name {
                StreamName::Key(key) => {
                    self.keys.insert(*key, at.version);
                }
                StreamName::Join(hash) => {
                    self.joins.insert(*hash, at.version);
                }
                StreamName::Domain
                | StreamName::Node(_)
                | StreamName::Authority(_)
                | StreamName::Operator(_)
                | StreamName::Mac(_) => {}
            }
        }
        self.serials.extend(serial(&record.fact));
        self.note_append(record);
        self.views.fold(record);
    }

    fn note_append(&mut self, record: &Record) {
        let Record { append_id, decided_at, recorded_at, .. } = *record;
        let same = self.last_append.filter(|last| last.append_id == append_id);
        if same.is_none() {
            self.appends.insert(append_id);
        }
        let facts = same.map_or(0, |last| last.facts) + 1;
        self.last_append = Some(LastAppend { append_id, decided_at, recorded_at, facts });
    }
}

/// The serial number that a fact gives away.
pub(super) fn serial(fact: &Fact) -> Option<Serial> {
    match fact {
        Fact::Authority(_, authority::Event::Announced(announced)) => Some(announced.serial),
        Fact::Authority(_, authority::Event::Retired {}) | Fact::Domain(_) => None,
        Fact::Node(..) | Fact::Operator(..) => super::issued(fact).map(|(certificate, _)| certificate.serial),
    }
}
