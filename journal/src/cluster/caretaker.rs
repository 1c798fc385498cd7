//! The leader's care that Raft's members are those that the facts name (design §7): JournalJoining -> learner -> voter
//! -> JournalJoined; evicted -> no member; joining for too long -> evicted. A leader that was evicted itself hands the lead
//! over first. And that the log's format level is the one that all of them read (R26).
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
    /// This journal leads and was evicted: that one leads from now on, and takes its seat away.
    HandOver(u64),
    /// The facts say that it votes.
    Confirm(JournalId),
    /// It did not come.
    GiveUp(JournalId),
}

/// Whom the leader hears, itself among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Company {
    /// They answered just now.
    heard: BTreeSet<u64>,
    /// Of those who could lead, by their clocks.
    fit: BTreeSet<u64>,
}

/// Evictions come before all else: whoever is not trusted any more shall have no voice, whatever hinders the rest.
fn next(
    facts: &Members,
    seats: &Seats,
    progress: &[Member],
    company: &Company,
    now: Timestamp,
) -> Option<Step> {
    let evicted = facts.iter().filter_map(|(_, row)| match &row.state {
        State::Evicted { raft_id } => Some(*raft_id),
        State::Unknown | State::Member(_) => None,
    });
    let members = facts.iter().filter_map(|(id, row)| Some((id, row.state.member()?)));
    let mut steps = evicted
        .filter_map(|raft_id| leave(raft_id, facts, seats, progress, company))
        .chain(members.filter_map(|(id, member)| come(id, member, seats, progress, company, now)));
    steps.next()
}

/// What takes an evicted journal's seat away.
fn leave(
    raft_id: u64,
    facts: &Members,
    seats: &Seats,
    progress: &[Member],
    company: &Company,
) -> Option<Step> {
    let votes = seats.voters.contains(&raft_id);
    if !votes && !seats.learners.contains(&raft_id) {
        return None;
    }
    if raft_id == seats.own {
        // Without anybody who has caught up it leads on: nobody else could.
        return heir(facts, seats, progress, company).map(Step::HandOver);
    }
    // A change that those who are left cannot carry would hold up everything, for good if they stay away. It waits
    // until they are back, or were evicted too.
    let left: BTreeSet<u64> = seats.voters.iter().copied().filter(|voter| *voter != raft_id).collect();
    (!votes || is_carried(&left, company)).then_some(Step::Remove(raft_id))
}

/// What makes a member of a journal that joins.
fn come(
    id: &JournalId,
    member: &member::Member,
    seats: &Seats,
    progress: &[Member],
    company: &Company,
    now: Timestamp,
) -> Option<Step> {
    match member.standing {
        Standing::Joined => None,
        Standing::Joining { .. } if seats.voters.contains(&member.raft_id) => Some(Step::Confirm(id.clone())),
        Standing::Joining { since } if now.since(since) > JOINING_FOR => Some(Step::GiveUp(id.clone())),
        Standing::Joining { .. } if seats.learners.contains(&member.raft_id) => {
            let close = |known: &&Member| {
                known.raft_id == member.raft_id && known.matched.is_some() && known.lag <= CLOSE
            };
            let close = progress.iter().any(|known| close(&known));
            (close && company.heard.contains(&member.raft_id)).then_some(Step::Promote(member.raft_id))
        }
        Standing::Joining { .. } => Some(Step::Learn(member.raft_id)),
    }
}

/// Whether most of these voters are there.
fn is_carried(voters: &BTreeSet<u64>, company: &Company) -> bool {
    voters.intersection(&company.heard).count() > voters.len() / 2
}

/// Who must be able to read what is written: whom the facts name, also before Raft knows of them, and whom Raft knows.
fn readers(facts: &Members, seats: &Seats) -> BTreeSet<u64> {
    let named = facts.members().map(|(_, member)| member.raft_id);
    named.chain(seats.voters.iter().copied()).chain(seats.learners.iter().copied()).collect()
}

