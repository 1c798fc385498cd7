//! The verbs of `pact-replay` and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use events::vocabulary::{NodeId, Serial, Timestamp};

use crate::command::manual::Completion;
use crate::explain::Which;
use crate::export::{Format, Range};
use crate::point::Point;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(super) enum Order {
    /// Check the chain, every fact and every invariant after it
    #[command(after_help = VERIFY)]
    Verify {
        /// A journal's data directory, or an export of a whole log
        log: PathBuf,
        /// Another log of the same domain: where both have a fact, it must be the same, byte for byte
        #[arg(long, value_name = "LOG")]
        against: Option<PathBuf>,
    },
    /// Show all views as they were at a point of the log
    #[command(after_help = STATE)]
    State {
        /// A journal's data directory, or an export of a whole log
        log: PathBuf,
        /// What was recorded until this moment (RFC 3339); later than the end is the end
        #[arg(long, value_name = "TIME", conflicts_with = "seq")]
        at: Option<Timestamp>,
        /// After this fact
        #[arg(long, value_name = "N")]
        seq: Option<u64>,
    },
    /// Show every fact about one node, or about one certificate
    #[command(after_help = HISTORY)]
    History {
        /// A journal's data directory, or an export of a whole log
        log: PathBuf,
        #[command(flatten)]
        subject: Subject,
    },
    /// Show what changed in the views between two points of the log
    #[command(after_help = DIFF)]
    Diff {
        /// A journal's data directory, or an export of a whole log
        log: PathBuf,
        /// The first point: a moment (RFC 3339), or the seq of a fact
        #[arg(long, value_name = "TIME|SEQ")]
        from: Point,
        /// The second point
        #[arg(long, value_name = "TIME|SEQ")]
        to: Point,
    },
    /// Tell all about one fact, in words
    #[command(after_help = EXPLAIN)]
    Explain {
        /// A journal's data directory, or an export of a whole log
        log: PathBuf,
        #[command(flatten)]
        wanted: Explained,
    },
    /// Write facts as JSON, one a line, for other tools
    #[command(after_help = EXPORT)]
    Export(Export),
    /// Print a script with which your shell completes verbs and flags
    #[command(after_help = "Examples:\n  pact-replay completion bash > /etc/bash_completion.d/pact-replay")]
    Completion(Completion),
    /// Print the manual page
    #[command(after_help = "Examples:\n  pact-replay man | man -l -")]
    Man {},
}

/// Whose history.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Subject {
    /// The node's name
    node_id: Option<NodeId>,
    /// The serial number of a certificate, of a node, an operator or an authority
    #[arg(long, value_name = "HEX")]
    serial: Option<Serial>,
}

/// Whose history, one of the two.
pub(super) enum Wanted<'a> {
    /// A node's.
    Node(&'a NodeId),
    /// A certificate's.
    Serial(Serial),
}

impl Subject {
    /// The one of the two that was given.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        match (&self.node_id, self.serial) {
            (Some(node_id), _) => Wanted::Node(node_id),
            (None, serial) => Wanted::Serial(serial.expect("clap requires one of the two")),
        }
    }
}

/// Which fact.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Explained {
    /// The fact that carries the certificate with this serial number
    #[arg(long, value_name = "HEX")]
    serial: Option<Serial>,
    /// The fact in this place
    #[arg(long, value_name = "N")]
    seq: Option<u64>,
}

impl Explained {
    /// The one of the two that was given.
    pub(super) fn which(&self) -> Which {
        match (self.serial, self.seq) {
            (Some(serial), _) => Which::Serial(serial),
            (None, seq) => Which::Seq(seq.expect("clap requires one of the two")),
        }
    }
}

/// What is exported, and where to.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// A journal's data directory, or an export of a whole log
    pub(super) log: PathBuf,
    /// How a line looks
    #[arg(long, value_enum)]
    pub(super) format: Format,
    /// From this fact on, or from what was recorded at this moment or later
    #[arg(long, value_name = "TIME|SEQ")]
    from: Option<Point>,
    /// To this fact, or to what was recorded until this moment
    #[arg(long, value_name = "TIME|SEQ")]
    to: Option<Point>,
    /// A new file; without it, stdout
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

