//! `pact-loadtest simulate`: the pure core under chance. Journals, machines and operators of a small domain, all in one thread,
//! in an order that a seed decides, with everything that goes wrong between machines: messages that are lost, late or come
//! twice, crashes between any two steps, leaders that are lost with what they had written, clocks that are wrong.
//!
//! `main` calls [`run`]. Real is what decides: `events` with its decisions, [`settle`](events::append::settle), views,
//! invariants and codec. The rules of the journal's shells (R3, R7, R9, R10, R17, R22, R27) are written down here once more,
//! in few lines: what is found here is a fault of the rules, or of `events`. Real journals are what `storm` and the tests of
//! faults are for.
//!
//! | module | does |
//! |---|---|
//! | [`chance`], [`names`] | numbers from a seed; who and what there is |
//! | [`world`], [`beginning`] | the domain, its messages, one step |
//! | [`log`], [`quorum`] | what is committed, and how it comes to be |
//! | [`journal`], [`calls`], [`orders`] | what journals know, do with orders, and decide |
//! | [`machines`], [`operators`] | those who call, and what journals do by themselves |
//! | [`fault`], [`history`] | what must not be, and the shortest history that shows it |
//! | [`mistake`] | mistakes that tests plant |
//! | [`report`] | what the user is told |
//!
//! Not here: restoring a domain from too few journals (R27), which forgets on purpose; bytes on disks; TLS.
//!
//! **Invariant:** the same seed and number of steps give the same history, on every machine.

pub mod beginning;
pub mod calls;
pub mod chance;
pub mod fault;
pub mod history;
pub mod journal;
pub mod log;
pub mod machines;
pub mod mistake;
pub mod names;
pub mod operators;
pub mod orders;
pub mod quorum;
pub mod report;
#[cfg(test)]
mod tests;
pub mod world;

use std::{sync::Arc, time::Instant};

use crate::{arguments::SimulateArguments, progress::Progress};

use self::{
    history::{live, shorten},
    mistake::Mistakes,
    names::Names,
    report::{Failed, Simulated},
};

/// Runs the histories of the seeds, until one shows what must not be.
pub fn run(arguments: &SimulateArguments) -> Simulated {
    let names = Arc::new(Names::all());
    let seeds = arguments.seeds();
    let progress = Progress::begin("simulating", seeds.end - seeds.start);
    let counter = progress.counter();
    let begun = Instant::now();
    let mut simulated = Simulated::new(seeds.clone(), arguments.steps);
    for seed in seeds {
        let outcome = live(seed, arguments.steps, &names, Mistakes::default());
        simulated.add(&outcome);
        counter.add(1);
        if let Some((step, fault)) = outcome.fault {
            let shortest = shorten(seed, (step, fault), &names, Mistakes::default());
            simulated.failed = Some(Failed::new(seed, step, shortest));
            break;
        }
    }
    simulated.seconds = begun.elapsed().as_secs_f64();
    simulated
}
