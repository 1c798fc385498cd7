//! The table of what pact must bear, beside what was measured.
//!
//! `benches/table.rs` prints it after the other benches. **Rows and thresholds stand here and nowhere else.** What nothing
//! measures is a row all the same, with the reason.
//!
//! **Invariant:** a figure in the table was measured in this run: what is missing is `-`, never an older one.

pub mod agent_run;
pub mod caught_up;
pub mod estimates;
pub mod machine;
pub mod revocations;
pub mod storm;

use std::fmt::Write as _;

use agent_run::AgentRun;
use caught_up::CaughtUp;
use estimates::Estimates;
use revocations::Revocations;
use storm::Storm;

/// Nodes and laps of the long log ([`crate::history::plan`]): 1,001,003 facts. More nodes with fewer laps make it harder:
/// all of their certificates live.
pub const LONG_LOG_NODES: u32 = 91_000;
/// See [`LONG_LOG_NODES`].
pub const LONG_LOG_LAPS: u32 = 2;

/// What the table is made of; none: it could not be measured.
pub struct Measured {
    /// The benches.
    pub estimates: Estimates,
    /// The storm on one journal.
    pub storm: Option<Storm>,
    /// The storm on three.
    pub trio: Option<Storm>,
    /// The storm on one, and then one with ten times the concurrency.
    pub overload: Option<Storm>,
    /// Revocations on three journals.
    pub revocations: Option<Revocations>,
    /// One agent at an idle journal.
    pub agent: Option<AgentRun>,
    /// A journal that starts with the long log, and new ones behind it.
    pub caught_up: Option<CaughtUp>,
}

/// Where a figure comes from.
enum Source {
    /// From here.
    From(fn(&Measured) -> Option<f64>),
    /// From nowhere yet, and why.
    Nowhere(&'static str),
}

use Source::{From, Nowhere};

/// One row: what, in which unit, at least, aim, whether more is better, where from.
struct Row {
    what: &'static str,
    unit: &'static str,
    at_least: f64,
    aim: f64,
    source: Source,
}

const fn row(what: &'static str, unit: &'static str, at_least: f64, aim: f64, source: Source) -> Row {
    Row { what, unit, at_least, aim, source }
}

/// The tests kill leaders, and ask every machine afterwards what it was told.
const KILLED: Source = Nowhere("a test: loadtest/tests/quorum/kill.rs");

/// See the module. Whether more or less is better is told by the aim.
const ROWS: [Row; 17] = [
    row("cold storm of 10,000 nodes, 3 journals", "s", 14.0, 8.0, From(|m| m.trio.as_ref()?.seconds())),
    row("cold storm of 10,000 nodes, 1 journal", "s", 10.0, 6.0, From(|m| m.storm.as_ref()?.seconds())),
    row("CPU of 3 journals per node over the floor", "x", 3.0, 2.0, From(|m| m.trio.as_ref()?.floor_ratio())),
    row("CPU of 1 journal per node over the floor", "x", 2.5, 1.8, From(|m| m.storm.as_ref()?.floor_ratio())),
    row(
        "overload 10x: nodes per CPU second, of the storm's",
        "%",
        75.0,
        90.0,
        From(|m| m.overload.as_ref()?.goodput_percent()),
    ),
    row("memory per subscription", "KB", 48.0, 16.0, From(|m| m.storm.as_ref()?.subscription_kb())),
    row(
        "revocation acknowledged to stream cut, p99",
        "ms",
        250.0,
        50.0,
        From(|m| m.revocations.as_ref()?.cut_p99_ms()),
    ),
    row("leader killed: acknowledged enrollments lost", "", 0.0, 0.0, KILLED),
    row("leader killed: service back", "s", 5.0, 1.5, KILLED),
    row(
        "verify, two threads",
        "facts/s",
        400_000.0,
        1_000_000.0,
        From(|m| m.estimates.per_second("log/verify")),
    ),
    row("signatures in verify, a core", "1/s", 10_000.0, 16_000.0, Nowhere("verify reads no signatures yet")),
    row("start: check and fold 1,000,000 facts", "s", 5.0, 1.0, From(|m| m.estimates.seconds("log/start"))),
    row(
        "start of a journal with them until it serves",
        "s",
        5.0,
        1.0,
        From(|m| m.caught_up.as_ref()?.started()),
    ),
    row(
        "new journal behind them votes, in a storm",
        "s",
        15.0,
        5.0,
        From(|m| m.caught_up.as_ref()?.joined()),
    ),
    row(
        "agent: start to enrolled, idle journal",
        "ms",
        100.0,
        20.0,
        From(|m| Some(m.agent.as_ref()?.enrolled_ms)),
    ),
    row("agent: resident memory", "MB", 16.0, 8.0, From(|m| Some(m.agent.as_ref()?.resident_mb))),
    row("storm: nodes that failed", "", 0.0, 0.0, From(|m| m.storm.as_ref()?.failed())),
];

impl Row {
    fn verdict(&self, measured: f64) -> &'static str {
        let reaches =
            |limit: f64| if self.aim > self.at_least { measured >= limit } else { measured <= limit };
        match (reaches(self.aim), reaches(self.at_least)) {
            (true, _) => "aim reached",
            (false, true) => "borne",
            (false, false) => "NOT BORNE",
        }
    }

