//! What invariants know of the history before the fact in question: the views, and what views forget on purpose.
//!
//! **Invariant:** nothing in here is ever dropped: an auditor must notice what comes again after years.

use std::hint::black_box;

use crate::authority;
use crate::fact::{Fact, Record};
use crate::stream::StreamName;
use crate::table::Table;
use crate::views::Views;
use crate::vocabulary::{AppendId, Serial, Timestamp};

/// Everything before the fact in question.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The views, folded up to the fact before.
    pub views: Views,
    serials: Table<16, ()>,
    appends: Table<16, ()>,
    keys: Table<32, u64>,
    streams: u64,
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
        self.serials.get(serial.as_bytes()).is_some()
    }

    /// Whether an append has had this id.
    pub(super) fn knows_append(&self, id: &AppendId) -> bool {
        self.appends.get(id.as_bytes()).is_some()
    }

    /// The append of the fact before.
    pub(super) fn last_append(&self) -> Option<LastAppend> {
        self.last_append
    }

    /// The version of a claim to a key, released or not; none for the streams that views remember.
    fn claim(&self, stream: &StreamName) -> Option<u64> {
        match stream {
            StreamName::Key(key) => Some(self.keys.get(key.as_bytes()).copied().unwrap_or(0)),
            StreamName::Domain
            | StreamName::Node(_)
            | StreamName::Authority(_)
            | StreamName::Operator(_)
            | StreamName::Mac(_)
            | StreamName::Join(_)
            | StreamName::VCluster(_)
            | StreamName::Journal(_)
            | StreamName::Spiffe(_) => None,
        }
    }

    /// The version of any stream; 0: it is empty.
    pub(super) fn version(&self, stream: &StreamName) -> u64 {
        self.claim(stream).or_else(|| self.views.version(stream)).unwrap_or(0)
    }

    /// See [`super::Auditor::touch`].
    pub(super) fn touch(&self, stream: &StreamName) {
        match stream {
            StreamName::Key(key) => {
                black_box(self.keys.touch_entry(key.as_bytes()).copied());
            }
            StreamName::Domain
            | StreamName::Node(_)
            | StreamName::Authority(_)
            | StreamName::Operator(_)
            | StreamName::Mac(_)
            | StreamName::Join(_)
            | StreamName::VCluster(_)
            | StreamName::Journal(_)
            | StreamName::Spiffe(_) => {
                black_box(self.views.version(stream));
            }
        }
    }

    /// How many streams are not empty: each began with a version 1.
    pub(super) fn streams(&self) -> u64 {
        self.streams
    }

    /// See [`super::Auditor::look_ahead`].
    pub(super) fn look_ahead<'a>(&self, next: impl Iterator<Item = &'a Record> + Clone) {
        let keys = |record: &'a Record| {
            record.streams.iter().filter_map(|at| match &at.name {
                StreamName::Key(key) => Some(key.as_bytes()),
                StreamName::Domain
                | StreamName::Node(_)
                | StreamName::Authority(_)
                | StreamName::Operator(_)
                | StreamName::Mac(_)
                | StreamName::Join(_)
                | StreamName::VCluster(_)
                | StreamName::Journal(_)
                | StreamName::Spiffe(_) => None,
            })
        };
        for record in next.clone() {
            black_box(self.appends.touch(record.append_id.as_bytes()));
            black_box(serial(&record.fact).map(|serial| self.serials.touch(serial.as_bytes())));
            keys(record).for_each(|key| {
                black_box(self.keys.touch(key));
            });
        }
        for record in next.clone() {
            keys(record).for_each(|key| {
                black_box(self.keys.touch_entry(key).copied());
            });
        }
        self.views.look_ahead(next);
    }

    pub(super) fn fold(&mut self, record: &Record) {
        for at in &record.streams {
            self.streams += u64::from(at.version == 1);
            match &at.name {
                StreamName::Key(key) => {
                    self.keys.insert(*key.as_bytes(), at.version);
                }
                StreamName::Domain
                | StreamName::Node(_)
                | StreamName::Authority(_)
                | StreamName::Operator(_)
                | StreamName::Mac(_)
                | StreamName::Join(_)
                | StreamName::VCluster(_)
                | StreamName::Journal(_)
                | StreamName::Spiffe(_) => {}
            }
        }
        if let Some(serial) = serial(&record.fact) {
            self.serials.insert(*serial.as_bytes(), ());
        }
        self.note_append(record);
        self.views.refold(record);
    }

    fn note_append(&mut self, record: &Record) {
        let Record { append_id, decided_at, recorded_at, .. } = *record;
        let same = self.last_append.filter(|last| last.append_id == append_id);
        if same.is_none() {
            self.appends.insert(*append_id.as_bytes(), ());
        }
        let facts = same.map_or(0, |last| last.facts) + 1;
        self.last_append = Some(LastAppend { append_id, decided_at, recorded_at, facts });
    }
}

/// The serial number that a fact gives away.
pub(super) fn serial(fact: &Fact) -> Option<Serial> {
    match fact {
        Fact::Authority(_, authority::Event::Announced(announced)) => Some(announced.serial),
        Fact::Authority(_, authority::Event::Retired {})
        | Fact::Domain(_)
        | Fact::VCluster(..)
        | Fact::Member(..) => None,
        Fact::Node(..) | Fact::Operator(..) => super::issued(fact).map(|(certificate, _)| certificate.serial),
    }
}