impl Export {
    /// Which facts.
    pub(super) const fn range(&self) -> Range {
        Range { from: self.from, to: self.to }
    }
}

/// The point of `--at` or `--seq`.
pub(super) fn point(at: Option<Timestamp>, seq: Option<u64>) -> Option<Point> {
    at.map(Point::Time).or(seq.map(Point::Seq))
}

const VERIFY: &str = "\
Examples:
  pact-replay verify /var/lib/pact/j1
  pact-replay verify /var/lib/pact/j1 -o json | jq -r .head
  pact-replay verify facts.jsonl --against /var/lib/pact/j1

With -o json: {\"ok\",\"facts\",\"head\",\"seconds\",\"violations\":[{\"seq\",\"invariant\",\"message\"}]}. Exit code 5 if there are any.
--against adds \"against\":{\"common\",\"facts\",\"head\",\"longer\":\"log\"|\"against\"|null,\"parting\":{\"seq\",\"chain\",\"against_chain\"}|null}.
A log may be longer than the other; another fact in the same place is a violation. Erased texts are none.";

const STATE: &str = "\
Examples:
  pact-replay state /var/lib/pact/j1
  pact-replay state /var/lib/pact/j1 --at 2026-01-31T12:00:00Z
  pact-replay state /var/lib/pact/j1 --seq 1042 -o json | jq '.nodes[] | select(.state == \"active\")'

With -o json: {\"seq\",\"head\",\"digest\",\"nodes\",\"revocations\",\"tokens\",\"authorities\",\"members\",\"vclusters\"} in canonical
form (RFC 8785): the same log gives the same bytes on every journal. digest is the SHA-256 of the document without
head and digest. A point before the first fact or behind the last is exit code 2.";

const HISTORY: &str = "\
Examples:
  pact-replay history /var/lib/pact/j1 compute-042
  pact-replay history /var/lib/pact/j1 --serial 4f1c0a52d1b94c0e8a3f6f0d2b7e9c11 -o json

With -o json: {\"facts\":[…]}.";

const DIFF: &str = "\
Examples:
  pact-replay diff /var/lib/pact/j1 --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z
  pact-replay diff /var/lib/pact/j1 --from 1000 --to 1042 -o json | jq '.nodes.changed[].node_id'

With -o json: {\"from\",\"to\",\"nodes\",\"revocations\",\"authorities\",\"vclusters\"}; each part is {\"added\":[…],
\"changed\":[{name, \"changes\":[{\"field\",\"from\",\"to\"}]}],\"removed\":[…]}. A revocation is removed 24 hours after its
certificate's end. --from behind --to is exit code 2.";

const EXPLAIN: &str = "\
Examples:
  pact-replay explain /var/lib/pact/j1 --seq 42
  pact-replay explain /var/lib/pact/j1 --serial 4f1c0a52d1b94c0e8a3f6f0d2b7e9c11
  pact-replay explain /var/lib/pact/j1 --seq 42 -o json | jq -r .certificate_pem | openssl x509 -text

With -o json: {\"fact\",\"sentence\",\"certificate_pem\",\"supersedes\":[{\"serial\",\"overlap_secs\"}],\"certificates\":[{\"serial\",
\"holder\",\"issued_seq\",\"not_before\",\"not_after\",\"opens\",\"until\",\"not_since\",\"ended_by\",\"because\"}],\"end\"}: certificates are
all that the fact names, and what they open is told for the end of the log.";

const EXPORT: &str = "\
Examples:
  pact-replay export /var/lib/pact/j1 --format jsonl --out facts.jsonl
  pact-replay export /var/lib/pact/j1 --format jsonl --from 1043
  pact-replay export /var/lib/pact/j1 --format cloudevents --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z

jsonl writes each fact as history -o json does, with its stored bytes in base64: from fact 1 on, such a file is a LOG for every verb.
cloudevents puts it into a CloudEvents 1.0 envelope. Nothing is written of a
log that is not sound. FILE must not exist; it appears when it is whole. With --out and -o json:
{\"out\",\"facts\",\"first\",\"last\",\"head\"}.";