    fn print(&self, measured: &Measured, out: &mut String) {
        let (figure, verdict) = match self.source {
            From(measure) => match measure(measured) {
                Some(figure) => (number(figure), self.verdict(figure)),
                None => ("-".to_owned(), "not measured"),
            },
            Nowhere(reason) => ("-".to_owned(), reason),
        };
        let (what, unit, at_least, aim) = (self.what, self.unit, number(self.at_least), number(self.aim));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{what:<51} {at_least:>9} {aim:>9} {figure:>9} {unit:<7} {verdict}");
    }
}

/// The whole page: the table, each step's price, the machine.
pub fn page(measured: &Measured, machine: &str) -> String {
    let mut out = format!("{:<51} {:>9} {:>9} {:>9}\n", "what", "at least", "aim", "measured");
    ROWS.iter().for_each(|row| row.print(measured, &mut out));
    out.push_str("\nwhat each step costs (median)\n");
    for (name, step) in measured.estimates.iter() {
        let rate = step.per_second().map(|rate| format!("{:>12}/s", number(rate))).unwrap_or_default();
        let _ = writeln!(out, "  {name:<45} {:>12} {rate}", duration(step.nanoseconds()));
    }
    let storm = |storm: &Option<Storm>| storm.as_ref().map(Storm::line);
    let lines = [
        ("storm", storm(&measured.storm)),
        ("storm on three journals", storm(&measured.trio)),
        ("storm and overload", storm(&measured.overload)),
        ("revocations", measured.revocations.as_ref().map(Revocations::line)),
    ];
    for (what, line) in lines.into_iter().filter_map(|(what, line)| Some((what, line?))) {
        let _ = writeln!(out, "\n{what}: {line}");
    }
    out + "\n" + machine
}

