//! What a caller is told rests on what the quorum has recorded, not only on what this journal has applied so far (R22).
//!
//! Every read that takes `min_seq` waits here; a look-up that finds nothing asks here before it says so. Orders do the same
//! where they are decided ([`crate::actors`], [`crate::operators`], [`crate::membership`]).
//!
//! **Invariant:** nobody waits longer than [`LONGEST`], nor than they said.

use std::time::Duration;

use proto::convert::field;
use proto::reason::Reason;
use proto::refusal::Refusal;

use crate::log::{KNOWN, Log};

/// A journal that is so far behind has more to do than to answer.
const LONGEST: Duration = Duration::from_secs(5);
/// It may be there in a moment.
const AGAIN: Duration = Duration::from_secs(1);

/// Waits until this journal shows a fact. A later one than any quorum has is a mistake of the caller.
pub async fn reach(log: &Log, min_seq: Option<u64>, patience: Duration) -> Result<(), Refusal> {
    let Some(wanted) = min_seq.filter(|wanted| *wanted > log.views().seq) else { return Ok(()) };
    // What is left is the way back: the caller is to hear why.
    let within = (patience * 9 / 10).min(LONGEST);
    let confirmed = tokio::select! {
        biased;
        () = log.reaches(wanted) => return Ok(()),
        confirmed = log.read_index(within) => confirmed,
    };
    match confirmed {
        Ok(last) if last < wanted => {
            Err(field::invalid("min_seq", format!("{wanted} is beyond the last fact, {last}")))
        }
        Ok(_) => Ok(()),
        Err(_) => {
            let message = format!("this journal did not learn of the fact {wanted} in time; ask another one");
            Err(Refusal::new(Reason::StaleJournal, message).retry_after(AGAIN))
        }
    }
}

/// What was looked for and not found may have been recorded elsewhere: waits until that would be known here.
pub async fn catch_up(log: &Log) {
    if !log.is_alone() {
        // Without a leader the answer is given as it is known.
        log.read_index(KNOWN).await.ok();
    }
}
