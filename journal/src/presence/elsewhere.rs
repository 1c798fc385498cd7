//! Which nodes are connected to other journals, as these report to the leader (R19). Pure: times are passed in.
//!
//! A report is what changed since the one before it of the same process; a gap in their numbers, or another process, asks
//! for everything anew. A journal that is not heard of any more has lost its streams since its last report.
//!
//! **Invariant:** a node counts as connected elsewhere only while a journal that is heard of says so.

use std::collections::HashMap;
use std::time::Duration;

use events::vocabulary::{JournalId, NodeId, Serial, Timestamp};

/// Reports come twice a second; ten that are missing are no coincidence.
pub const SILENT: Duration = Duration::from_secs(5);

/// How a node is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// By this certificate.
    pub serial: Serial,
    /// So many sessions run on it, as it says.
    pub sessions: u32,
}

/// What a journal reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The process: another one each time the journal starts.
    pub incarnation: u64,
    /// Counts the reports of the process to this leader, from 1.
    pub number: u64,
    /// Whether `gained` is everything, not a change.
    pub full: bool,
    /// Nodes that are connected now, or otherwise than before.
    pub gained: Vec<(NodeId, Seen)>,
    /// Nodes that are no more.
    pub lost: Vec<NodeId>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Elsewhere {
    journals: HashMap<JournalId, Reported>,
    /// When each journal reported last, silent since or not.
    heard_at: HashMap<JournalId, Timestamp>,
}

#[derive(Debug)]
struct Reported {
    incarnation: u64,
    number: u64,
    heard_at: Timestamp,
    nodes: HashMap<NodeId, Seen>,
}

/// What a report changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// They came.
    pub gained: Vec<NodeId>,
    /// They left.
    pub lost: Vec<NodeId>,
}

impl Elsewhere {
    /// Takes a report in. None: it does not follow what is known; everything is needed.
    pub fn take(&mut self, from: &JournalId, report: Report, now: Timestamp) -> Option<Moved> {
        let Report { incarnation, number, full, gained, lost } = report;
        let came = gained.iter().map(|(node, _)| node.clone()).collect();
        // Also when it does not follow: the journal is there.
        self.heard_at.insert(from.clone(), now);
        if full {
            let nodes: HashMap<_, _> = gained.into_iter().collect();
            let before = self.journals.remove(from).map(|known| known.nodes).unwrap_or_default();
            let lost = before.into_keys().filter(|node| !nodes.contains_key(node)).collect();
            let reported = Reported { incarnation, number, heard_at: now, nodes };
            self.journals.insert(from.clone(), reported);
            return Some(Moved { gained: came, lost });
        }
        let known = self.journals.get_mut(from)?;
        if known.incarnation != incarnation || known.number + 1 != number {
            return None;
        }
        (known.number, known.heard_at) = (number, now);
        let lost = lost.into_iter().filter(|node| known.nodes.remove(node).is_some()).collect();
        known.nodes.extend(gained);
        Some(Moved { gained: came, lost })
    }

    /// Forgets the journals that were not heard of for [`SILENT`]: when each was last, and the nodes that it had.
    pub fn silenced(&mut self, now: Timestamp) -> Vec<(Timestamp, Vec<NodeId>)> {
        let silent = |known: &Reported| now.since(known.heard_at) > SILENT;
        let gone: Vec<JournalId> =
            self.journals.iter().filter(|(_, known)| silent(known)).map(|(id, _)| id.clone()).collect();
        let gone = gone.into_iter().filter_map(|id| self.journals.remove(&id));
        gone.map(|known| (known.heard_at, known.nodes.into_keys().collect())).collect()
    }

    /// By which certificate a node is connected to another journal.
    pub fn find(&self, node: &NodeId) -> Option<Serial> {
        self.journals.values().find_map(|known| known.nodes.get(node)).map(|seen| seen.serial)
    }

    /// How many sessions run on a node, as other journals heard it say.
    pub fn sessions(&self, node: &NodeId) -> u32 {
        let seen = self.journals.values().filter_map(|known| known.nodes.get(node));
        seen.map(|seen| seen.sessions).max().unwrap_or(0)
    }

    /// Whether a journal has said whom it holds, and is heard of.
    pub fn has_heard(&self, journal: &JournalId) -> bool {
        self.journals.contains_key(journal)
    }

    /// When a journal reported last, silent since or not. None: not since its reports are collected.
    pub fn heard_at(&self, journal: &JournalId) -> Option<Timestamp> {
        self.heard_at.get(journal).copied()
    }

    /// To which other journal a node is connected.
    pub fn holder(&self, node: &NodeId) -> Option<&JournalId> {
        let holds = |(_, known): &(&JournalId, &Reported)| known.nodes.contains_key(node);
        self.journals.iter().find(holds).map(|(journal, _)| journal)
    }

