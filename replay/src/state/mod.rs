//! All views as they were after a fact, as one canonical document (contract: `state -o json`).
//!
//! `pact-replay state` prints it; [`crate::diff`] compares two of them part by part.
//!
//! The document is written by [`canonical`]: members sorted by name, no white space. Its `digest` is the SHA-256 of the same
//! document without `head` and `digest`.
//!
//! **Invariant:** the same facts give the same bytes, on every journal and at any time. Nothing is in it that no fact
//! tells: `last_seen` is null.

pub mod canonical;
mod node;
mod parts;

use std::iter::Peekable;
use std::path::Path;

use events::codec::Chain;
use events::views::Views;
use events::vocabulary::{Digest, Timestamp};
use serde_json::{Value, json};

use crate::point::{Mark, Point, PointError};
use crate::reader::Reader;
use crate::told::{Tale, TellError, Told};

/// Why a state cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The point lies outside of the log.
    #[error(transparent)]
    Point(#[from] PointError),
    /// The log cannot be told.
    #[error(transparent)]
    Log(#[from] TellError),
}

/// All views after one fact.
#[derive(Debug, Clone)]
pub struct State {
    /// The views.
    pub views: Views,
    /// The link of the chain at that fact.
    pub head: Chain,
}

/// A part of a state: a list of items, each with a name by which they are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Who may sign, and who could.
    Authorities,
    /// The journals that are or were in the quorum.
    Members,
    /// Every node that was ever registered.
    Nodes,
    /// The certificates that were revoked and are not over for 24 hours.
    Revocations,
    /// Enrollment tokens: no fact makes one yet.
    Tokens,
    /// The overlays that nodes are configured by.
    VClusters,
}

impl Part {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 6] =
        [Self::Authorities, Self::Members, Self::Nodes, Self::Revocations, Self::Tokens, Self::VClusters];

    /// Its name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorities => "authorities",
            Self::Members => "members",
            Self::Nodes => "nodes",
            Self::Revocations => "revocations",
            Self::Tokens => "tokens",
            Self::VClusters => "vclusters",
        }
    }

    /// The field that names an item.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Authorities => "id",
            Self::Members => "journal_id",
            Self::Nodes => "node_id",
            Self::Revocations => "serial",
            Self::Tokens => "token_id",
            Self::VClusters => "vcluster",
        }
    }
}

/// The state at a point; without one, at the end.
///
/// # Errors
/// If the log has no such point, or is not sound up to it.
pub fn state(data_dir: &Path, point: Option<Point>) -> Result<State, StateError> {
    let reader = Reader::open(data_dir).map_err(TellError::from)?;
    let mut course = Course::of(&reader);
    course.go_to(point)?;
    Ok(course.state)
}

/// A way through a log, fact by fact, with the views as they are there.
pub struct Course<'a> {
    ahead: Peekable<Tale<'a>>,
    /// Where it is.
    pub state: State,
}

impl<'a> Course<'a> {
    /// Before the first fact.
    pub fn of(reader: &'a Reader) -> Self {
        let state = State { views: Views::default(), head: Chain::from_bytes([0; 32]) };
        Self { ahead: Tale::of(reader).peekable(), state }
    }

    /// Goes on to a point; without one, to the end.
    ///
    /// # Errors
    /// If the point lies outside of the log, or behind where this is.
    pub fn go_to(&mut self, point: Option<Point>) -> Result<(), StateError> {
        let is_next = |told: &Result<_, _>| match (point, told) {
            (Some(point), Ok(Told { record, .. })) => point.reaches(record),
            (None, Ok(_)) | (_, Err(_)) => true,
        };
        while let Some(told) = self.ahead.next_if(is_next) {
            let told = told?;
            self.state.views.fold(&told.record);
            self.state.head = told.chain;
        }
        self.check(point)
    }

    /// Whether the point was met.
    fn check(&mut self, point: Option<Point>) -> Result<(), StateError> {
        let (seq, at) = (self.state.views.seq, self.state.views.recorded_at);
        match point {
            Some(Point::Seq(named)) if named < seq => Err(PointError::Reversed.into()),
            Some(Point::Time(named)) if seq > 0 && named < at => Err(PointError::Reversed.into()),
            // The place 0 lies before the first fact: the end is told in both cases.
            Some(Point::Seq(named)) if named != seq || named == 0 => {
                let last = self.end()?;
                Err(if last == 0 { PointError::Empty } else { PointError::NoSuchFact { seq: named, last } }
                    .into())
            }
            Some(Point::Time(time)) if seq == 0 => Err(self.before_the_first(time)),
            Some(Point::Seq(_) | Point::Time(_)) => Ok(()),
            None if seq == 0 => Err(PointError::Empty.into()),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<u64, TellError> {
        self.ahead.by_ref().try_fold(self.state.views.seq, |_, told| told.map(|told| told.record.seq))
    }

    fn before_the_first(&mut self, time: Timestamp) -> StateError {
        match self.ahead.next() {
            Some(Ok(first)) => PointError::BeforeTheFirst { time, first: first.record.recorded_at }.into(),
            Some(Err(error)) => error.into(),
            None => PointError::Empty.into(),
        }
    }
}

impl State {
    /// Where it is.
    pub fn mark(&self) -> Mark {
        Mark { seq: self.views.seq, recorded_at: self.views.recorded_at, head: self.head }
    }

    /// The items of a part, with the names by which they are sorted.
    pub fn items(&self, part: Part) -> Box<dyn Iterator<Item = (String, Value)> + '_> {
        match part {
            Part::Authorities => Box::new(parts::authorities(&self.views)),
            Part::Nodes => Box::new(node::nodes(&self.views)),
            Part::Revocations => Box::new(parts::revocations(&self.views)),
            Part::VClusters => Box::new(parts::vclusters(&self.views)),
            Part::Members => Box::new(parts::members(&self.views)),
            Part::Tokens => Box::new(std::iter::empty()),
        }
    }

    /// The document, and its digest.
    pub fn document(&self) -> (String, Digest) {
        let list = |part| {
            let items: Vec<String> = self.items(part).map(|(_, item)| canonical::text(&item)).collect();
            format!("[{}]", items.join(","))
        };
        let mut members: Vec<(&str, String)> =
            Part::ALL.iter().map(|part| (part.name(), list(*part))).collect();
        members.push(("seq", self.views.seq.to_string()));
        let digest = Digest::of(canonical::object(&mut members).as_bytes());
        members.push(("head", canonical::text(&json!(self.head.to_string()))));
        members.push(("digest", canonical::text(&json!(digest))));
        (canonical::object(&mut members), digest)
    }
}
