//! One history: a world that takes steps until something must not be, and the shortest one that still shows it.
//!
//! Each step draws its own numbers, so any part of the steps is a history too. Leaving out is tried by halves, quarters and
//! so on, down to single steps, until none can be left out any more.

use std::{collections::BTreeMap, sync::Arc};

use super::{fault::Fault, mistake::Mistakes, names::Names, world::World};

/// Histories that are tried to shorten one, at most: some seconds.
const MOST_TRIES: usize = 4000;
/// A journal's views are folded again from the stored bytes after so many steps, and at the end.
const FOLDED_AGAIN: u64 = 5000;

/// What came of a history.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Steps taken.
    pub steps: u64,
    /// Facts recorded.
    pub facts: u64,
    /// How often what happened.
    pub tally: BTreeMap<&'static str, u64>,
    /// The step that showed what must not be.
    pub fault: Option<(u64, Fault)>,
}

/// Lets a world take so many steps.
pub fn live(seed: u64, steps: u64, names: &Arc<Names>, mistakes: Mistakes) -> Outcome {
    let mut world = match World::new(seed, Arc::clone(names), mistakes) {
        Ok(world) => world,
        Err(fault) => return Outcome { fault: Some((0, fault)), ..Outcome::default() },
    };
    let mut taken = 0;
    let mut fault = None;
    for step in 0..steps {
        taken += 1;
        let sampled = (step + 1) % FOLDED_AGAIN == 0;
        let checked = world
            .take(step)
            .and_then(|()| if sampled { world.check_views(step as usize % 3) } else { Ok(()) });
        if let Err(found) = checked {
            fault = Some((step, found));
            break;
        }
    }
    if fault.is_none() {
        fault = world.settle_down().err().map(|found| (steps, found));
    }
    let facts = world.log.records.len() as u64;
    Outcome { steps: taken, facts, tally: world.tally, fault }
}

impl World {
    /// The end: whoever runs applies all there is, and all know the same.
    fn settle_down(&mut self) -> Result<(), Fault> {
        for at in self.quorum.seated() {
            while self.apply_one(at)? {}
            if self.journals[at].up {
                let differs = self.journals[at].views != *self.log.views();
                if differs {
                    let message =
                        format!("{} and the auditor know different things", self.names.journals[at]);
                    return Err(Fault::new("views_are_equal", message));
                }
            }
        }
        let known = self.quorum.seated().into_iter().find(|at| self.journals[*at].up);
        known.map_or(Ok(()), |at| self.check_views(at))
    }
}

/// Takes only these steps, of a seed.
fn replay(
    seed: u64,
    steps: &[u64],
    names: &Arc<Names>,
    mistakes: Mistakes,
    told: bool,
) -> (Option<(usize, Fault)>, Vec<String>) {
    let mut world = match World::new(seed, Arc::clone(names), mistakes) {
        Ok(world) => world,
        Err(fault) => return (Some((0, fault)), vec![]),
    };
    world.history.replace(told.then(Vec::new));
    let mut fault = None;
    for (at, step) in steps.iter().enumerate() {
        if let Err(found) = world.take(*step) {
            fault = Some((at + 1, found));
            break;
        }
    }
    if fault.is_none() {
        fault = world.settle_down().err().map(|found| (steps.len(), found));
    }
    (fault, world.history.into_inner().unwrap_or_default())
}

/// The shortest history found that shows the same, and what happens in it.
#[derive(Debug)]
pub struct Shortest {
    /// Its steps.
    pub steps: Vec<u64>,
    /// What is shown.
    pub fault: Fault,
    /// What happens, a line each.
    pub history: Vec<String>,
}

/// Shortens the history of a seed that showed a fault at a step.
pub fn shorten(seed: u64, (step, fault): (u64, Fault), names: &Arc<Names>, mistakes: Mistakes) -> Shortest {
    let mut steps: Vec<u64> = (0..=step).collect();
    let mut tries = 0;
    let shows = |steps: &[u64]| {
        let (found, _) = replay(seed, steps, names, mistakes, false);
        found.filter(|(_, found)| found.oracle == fault.oracle).map(|(taken, _)| taken)
    };
    let mut size = steps.len().div_ceil(2);
    while size > 0 && tries < MOST_TRIES {
        let (mut from, mut shorter) = (0, false);
        while from < steps.len() && tries < MOST_TRIES {
            tries += 1;
            let to = (from + size).min(steps.len());
            let without: Vec<u64> = steps[..from].iter().chain(&steps[to..]).copied().collect();
            match shows(&without) {
                Some(taken) => {
                    steps = without;
                    steps.truncate(taken);
                    shorter = true;
                }
                None => from = to,
            }
        }
        if size == 1 && !shorter {
            break;
        }
        size = if size == 1 { 1 } else { size / 2 };
    }
    let (found, history) = replay(seed, &steps, names, mistakes, true);
    Shortest { steps, fault: found.map_or(fault, |(_, found)| found), history }
}
