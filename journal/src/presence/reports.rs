//! Reports to the leader which nodes are connected here (R19): what changed, twice a second; everything, when the leader
//! is another one or missed something.
//!
//! Not here: what the leader makes of it ([`super::elsewhere`]), and the way there (`crate::cluster`).

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use events::vocabulary::NodeId;

use super::Streams;
use super::elsewhere::{Report, Seen};
use crate::log::{Log, Seats};

/// A tenth of the time after which a journal is silent ([`super::elsewhere::SILENT`]).
const EVERY: Duration = Duration::from_millis(500);

/// The way to the leader: whether the report was taken; `Err`: it did not get there.
pub trait ToLeader: Send + Sync + 'static {
    /// Sends a report to the member with this number in Raft.
    fn report(&self, leader: u64, report: Report) -> impl Future<Output = Result<bool, String>> + Send;
}

/// See the module.
pub struct Reports<W> {
    /// Who leads.
    pub log: Log,
    /// Who is here.
    pub streams: Streams,
    /// The way to the leader.
    pub way: W,
    /// This process.
    pub incarnation: u64,
}

/// What a leader knows of this journal.
#[derive(Default)]
struct Told {
    leader: u64,
    number: u64,
    nodes: HashMap<NodeId, Seen>,
    whole: bool,
}

impl<W: ToLeader> Reports<W> {
    /// Reports for as long as the journal runs.
    pub async fn run(self) {
        let mut told = Told::default();
        loop {
            tokio::time::sleep(EVERY).await;
            let Seats { leader, own, .. } = self.log.seats();
            let Some(leader) = leader.filter(|leader| *leader != own) else {
                told = Told::default();
                continue;
            };
            if told.leader != leader {
                told = Told { leader, ..Told::default() };
            }
            let here = self.streams.here();
            let report = next(&told, &here, self.incarnation);
            let number = report.number;
            match self.way.report(leader, report).await {
                Ok(taken) => told = Told { leader, number, nodes: here, whole: taken },
                Err(error) => {
                    tracing::debug!(error, "the nodes that are here could not be reported");
                    told = Told::default();
                }
            }
        }
    }
}

/// What is new since the report before.
fn next(told: &Told, here: &HashMap<NodeId, Seen>, incarnation: u64) -> Report {
    let (number, full) = (told.number + 1, !told.whole);
    let news = |(node, seen): &(&NodeId, &Seen)| full || told.nodes.get(*node) != Some(*seen);
    let gained = here.iter().filter(news).map(|(node, seen)| (node.clone(), *seen)).collect();
    let gone = |node: &&NodeId| !full && !here.contains_key(*node);
    let lost = told.nodes.keys().filter(gone).cloned().collect();
    Report { incarnation, number, full, gained, lost }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> HashMap<NodeId, Seen> {
        let seen = Seen { serial: events::vocabulary::Serial::from_random([3; 16]), sessions: 0 };
        names.iter().map(|name| (name.parse().unwrap(), seen)).collect()
    }

    #[test]
    fn rule_19_the_first_report_tells_everything_and_the_next_what_changed() {
        let first = next(&Told::default(), &of(&["a", "b"]), 7);
        assert!(first.full && first.number == 1 && first.gained.len() == 2 && first.lost.is_empty());
        let told = Told { leader: 1, number: 1, nodes: of(&["a", "b"]), whole: true };
        let second = next(&told, &of(&["b", "c"]), 7);
        let names = |nodes: &[NodeId]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let gained: Vec<NodeId> = second.gained.iter().map(|(node, _)| node.clone()).collect();
        assert_eq!(
            (second.full, second.number, names(&gained), names(&second.lost)),
            (false, 2, vec!["c".to_owned()], vec!["a".to_owned()])
        );
    }

    #[test]
    fn a_change_of_the_sessions_is_told_and_what_stays_is_not() {
        let told = Told { leader: 1, number: 1, nodes: of(&["a", "b"]), whole: true };
        let mut here = told.nodes.clone();
        here.get_mut(&"a".parse().unwrap()).unwrap().sessions = 3;
        let report = next(&told, &here, 7);
        let gained: Vec<_> =
            report.gained.iter().map(|(node, seen)| (node.as_str(), seen.sessions)).collect();
        assert_eq!((gained, report.lost.len()), (vec![("a", 3)], 0));
    }
}
