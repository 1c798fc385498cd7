//! What a journal with a wrong clock does about it (R24): it hands the lead over, and does not stand for election.
//!
//! What a leader stamps is the time of all facts; an hour ahead, it would keep everybody from recording anything for an
//! hour. What there is to do is [`next`], which is pure. That such a journal serves nobody, `grpc` and `http` see to.
//!
//! Not here: whose clock is wrong (`crate::log`).

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::log::Log;

/// How often the clock is looked at: it may be set at any moment.
const TICK: Duration = Duration::from_millis(500);

/// Others whose clocks are right would have been elected long before.
const FORSAKEN: Duration = Duration::from_secs(10);

/// See the module.
pub struct Timekeeper {
    pub log: Log,
}

/// What is right for this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Conduct {
    /// It stands for election when it misses a leader.
    stands: bool,
    /// It tells the others that it leads; else they elect.
    leads_on: bool,
    /// Who leads in its place.
    successor: Option<u64>,
}

/// `forsaken`: nobody has led for [`FORSAKEN`]. A wrong clock is no reason that nobody ever does, and who is right was told
/// by somebody who is gone.
fn next(skewed: bool, leads: bool, forsaken: bool, fit: impl FnOnce() -> Option<u64>) -> Conduct {
    let successor = if skewed && leads { fit() } else { None };
    // With a successor it goes on until that one leads.
    Conduct { stands: !skewed || forsaken, leads_on: !(skewed && leads) || successor.is_some(), successor }
}

impl Timekeeper {
    /// Looks until the journal stops.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        let (mut led_on, mut led_until) = (true, Instant::now());
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                () = tokio::time::sleep(TICK) => {}
            }
            let (skewed, leads) = (self.log.judge_clock(), self.log.leads());
            if self.log.age().is_some_and(|age| age < FORSAKEN) {
                led_until = Instant::now();
            }
            let forsaken = led_until.elapsed() >= FORSAKEN;
            let Conduct { stands, leads_on, successor } =
                next(skewed, leads, forsaken, || self.log.successor());
            self.log.stands_for_election(stands);
            // Only when that changes: a transfer that an operator ordered keeps quiet meanwhile.
            if leads_on != led_on {
                self.log.keeps_leading(leads_on);
                led_on = leads_on;
            }
            let Some(successor) = successor else { continue };
            let handed = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                handed = self.log.transfer(successor) => handed,
            };
            match handed {
                Ok(()) => {
                    tracing::warn!(successor, "the lead was handed over: this machine's clock is wrong");
                }
                Err(error) => tracing::warn!(successor, %error, "the lead could not be handed over"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_24_a_journal_with_a_wrong_clock_hands_the_lead_over_and_does_not_stand_for_it() {
        for (skewed, leads, fit, conduct) in [
            (false, false, Some(2), (true, true, None)),
            (false, true, Some(2), (true, true, None)),
            (true, false, Some(2), (false, true, None)),
            (true, true, Some(2), (false, true, Some(2))),
            (true, true, None, (false, false, None)),
        ] {
            let Conduct { stands, leads_on, successor } = next(skewed, leads, false, || fit);
            assert_eq!((stands, leads_on, successor), conduct, "{skewed} {leads} {fit:?}");
        }
    }

    #[test]
    fn rule_24_where_nobody_leads_for_long_a_wrong_clock_does_not_keep_everybody_from_standing() {
        assert!(!next(true, false, false, || None).stands);
        assert!(next(true, false, true, || None).stands);
    }
}
