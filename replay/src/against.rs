//! Two logs of one domain, fact by fact: byte for byte the same as far as both go, or from where on not.
//!
//! `pact-replay verify LOG --against LOG` calls it. What counts is each fact's link of the chain and its body. The texts
//! behind them do not: they are erased in one log a little before the other (R4).
//!
//! **Invariant:** a row that cannot be taken apart is equal to none.

use events::codec::{Chain, StoredValue};
use events::invariants::Violation;
use serde_json::{Value, json};

use crate::reader::{ReadError, ReadFault, Reader, Row, Rows};

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How many facts are the same in both, from the first.
    pub common: u64,
    /// How many facts the other log has.
    pub facts: u64,
    /// The last link of the other log's chain; none if it has no fact that can be read.
    pub head: Option<Chain>,
    /// Whose is longer; none: neither.
    pub longer: Option<Side>,
    /// Where they part; none: they do not.
    pub parting: Option<Parting>,
}

/// One of the two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is verified.
    Log,
    /// The one that it is held against.
    Against,
}

/// The first fact that is not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parting {
    /// Its place.
    pub seq: u64,
    /// Its link of the verified log; none if it cannot be taken apart.
    pub log: Option<Chain>,
    /// Its link of the other.
    pub against: Option<Chain>,
}

impl Side {
    /// As documents name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Against => "against",
        }
    }
}

/// Compares two logs to the end of both.
///
/// # Errors
/// If either cannot be read.
pub fn compare(log: &Reader, against: &Reader) -> Result<Comparison, ReadError> {
    let (mut own, mut other) = (Walk::of(log), Walk::of(against));
    let (mut common, mut parting) = (0, None);
    loop {
        let (left, right) = (own.next()?, other.next()?);
        match (left, right) {
            (None, None) => break,
            (Some(left), Some(right)) if parting.is_none() => {
                if left.is_same_as(&right) {
                    common += 1;
                } else {
                    parting = Some(Parting { seq: common + 1, log: left.chain(), against: right.chain() });
                }
            }
            (Some(_), Some(_) | None) | (None, Some(_)) => {}
        }
    }
    let longer = match own.rows_read.cmp(&other.rows_read) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(Side::Log),
        std::cmp::Ordering::Less => Some(Side::Against),
    };
    Ok(Comparison { common, facts: other.rows_read, head: other.head, longer, parting })
}

/// A way through one log.
struct Walk<'a> {
    rows: Rows<'a>,
    rows_read: u64,
    head: Option<Chain>,
}

/// A row, taken apart.
struct Step<'r> {
    seq: Option<u64>,
    value: Option<StoredValue<'r>>,
}

impl<'a> Walk<'a> {
    fn of(reader: &'a Reader) -> Self {
        Self { rows: reader.rows(), rows_read: 0, head: None }
    }

    fn next(&mut self) -> Result<Option<Row<'_>>, ReadError> {
        let after = self.rows_read;
        let failed = |source: ReadFault| ReadError { after, source };
        let Some(row) = self.rows.next().map_err(failed)? else { return Ok(None) };
        self.rows_read += 1;
        self.head = Step::of(&row).chain().or(self.head);
        Ok(Some(row))
    }
}

impl<'r> Step<'r> {
    fn of(row: &'r Row<'_>) -> Self {
        Self { seq: row.seq(), value: row.value().and_then(|value| StoredValue::parse(value).ok()) }
    }

    fn chain(&self) -> Option<Chain> {
        self.value.map(|value| value.chain)
    }
}

impl Row<'_> {
    fn chain(&self) -> Option<Chain> {
        Step::of(self).chain()
    }

    fn is_same_as(&self, other: &Row<'_>) -> bool {
        let (own, other) = (Step::of(self), Step::of(other));
        let bytes = |value: StoredValue<'_>, other: StoredValue<'_>| {
            value.chain == other.chain && value.body == other.body
        };
        own.seq == other.seq && own.value.zip(other.value).is_some_and(|(own, other)| bytes(own, other))
    }
}

impl Comparison {
    /// The difference as reports tell it.
    pub fn violation(&self) -> Option<Violation> {
        let Parting { seq, log, against } = self.parting?;
        let link = |chain: Option<Chain>| chain.map_or_else(|| "none".to_owned(), |chain| chain.to_string());
        let message = format!("the other log has another fact: chain {}, there {}", link(log), link(against));
        Some(Violation { seq, invariant: "against", message })
    }

    /// As `verify --against -o json` prints it.
    pub fn to_json(&self) -> Value {
        let link = |chain: Option<Chain>| chain.map(|chain| chain.to_string());
        let parting = self.parting.map(|parting| {
            json!({"seq": parting.seq, "chain": link(parting.log), "against_chain": link(parting.against)})
        });
        json!({
            "common": self.common,
            "facts": self.facts,
            "head": link(self.head),
            "longer": self.longer.map(Side::name),
            "parting": parting,
        })
    }
}
