//! The leader's care that Raft's members are those that the facts name (design §7): JournalJoining -> learner -> voter
//! -> JournalJoined; evicted -> no member; joining for too long -> evicted. And that the log's format level is the one that
//! all of them read (R26).
//!
//! What there is to do is [`next`], which is pure; one step at a time, and none is lost when the leader changes: the next
//! leader looks at the same facts.

use std::collections::BTreeSet;
use std::time::Duration;

use events::domain;
use events::fact::Fact;
use events::level::agreed;
use events::member::{self, Command, Event, JOINING_FOR, Standing, State};
use events::stream::StreamName;
use events::views::Members;
use events::vocabulary::{JournalId, Timestamp};
use futures_util::future::join_all;
use tokio::sync::watch;

use crate::clock;
use crate::log::{AppendError, Log, Member, Seats};
use crate::own_append::own_append;
use crate::release::READS;

/// How often the leader looks.
const TICK: Duration = Duration::from_millis(500);
/// A learner so close behind becomes a voter: it is a moment's work to catch up.
const CLOSE: u64 = 64;

/// Looks between two questions who reads what, while the level could be higher: an upgrade takes minutes.
const ASK_EVERY: u32 = 4;

/// See the module.
pub struct Caretaker {
    pub log: Log,
    pub journal_id: JournalId,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Raft learns of a journal.
    Learn(u64),
    /// It votes in Raft.
    Promote(u64),
    /// It is no member of Raft any more.
    Remove(u64),
    /// The facts say that it votes.
    Confirm(JournalId),
    /// It did not come.
    GiveUp(JournalId),
}

fn next(facts: &Members, seats: &Seats, progress: &[Member], now: Timestamp) -> Option<Step> {
    for (id, row) in facts.iter() {
        let step = match &row.state {
            State::Unknown => None,
            State::Evicted { raft_id } => {
                let seated = seats.voters.contains(raft_id) || seats.learners.contains(raft_id);
                seated.then_some(Step::Remove(*raft_id))
            }
            State::Member(member) => match member.standing {
                Standing::Joined => None,
                Standing::Joining { .. } if seats.voters.contains(&member.raft_id) => {
                    Some(Step::Confirm(id.clone()))
                }
                Standing::Joining { since } if now.since(since) > JOINING_FOR => {
                    Some(Step::GiveUp(id.clone()))
                }
                Standing::Joining { .. } if seats.learners.contains(&member.raft_id) => {
                    let close = |known: &&Member| {
                        known.raft_id == member.raft_id && known.matched.is_some() && known.lag <= CLOSE
                    };
                    progress.iter().find(close).map(|_| Step::Promote(member.raft_id))
                }
                Standing::Joining { .. } => Some(Step::Learn(member.raft_id)),
            },
        };
        if step.is_some() {
            return step;
        }
    }
    None
}

/// Who must be able to read what is written: whom the facts name, also before Raft knows of them, and whom Raft knows.
fn readers(facts: &Members, seats: &Seats) -> BTreeSet<u64> {
    let named = facts.members().map(|(_, member)| member.raft_id);
    named.chain(seats.voters.iter().copied()).chain(seats.learners.iter().copied()).collect()
}

impl Caretaker {
    /// Cares until the journal stops.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        let mut looks = 0_u32;
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = tokio::time::sleep(TICK) => {}
            }
            while self.log.leads() {
                let (seats, progress) = (self.log.seats(), self.log.members());
                let step = next(&self.log.views().members, &seats, &progress, clock::now());
                let Some(step) = step else { break };
                if let Err(error) = self.take(&step).await {
                    tracing::warn!(
                        ?step,
                        error,
                        "the members could not be brought in line; it is tried again"
                    );
                    break;
                }
                tracing::info!(?step, "the members follow the facts");
            }
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(ASK_EVERY)
                && self.log.leads()
                && let Err(error) = self.raise_level().await
            {
                tracing::warn!(error, "the log's format level could not be raised; it is tried again");
            }
        }
    }

    async fn take(&self, step: &Step) -> Result<(), String> {
        match step {
            Step::Learn(raft_id) => self.log.add_learner(*raft_id).await.map_err(|error| error.to_string()),
            Step::Promote(raft_id) => self.log.promote(*raft_id).await.map_err(|error| error.to_string()),
            Step::Remove(raft_id) => self.log.remove(*raft_id).await.map_err(|error| error.to_string()),
            Step::Confirm(id) => self.record(id, Command::Confirm).await,
            Step::GiveUp(id) => self.record(id, Command::GiveUp { now: clock::now() }).await,
        }
    }

    /// Raises the log's level to what all members say that they read. Silence of one says nothing: the level stays.
    async fn raise_level(&self) -> Result<(), String> {
        let (readers, level, domain_version) = {
            let views = self.log.views();
            if views.level >= READS {
                return Ok(());
            }
            (readers(&views.members, &self.log.seats()), views.level, views.domain_version)
        };
        let told = join_all(readers.iter().map(|raft_id| self.log.release(*raft_id))).await;
        let reads = told.into_iter().map(|release| release.map(|release| release.reads));
        let Some(readable) = agreed(reads.chain([Some(READS)])) else { return Ok(()) };
        let event = domain::raise_level(&self.log.views().domain, level, readable);
        let Some(event) = event.map_err(|error| error.to_string())? else { return Ok(()) };
        let facts = vec![Fact::Domain(event)];
        let append = own_append(&self.log, &self.journal_id, facts, &[StreamName::Domain], clock::now());
        let append = append.map_err(|error| error.to_string())?;
        // A journal that joined meanwhile wrote the domain's stream, and has not been asked.
        if append.expects.iter().any(|at| at.name == StreamName::Domain && at.version != domain_version) {
            return Ok(());
        }
        match self.log.append(append).await {
            Ok(_) => tracing::info!(level = %readable, "all journals read this format level"),
            Err(AppendError::Conflict { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    async fn record(&self, id: &JournalId, command: Command) -> Result<(), String> {
        let now = clock::now();
        let event: Option<Event> = {
            let views = self.log.views();
            let state = views.members.get(id).map_or(State::Unknown, |row| row.state.clone());
            member::decide(id, &state, command).map_err(|error| error.to_string())?
        };
        let Some(event) = event else { return Ok(()) };
        let facts = event.into_facts(id);
        let append = own_append(&self.log, &self.journal_id, facts, &[StreamName::Domain], now);
        let append = append.map_err(|error| error.to_string())?;
        self.log.append(append).await.map(drop).map_err(|error| error.to_string())
    }
}
