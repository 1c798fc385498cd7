//! Whether a restored domain goes on behind the link of the chain that it names (R27). Called by `verify`, fact by fact.
//!
//! The rest of what DomainRestored says is an invariant of `events`, which does not see the chain.

use events::codec::Chain;
use events::domain;
use events::fact::Fact;
use events::invariants::Violation;
use events::vocabulary::{AppendId, Digest};

use crate::reader::Entry;

/// The chain as it was before the append of the fact in question.
#[derive(Debug, Default)]
pub struct Continuity {
    append: Option<AppendId>,
    before: Option<Chain>,
    last: Option<Chain>,
}

impl Continuity {
    /// Looks at the next fact.
    pub fn check(&mut self, entry: &Entry) -> Option<Violation> {
        let append = entry.record.as_ref().map(|record| record.append_id);
        if append.is_none() || append != self.append {
            (self.append, self.before) = (append, self.last);
        }
        self.last = entry.chain;
        let Fact::Domain(domain::Event::Restored(restored)) = &entry.record.as_ref()?.fact else {
            return None;
        };
        let before = self.before?;
        if restored.restored_head == Digest::new(*before.as_bytes()) {
            return None;
        }
        let message = format!("it goes on behind {}, and follows {before}", restored.restored_head);
        Some(Violation { seq: entry.seq, invariant: "continuity", message })
    }
}
