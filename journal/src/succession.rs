//! The succession of authorities (R9): a new one at every start and when the present one is due, announced and
//! committed before its first signature; old ones retired when their last certificate has expired.
//!
//! When is decided in `events::authority`; the keys are in [`crate::authority`].
//!
//! A generation is claimed as everything is that must be unique (R2): its number decides the authority's id, so that two
//! announcements of one generation are about one stream, and the log takes only the first. A process that gave up, or died,
//! may have left an announcement under way that is recorded much later.
//!
//! **Invariant:** of a journal's announcements of one generation one is recorded, and no authority is retired while
//! something that it signed may still be recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use events::append::{self, Append};
use events::authority::{Command, Event, Rejection, State, decide, is_due_for_replacement};
use events::fact::Fact;
use events::stream::StreamName;
use events::views::Views;
use events::vocabulary::{AuthorityId, Digest, DomainId, JournalId, Timestamp};

use crate::authority::{CreateError, EphemeralAuthority, Identity, Pool};
use crate::clock;
use crate::log::{AppendError, Log};
use crate::own_append::{OwnAppendError, own_append};
use crate::random::{self, RandomError};

/// How often the journal looks whether something is due: small against the shortest authority's third of 30 seconds.
const TICK: Duration = Duration::from_secs(10);

/// How often a fact about an authority is tried: each one waits for a leader by itself.
const ATTEMPTS: u32 = 5;

/// What an authority signed before it fell idle is in the log before the log's time is so much later, or never comes into
/// it (R24): [`append::MAX_SKEW`], and as much for what the clock said that it was decided by.
const SETTLED: Duration = append::MAX_SKEW.saturating_mul(2);

/// Since when nobody signs with which authorities any more, as far as this process knows.
type Idle = BTreeMap<AuthorityId, Timestamp>;

/// See the module.
#[derive(Clone)]
pub struct Succession {
    /// The log.
    pub log: Log,
    /// The domain.
    pub domain_id: DomainId,
    /// This journal.
    pub journal_id: JournalId,
    /// How long an authority's certificate lives.
    pub lifetime: Duration,
}

