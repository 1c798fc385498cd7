//! What is looked up when somebody scrapes: the views, the log and Raft, as gauges and running totals.
//!
//! [`crate::http`] asks. Only the walk over all nodes is expensive: it is taken at most once a second, whoever scrapes
//! meanwhile waits for it or gets the one before.

use std::time::{Duration, Instant};

use events::authority::State;
use events::vocabulary::Timestamp;
use metrics_facade::Label;
use tokio::sync::Mutex;

use crate::clock;
use crate::log::Log;
use crate::renewal::Outlook;

use super::board::Board;
use super::census::Census;
use super::names;

/// A walk over all nodes serves all scrapes for so long.
const CENSUS_AGE: Duration = Duration::from_secs(1);

/// Scrapes a journal whose log is open. See the module.
pub struct Scraper {
    log: Log,
    outlook: Outlook,
    census: Mutex<Option<(Instant, Census)>>,
}

impl Scraper {
    /// Looks into this log, and at this journal's server certificate.
    pub fn new(log: Log, outlook: Outlook) -> Self {
        Self { log, outlook, census: Mutex::new(None) }
    }

    /// All metrics of the journal in Prometheus' text format 0.0.4.
    pub async fn text(&self) -> String {
        let census = self.census().await;
        let board = Board::new();
        show_census(&board, &census);
        self.show_views(&board);
        self.show_log(&board);
        super::text_beside(board)
    }

    async fn census(&self) -> Census {
        let mut kept = self.census.lock().await;
        match *kept {
            Some((taken, census)) if taken.elapsed() < CENSUS_AGE => census,
            Some(_) | None => {
                let census = Census::take(&self.log, clock::now()).await;
                *kept = Some((Instant::now(), census));
                census
            }
        }
    }

    fn show_views(&self, board: &Board) {
        let (revocations, contests, authorities) = {
            let views = self.log.views();
            let announced = views.authorities.iter().filter_map(|(id, authority)| match &authority.state {
                State::Announced(announced) => Some((id.to_string(), announced.not_after)),
                State::Unknown | State::Retired(_) => None,
            });
            (views.revocations.len(), views.registry.contests(), announced.collect::<Vec<_>>())
        };
        board.gauge(names::REVOCATIONS, vec![], revocations as f64);
        board.counter(names::CONTESTED, vec![]).absolute(contests);
        let seconds = |moment: Timestamp| moment.as_millis() as f64 / 1e3;
        if let Some(validity) = self.outlook.validity() {
            board.gauge(names::SERVER_CERTIFICATE_NOT_AFTER, vec![], seconds(validity.not_after));
        }
        for (id, not_after) in authorities {
            let seconds = seconds(not_after);
            board.gauge(names::AUTHORITY_NOT_AFTER, vec![Label::new("authority", id)], seconds);
        }
    }

    fn show_log(&self, board: &Board) {
        let (totals, raft) = (self.log.totals(), self.log.raft());
        board.counter(names::LOG_APPENDS, vec![]).absolute(totals.appends);
        board.counter(names::LOG_ENTRIES, vec![]).absolute(totals.entries);
        board.gauge(names::LOG_LAST_SEQ, vec![], self.log.chain_head().0 as f64);
        board.gauge(names::RAFT_IS_LEADER, vec![], f64::from(u8::from(raft.leads)));
        board.gauge(names::RAFT_TERM, vec![], raft.term as f64);
        board.gauge(names::RAFT_APPLIED_INDEX, vec![], raft.applied_index as f64);
    }
}

fn show_census(board: &Board, census: &Census) {
    let label = Label::from_static_parts;
    let Census { registered, active, inactive, revoked, end_within_hour, end_within_day } = *census;
    let states =
        [("registered", registered), ("active", active), ("inactive", inactive), ("revoked", revoked)];
    for (state, count) in states {
        board.gauge(names::NODES, vec![label("state", state)], count as f64);
    }
    for (within, count) in [("1h", end_within_hour), ("1d", end_within_day)] {
        board.gauge(names::CERTIFICATES_EXPIRING, vec![label("within", within)], count as f64);
    }
}
