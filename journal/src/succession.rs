//! The succession of authorities (R9): a new one at every start and when the present one is due, announced and
//! committed before its first signature; old ones retired when their last certificate has expired.
//!
//! When is decided in `events::authority`; the keys are in [`crate::authority`].

use std::time::Duration;

use events::authority::{Command, Event, decide, is_due_for_replacement};
use events::fact::Fact;
use events::stream::StreamName;
use events::vocabulary::{AuthorityId, DomainId, JournalId};

use crate::authority::{CreateError, EphemeralAuthority, Identity, Pool};
use crate::clock;
use crate::log::{AppendError, Log};
use crate::own_append::{OwnAppendError, own_append};
use crate::random::{self, RandomError};

/// How often the journal looks whether something is due: small against the shortest authority's third of 30 seconds.
const TICK: Duration = Duration::from_secs(10);

/// How often a fact about an authority is tried: each one waits for a leader by itself.
const ATTEMPTS: u32 = 5;

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
    /// `events` refused; a mistake of this module.
    #[error("the authority's fact was refused")]
    Rejected(#[from] events::authority::Rejection),
}

impl Succession {
    /// Makes an authority and announces it. Only then may it sign: the caller installs it.
    pub async fn announce(&self) -> Result<EphemeralAuthority, SuccessionError> {
        let now = clock::now();
        let (generation, id) =
            (self.log.views().authorities.next_generation(&self.journal_id), random::authority_id(now)?);
        let (domain, journal_id) = (self.domain_id.clone(), self.journal_id.clone());
        let identity = Identity { domain, journal_id, generation, id };
        let authority = EphemeralAuthority::create(identity, random::serial()?, now, self.lifetime)?;
        let state =
            self.log.views().authorities.get(&id).map(|known| known.state.clone()).unwrap_or_default();
        let events = decide(&state, Command::Announce(authority.announced()))?;
        #[cfg(feature = "planted-bugs")]
        if crate::planted::is(crate::planted::Bug::SignBeforeAnnounced) {
            crate::planted::sign_by(id, authority.announced().der);
            let late = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(crate::planted::UNANNOUNCED).await;
                late.record(id, events).await.ok();
            });
            return Ok(authority);
        }
        self.record(id, events).await?;
        tracing::info!(authority = %id, generation, not_after = %authority.not_after(), "authority announced");
        Ok(authority)
    }

    /// Retires this journal's authorities whose last certificate has expired; while it leads also those of evicted journals,
    /// who cannot do it any more. Not those whose key is still here: an issuance that was decided just before a replacement
    /// may be under way.
    pub async fn retire(&self, pool: &Pool) -> Result<(), SuccessionError> {
        let (now, leads) = (clock::now(), self.log.leads());
        let over: Vec<(AuthorityId, Vec<Event>)> = {
            let views = self.log.views();
            let cared_for = views.authorities.iter().filter(|(_, known)| {
                known.state.announced().is_some_and(|announced| {
                    let journal = &announced.journal_id;
                    *journal == self.journal_id || (leads && views.members.is_evicted(journal))
                })
            });
            let decided = cared_for.filter_map(|(id, known)| {
                let (last_not_after, in_use) = (known.last_not_after, pool.holds(*id));
                // Still needed: nothing to do yet.
                let events = decide(&known.state, Command::Retire { last_not_after, in_use, now }).ok()?;
                (!events.is_empty()).then_some((*id, events))
            });
            decided.collect()
        };
        for (id, events) in over {
            self.record(id, events).await?;
            tracing::info!(authority = %id, "authority retired");
        }
        Ok(())
    }

    /// Replaces and retires for as long as the journal runs.
    pub async fn run(self, pool: Pool) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            if self.is_due(&pool) {
                match self.announce().await {
                    Ok(authority) => pool.install(authority),
                    Err(error) => tracing::error!(error = ?anyhow::Error::new(error), "no new authority"),
                }
            }
            if let Err(error) = self.retire(&pool).await {
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

    async fn record(&self, id: AuthorityId, events: Vec<Event>) -> Result<(), SuccessionError> {
        let facts: Vec<Fact> = events.into_iter().map(|event| Fact::Authority(id, event)).collect();
        let mut attempts = ATTEMPTS;
        loop {
            let (facts, reads) = (facts.clone(), &[StreamName::Domain]);
            let append = own_append(&self.log, &self.journal_id, facts, reads, clock::now())?;
            attempts -= 1;
            match self.log.append(append).await {
                Ok(_) => return Ok(()),
                // The domain's stream moved, as when journals join; or the leader did. The decision holds.
                Err(AppendError::Conflict { .. } | AppendError::NoLeader) if attempts > 0 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
