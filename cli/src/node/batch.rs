//! `pact node enroll --batch`: permits many machines to enroll, one a line of a CSV file.
//!
//! [`super::enroll`] calls [`run`]. The file is read on a thread of its own; its parts go to the journal over one
//! connection, several under way at once; their answers make a [`Report`] in the order of the lines.
//!
//! Not here, on purpose: whether a node may be registered; the journal decides each row for itself.
//!
//! **Invariant:** the file is never held whole, and at most [`PARTS_AHEAD`] + [`PARTS_UNDER_WAY`] + 2 parts of it are held
//! at once.

mod cells;
mod header;
mod lines;
mod progress;
mod report;
mod rows;

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    pin::pin,
};

use futures_util::{StreamExt, stream};
use proto::{
    convert::batch::RowOutcome,
    outcome::Failure,
    pb::{BatchRegisterNodesRequest, BatchRegisterNodesResponse},
};
use tokio::{sync::mpsc, task};

#[cfg(test)]
pub use self::report::{Fault, Row};
pub use self::report::{Report, Warning};
use self::{
    progress::Progress,
    rows::{Part, ReadError, Rows},
};
use crate::connection::{Journals, nodes};

/// Parts that wait for their answer at the same time. A journal syncs the rows of all of them at once.
const PARTS_UNDER_WAY: usize = 4;
/// Parts that are read before they can be sent.
const PARTS_AHEAD: usize = 2;
/// The file is read in blocks of this many bytes.
const BLOCK_BYTES: usize = 256 * 1024;

/// Registers the nodes of a file; in a dry run only asks what would become of them.
///
/// # Errors
/// [`Failure::Usage`] if the file cannot be read or has a wrong header, before anything is sent; else if the journal
/// refuses the whole or cannot be reached any more. A row that fails is no error: [`Report::failure`] tells of it.
pub async fn run(file: &Path, dry_run: bool, journals: &Journals) -> Result<Report, Failure> {
    let unreadable = |error: ReadError| unreadable(file, &error);
    let open = File::open(file).map_err(|error| unreadable(error.into()))?;
    let size = open.metadata().ok().filter(|metadata| metadata.is_file()).map(|metadata| metadata.len());
    let rows = Rows::open(BufReader::with_capacity(BLOCK_BYTES, open)).map_err(unreadable)?;
    let session = journals.session().await?;
    let ask =
        async |request| session.ask(async |channel| nodes(channel).batch_register_nodes(request).await).await;
    let progress = Progress::begin(size);
    let mut report = Report { is_dry_run: dry_run, ..Report::default() };
    let decided = decide(parts(rows), ask, &mut report, |report, bytes| {
        progress.reached(report.rows.len(), bytes);
    });
    let stopped = decided.await.map_err(|stop| match stop {
        Stop::File(error) => unreadable(error),
        Stop::Journal(failure) => failure,
    });
    stopped.map_err(|failure| remarked(failure, &report))?;
    Ok(report)
}

/// Why a batch ended before its file.
#[derive(Debug)]
enum Stop {
    /// The file cannot be read on.
    File(ReadError),
    /// The journal refused the whole, or is gone.
    Journal(Failure),
}

/// Reads the parts on a thread of its own. It ends when nobody takes them any more.
fn parts(mut rows: Rows<impl BufRead + Send + 'static>) -> mpsc::Receiver<Result<Part, ReadError>> {
    let (send, receive) = mpsc::channel(PARTS_AHEAD);
    task::spawn_blocking(move || {
        while let Some(part) = rows.part().transpose() {
            let is_last = part.is_err();
            if send.blocking_send(part).is_err() || is_last {
                return;
            }
        }
    });
    receive
}

