//! What simulations showed: lines for people, or one JSON document with stable names.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    ops::Range,
};

use proto::outcome::Exit;
use serde::Serialize;

use crate::arguments::Output;

use super::{
    fault::Fault,
    history::{Outcome, Shortest},
};

/// See the module.
#[derive(Debug, Clone, Serialize)]
pub struct Simulated {
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds were asked for.
    pub seeds: u64,
    /// How many histories were lived.
    pub histories: u64,
    /// Steps of one.
    pub steps_each: u64,
    /// Steps that were taken.
    pub steps: u64,
    /// Facts that were recorded.
    pub facts: u64,
    /// How long it took.
    pub seconds: f64,
    /// How often what happened.
    pub happened: BTreeMap<&'static str, u64>,
    /// What must not be, if it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// A history that shows what must not be.
#[derive(Debug, Clone, Serialize)]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// The step that showed it.
    pub step: u64,
    /// What was seen.
    pub fault: Fault,
    /// The steps of the shortest history that shows the same.
    pub shortest: Vec<u64>,
    /// What happens in that, a line each.
    pub history: Vec<String>,
}

impl Failed {
    /// With the shortest history found.
    pub fn new(seed: u64, step: u64, shortest: Shortest) -> Self {
        let Shortest { steps, fault, history } = shortest;
        Self { seed, step, fault, shortest: steps, history }
    }
}

impl Simulated {
    /// Nothing yet.
    pub fn new(seeds: Range<u64>, steps_each: u64) -> Self {
        Self {
            first_seed: seeds.start,
            seeds: seeds.end - seeds.start,
            histories: 0,
            steps_each,
            steps: 0,
            facts: 0,
            seconds: 0.0,
            happened: BTreeMap::new(),
            failed: None,
        }
    }

    /// Adds a history.
    pub fn add(&mut self, outcome: &Outcome) {
        self.histories += 1;
        self.steps += outcome.steps;
        self.facts += outcome.facts;
        for (what, count) in &outcome.tally {
            *self.happened.entry(what).or_default() += count;
        }
    }

    /// Prints it. What must not be is a failure.
    pub fn print(&self, output: Output) -> Exit {
        let mut out = io::stdout().lock();
        let printed = match output {
            Output::Text => write!(out, "{self}"),
            Output::Json => {
                serde_json::to_writer(&mut out, self).map_err(io::Error::from).and_then(|()| writeln!(out))
            }
        };
        if printed.is_ok() && self.failed.is_none() { Exit::Done } else { Exit::Violation }
    }
}

impl fmt::Display for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { histories, steps, facts, seconds, first_seed, .. } = self;
        let last = first_seed + histories.saturating_sub(1);
        writeln!(
            f,
            "{steps} steps in {histories} histories (seeds {first_seed} to {last}), {facts} facts, {seconds:.1} s"
        )?;
        for (what, count) in &self.happened {
            writeln!(f, "  {count:>10} {what}")?;
        }
        let Some(failed) = &self.failed else { return writeln!(f, "nothing that must not be") };
        writeln!(
            f,
            "seed {} shows at step {} what must not be:\n  {}",
            failed.seed, failed.step, failed.fault
        )?;
        writeln!(f, "the shortest history that shows it has {} steps:", failed.shortest.len())?;
        failed.history.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "again: pact-loadtest simulate --seed {} --steps {}", failed.seed, failed.step + 1)
    }
}
