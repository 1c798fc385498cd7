//! Counts the nodes by their state, and the certificates that end soon.
//!
//! [`super::observed`] asks for it at a scrape, at most once a second. **Invariant:** a walk over all nodes never holds
//! the views for longer than a range of them: while they are held nothing is recorded.

use std::time::Duration;

use events::node::State;
use events::views::Registry;
use events::vocabulary::{NodeId, Timestamp};

use crate::log::Log;

/// Nodes that are looked at in one go: some tens of microseconds.
const RANGE: usize = 1000;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// See the module. Not of one moment: the log goes on while it is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub registered: u64,
    pub active: u64,
    pub inactive: u64,
    pub revoked: u64,
    /// Current certificates of active nodes that end within an hour, and are not over yet.
    pub end_within_hour: u64,
    /// Or within a day.
    pub end_within_day: u64,
}

impl Census {
    /// Walks over all nodes and lets others run in between.
    pub(super) async fn take(log: &Log, now: Timestamp) -> Self {
        let mut census = Self::default();
        let mut last = None;
        loop {
            let next = census.count_range(&log.views().registry, last.as_ref(), now);
            let Some(next) = next else { return census };
            last = Some(next);
            tokio::task::yield_now().await;
        }
    }

    /// Counts the next range; the last node of it, if there was one.
    fn count_range(&mut self, registry: &Registry, after: Option<&NodeId>, now: Timestamp) -> Option<NodeId> {
        let range = registry.nodes_after(after).take(RANGE);
        range.inspect(|(_, node)| self.count(&node.state, now)).last().map(|(id, _)| id.clone())
    }

    fn count(&mut self, state: &State, now: Timestamp) {
        match state {
            State::Unknown => {}
            State::Registered { .. } => self.registered += 1,
            State::Active { current, .. } => {
                self.active += 1;
                self.count_end(current.certificate.not_after, now);
            }
            // Its certificate may end in peace.
            State::Inactive { .. } => self.inactive += 1,
            State::Revoked { .. } => self.revoked += 1,
        }
    }

    fn count_end(&mut self, end: Timestamp, now: Timestamp) {
        let within = |time| now < end && end <= now.plus(time);
        self.end_within_hour += u64::from(within(HOUR));
        self.end_within_day += u64::from(within(DAY));
    }
}

#[cfg(test)]
mod tests {
    use events::certificate::Certificate;
    use events::fact::{Fact, Record};
    use events::node::{Cause, DeactivationCause, Event};
    use events::stream::StreamVersion;
    use events::views::Views;
    use events::vocabulary::{
        AppendId, AuthorityId, CertificateHash, Der, HardwareIdentity, KeyHash, Labels, Principal, Serial,
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// Folds facts about the node of this number.
    fn happens(views: &mut Views, number: usize, event: Event) {
        let fact = Fact::Node(format!("node-{number}").parse().unwrap(), event);
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

    fn registered() -> Event {
        Event::Registered { epoch: 1, hardware: HardwareIdentity::default(), labels: Labels::default() }
    }

    /// A certificate that ends some seconds from now.
    fn issued(number: usize, ends_in: u64) -> Event {
        let bytes = number.to_be_bytes();
        let certificate = Certificate {
            serial: Serial::from_random([number as u8; 16]),
            spki_sha256: KeyHash::of(&bytes),
            sha256: CertificateHash::of(&bytes),
            not_before: NOW,
            not_after: NOW.plus(Duration::from_secs(ends_in)),
            renew_after: NOW,
            authority: AuthorityId::new(NOW, 1),
        };
        Event::CertificateIssued {
            cause: Cause::Enrolled,
            epoch: 1,
            certificate,
            der: Der::new(vec![]),
            supersedes: vec![],
            presented: None,
            boot_id: None,
        }
    }

    /// A walk over views that do not change meanwhile, and in how many ranges.
    fn walk(views: &Views) -> (Census, usize) {
        let (mut census, mut last, mut ranges) = (Census::default(), None, 0);
        while let Some(next) = census.count_range(&views.registry, last.as_ref(), NOW) {
            last = Some(next);
            ranges += 1;
        }
        (census, ranges)
    }

    #[test]
    fn a_walk_counts_every_node_once_in_ranges() {
        let mut views = Views::default();
        (0..2 * RANGE + 1).for_each(|number| happens(&mut views, number, registered()));
        let all = Census { registered: 2 * RANGE as u64 + 1, ..Census::default() };
        assert_eq!(walk(&views), (all, 3));
        assert_eq!(walk(&Views::default()), (Census::default(), 0));
    }

    #[test]
    fn certificates_count_while_they_are_current_and_about_to_end() {
        let mut views = Views::default();
        for (number, ends_in) in [0, 1, 3600, 3601, 86_400, 86_401].into_iter().enumerate() {
            happens(&mut views, number, registered());
            happens(&mut views, number, issued(number, ends_in));
        }
        let census = Census { active: 6, end_within_hour: 2, end_within_day: 4, ..Census::default() };
        assert_eq!(walk(&views).0, census);
        let goodbye = Event::Deactivated { cause: DeactivationCause::Goodbye, supersedes: None };
        happens(&mut views, 1, goodbye);
        let census = Census { active: 5, inactive: 1, end_within_hour: 1, end_within_day: 3, ..census };
        assert_eq!(walk(&views).0, census, "who left needs no renewal");
    }
}