/// With thousands' commas when it is large, with decimals when it is small.
fn number(figure: f64) -> String {
    if figure.fract() == 0.0 || figure >= 100.0 {
        let digits = format!("{figure:.0}");
        let first = digits.len() % 3;
        let groups = digits.as_bytes()[first..].chunks(3).map(String::from_utf8_lossy);
        let first =
            Some(digits[..first].into()).filter(|first: &std::borrow::Cow<'_, str>| !first.is_empty());
        first.into_iter().chain(groups).collect::<Vec<_>>().join(",")
    } else {
        format!("{figure:.2}")
    }
}

fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        0.0..1e3 => format!("{nanoseconds:.0} ns"),
        1e3..1e6 => format!("{:.1} us", nanoseconds / 1e3),
        1e6..1e9 => format!("{:.1} ms", nanoseconds / 1e6),
        _ => format!("{:.2} s", nanoseconds / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(estimates: &[(&str, f64, Option<u64>)], storm: &str) -> String {
        page(&measured(estimates, storm), "a machine\n")
    }

    fn measured(estimates: &[(&str, f64, Option<u64>)], storm: &str) -> Measured {
        let estimates = Estimates::of(estimates);
        let storm = Storm::read(storm.as_bytes());
        let (trio, overload, revocations) = (None, None, None);
        Measured { estimates, storm, trio, overload, revocations, agent: None, caught_up: None }
    }

    fn line<'a>(page: &'a str, what: &str) -> Vec<&'a str> {
        let line = page.lines().find(|line| line.starts_with(what)).unwrap();
        line[what.len()..].split_whitespace().collect()
    }

    #[test]
    fn a_figure_stands_beside_both_columns_with_what_it_means() {
        let verify = |nanoseconds| page_of(&[("log/verify", nanoseconds, Some(1_000_000))], "");
        let what = "verify, two threads";
        assert_eq!(line(&verify(2e9), what), ["400,000", "1,000,000", "500,000", "facts/s", "borne"]);
        assert_eq!(line(&verify(1e9), what)[2..], ["1,000,000", "facts/s", "aim", "reached"]);
        assert_eq!(line(&verify(1e10), what)[2..], ["100,000", "facts/s", "NOT", "BORNE"]);
    }

    #[test]
    fn less_is_better_where_the_aim_is_less() {
        let page = page_of(&[], r#"{"nodes":10000,"failed":0,"seconds":9.25,"floor_ratio":1.5}"#);
        assert_eq!(line(&page, "cold storm of 10,000 nodes, 1 journal")[2..], ["9.25", "s", "borne"]);
        assert_eq!(
            line(&page, "CPU of 1 journal per node over the floor")[2..],
            ["1.50", "x", "aim", "reached"]
        );
        assert_eq!(line(&page, "storm: nodes that failed"), ["0", "0", "0", "aim", "reached"]);
    }

    #[test]
    fn three_journals_overload_and_revocations_have_figures_of_their_own() {
        let page = page(
            &Measured {
                trio: Storm::read(br#"{"nodes":10000,"failed":0,"seconds":16.5,"floor_ratio":2.5}"#),
                overload: Storm::read(br#"{"nodes":10000,"seconds":1.0,"overload":{"goodput_ratio":0.93}}"#),
                revocations: Revocations::read(
                    br#"{"left_connected":0,"latency_ms":{"p50":3.0,"p99":77.5}}"#,
                ),
                ..measured(&[], "")
            },
            "a machine\n",
        );
        let trio = line(&page, "cold storm of 10,000 nodes, 3 journals");
        assert_eq!(trio[2..], ["16.50", "s", "NOT", "BORNE"]);
        assert_eq!(line(&page, "CPU of 3 journals per node over the floor")[2..], ["2.50", "x", "borne"]);
        let overload = line(&page, "overload 10x: nodes per CPU second, of the storm's");
        assert_eq!(overload[2..], ["93", "%", "aim", "reached"]);
        let cut = line(&page, "revocation acknowledged to stream cut, p99");
        assert_eq!(cut[2..], ["77.50", "ms", "borne"]);
        assert_eq!(line(&page, "cold storm of 10,000 nodes, 1 journal")[2..], ["-", "s", "not", "measured"]);
        assert!(page.contains("\nrevocations: {"), "{page}");
    }

    #[test]
    fn a_percentile_of_revocations_does_not_count_where_a_stream_was_not_cut() {
        let left = Revocations::read(br#"{"left_connected":1,"latency_ms":{"p99":1.0}}"#).unwrap();
        assert_eq!(left.cut_p99_ms(), None);
    }

    #[test]
    fn what_was_not_measured_is_a_row_without_a_figure() {
        let page = page_of(&[], "");
        assert_eq!(line(&page, "memory per subscription")[2..], ["-", "KB", "not", "measured"]);
        let killed = line(&page, "leader killed: service back");
        assert_eq!(killed[2..], ["-", "s", "a", "test:", "loadtest/tests/quorum/kill.rs"]);
    }
}
