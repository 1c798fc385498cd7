//! One fact in full: its envelope, what it says in words, and what became of each certificate that it names.
//!
//! `pact-replay explain` prints it. The log is read twice: to find the fact, then to its end, with the views.
//!
//! **Invariant:** what a certificate opens is what the views say (R10) at the time of the log's last fact; no clock is read.

use std::path::Path;

use events::codec::Chain;
use events::fact::Record;
use events::node::Supersession;
use events::views::{Standing, Views};
use events::vocabulary::{CertificateHash, Serial, Timestamp};
use serde_json::{Value, json};

use crate::mentions::{self, Holder, Issuance};
use crate::point::{Mark, PointError};
use crate::reader::Reader;
use crate::told::{Tale, TellError, Told};
use crate::{pem_text, sentence};
use events::fact_json;

/// Why a fact cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No fact has this place.
    #[error(transparent)]
    Point(#[from] PointError),
    /// No fact carries this certificate.
    #[error("no fact carries a certificate with the serial number {serial}")]
    SerialNotFound {
        /// What was asked for.
        serial: Serial,
    },
    /// The log cannot be told.
    #[error(transparent)]
    Log(#[from] TellError),
}

/// Which fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one in this place.
    Seq(u64),
    /// The one that carries this certificate.
    Serial(Serial),
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The fact.
    pub told: Told,
    /// What it says, in words.
    pub sentence: String,
    /// The certificate that it carries, as text.
    pub certificate_pem: Option<String>,
    /// The certificates that it replaces.
    pub supersedes: Vec<Supersession>,
    /// What became of the certificates that it names.
    pub certificates: Vec<Fate>,
    /// The end of the log.
    pub end: Mark,
}

/// What became of a certificate, up to the end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// Its serial number.
    pub serial: Serial,
    /// Whose it is, such as `node:compute-042`.
    pub holder: String,
    /// The fact that carries it.
    pub issued_seq: u64,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Whether it opens something.
    pub opens: Opens,
    sha256: CertificateHash,
}

/// Whether a certificate opens something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opens {
    /// It does.
    Until(Timestamp),
    /// It does not any more.
    NotSince {
        /// From then on.
        since: Timestamp,
        /// The fact that ended it. None: its time was over.
        by: Option<u64>,
        /// Why: the type of that fact, `expired`, or `overlap over`.
        because: String,
    },
    /// It is an authority's: it signs, and never opened anything.
    Never,
}

/// Explains a fact.
///
/// # Errors
/// If the log has no such fact, or is not sound to its end.
pub fn explain(data_dir: &Path, which: Which) -> Result<Explanation, ExplainError> {
    let reader = Reader::open(data_dir).map_err(TellError::from)?;
    let told = find(&reader, which)?;
    let mut wanted = mentions::serials(&told.record.fact);
    wanted.sort_unstable();
    wanted.dedup();
    let (certificates, end) = fates(&reader, &wanted)?;
    let fact = &told.record.fact;
    Ok(Explanation {
        sentence: sentence::of(&told.record, &told.remarks),
        certificate_pem: Issuance::of(fact).map(|issued| pem_text::of(issued.der)),
        supersedes: mentions::superseded(fact),
        told,
        certificates,
        end,
    })
}

fn find(reader: &Reader, which: Which) -> Result<Told, ExplainError> {
    let is_it = |record: &Record| match which {
        Which::Seq(seq) => record.seq == seq,
        Which::Serial(serial) => Issuance::of(&record.fact).is_some_and(|issued| issued.serial == serial),
    };
    let mut last = 0;
    for told in Tale::of(reader) {
        let told = told?;
        if is_it(&told.record) {
            return Ok(told);
        }
        last = told.record.seq;
    }
    Err(match which {
        Which::Seq(_) if last == 0 => PointError::Empty.into(),
        Which::Seq(seq) => PointError::NoSuchFact { seq, last }.into(),
        Which::Serial(serial) => ExplainError::SerialNotFound { serial },
    })
}

/// Follows certificates from their issuance to the end of the log.
fn fates(reader: &Reader, wanted: &[Serial]) -> Result<(Vec<Fate>, Mark), TellError> {
    let mut views = Views::default();
    let mut found: Vec<Fate> = vec![];
    let mut end = Mark { seq: 0, recorded_at: Timestamp::default(), head: Chain::from_bytes([0; 32]) };
    for told in Tale::of(reader) {
        let told = told?;
        views.fold(&told.record);
        end = Mark { seq: views.seq, recorded_at: views.recorded_at, head: told.chain };
        if let Some(issued) = Issuance::of(&told.record.fact).filter(|issued| wanted.contains(&issued.serial))
        {
            found.push(Fate::new(&issued, told.record.seq));
        }
        found.iter_mut().for_each(|fate| fate.go_on(&views, &told.record));
    }
    Ok((found, end))
}

impl Fate {
    fn new(issued: &Issuance<'_>, issued_seq: u64) -> Self {
        let (holder, opens) = match issued.holder {
            Holder::Node(id) => (format!("node:{id}"), Opens::Until(issued.not_after)),
            Holder::Operator(id) => (format!("operator:{id}"), Opens::Until(issued.not_after)),
            Holder::Authority(id) => (format!("journal:{id}"), Opens::Never),
        };
        let Issuance { serial, sha256, not_before, not_after, .. } = *issued;
        Self { serial, holder, issued_seq, not_before, not_after, opens, sha256 }
    }

    /// After a fact. What opens nothing stays so, unless a warm reboot replaced it and its machine came back.
    fn go_on(&mut self, views: &Views, record: &Record) {
        let now = record.recorded_at;
        let standing = views.standing(&self.sha256, now);
        let until = match (&self.opens, &standing) {
            (Opens::Until(until), _) | (Opens::NotSince { .. }, Standing::Valid { until, .. }) => *until,
            (Opens::Never | Opens::NotSince { .. }, _) => return,
        };
        self.opens = match standing {
            Standing::Valid { until, .. } => Opens::Until(until),
            Standing::Unknown | Standing::Expired | Standing::Revoked | Standing::Replaced { .. }
                if until <= now =>
            {
                let because = if until == self.not_after { "expired" } else { "overlap over" };
                Opens::NotSince { since: until, by: None, because: because.to_owned() }
            }
            Standing::Unknown | Standing::Expired | Standing::Revoked | Standing::Replaced { .. } => {
                Opens::NotSince {
                    since: now,
                    by: Some(record.seq),
                    because: fact_json::type_name(&record.fact),
                }
            }
        };
    }

    fn to_json(&self) -> Value {
        let (until, since, by, because) = match &self.opens {
            Opens::Until(until) => (Some(until), None, None, None),
            Opens::NotSince { since, by, because } => (None, Some(since), *by, Some(because.as_str())),
            Opens::Never => (None, None, None, Some("authority")),
        };
        json!({
            "serial": self.serial,
            "holder": self.holder,
            "issued_seq": self.issued_seq,
            "not_before": self.not_before,
            "not_after": self.not_after,
            "opens": until.is_some(),
            "until": until,
            "not_since": since,
            "ended_by": by,
            "because": because,
        })
    }
}

impl Explanation {
    /// As `explain -o json` prints it.
    pub fn to_json(&self) -> Value {
        let certificates: Vec<Value> = self.certificates.iter().map(Fate::to_json).collect();
        json!({
            "fact": fact_json::to_json(&self.told.record, &self.told.remarks, &self.told.chain),
            "sentence": self.sentence,
            "certificate_pem": self.certificate_pem,
            "supersedes": self.supersedes,
            "certificates": certificates,
            "end": self.end.to_json(),
        })
    }
}
