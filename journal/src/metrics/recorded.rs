//! What is recorded where it happens: counters and histograms, their handles registered once. To record is an atomic
//! addition or a push into a lock-free list; no label is hashed on the way of a request, but for the first refusal of a
//! reason.

use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use metrics_facade::{Counter, Histogram, Label};
use proto::reason::Reason;

use super::board::Board;
use super::names;
use super::{Handshake, Outcome, Stage};

/// See the module.
pub(super) struct Recorded {
    board: Board,
    issued: Counter,
    failed: Counter,
    abandoned: Counter,
    /// By [`Reason`], registered when it first occurs: most refuse other calls.
    refused: Vec<OnceLock<Counter>>,
    stages: [Histogram; Stage::ALL.len()],
    handshakes: [Counter; Handshake::ALL.len()],
    fsync: Histogram,
    subscriptions: AtomicI64,
    queued: AtomicI64,
}

impl Recorded {
    pub(super) fn new() -> Self {
        let board = Board::new();
        let label = Label::from_static_parts;
        Self {
            issued: requests(&board, "issued", "none"),
            failed: requests(&board, "failed", "none"),
            abandoned: requests(&board, "abandoned", "none"),
            refused: Reason::ALL.iter().map(|_| OnceLock::new()).collect(),
            stages: array::from_fn(|index| {
                board.histogram(names::ENROLL_STAGE, vec![label("stage", Stage::ALL[index].name())])
            }),
            handshakes: array::from_fn(|index| {
                let (client, result) = Handshake::ALL[index].labels();
                board.counter(names::HANDSHAKES, vec![label("client", client), label("result", result)])
            }),
            fsync: board.histogram(names::LOG_FSYNC, vec![]),
            subscriptions: AtomicI64::new(0),
            queued: AtomicI64::new(0),
            board,
        }
    }

    pub(super) fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Issued => self.issued.increment(1),
            Outcome::Failed => self.failed.increment(1),
            Outcome::Abandoned => self.abandoned.increment(1),
            Outcome::Refused(reason) => {
                let counter = self.refused.get(reason as usize);
                let register = || requests(&self.board, "refused", reason.as_str());
                counter.into_iter().for_each(|counter| counter.get_or_init(register).increment(1));
            }
        }
    }

    pub(super) fn stage(&self, stage: Stage, took: Duration) {
        self.stages[stage as usize].record(took.as_secs_f64());
    }

    pub(super) fn handshake(&self, handshake: Handshake) {
        self.handshakes[handshake as usize].increment(1);
    }

    pub(super) fn synced(&self, took: Duration) {
        self.fsync.record(took.as_secs_f64());
    }

    /// One subscription more or less.
    pub(super) fn subscriptions(&self, change: i64) {
        self.subscriptions.fetch_add(change, Ordering::Relaxed);
    }

    /// One waiting order more or less.
    pub(super) fn queued(&self, change: i64) {
        self.queued.fetch_add(change, Ordering::Relaxed);
    }

    /// Puts what is counted up and down on a board of gauges.
    pub(super) fn show_levels(&self, board: &Board) {
        let level = |level: &AtomicI64| level.load(Ordering::Relaxed) as f64;
        board.gauge(names::SUBSCRIPTIONS, vec![], level(&self.subscriptions));
        board.gauge(names::QUEUE_DEPTH, vec![], level(&self.queued));
    }

    pub(super) fn text(&self) -> String {
        self.board.text()
    }

    pub(super) fn upkeep(&self) {
        self.board.upkeep();
    }
}

fn requests(board: &Board, result: &'static str, reason: &'static str) -> Counter {
    let labels = [("result", result), ("reason", reason)];
    board.counter(
        names::ENROLL_REQUESTS,
        labels.map(|(name, value)| Label::from_static_parts(name, value)).to_vec(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_stands_in_the_text() {
        let recorded = Recorded::new();
        recorded.ended(Outcome::Issued);
        recorded.ended(Outcome::Refused(Reason::DiskLow));
        recorded.ended(Outcome::Refused(Reason::DiskLow));
        recorded.stage(Stage::Commit, Duration::from_millis(2));
        recorded.handshake(Handshake::Revoked);
        recorded.synced(Duration::from_micros(200));
        let text = recorded.text();
        for line in [
            "pact_enroll_requests_total{result=\"issued\",reason=\"none\"} 1",
            "pact_enroll_requests_total{result=\"refused\",reason=\"DISK_LOW\"} 2",
            "pact_enroll_requests_total{result=\"failed\",reason=\"none\"} 0",
            "pact_enroll_stage_seconds_bucket{stage=\"commit\",le=\"0.001\"} 0",
            "pact_enroll_stage_seconds_bucket{stage=\"commit\",le=\"0.0025\"} 1",
            "pact_enroll_stage_seconds_count{stage=\"gate\"} 0",
            "pact_tls_handshakes_total{client=\"none\",result=\"revoked\"} 1",
            "pact_tls_handshakes_total{client=\"node\",result=\"ok\"} 0",
            "pact_log_fsync_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_level_is_what_came_less_what_went() {
        let (recorded, board) = (Recorded::new(), Board::new());
        for (subscriptions, queued) in [(1, 1), (1, 1), (1, -1)] {
            recorded.subscriptions(subscriptions);
            recorded.queued(queued);
        }
        recorded.show_levels(&board);
        let text = board.text();
        assert!(
            text.contains("\npact_subscriptions 3\n") && text.contains("\npact_queue_depth 1\n"),
            "{text}"
        );
    }

    #[test]
    fn every_place_in_a_list_is_its_own() {
        assert!(Stage::ALL.iter().enumerate().all(|(index, stage)| *stage as usize == index));
        assert!(Handshake::ALL.iter().enumerate().all(|(index, handshake)| *handshake as usize == index));
        assert!(Reason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
    }
}
