//! What renewals showed: printed as lines for people, or as one JSON document.
//!
//! The names of the fields are stable: users script against them.

use std::{collections::BTreeMap, fmt, time::Duration};

use proto::outcome::Exit;
use serde::Serialize;

use crate::{
    arguments::{Output, RenewArguments},
    log_check::Verified,
    measure::Used,
};

/// The result.
#[derive(Debug, Clone, Serialize)]
pub struct Renewed {
    /// How many nodes were to live.
    pub nodes: u32,
    /// How many came up.
    pub up: u64,
    /// How many did not come up, or ended otherwise than by a goodbye.
    pub failed: u64,
    /// Why, and how many each.
    pub failures: BTreeMap<String, u64>,
    /// How long all lived.
    pub seconds: f64,
    /// How long a certificate lived.
    pub certificate_ttl_secs: u32,
    /// How many certificates were renewed meanwhile.
    pub renewals: u64,
    /// How many that is a second.
    pub renewals_per_second: f64,
    /// Nodes that were up and never renewed, though all had to.
    pub without_renewal: u64,
    /// Streams that ended without another in their place.
    pub streams_lost: u64,
    /// Why, and how many each.
    pub lost: BTreeMap<String, u64>,
    /// Nodes that enrolled again, because they had no certificate any more.
    pub enrolled_again: u64,
    /// How often a node went by what it had, without a journal.
    pub degraded: u64,
    /// Processor time of all journals a renewal, with all that goes on beside it. Absent if one was killed meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal_cpu_us_per_renewal: Option<f64>,
    /// The same of the nodes.
    pub client_cpu_us_per_renewal: f64,
    /// How often a journal was killed meanwhile, and started again.
    pub journals_killed: u32,
    /// Whether `pact-replay verify` found the logs sound, and alike.
    pub log_verified: bool,
    /// How many facts they hold.
    pub log_facts: u64,
}

/// What the nodes told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) renewals: u64,
    pub(super) enrolled_again: u64,
    pub(super) degraded: u64,
    pub(super) without_renewal: u64,
    pub(super) lost: BTreeMap<String, u64>,
}

/// All that is known at the end.
pub(super) struct Measured<'a> {
    pub(super) arguments: &'a RenewArguments,
    pub(super) up: u64,
    pub(super) told: Told,
    pub(super) failures: BTreeMap<String, u64>,
    pub(super) used: Used,
    pub(super) killed: u32,
    pub(super) verified: Option<Verified>,
}

impl Measured<'_> {
    pub(super) fn told(self) -> Renewed {
        let Self { arguments, up, told, mut failures, used, killed, verified } = self;
        let never_up = u64::from(arguments.nodes).saturating_sub(up);
        if never_up > 0 {
            failures.insert("NEVER_UP".to_owned(), never_up);
        }
        let journals = used.journals.iter().map(|journal| journal.cpu).sum::<Duration>();
        let each = |cpu: Duration| tenths(cpu.as_secs_f64() * 1e6 / told.renewals.max(1) as f64);
        // Shorter than a certificate's life, some need not have renewed.
        let all_had_to = arguments.seconds >= u64::from(arguments.certificate_ttl_secs);
        Renewed {
            nodes: arguments.nodes,
            up,
            failed: failures.values().sum(),
            failures,
            seconds: tenths(used.time.as_secs_f64()),
            certificate_ttl_secs: arguments.certificate_ttl_secs,
            renewals: told.renewals,
            renewals_per_second: tenths(
                told.renewals as f64 / used.time.as_secs_f64().max(f64::MIN_POSITIVE),
            ),
            without_renewal: if all_had_to { told.without_renewal } else { 0 },
            streams_lost: told.lost.values().sum(),
            lost: told.lost,
            enrolled_again: told.enrolled_again,
            degraded: told.degraded,
            journal_cpu_us_per_renewal: (!used.journals.is_empty()).then(|| each(journals)),
            client_cpu_us_per_renewal: each(used.clients),
            journals_killed: killed,
            log_verified: verified.is_some(),
            log_facts: verified.map_or(0, |verified| verified.facts),
        }
    }
}

