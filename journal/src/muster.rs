//! The first thing that a journal does with its log: of several, it waits until a leader told it all that is recorded, and
//! that its clock is right. Until then it is not ready.
//!
//! [`crate::journal`] waits for it. It takes as long as it takes: without a quorum there is nothing that a journal could do
//! instead, and what it would record with a wrong clock the others would refuse (R24).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::eviction::Eviction;
use crate::journal::StartError;
use crate::log::Log;

/// A leader is asked for so long before it is told that there is none.
const FOUND: Duration = Duration::from_secs(2);
/// And told again after so many times.
const TELL_EVERY: u32 = 15;
/// The others' clocks are told within this, or they are away.
const COMPARED: Duration = Duration::from_secs(2);
/// How often it is looked whether they are.
const LOOK: Duration = Duration::from_millis(50);

/// Why it is not ready yet.
enum Hindrance {
    Quorum(String),
    Facts,
    Clock(Duration),
}

/// See the module.
///
/// # Errors
/// If the log broke meanwhile, or the quorum goes on without this journal.
pub async fn muster(log: &Log, eviction: &Eviction) -> Result<(), StartError> {
    let mut waited = 0;
    loop {
        let hindrance = tokio::select! {
            reason = log.broken() => {
                return Err(StartError::Broken { reason, needs_upgrade: log.needs_upgrade() });
            }
            () = eviction.comes() => return Err(StartError::Evicted),
            hindrance = hindrance(log) => hindrance,
        };
        match hindrance {
            None => return Ok(()),
            // A new member gets them in a moment.
            Some(Hindrance::Facts) => sleep(LOOK).await,
            Some(Hindrance::Quorum(error)) => {
                if waited % TELL_EVERY == 0 {
                    tracing::warn!(error, seats = ?log.seats(), "waiting for a quorum of journals");
                }
                waited += 1;
                if waited % TELL_EVERY == 0 {
                    // The others may have no reason to speak to it any more.
                    eviction.ask().await;
                }
            }
            Some(Hindrance::Clock(skew)) => {
                if waited % TELL_EVERY == 0 {
                    tracing::error!(?skew, "waiting until this machine's clock is set");
                }
                waited += 1;
                sleep(FOUND).await;
            }
        }
    }
}

async fn hindrance(log: &Log) -> Option<Hindrance> {
    match log.read_index(FOUND).await {
        Err(error) => return Some(Hindrance::Quorum(error.to_string())),
        Ok(0) => return Some(Hindrance::Facts),
        Ok(_) => {}
    }
    // They are heard of within some heartbeats, or nobody can say.
    let until = Instant::now() + COMPARED;
    while !log.has_compared_clocks() && Instant::now() < until {
        sleep(LOOK).await;
    }
    log.judge_clock().then(|| Hindrance::Clock(log.skew()))
}
