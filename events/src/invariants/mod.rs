//! What no history may show. One invariant a file; the property tests, `pact-replay verify` and later the chaos
//! harness share them, and each has a test that shows it failing.
//!
//! An invariant sees what was before ([`Past`]) and the next fact. Nothing here trusts `decide`: a log written by a
//! broken or malicious journal must be found out. A check allocates only to say what is wrong: `verify` runs all of
//! them over years of facts.

mod append_is_whole;
mod authority_fact_fits_its_state;
mod authority_is_announced_first;
mod before;
mod certificate_is_whole;
mod domain_comes_first;
mod fact_fits_the_level;
mod join_token_is_consumed_once;
mod key_has_one_holder;
mod mac_has_one_owner;
mod member_fact_fits_its_state;
mod node_fact_fits_its_state;
mod one_current_certificate;
mod operator_fact_fits_its_state;
mod past;
mod restored_log_goes_on;
mod revoked_is_final;
mod seq_has_no_gaps;
mod serial_is_unique;
mod stream_versions_follow;
mod streams_are_complete;
#[cfg(test)]
mod tests;
mod time_never_runs_back;
mod workload_has_one_node;

use crate::certificate::Certificate;
use crate::fact::{Fact, Record};
use crate::stream::StreamName;
use crate::views::Views;
use crate::vocabulary::Der;
use crate::{node, operator};

use before::Before;
pub use past::Past;

/// A fact that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fact {seq} breaks {invariant}: {message}")]
pub struct Violation {
    /// The fact.
    pub seq: u64,
    /// The invariant: the name of its file.
    pub invariant: &'static str,
    /// What is wrong.
    pub message: String,
}

type Check = fn(&Before<'_>, &Record) -> Result<(), String>;

/// All invariants, the envelope's first.
const ALL: [(&str, Check); 21] = [
    (seq_has_no_gaps::NAME, seq_has_no_gaps::check),
    (domain_comes_first::NAME, domain_comes_first::check),
    (fact_fits_the_level::NAME, fact_fits_the_level::check),
    (time_never_runs_back::NAME, time_never_runs_back::check),
    (append_is_whole::NAME, append_is_whole::check),
    (streams_are_complete::NAME, streams_are_complete::check),
    (stream_versions_follow::NAME, stream_versions_follow::check),
    (node_fact_fits_its_state::NAME, node_fact_fits_its_state::check),
    (operator_fact_fits_its_state::NAME, operator_fact_fits_its_state::check),
    (authority_fact_fits_its_state::NAME, authority_fact_fits_its_state::check),
    (member_fact_fits_its_state::NAME, member_fact_fits_its_state::check),
    (join_token_is_consumed_once::NAME, join_token_is_consumed_once::check),
    (restored_log_goes_on::NAME, restored_log_goes_on::check),
    (revoked_is_final::NAME, revoked_is_final::check),
    (one_current_certificate::NAME, one_current_certificate::check),
    (certificate_is_whole::NAME, certificate_is_whole::check),
    (authority_is_announced_first::NAME, authority_is_announced_first::check),
    (serial_is_unique::NAME, serial_is_unique::check),
    (key_has_one_holder::NAME, key_has_one_holder::check),
    (mac_has_one_owner::NAME, mac_has_one_owner::check),
    (workload_has_one_node::NAME, workload_has_one_node::check),
];

/// Checks a history, fact by fact.
#[derive(Debug, Clone, Default)]
pub struct Auditor {
    past: Past,
}

impl Auditor {
    /// Checks every invariant against the next fact, then folds it in, whatever it is.
    pub fn check(&mut self, record: &Record) -> Vec<Violation> {
        let mut violations = vec![];
        let before = Before::new(&self.past, record);
        for &(invariant, check) in &ALL {
            if let Err(message) = check(&before, record) {
                violations.push(Violation { seq: record.seq, invariant, message });
            }
        }
        self.past.fold(record);
        violations
    }

    /// Reads what the next facts will be checked against, before they are: memory answers many questions at once, but
    /// one by one it keeps whoever asks waiting. Decides nothing and changes nothing.
    pub fn look_ahead<'a>(&self, next: impl Iterator<Item = &'a Record> + Clone) {
        self.past.look_ahead(next);
    }

    /// The version of a stream after the last fact checked; 0: it has none. Of a sound history.
    pub fn version(&self, stream: &StreamName) -> u64 {
        self.past.version(stream)
    }

    /// Reads what [`Self::version`] of the stream will look up; see [`Self::look_ahead`].
    pub fn touch(&self, stream: &StreamName) {
        self.past.touch(stream);
    }

    /// How many streams have facts. Of a sound history.
    pub fn streams(&self) -> u64 {
        self.past.streams()
    }

    /// The views up to the last fact checked.
    pub fn views(&self) -> &Views {
        &self.past.views
    }
}

/// The certificate that a fact issues to a node or an operator, with its bytes.
fn issued(fact: &Fact) -> Option<(&Certificate, &Der)> {
    match fact {
        Fact::Node(_, node::Event::CertificateIssued { certificate, der, .. })
        | Fact::Operator(
            _,
            operator::Event::Created { certificate, der, .. }
            | operator::Event::Renewed { certificate, der, .. },
        ) => Some((certificate, der)),
        Fact::Node(
            _,
            node::Event::Registered { .. }
            | node::Event::EnrollmentConfirmed { .. }
            | node::Event::Deactivated { .. }
            | node::Event::Reactivated { .. }
            | node::Event::Revoked { .. }
            | node::Event::Assigned { .. }
            | node::Event::Contested { .. }
            | node::Event::Resolved {}
            | node::Event::HardwareReplaced { .. }
            | node::Event::AttemptsRefused(_)
            | node::Event::CertificateRevoked { .. }
            | node::Event::Unassigned { .. }
            | node::Event::Moved { .. }
            | node::Event::Drained {}
            | node::Event::Undrained {}
            | node::Event::IdentityBound { .. },
        )
        | Fact::Operator(_, operator::Event::Revoked { .. })
        | Fact::Domain(_)
        | Fact::Authority(..)
        | Fact::VCluster(..)
        | Fact::Member(..) => None,
    }
}

/// `Ok` if `holds`, else what is wrong. The message is made only when it is needed.
fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
