//! Facts as lines of JSON, for other tools: as they are, or as CloudEvents 1.0 in structured mode.
//!
//! `pact-replay export` calls it. The log is read twice: first to see that it is sound to its end, then to write.
//!
//! A line of `jsonl` has the stored bytes of its fact beside the words: such a file, from fact 1 on, is a log like any
//! other, and its chain can be checked without the journal. CloudEvents are for other tools, and have words only.
//!
//! **Invariant:** not one line comes from a log that is not sound.

use std::io::{self, Write};
use std::path::Path;

use events::domain::{self, Created};
use events::fact::Fact;
use events::vocabulary::Timestamp;
use serde_json::{Value, json};

use crate::point::{Point, PointError};
use crate::reader::{Reader, STORED, in_base64};
use crate::told::{Tale, TellError, Told};
use events::fact_json;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A fact as `history -o json` prints it, and its stored bytes: from fact 1 on, such a file is a LOG
    Jsonl,
    /// The same as `data` of a CloudEvents 1.0 envelope
    Cloudevents,
}

/// Why nothing, or not all, was exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log has no such facts.
    #[error(transparent)]
    Point(#[from] PointError),
    /// The log cannot be told.
    #[error(transparent)]
    Log(#[from] TellError),
    /// The lines cannot be written.
    #[error("the export cannot be written")]
    Write(#[from] io::Error),
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many facts.
    pub facts: u64,
    /// The place of the first; none if there is none.
    pub first: Option<u64>,
    /// The place of the last.
    pub last: Option<u64>,
    /// The last one's link of the chain.
    pub head: Option<String>,
}

/// Which facts: from a point on and to a point, both included. A moment in `from` means what was recorded then or later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// None: from the first.
    pub from: Option<Point>,
    /// None: to the last.
    pub to: Option<Point>,
}

impl Range {
    /// Whoever follows a log asks for what comes behind its last fact; what lies further away is a mistake.
    fn check(self, last: u64) -> Result<(), PointError> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from.is_behind(to)
        {
            return Err(PointError::Reversed);
        }
        let next = last.saturating_add(1);
        for (point, most) in [(self.from, next), (self.to, last)] {
            if let Some(Point::Seq(seq)) = point
                && !(1..=most).contains(&seq)
            {
                return Err(PointError::NoSuchFact { seq, last });
            }
        }
        Ok(())
    }

    fn has(self, seq: u64, recorded_at: Timestamp) -> bool {
        let begun = match self.from {
            None => true,
            Some(Point::Seq(from)) => seq >= from,
            Some(Point::Time(from)) => recorded_at >= from,
        };
        let over = match self.to {
            None => false,
            Some(Point::Seq(to)) => seq > to,
            Some(Point::Time(to)) => recorded_at > to,
        };
        begun && !over
    }
}

/// An open log that was found sound.
pub struct Export {
    reader: Reader,
    domain: Created,
}

impl Export {
    /// Opens a log and reads it to its end, so that nothing is written of one that is not sound.
    ///
    /// # Errors
    /// If it cannot be read, is not sound, or has no such facts.
    pub fn prepare(data_dir: &Path, range: Range) -> Result<Self, ExportError> {
        let reader = Reader::open(data_dir).map_err(TellError::from)?;
        let (mut domain, mut last) = (None, 0);
        for told in Tale::of(&reader) {
            let told = told?;
            last = told.record.seq;
            if let Fact::Domain(domain::Event::Created(created)) = told.record.fact {
                domain = domain.or(Some(created));
            }
        }
        let domain = domain.ok_or(PointError::Empty)?;
        range.check(last)?;
        Ok(Self { reader, domain })
    }

    /// Writes a line a fact.
    ///
    /// # Errors
    /// If a line cannot be written.
    pub fn write(&self, range: Range, format: Format, to: &mut impl Write) -> Result<Exported, ExportError> {
        let mut exported = Exported::default();
        for told in Tale::with_bytes(&self.reader) {
            let told = told?;
            let (seq, recorded_at) = (told.record.seq, told.record.recorded_at);
            if !range.has(seq, recorded_at) {
                continue;
            }
            let fact = fact_json::to_json(&told.record, &told.remarks, &told.chain);
            let line = match format {
                Format::Jsonl => with_bytes(fact, &told.stored),
                Format::Cloudevents => cloud_event(&self.domain, &told, fact),
            };
            writeln!(to, "{line}")?;
            exported.facts += 1;
            exported.first = exported.first.or(Some(seq));
            exported.last = Some(seq);
            exported.head = Some(told.chain.to_string());
        }
        to.flush()?;
        Ok(exported)
    }
}

fn with_bytes(mut fact: Value, stored: &[u8]) -> Value {
    fact[STORED] = Value::String(in_base64(stored));
    fact
}

/// CloudEvents 1.0, structured mode. `source` and `id` together name a fact in the whole world: the log and its place.
fn cloud_event(domain: &Created, told: &Told, fact: Value) -> Value {
    let record = &told.record;
    json!({
        "specversion": "1.0",
        "id": record.seq.to_string(),
        "source": format!("pact://{}/log/{}", domain.domain_id, domain.log_id),
        "type": format!("pact.v1.{}", fact_json::type_name(&record.fact)),
        "subject": record.fact.subject().to_string(),
        "time": record.recorded_at,
        "datacontenttype": "application/json",
        "data": fact,
    })
}

impl Exported {
    /// As `export --out FILE -o json` prints it.
    pub fn to_json(&self, out: &Path) -> Value {
        let Self { facts, first, last, head } = self;
        json!({"out": out.display().to_string(), "facts": facts, "first": first, "last": last, "head": head})
    }
}