/// The voter that has caught up most, of those who are fit to lead.
fn heir(facts: &Members, seats: &Seats, progress: &[Member], company: &Company) -> Option<u64> {
    let may_lead = |raft_id: u64| {
        raft_id != seats.own
            && company.fit.contains(&raft_id)
            && seats.voters.contains(&raft_id)
            && facts.by_raft_id(raft_id).is_some_and(|(_, member)| member.votes())
    };
    let close = |known: &&Member| known.matched.is_some() && known.lag <= CLOSE && may_lead(known.raft_id);
    progress.iter().filter(close).min_by_key(|known| known.lag).map(|known| known.raft_id)
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
                let company = Company { heard: self.log.heard_members(), fit: self.log.fit_members() };
                let step = next(&self.log.views().members, &seats, &progress, &company, clock::now());
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
            Step::HandOver(raft_id) => self.log.transfer(*raft_id).await.map_err(|error| error.to_string()),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use events::domain;
    use events::fact::{Fact, Record};
    use events::member::Endpoints;
    use events::stream::StreamVersion;
    use events::views::Views;
    use events::vocabulary::{
        AppendId, CertificateHash, Der, KeyHash, LogId, Principal, SecretHash, Timestamp,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// j1 to j3 vote; then these are evicted.
    fn facts(evicted: &[&str]) -> Members {
        let mut views = Views::default();
        let created = domain::Created {
            domain_id: "hpc".parse().unwrap(),
            log_id: LogId::new([1; 16]),
            domain_ca: Der::new(vec![1]),
            founder: "j1".parse().unwrap(),
        };
        let of = |name: &str, event| Fact::Member(name.parse().unwrap(), event);
        let joining = |raft_id| Event::Joining {
            raft_id,
            endpoints: Endpoints::default(),
            certificate: CertificateHash::of(b"c"),
            key: KeyHash::of(b"k"),
            token: SecretHash::of(b"s"),
        };
        let mut all = vec![Fact::Domain(domain::Event::Created(created))];
        for (name, raft_id) in [("j2", 2), ("j3", 3)] {
            all.extend([of(name, joining(raft_id)), of(name, Event::Joined)]);
        }
        all.extend(evicted.iter().map(|name| of(name, Event::Evicted { reason: None })));
        for fact in all {
            views.fold(&Record {
                seq: views.seq + 1,
                streams: vec![StreamVersion { name: fact.subject(), version: 1 }],
                append_id: AppendId::new([0; 16]),
                decided_at: NOW,
                recorded_at: NOW,
                principal: Principal::Anonymous,
                proposed_by: "j1".parse().unwrap(),
                source: None,
                assurance: None,
                fact,
            });
        }
        views.members
    }

    /// The leader is 1; how far the others are behind.
    fn step(evicted: &[&str], voters: &[u64], lags: &[(u64, Option<u64>)]) -> Option<Step> {
        let seats = Seats {
            voters: voters.iter().copied().collect(),
            learners: BTreeSet::new(),
            leader: Some(1),
            own: 1,
            applied: true,
        };
        let progress: Vec<Member> = lags
            .iter()
            .map(|(raft_id, lag)| Member { raft_id: *raft_id, matched: *lag, lag: lag.unwrap_or_default() })
            .collect();
        next(&facts(evicted), &seats, &progress, &all(), NOW)
    }

    fn all() -> Company {
        Company { heard: BTreeSet::from([1, 2, 3]), fit: BTreeSet::from([2, 3]) }
    }

    #[test]
    fn a_voter_leaves_only_if_those_who_are_left_can_carry_it() {
        let seats = Seats {
            voters: BTreeSet::from([1, 2, 3]),
            learners: BTreeSet::new(),
            leader: Some(2),
            own: 2,
            applied: true,
        };
        let company =
            |heard: &[u64]| Company { heard: heard.iter().copied().collect(), fit: BTreeSet::new() };
        let step = |evicted: &[&str], heard: &[u64]| next(&facts(evicted), &seats, &[], &company(heard), NOW);
        assert_eq!(step(&["j1"], &[1, 2]), None, "3 is away: 2 alone is no majority of 2 and 3");
        assert_eq!(step(&["j1"], &[1, 2, 3]), Some(Step::Remove(1)));
        assert_eq!(step(&["j1", "j3"], &[1, 2]), Some(Step::Remove(3)), "the one that is away goes first");
    }

    #[test]
    fn rule_24_a_voter_with_a_wrong_clock_is_no_heir() {
        let seats = Seats {
            voters: BTreeSet::from([1, 2, 3]),
            learners: BTreeSet::new(),
            leader: Some(1),
            own: 1,
            applied: true,
        };
        let progress = [2, 3].map(|raft_id| Member { raft_id, matched: Some(9), lag: 0 });
        let company = Company { heard: BTreeSet::from([1, 2, 3]), fit: BTreeSet::from([3]) };
        assert_eq!(next(&facts(&["j1"]), &seats, &progress, &company, NOW), Some(Step::HandOver(3)));
    }

    #[test]
    fn an_evicted_leader_hands_over_to_the_voter_that_has_caught_up_most() {
        assert_eq!(step(&[], &[1, 2, 3], &[(2, Some(0)), (3, Some(0))]), None);
        let lags = [(2, Some(5)), (3, Some(1))];
        assert_eq!(step(&["j1"], &[1, 2, 3], &lags), Some(Step::HandOver(3)));
        assert_eq!(step(&["j1"], &[1, 2], &lags), Some(Step::HandOver(2)), "3 does not vote");
        assert_eq!(step(&["j1", "j3"], &[1, 2, 3], &lags), Some(Step::HandOver(2)), "3 was evicted too");
    }

    #[test]
    fn an_evicted_leader_leads_on_until_somebody_has_caught_up() {
        assert_eq!(step(&["j1"], &[1, 2, 3], &[(2, Some(CLOSE + 1)), (3, None)]), None);
        assert_eq!(step(&["j1"], &[1, 2, 3], &[(2, Some(CLOSE)), (3, None)]), Some(Step::HandOver(2)));
    }

    #[test]
    fn another_evicted_journal_loses_its_seat() {
        assert_eq!(step(&["j3"], &[1, 2, 3], &[(2, Some(0)), (3, Some(0))]), Some(Step::Remove(3)));
        assert_eq!(step(&["j3"], &[1, 2], &[(2, Some(0))]), None);
    }
}