/// Asks for the parts, and adds their rows to the report in their order.
async fn decide(
    parts: mpsc::Receiver<Result<Part, ReadError>>,
    ask: impl AsyncFn(BatchRegisterNodesRequest) -> Result<BatchRegisterNodesResponse, Failure>,
    report: &mut Report,
    reached: impl Fn(&Report, u64),
) -> Result<(), Stop> {
    let dry_run = report.is_dry_run;
    let parts = stream::unfold(parts, async |mut parts| Some((parts.recv().await?, parts)));
    let answered = parts.map(async |part| answered(part.map_err(Stop::File)?, dry_run, &ask).await);
    let mut answered = pin!(answered.buffered(PARTS_UNDER_WAY));
    while let Some(part) = answered.next().await {
        let (part, outcomes) = part?;
        let mut outcomes = outcomes.into_iter();
        for row in part.rows {
            match row.fault {
                Some(_) => report.fail(row),
                None => report.take(row, outcomes.next().ok_or_else(incomplete)?),
            }
        }
        reached(report, part.bytes);
    }
    Ok(())
}

/// Asks for one part. The outcomes are as many as its requests.
async fn answered(
    mut part: Part,
    dry_run: bool,
    ask: impl AsyncFn(BatchRegisterNodesRequest) -> Result<BatchRegisterNodesResponse, Failure>,
) -> Result<(Part, Vec<RowOutcome>), Stop> {
    let asked = part.requests.len();
    if asked == 0 {
        return Ok((part, Vec::new()));
    }
    let request = BatchRegisterNodesRequest { rows: std::mem::take(&mut part.requests), dry_run };
    let answer = ask(request).await.map_err(Stop::Journal)?;
    let outcomes: Result<Vec<_>, _> = answer.rows.into_iter().map(RowOutcome::try_from).collect();
    let outcomes =
        outcomes.map_err(|error| Stop::Journal(Failure::named("ANSWER_INVALID", error.to_string())))?;
    if outcomes.len() == asked { Ok((part, outcomes)) } else { Err(incomplete()) }
}

fn incomplete() -> Stop {
    let told = "the journal did not answer each row of a part once";
    Stop::Journal(Failure::named("ANSWER_INVALID", told))
}

fn unreadable(file: &Path, error: &ReadError) -> Failure {
    Failure::Usage(format!("{}: {error}", file.display()))
}

/// The failure that ended a batch, and how far it came. Refused at once, nothing was done, and nothing is to be said.
fn remarked(failure: Failure, report: &Report) -> Failure {
    let remark = remark(report);
    match failure {
        Failure::Refused(_) | Failure::ConnectionRefused(_) if report.rows.is_empty() => failure,
        Failure::Refused(mut refusal) => {
            refusal.message.push_str(&remark);
            Failure::Refused(refusal)
        }
        Failure::ConnectionRefused(refusal) => {
            tracing::warn!("the batch stopped{remark}");
            Failure::ConnectionRefused(refusal)
        }
        Failure::Unreachable(told) => Failure::Unreachable(told + &remark),
        Failure::NotTrusted(told) => Failure::NotTrusted(told + &remark),
        Failure::Evicted(told) => Failure::Evicted(told + &remark),
        Failure::Deadline(told) => Failure::Deadline(told + &remark),
        Failure::Usage(told) => Failure::Usage(told + &remark),
        Failure::Violation(told) => Failure::Violation(told + &remark),
        Failure::Failed { reason, message } => Failure::Failed { reason, message: message + &remark },
    }
}

fn remark(report: &Report) -> String {
    let Report { registered, unchanged, failed, rows, is_dry_run, warnings: _, warned: _ } = report;
    let line = rows.last().map_or(1, |row| row.line);
    let done = format!(
        "; answered up to line {line}: {registered} registered, {unchanged} unchanged, {failed} failed"
    );
    if *is_dry_run {
        format!("{done}; it was a dry run: nothing was recorded")
    } else {
        format!(
            "{done}; some rows after it may be registered too; running it again is safe: it changes none of them"
        )
    }
}

#[cfg(test)]
mod tests;