/// Why there is no new authority, or an old one is still there.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    /// No key or certificate could be made.
    #[error("no authority could be made")]
    Create(#[from] CreateError),
    /// The append could not be made.
    #[error("the authority could not be announced or retired")]
    Prepare(#[from] OwnAppendError),
    /// The append was not recorded.
    #[error("the authority's fact could not be recorded")]
    Append(#[from] AppendError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Other processes of this journal announced theirs at the same time, again and again.
    #[error("others announced an authority of this journal meanwhile")]
    Contended,
}

/// What became of a fact about an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    /// It stands in the log.
    Recorded,
    /// The views show that it is not to be recorded: another one was announced under this id, or it is still needed.
    Refused,
}

/// The id of an authority. It is the same for the same generation of a journal: `after` is when the one before it began.
fn id_of(views: &Views, journal: &JournalId, generation: u32) -> AuthorityId {
    let of_journal = views.authorities.iter().filter_map(|(_, known)| known.state.announced());
    let before = of_journal.filter(|one| one.journal_id == *journal && one.generation < generation);
    let after = before.max_by_key(|one| one.generation).map(|one| one.not_before).unwrap_or_default();
    let mut named = b"pact authority v1\0".to_vec();
    named.extend(views.domain.created().map(|created| *created.log_id.as_bytes()).unwrap_or_default());
    named.extend(generation.to_be_bytes());
    named.extend(journal.as_str().as_bytes());
    let hash = Digest::of(&named);
    let mut number = [0; 16];
    number.copy_from_slice(&hash.as_bytes()[..16]);
    AuthorityId::new(after, u128::from_be_bytes(number))
}

/// What an order would lead to.
enum Due {
    /// Facts.
    Open,
    /// Nothing: it stands in the log already.
    Done,
    /// Nothing, for a reason.
    Refused,
}

fn due(state: &State, order: &Command) -> Due {
    if let (State::Announced(known), Command::Announce(own)) = (state, order)
        && known.sha256 == own.sha256
    {
        return Due::Done;
    }
    match decide(state, order.clone()) {
        Ok(events) if events.is_empty() => Due::Done,
        Ok(_) => Due::Open,
        Err(Rejection::AlreadyAnnounced | Rejection::NotAnnounced | Rejection::StillNeeded) => Due::Refused,
    }
}

impl Succession {
    /// Makes an authority and announces it. Only then may it sign: the caller installs it.
    ///
    /// # Errors
    /// If no leader recorded it. It may be recorded later: then the next one has the generation behind it.
    pub async fn announce(&self) -> Result<EphemeralAuthority, SuccessionError> {
        for _ in 0..ATTEMPTS {
            let authority = self.next()?;
            let (id, announced) = (authority.id(), authority.announced());
            let generation = announced.generation;
            #[cfg(feature = "planted-bugs")]
            if crate::planted::is(crate::planted::Bug::SignBeforeAnnounced) {
                crate::planted::sign_by(id, announced.der.clone());
                let late = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(crate::planted::UNANNOUNCED).await;
                    late.record(id, Command::Announce(announced)).await.ok();
                });
                return Ok(authority);
            }
            match self.record(id, Command::Announce(announced)).await? {
                Became::Recorded => {
                    let not_after = authority.not_after();
                    tracing::info!(authority = %id, generation, %not_after, "authority announced");
                    return Ok(authority);
                }
                Became::Refused => tracing::info!(generation, "this generation was announced before"),
            }
        }
        Err(SuccessionError::Contended)
    }

    /// An authority of the next generation that the views show as free.
    fn next(&self) -> Result<EphemeralAuthority, SuccessionError> {
        let (domain, journal_id) = (self.domain_id.clone(), self.journal_id.clone());
        let identity = {
            let views = self.log.views();
            let generation = views.authorities.next_generation(&journal_id);
            Identity { domain, id: id_of(&views, &journal_id, generation), generation, journal_id }
        };
        Ok(EphemeralAuthority::create(identity, random::serial()?, clock::now(), self.lifetime)?)
    }

    /// Retires this journal's authorities whose last certificate has expired; while it leads also those of evicted journals,
    /// who cannot do it any more and have nothing recorded any more.
    async fn retire(&self, pool: &Pool, idle: &mut Idle) -> Result<(), SuccessionError> {
        // Where there is nobody else, nobody has what a former process had sent.
        let over = self.over(|id| pool.holds(id), self.log.is_alone(), clock::now(), idle);
        for (id, order) in over {
            if self.record(id, order).await? == Became::Recorded {
                idle.remove(&id);
                tracing::info!(authority = %id, "authority retired");
            }
        }
        Ok(())
    }

    /// The authorities to be retired, with the orders. Not those whose key is still here, nor those that may have signed what
    /// is on its way.
    fn over(
        &self,
        holds: impl Fn(AuthorityId) -> bool,
        alone: bool,
        now: Timestamp,
        idle: &mut Idle,
    ) -> Vec<(AuthorityId, Command)> {
        let leads = self.log.leads();
        let views = self.log.views();
        let mut settled = |id: AuthorityId| {
            let since = *idle.entry(id).or_insert(now);
            alone || views.recorded_at.since(since) > SETTLED
        };
        let over = views.authorities.iter().filter_map(|(id, known)| {
            let State::Announced(announced) = &known.state else { return None };
            let cared_for = if announced.journal_id == self.journal_id {
                !holds(*id) && settled(*id)
            } else {
                leads && views.members.is_evicted(&announced.journal_id)
            };
            let order = Command::Retire { last_not_after: known.last_not_after, in_use: false, now };
            (cared_for && matches!(due(&known.state, &order), Due::Open)).then_some((*id, order))
        });
        over.collect()
    }

    /// Replaces and retires for as long as the journal runs.
    pub async fn run(self, pool: Pool) {
        let mut tick = tokio::time::interval(TICK);
        let mut idle = Idle::new();
        loop {
            tick.tick().await;
            if self.is_due(&pool) {
                match self.announce().await {
                    Ok(authority) => pool.install(authority),
                    Err(error) => tracing::error!(error = ?anyhow::Error::new(error), "no new authority"),
                }
            }
            if let Err(error) = self.retire(&pool, &mut idle).await {
                tracing::warn!(error = ?anyhow::Error::new(error), "an authority could not be retired");
            }
        }
    }

    fn is_due(&self, pool: &Pool) -> bool {
        let Some((id, _)) = pool.current() else { return true };
        let views = self.log.views();
        let announced = views.authorities.get(&id).and_then(|known| known.state.announced());
        announced.is_none_or(|announced| is_due_for_replacement(announced, clock::now()))
    }

    /// Carries an order out. It is looked at again before each try: what was sent before may have been recorded meanwhile.
    async fn record(&self, id: AuthorityId, order: Command) -> Result<Became, SuccessionError> {
        let mut attempts = ATTEMPTS;
        loop {
            let (append, due) = self.append(id, &order)?;
            match due {
                Due::Open => {}
                Due::Done => return Ok(Became::Recorded),
                Due::Refused => return Ok(Became::Refused),
            }
            attempts -= 1;
            match self.log.append(append).await {
                Ok(_) => return Ok(Became::Recorded),
                // A stream moved, as the domain's does when journals join; or the leader did.
                Err(AppendError::Conflict { .. } | AppendError::NoLeader) if attempts > 0 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The append for an order, and whether it is due, by the same views.
    fn append(&self, id: AuthorityId, order: &Command) -> Result<(Append, Due), OwnAppendError> {
        let event = match order {
            Command::Announce(announced) => Event::Announced(announced.clone()),
            Command::Retire { .. } => Event::Retired {},
        };
        let facts = vec![Fact::Authority(id, event)];
        let mut append = own_append(&self.log, &self.journal_id, facts, &[StreamName::Domain], clock::now())?;
        let views = self.log.views();
        let known = views.authorities.get(&id);
        let (unknown, version) = (State::Unknown, known.map_or(0, |known| known.version));
        // Of what is decided on here: what is stored may be newer than what is folded.
        for at in append.expects.iter_mut().filter(|at| at.name == StreamName::Authority(id)) {
            at.version = version;
        }
        Ok((append, due(known.map_or(&unknown, |known| &known.state), order)))
    }
}

#[cfg(test)]
mod tests {
    use events::domain::{self, Created};
    use events::vocabulary::{CertificateHash, Der, LogId};

    use super::*;
    use crate::log::Founding;

    fn der() -> Der {
        Der::new(b"the domain CA's certificate".to_vec())
    }

    /// The succession of the only journal of a domain.
    async fn succession(dir: &std::path::Path) -> Succession {
        let (journal_id, log_id) = ("j1".parse::<JournalId>().unwrap(), LogId::new([3; 16]));
        let founding = Founding { log_id, domain_ca_sha256: CertificateHash::of(der().as_bytes()) };
        let log = Log::create(dir, journal_id.clone(), founding).await.unwrap();
        let domain_id: DomainId = "hpc".parse().unwrap();
        let founder = journal_id.clone();
        let created = Created { domain_id: domain_id.clone(), log_id, domain_ca: der(), founder };
        let fact = Fact::Domain(domain::Event::Created(created));
        log.append(own_append(&log, &journal_id, vec![fact], &[], clock::now()).unwrap()).await.unwrap();
        Succession { log, domain_id, journal_id, lifetime: Duration::from_secs(3600) }
    }

    fn announcement(succession: &Succession, authority: &EphemeralAuthority) -> Append {
        succession.append(authority.id(), &Command::Announce(authority.announced())).unwrap().0
    }

    #[tokio::test]
    async fn rule_09_of_two_announcements_of_one_generation_the_log_takes_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let succession = succession(dir.path()).await;
        // What a process announced that died then is on its way.
        let dead = succession.next().unwrap();
        let late = announcement(&succession, &dead);

        let own = succession.announce().await.unwrap();

        assert_eq!(own.announced().generation, dead.announced().generation);
        let refused = succession.log.append(late).await;
        assert!(matches!(refused, Err(AppendError::Conflict { .. })), "{refused:?}");

        // It arrives just before the next one.
        let dead = succession.next().unwrap();
        let early = announcement(&succession, &dead);
        let contested = succession.next().unwrap();
        succession.log.append(early).await.unwrap();
        let order = Command::Announce(contested.announced());
        assert_eq!(succession.record(contested.id(), order).await.unwrap(), Became::Refused);
        let own = succession.announce().await.unwrap();
        assert_eq!(own.announced().generation, dead.announced().generation + 1);
        succession.log.stop().await;
    }

    #[tokio::test]
    async fn rule_07_an_announcement_of_which_nobody_heard_is_not_recorded_again() {
        let dir = tempfile::tempdir().unwrap();
        let succession = succession(dir.path()).await;
        let own = succession.next().unwrap();
        succession.log.append(announcement(&succession, &own)).await.unwrap();

        let order = Command::Announce(own.announced());
        assert_eq!(succession.record(own.id(), order).await.unwrap(), Became::Recorded);

        assert_eq!(succession.log.version(&StreamName::Authority(own.id())).unwrap(), 1);
        succession.log.stop().await;
    }

    #[tokio::test]
    async fn rule_09_no_authority_is_retired_while_what_it_signed_may_be_on_its_way() {
        let dir = tempfile::tempdir().unwrap();
        let succession = succession(dir.path()).await;
        let own = succession.announce().await.unwrap();
        let log_time = succession.log.views().recorded_at;
        let over = |holds: bool, alone: bool, now: Timestamp, idle: &mut Idle| {
            succession.over(|_| holds, alone, now, idle).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        let idle = &mut Idle::new();
        assert_eq!(over(true, true, log_time, idle), [], "its key is still here");
        assert_eq!(over(false, false, log_time.minus(SETTLED), idle), [], "it fell idle {SETTLED:?} ago");
        assert_eq!(over(false, false, log_time, idle), [], "and that is what counts");
        let long = &mut Idle::from([(own.id(), log_time.minus(SETTLED + Duration::from_millis(1)))]);
        assert_eq!(over(false, false, log_time, long), [own.id()]);
        assert_eq!(
            over(false, true, log_time, &mut Idle::new()),
            [own.id()],
            "it has nobody else to wait for"
        );
        succession.log.stop().await;
    }
}
