//! The operators, their roles and their certificates.

use std::collections::BTreeMap;

use crate::fact::Record;
use crate::operator::{Event, State, evolve};
use crate::vocabulary::{CertificateHash, OperatorId, Serial};

use super::changed::{Change, Listener};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operators(BTreeMap<OperatorId, Operator>);

/// One operator as the view knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operator {
    /// Their state.
    pub state: State,
    /// The version of their stream.
    pub version: u64,
}

impl Operators {
    /// An operator by name.
    pub fn get(&self, id: &OperatorId) -> Option<&Operator> {
        self.0.get(id)
    }

    /// All operators, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OperatorId, &Operator)> {
        self.0.iter()
    }

    /// The domain was restored (R27). Answers the certificates that ended, and of those who are not kept the serial number
    /// of the last one. No stream gets a version by it.
    pub(super) fn restore(&mut self, kept: &OperatorId) -> (Vec<CertificateHash>, Vec<Serial>) {
        let (mut ended, mut revoked) = (vec![], vec![]);
        for (id, operator) in &mut self.0 {
            ended.extend(held(&operator.state));
            if id != kept
                && let State::Active { current, .. } = &operator.state
            {
                revoked.push(current.serial);
            }
            operator.state = std::mem::take(&mut operator.state).restored(id == kept);
        }
        (ended, revoked)
    }

    /// Folds a fact; tells the certificates whose end it may have changed.
    pub(super) fn fold(
        &mut self,
        id: &OperatorId,
        event: &Event,
        record: &Record,
        listener: &mut impl Listener,
    ) {
        let operator = self.0.entry(id.clone()).or_default();
        held(&operator.state).into_iter().for_each(|hash| listener.hear(Change::Certificate(hash)));
        operator.state = evolve(std::mem::take(&mut operator.state), event, record.recorded_at);
        operator.version = record.subject_version();
    }
}

/// The certificates whose end an event may change.
fn held(state: &State) -> Vec<CertificateHash> {
    match state {
        State::Active { current, former, .. } => {
            let former = former.as_ref().map(|former| former.certificate.sha256);
            former.into_iter().chain([current.sha256]).collect()
        }
        State::Unknown | State::Revoked { .. } | State::Kept { .. } => vec![],
    }
}
