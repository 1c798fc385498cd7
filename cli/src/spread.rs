//! How far a fact has got: which journals have applied it. Each is asked itself, for nobody else knows: what a majority has
//! on disk is recorded, and applied a moment later, by each in its own time.
//!
//! `pact node revoke --wait` calls it.
//!
//! Not here, on purpose: the leader's word for the others. It knows what they have on disk, not what they have applied, and
//! only who has applied a revocation has cut connections (R17).
//!
//! **Invariant:** it ends at the moment that it was given, whatever journals do, and takes back nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proto::{
    channel::JournalAddress,
    outcome::Failure,
    pb::{Member, MembersRequest, StatusRequest},
};
use serde::Serialize;
use tokio::time;

use crate::connection::{Journals, members, status};

/// A journal that could not say yes is asked again after this.
const AGAIN: Duration = Duration::from_millis(50);
/// What is left at least for the question who there is, when recording took all the time.
const LEAST: Duration = Duration::from_millis(100);

/// Who has applied a fact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The fact.
    pub seq: u64,
    /// The journals that have.
    pub applied: Vec<String>,
    /// Those that have not, as far as could be seen.
    pub lagging: Vec<Lagging>,
    /// Why it is not known which journals there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A journal that has not applied the fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lagging {
    /// Its name.
    pub journal_id: String,
    /// What it said last, or why it said nothing.
    pub message: String,
}

impl Spread {
    /// That not all have applied it in time. What was recorded stands.
    pub fn failure(&self, what: &str) -> Option<Failure> {
        if let Some(unknown) = &self.unknown {
            let told = format!("{what} stands, but which journals there are could not be asked: {unknown}");
            return Some(Failure::Deadline(told));
        }
        if self.lagging.is_empty() {
            return None;
        }
        let lagging =
            self.lagging.iter().map(|journal| format!("{} ({})", journal.journal_id, journal.message));
        let lagging = lagging.collect::<Vec<_>>().join(", ");
        Some(Failure::Deadline(format!("{what} stands, but was not seen to be applied by {lagging}")))
    }
}

/// Asks until all have applied a fact, or the time is over.
pub async fn wait(journals: &Journals, seq: u64, until: Instant) -> Spread {
    let members = match there(journals, seq, until.max(Instant::now() + LEAST)).await {
        Ok(members) => members,
        Err(unknown) => return Spread { seq, unknown: Some(unknown), ..Spread::default() },
    };
    let alone = members.len() == 1;
    let asked = members.into_iter().map(async |member| {
        let answer = has_applied(journals, &member, alone, seq, until.max(Instant::now() + LEAST)).await;
        (member.journal_id, answer)
    });
    let mut spread = Spread { seq, ..Spread::default() };
    for (journal_id, answer) in join_all(asked).await {
        match answer {
            Ok(()) => spread.applied.push(journal_id),
            Err(message) => spread.lagging.push(Lagging { journal_id, message }),
        }
    }
    spread
}

/// Who serves, as somebody says who knows the fact. One that joins serves nobody before it has learned the log.
async fn there(journals: &Journals, seq: u64, until: Instant) -> Result<Vec<Member>, String> {
    let answer = ask_until(journals, until, async |journals| {
        let request = MembersRequest { min_seq: Some(seq) };
        journals.ask(async |channel| members(channel).members(request).await).await
    });
    let mut members = answer.await?.members;
    members.retain(|member| matches!(member.standing.as_str(), "voter" | "learner"));
    Ok(members)
}

/// Whether a member says that it has.
async fn has_applied(
    journals: &Journals,
    member: &Member,
    alone: bool,
    seq: u64,
    until: Instant,
) -> Result<(), String> {
    let endpoint = member.operator_endpoint.parse::<JournalAddress>();
    // It tells where it listens once there is another; until then it is the one that was asked, and has answered.
    let endpoint = match endpoint {
        Ok(endpoint) => endpoint,
        Err(_) if alone => return Ok(()),
        Err(_) => return Err("it has not said where operators reach it".to_owned()),
    };
    let one = journals.of(endpoint);
    let answer = ask_until(&one, until, async |journals| {
        let request = StatusRequest { min_seq: Some(seq) };
        journals.ask(async |channel| status(channel).status(request).await).await
    });
    answer.await.map(drop)
}

/// Asks again whatever went wrong, until there is an answer or the time is over; then tells what went wrong last.
async fn ask_until<A>(
    journals: &Journals,
    until: Instant,
    ask: impl AsyncFn(Journals) -> Result<A, Failure>,
) -> Result<A, String> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let failure = match ask(journals.within(left)).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if until.saturating_duration_since(Instant::now()) <= AGAIN {
            return Err(failure.to_string());
        }
        time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lags_is_named_and_what_was_recorded_stands() {
        let mut spread = Spread { seq: 7, applied: vec!["j1".to_owned()], ..Spread::default() };
        assert_eq!(spread.failure("the revocation"), None);
        for journal_id in ["j2", "j3"] {
            let message = format!("{journal_id} is silent");
            spread.lagging.push(Lagging { journal_id: journal_id.to_owned(), message });
        }
        let told =
            "the revocation stands, but was not seen to be applied by j2 (j2 is silent), j3 (j3 is silent)";
        assert_eq!(spread.failure("the revocation"), Some(Failure::Deadline(told.to_owned())));
        let json = serde_json::to_value(&spread).unwrap();
        assert_eq!(json["lagging"][0]["journal_id"], "j2");
        assert!(json.get("unknown").is_none());
    }

    #[test]
    fn that_nobody_knows_who_there_is_is_told_too() {
        let spread = Spread { unknown: Some("nobody answers".to_owned()), ..Spread::default() };
        let told = "the revocation stands, but which journals there are could not be asked: nobody answers";
        assert_eq!(spread.failure("the revocation").unwrap().to_string(), told);
    }
}
