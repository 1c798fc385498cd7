//! `pact journal evict`: takes a journal out for good (§7), and on demand ends what it had signed.
//!
//! The second goes in steps: a journal ends some thousand certificates at each question, and is asked until none is left. So
//! it shows how far it is, and whatever breaks off is gone on with by the same command, also at another journal.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use proto::{
    outcome::Failure,
    pb::{EvictRequest, EvictResponse},
};

use super::{MemberJson, readable};
use crate::{
    answer::Answer,
    connection::{Journals, members},
};

const EXAMPLES: &str = "\
Examples:
  pact journal evict j3
  pact journal evict j3 --reason \"disk lost\"
  pact journal evict j3 --revoke-issued --reason \"machine was broken into\"

A journal that was evicted never comes back, not even with its data: its name and its number are not given again. A second
eviction changes nothing. The last journal that votes is not evicted: nobody could decide anything then. A leader hands the
lead over first, and the journal that was evicted ends.

With --revoke-issued nodes whose certificate it had signed are cut off and enroll again, and operators are revoked: make new
ones. If it breaks off, run the same command again; name several endpoints, for the evicted journal answers no more.";

/// So long a step may come to nothing before it is given up: the others elect a leader within 4 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// Before a step that came to nothing is taken again.
const PAUSE: Duration = Duration::from_millis(300);

/// Evicts a journal.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Evict {
    /// Name of the journal
    #[arg(value_name = "JOURNAL_ID")]
    journal_id: String,

    /// Also end the certificates that it had signed: of nodes, which enroll again, and of operators
    #[arg(long)]
    revoke_issued: bool,

    /// Why, for those who read the log; may be personal, it can be erased later
    #[arg(long, value_name = "TEXT", value_parser = crate::node::reason)]
    reason: Option<String>,
}

impl Evict {
    /// Evicts the journal.
    ///
    /// # Errors
    /// If the journal refuses or cannot be reached.
    pub async fn run(self, journals: &Journals) -> Result<Answer, Failure> {
        let revoke_issued = self.revoke_issued;
        let request = EvictRequest {
            journal_id: self.journal_id,
            revoke_issued,
            reason: self.reason.unwrap_or_default(),
        };
        let answer = ask(journals, &request).await?;
        if !revoke_issued {
            return Ok(Answer::Member(Box::new(readable(answer.member)?)));
        }
        let (answer, revoked) = end_all(journals, &request, answer).await?;
        let member = MemberJson { revoked: Some(revoked), ..readable(answer.member)? };
        Ok(Answer::Member(Box::new(member)))
    }
}

async fn ask(journals: &Journals, request: &EvictRequest) -> Result<EvictResponse, Failure> {
    journals.ask(async |channel| members(channel).evict(request.clone()).await).await
}

/// Asks until nothing is left; the last answer, and how many certificates ended in all.
async fn end_all(
    journals: &Journals,
    request: &EvictRequest,
    first: EvictResponse,
) -> Result<(EvictResponse, u64), Failure> {
    let (mut answer, mut revoked, mut moved) = (first, 0, Instant::now());
    loop {
        revoked += answer.revoked;
        let done = answer.left == 0 && !answer.seated;
        if answer.revoked > 0 || done {
            moved = Instant::now();
            tell(revoked, &answer);
        }
        if done {
            return Ok((answer, revoked));
        }
        if moved.elapsed() > PATIENCE {
            return Err(unfinished(&answer));
        }
        if answer.revoked == 0 {
            tokio::time::sleep(PAUSE).await;
        }
        answer = loop {
            match ask(journals, request).await {
                Ok(answer) => break answer,
                Err(failure) if !passes(&failure) || moved.elapsed() > PATIENCE => return Err(failure),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
    }
}

/// Whether another try may find a journal that answers: the evicted one does not any more, and a leader may be elected.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) | Failure::Deadline(_) | Failure::Evicted(_) => true,
        Failure::Refused(refusal) => refusal.reason.code() == tonic::Code::Unavailable,
        Failure::ConnectionRefused(_)
        | Failure::NotTrusted(_)
        | Failure::Usage(_)
        | Failure::Violation(_)
        | Failure::Failed { .. } => false,
    }
}

fn unfinished(answer: &EvictResponse) -> Failure {
    let seated = if answer.seated { ", and it still has its seat among the journals" } else { "" };
    Failure::named(
        "UNFINISHED",
        format!(
            "the journal is evicted, but {} certificates that it had signed are left{seated}; run the same command again",
            answer.left
        ),
    )
}

fn tell(revoked: u64, answer: &EvictResponse) {
    let waits = if answer.seated { "; it still has its seat among the journals" } else { "" };
    // Nobody is left to tell if stderr is closed.
    writeln!(
        std::io::stderr().lock(),
        "certificates that it had signed: {revoked} revoked, {} left{waits}",
        answer.left
    )
    .ok();
}

#[cfg(test)]
mod tests {
    use proto::{reason::Reason, refusal::Refusal};

    use super::*;

    #[test]
    fn only_what_another_journal_or_a_moment_may_mend_is_tried_again() {
        let refused = |reason| Failure::Refused(Refusal::new(reason, "no"));
        for failure in [refused(Reason::NoLeader), Failure::Unreachable("gone".to_owned())] {
            assert!(passes(&failure), "{failure}");
        }
        for failure in [refused(Reason::OwnCertificate), refused(Reason::LastJournal), Failure::other("x")] {
            assert!(!passes(&failure), "{failure}");
        }
    }

    #[test]
    fn what_is_left_is_told_with_what_to_do() {
        let left = EvictResponse { left: 3, seated: true, ..EvictResponse::default() };
        let told = unfinished(&left).to_string();
        assert!(told.contains("3 certificates") && told.contains("seat") && told.contains("again"), "{told}");
    }
}
