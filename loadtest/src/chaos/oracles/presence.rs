//! Nobody is believed gone while the stream lives (R19): no deactivation for silence of a node that held a stream for longer
//! than any grace, at a journal with which nothing was wrong.

use std::time::Duration;

use events::{
    fact::Fact,
    node::{DeactivationCause, Event},
};

use super::{Evidence, Verdict, violation};
use crate::chaos::GRACE;

/// Around a fact: reports are on their way, and clocks may be a little off.
const SLACK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) fn nobody_lost_alive(evidence: &Evidence<'_>) -> Verdict {
    let (streams, disturbed) = (evidence.history.streams(), evidence.quorum.disturbed());
    let (mut checked, mut violations) = (0, Vec::new());
    for record in &evidence.order().records {
        let Fact::Node(id, Event::Deactivated { cause: DeactivationCause::Silence, .. }) = &record.fact
        else {
            continue;
        };
        checked += 1;
        let at = evidence.history.since_beginning(record.recorded_at);
        let (from, to) = (at.saturating_sub(GRACE + SLACK), at + SLACK);
        let alive = streams.iter().find(|stream| {
            let lived = stream.node == id.to_string() && stream.from <= from && stream.to >= to;
            let wrong = disturbed
                .iter()
                .any(|wrong| wrong.journal == stream.journal && wrong.from <= to && wrong.to + GRACE >= from);
            lived && !wrong
        });
        if let Some(stream) = alive {
            let journal = &evidence.quorum.members[stream.journal].name;
            let seen = format!("fact {} calls it gone, and its stream at {journal} lived on", record.seq);
            violations.push(violation(id.to_string(), at, seen));
        }
    }
    Verdict::of("nobody-alive-is-called-gone", checked, violations)
}
