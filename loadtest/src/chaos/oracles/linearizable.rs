//! What clients were told of each node is one history, in which every call happened at a moment between its beginning and its
//! end: linearizable against the state machine of `events`.
//!
//! A general search for such an order is not needed: the log claims to be it. So each answer is held against the log.
//!
//! - An acknowledged change stands behind all that was acknowledged before the call began.
//! - An answer shows the node as it was at some fact between the last one that was acknowledged before it began (for a read:
//!   the one that it asked for) and the last one that was taken before it ended.
//! - A refusal says what was so at such a moment. Without a leader it may rest on what a journal knew as long ago as it may
//!   serve (R17, R22).
//! - A call of which nobody knows may have happened and may not: nothing is asked of it.

use std::{collections::BTreeSet, time::Duration};

use events::vocabulary::Timestamp;
use proto::{pb::NodeState, reason::Reason};

use super::{Evidence, Verdict, violation};
use crate::chaos::{
    STALE_AFTER,
    history::{Call, Came, NodeTold, Told, What},
    log_order::LogOrder,
    quorum::WrongClock,
};

/// A fact has the clock of the leader that took it. That may be so far off, and lead (R24).
const CLOCKS: Duration = Duration::from_secs(10);

/// A process reads what libfaketime says of its clock once a second.
const SET_RIGHT: Duration = Duration::from_secs(2);

/// See the module.
pub(super) fn with_the_log_as_their_order(evidence: &Evidence<'_>) -> Verdict {
    let (calls, order) = (evidence.history.calls(), evidence.order());
    let (wrong_clocks, journals) = (evidence.quorum.wrong_clocks(), evidence.quorum.seated().len());
    let known = Known::of(&calls);
    let (mut checked, mut violations) = (0, Vec::new());
    for call in calls.iter().filter(|call| is_about_a_node(&call.what)) {
        let window = Window {
            began: evidence.history.wall(call.began),
            acknowledged: known.before(call.began),
            stale: known.before(call.began.saturating_sub(STALE_AFTER)),
            taken: taken_before(
                order,
                evidence.history.wall(call.ended + leeway(&wrong_clocks, journals, call.ended)),
            ),
        };
        let wrong = match &call.came {
            Came::Done(told) => contradicts(call, told, &window, order),
            Came::Refused(reason) => unfounded(call, *reason, &window, order),
            Came::Unknown(_) => continue,
        };
        checked += 1;
        violations.extend(wrong.map(|seen| {
            let asked = call.asked.map(|nth| format!(" at {}", evidence.quorum.members[nth].name));
            let from = call.began.as_millis();
            let seen = format!("{:?}{} from {from} ms: {seen}", call.what, asked.unwrap_or_default());
            violation(&call.about, call.ended, seen)
        }));
    }
    Verdict::of("histories-are-linearizable", checked, violations)
}

fn is_about_a_node(what: &What) -> bool {
    match what {
        What::Register
        | What::Enroll
        | What::Renew
        | What::Revoke
        | What::Deactivate
        | What::Place { .. }
        | What::Goodbye
        | What::Inspect { .. } => true,
        What::SetOverlay { .. }
        | What::CreateOperator
        | What::RevokeOperator
        | What::CreateJoinToken
        | What::Evict
        | What::TransferLeader => false,
    }
}

/// Between which facts a call happened.
struct Window {
    /// When it began.
    began: Timestamp,
    /// The last one that was acknowledged to anybody before it began.
    acknowledged: u64,
    /// The same so long before that a journal may know no more.
    stale: u64,
    /// The last one that a leader took before it ended.
    taken: u64,
}

/// Which facts were acknowledged by when.
struct Known(Vec<(Duration, u64)>);

impl Known {
    /// Calls come in the order of their ends.
    fn of(calls: &[Call]) -> Self {
        let mut greatest = 0;
        let known = calls.iter().filter_map(|call| {
            greatest = greatest.max(call.came.seq()?);
            Some((call.ended, greatest))
        });
        Self(known.collect())
    }