/// To one digit behind the point.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl Renewed {
    /// Whether every node lived from the first moment to the last without a gap.
    pub fn is_sound(&self) -> bool {
        self.failed == 0
            && self.streams_lost == 0
            && self.enrolled_again == 0
            && self.degraded == 0
            && self.without_renewal == 0
            && self.log_verified
    }

    /// Prints it to stdout. Answers how the process ends.
    pub fn print(&self, output: Output) -> Exit {
        output.print(self);
        if self.is_sound() { Exit::Done } else { Exit::Failed }
    }
}

/// A line a matter, its name first; ends with `log verified`.
impl fmt::Display for Renewed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nodes {}, up {}", self.nodes, self.up)?;
        let Self { renewals, renewals_per_second, seconds, certificate_ttl_secs, .. } = self;
        writeln!(
            f,
            "renewals {renewals} in {seconds:.1} s: {renewals_per_second:.1}/s; a certificate lives {certificate_ttl_secs} s"
        )?;
        writeln!(f, "failed {}", self.failed)?;
        self.failures.iter().try_for_each(|(reason, count)| writeln!(f, "  {reason} {count}"))?;
        writeln!(f, "streams lost {}", self.streams_lost)?;
        self.lost.iter().try_for_each(|(reason, count)| writeln!(f, "  {reason} {count}"))?;
        writeln!(f, "enrolled again {}, degraded {}", self.enrolled_again, self.degraded)?;
        if self.without_renewal > 0 {
            writeln!(f, "never renewed {}", self.without_renewal)?;
        }
        if let Some(each) = self.journal_cpu_us_per_renewal {
            let clients = self.client_cpu_us_per_renewal;
            writeln!(
                f,
                "processor time a renewal, all else with it: journals {each:.0} us, nodes {clients:.0} us"
            )?;
        }
        if self.journals_killed > 0 {
            writeln!(f, "journals killed and started again {}", self.journals_killed)?;
        }
        let verified = if self.log_verified { "log verified" } else { "log NOT verified" };
        write!(f, "facts {}\n{verified}", self.log_facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(seconds: u64, told: Told) -> Renewed {
        let arguments = RenewArguments {
            nodes: 10,
            journals: 1,
            certificate_ttl_secs: 60,
            seconds,
            output: Output::Text,
        };
        let used =
            Used { time: Duration::from_secs(seconds), clients: Duration::from_millis(2), journals: vec![] };
        let verified = Some(Verified { facts: 9 });
        Measured { arguments: &arguments, up: 10, told, failures: BTreeMap::new(), used, killed: 0, verified }
            .told()
    }

    #[test]
    fn nodes_that_all_renewed_and_kept_their_streams_are_sound() {
        let told = measured(100, Told { renewals: 20, ..Told::default() });
        assert!(told.is_sound(), "{told}");
        assert_eq!((told.renewals_per_second, told.client_cpu_us_per_renewal), (0.2, 100.0));
        assert_eq!(told.journal_cpu_us_per_renewal, None, "what was not measured is absent");
        assert!(told.to_string().ends_with("\nfacts 9\nlog verified"), "{told}");
    }

    #[test]
    fn a_stream_that_was_lost_or_a_node_that_did_not_renew_is_a_failure() {
        let lost = Told { lost: BTreeMap::from([("UNREACHABLE".to_owned(), 1)]), ..Told::default() };
        let told = measured(100, lost);
        assert!(!told.is_sound() && told.to_string().contains("streams lost 1\n  UNREACHABLE 1\n"), "{told}");
        for told in [
            Told { without_renewal: 1, ..Told::default() },
            Told { enrolled_again: 1, ..Told::default() },
            Told { degraded: 1, ..Told::default() },
        ] {
            assert!(!measured(60, told).is_sound());
        }
        let short = measured(59, Told { without_renewal: 10, ..Told::default() });
        assert!(short.is_sound(), "nobody had to renew: {short}");
    }
}