    /// All of them: one may not have noticed yet that the node went on to another.
    pub fn holders(&self, node: &NodeId) -> Vec<JournalId> {
        let holds = |(_, known): &(&JournalId, &Reported)| known.nodes.contains_key(node);
        self.journals.iter().filter(holds).map(|(journal, _)| journal.clone()).collect()
    }

    /// Nothing is known: another leader collected it.
    pub fn forget(&mut self) {
        self.journals.clear();
        self.heard_at.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    fn node(name: &str) -> NodeId {
        name.parse().unwrap()
    }

    fn serial() -> Serial {
        Serial::from_random([5; 16])
    }

    fn seen(sessions: u32) -> Seen {
        Seen { serial: serial(), sessions }
    }

    fn report(number: u64, full: bool, gained: &[&str], lost: &[&str]) -> Report {
        let gained = gained.iter().map(|name| (node(name), seen(0))).collect();
        let lost = lost.iter().map(|name| node(name)).collect();
        Report { incarnation: 1, number, full, gained, lost }
    }

    fn j2() -> JournalId {
        "j2".parse().unwrap()
    }

    #[test]
    fn rule_19_reports_follow_each_other_and_a_gap_asks_for_everything() {
        let mut elsewhere = Elsewhere::default();
        assert_eq!(
            elsewhere.take(&j2(), report(1, false, &["a"], &[]), at(0)),
            None,
            "nothing came before it"
        );
        elsewhere.take(&j2(), report(1, true, &["a", "b"], &[]), at(0)).unwrap();
        let moved = elsewhere.take(&j2(), report(2, false, &["c"], &["a", "x"]), at(1)).unwrap();
        assert_eq!(moved, Moved { gained: vec![node("c")], lost: vec![node("a")] });
        assert_eq!(elsewhere.find(&node("a")), None);
        assert_eq!(elsewhere.find(&node("c")), Some(serial()));
        assert_eq!((elsewhere.holder(&node("c")), elsewhere.holder(&node("a"))), (Some(&j2()), None));
        assert_eq!((elsewhere.holders(&node("c")), elsewhere.holders(&node("a"))), (vec![j2()], vec![]));
        assert_eq!(elsewhere.take(&j2(), report(4, false, &["d"], &[]), at(1)), None, "the third is missing");
        let restarted = Report { incarnation: 2, ..report(3, false, &["d"], &[]) };
        assert_eq!(elsewhere.take(&j2(), restarted, at(1)), None, "another process");
        let moved = elsewhere.take(&j2(), report(5, true, &["c"], &[]), at(2)).unwrap();
        assert_eq!(moved.lost, [node("b")]);
    }

    #[test]
    fn rule_19_the_streams_of_a_silent_journal_count_as_lost_since_its_last_report() {
        let mut elsewhere = Elsewhere::default();
        elsewhere.take(&j2(), report(1, true, &["a"], &[]), at(0)).unwrap();
        assert_eq!(elsewhere.silenced(at(5)), []);
        assert_eq!(elsewhere.silenced(at(6)), [(at(0), vec![node("a")])]);
        assert_eq!(elsewhere.find(&node("a")), None);
        assert_eq!(elsewhere.silenced(at(99)), []);
    }

    #[test]
    fn what_a_node_says_of_its_sessions_is_known_as_long_as_its_journal_is_heard_of() {
        let mut elsewhere = Elsewhere::default();
        assert!(!elsewhere.has_heard(&j2()));
        let first = Report { gained: vec![(node("a"), seen(2))], ..report(1, true, &[], &[]) };
        elsewhere.take(&j2(), first, at(0)).unwrap();
        assert_eq!((elsewhere.sessions(&node("a")), elsewhere.sessions(&node("b"))), (2, 0));
        assert!(elsewhere.has_heard(&j2()));
        let second = Report { gained: vec![(node("a"), seen(1))], ..report(2, false, &[], &[]) };
        elsewhere.take(&j2(), second, at(1)).unwrap();
        assert_eq!(elsewhere.sessions(&node("a")), 1);
        elsewhere.take(&j2(), report(3, false, &[], &["a"]), at(2)).unwrap();
        assert_eq!(elsewhere.sessions(&node("a")), 0, "its stream ended");
        let again = Report { gained: vec![(node("a"), seen(7))], ..report(4, false, &[], &[]) };
        elsewhere.take(&j2(), again, at(3)).unwrap();
        elsewhere.silenced(at(9));
        assert_eq!((elsewhere.sessions(&node("a")), elsewhere.has_heard(&j2())), (0, false));
    }
}
