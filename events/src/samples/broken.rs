//! What the auditor says to a sample history: which invariants its last fact breaks.
//!
//! Tests of the invariants call it. **Invariant:** what comes before the last fact breaks none.

use super::Log;
use crate::fact::Record;
use crate::invariants::Auditor;
use crate::node::Event;

impl Log {
    /// Which invariants the last of the records breaks; those before it break none.
    pub(crate) fn last_breaks(&self) -> Vec<&'static str> {
        let (last, before) = self.records.split_last().unwrap();
        let mut auditor = Auditor::default();
        for record in before {
            assert_eq!(auditor.check(record), [], "{record:?}");
        }
        auditor.check(last).into_iter().map(|violation| violation.invariant).collect()
    }

    /// Which invariants a record breaks that would come next.
    pub(crate) fn broken_by(&self, planted: Record) -> Vec<&'static str> {
        self.clone().then([planted]).last_breaks()
    }

    /// Which invariants a fact about a node breaks that would come next.
    pub(crate) fn broken_by_node(&self, name: &str, event: Event) -> Vec<&'static str> {
        self.broken_by(self.next_of(name, event))
    }
}