    fn before(&self, at: Duration) -> u64 {
        let behind = self.0.partition_point(|(ended, _)| *ended < at);
        behind.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

/// The last fact of which a leader says that it took it by then.
fn taken_before(order: &LogOrder, at: Timestamp) -> u64 {
    order.records.partition_point(|record| record.recorded_at <= at) as u64
}

/// How far ahead of the true time a fact's may be. While most clocks are wrong nobody can know it: then by as much as one of
/// them was ahead, until the true time has reached what was stamped, for time never runs back in a log.
fn leeway(wrong: &[WrongClock], journals: usize, at: Duration) -> Duration {
    let meet = |one: &WrongClock, other: &WrongClock| {
        one.from <= other.to + SET_RIGHT && other.from <= one.to + SET_RIGHT
    };
    let most_are_wrong = |one: &WrongClock| {
        let at_once: BTreeSet<usize> =
            wrong.iter().filter(|other| meet(one, other)).map(|other| other.journal).collect();
        at_once.len() * 2 > journals
    };
    let ahead = wrong
        .iter()
        .filter(|one| one.from <= at && at <= one.to + SET_RIGHT + one.ahead && most_are_wrong(one))
        .map(|one| one.ahead);
    CLOCKS + ahead.max().unwrap_or_default()
}

/// What an answer says that cannot be.
fn contradicts(call: &Call, told: &Told, window: &Window, order: &LogOrder) -> Option<String> {
    let seq = match (&call.what, &told.serial) {
        (What::Enroll | What::Renew, Some(serial)) => order.issued(serial)?,
        _ => told.seq?,
    };
    if seq > window.taken {
        return Some(format!("fact {seq} was recorded only after the answer"));
    }
    let least = match call.what {
        What::Inspect { min_seq } => min_seq,
        What::Register | What::Revoke | What::Deactivate | What::Place { .. }
            if is_about(order, seq, &call.about) && is_of(order, seq, window) =>
        {
            window.acknowledged
        }
        // It was so already, and nothing was recorded: as a refusal, that may rest on what was known.
        What::Register | What::Revoke | What::Deactivate | What::Place { .. } => window.stale,
        // The same key is told the same certificate.
        What::Enroll
        | What::Renew
        | What::Goodbye
        | What::SetOverlay { .. }
        | What::CreateOperator
        | What::RevokeOperator
        | What::CreateJoinToken
        | What::Evict
        | What::TransferLeader => 0,
    };
    if seq < least {
        return Some(format!("fact {seq} is told after fact {least} was acknowledged"));
    }
    let node = told.node.as_ref()?;
    let fits = |then: Option<&NodeTold>| then == Some(node);
    if !order.node_between(&call.about, least, window.taken).any(fits) {
        return Some(format!("{node:?} is told, which it was at no fact from {least} to {}", window.taken));
    }
    let expected = match call.what {
        What::Register => node.state == NodeState::Registered,
        What::Revoke => node.state == NodeState::Revoked,
        What::Place { ref vcluster } => node.vcluster.as_ref() == Some(vcluster),
        What::Deactivate => node.state != NodeState::Active,
        What::Enroll
        | What::Renew
        | What::Goodbye
        | What::Inspect { .. }
        | What::SetOverlay { .. }
        | What::CreateOperator
        | What::RevokeOperator
        | What::CreateJoinToken
        | What::Evict
        | What::TransferLeader => true,
    };
    (!expected).then(|| format!("it was done, and {node:?} is told"))
}

fn is_about(order: &LogOrder, seq: u64, node: &str) -> bool {
    order.record(seq).is_some_and(|record| record.fact.subject().to_string() == format!("node/{node}"))
}

/// Whether a fact may have come of a call: it was not decided before. What was so already is told with the last fact that a journal
/// knows, which may be an earlier one about the same node. A clock that is behind makes this ask for less.
fn is_of(order: &LogOrder, seq: u64, window: &Window) -> bool {
    order.record(seq).is_some_and(|record| record.decided_at >= window.began)
}

/// What a refusal says that was so at no moment.
fn unfounded(call: &Call, reason: Reason, window: &Window, order: &LogOrder) -> Option<String> {
    let was = |wanted: fn(Option<NodeState>) -> bool| {
        order
            .node_between(&call.about, window.stale, window.taken)
            .any(|then| wanted(then.map(|then| then.state)))
    };
    let founded = if reason == Reason::NodeAlreadyEnrolled {
        was(|state| matches!(state, Some(NodeState::Registered | NodeState::Active | NodeState::Inactive)))
    } else if reason == Reason::AlreadyActive {
        was(|state| state == Some(NodeState::Active))
    } else if reason == Reason::NodeRevoked {
        was(|state| state == Some(NodeState::Revoked))
    } else if [Reason::NodeNotFound, Reason::NodeNotEnrolled].contains(&reason) {
        // The hardware of a revoked node is nobody's any more.
        was(|state| matches!(state, None | Some(NodeState::Revoked)))
    } else {
        true
    };
    let (from, to) = (window.stale, window.taken);
    (!founded).then(|| format!("{} is told, which was so at no fact from {from} to {to}", reason.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(journal: usize, from: u64, to: u64, ahead: u64) -> WrongClock {
        let [from, to, ahead] = [from, to, ahead].map(Duration::from_secs);
        WrongClock { journal, from, to, ahead }
    }

    #[test]
    fn rule_24_time_is_believed_while_most_clocks_are_right_and_for_as_long_as_wrong_ones_lead_afterwards() {
        let at = |wrong: &[WrongClock], secs| leeway(wrong, 3, Duration::from_secs(secs)).as_secs();
        let alone = [wrong(0, 10, 20, 15), wrong(1, 30, 40, 45)];
        assert_eq!([5, 15, 35].map(|secs| at(&alone, secs)), [10, 10, 10], "one of three at a time");
        let same = [wrong(0, 10, 20, 15), wrong(0, 15, 25, 45)];
        assert_eq!(at(&same, 17), 10, "one journal twice is one");
        let together = [wrong(0, 10, 20, 15), wrong(1, 22, 30, 45)];
        assert_eq!([9, 12, 22, 37, 77, 78].map(|secs| at(&together, secs)), [10, 25, 55, 55, 55, 10]);
        let apart = [wrong(0, 10, 20, 15), wrong(1, 23, 30, 45)];
        assert_eq!(at(&apart, 25), 10);
        assert_eq!(leeway(&together, 5, Duration::from_secs(23)).as_secs(), 10, "two of five");
    }
}
