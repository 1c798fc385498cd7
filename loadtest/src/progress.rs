//! How far it is: a bar on a terminal, a line a second without one, both on stderr.
//!
//! **Invariant:** counting a part costs one addition, however many are counted; who shows it looks now and then.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::{
    task::JoinHandle,
    time::{self, Instant, MissedTickBehavior},
};

/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// How often there is a line.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Fewer parts than this are no crowd.
const FEW: u64 = 100;
/// How a bar of many parts looks.
const MANY_LOOK: &str = "{msg:11} {wide_bar} {pos:>6}/{len} {rate:>8} {elapsed:>4}";

/// The progress of one step. It ends when this is dropped.
#[derive(Debug)]
pub struct Progress {
    counted: Counter,
    shown: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

/// Counts the parts of a step; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// So many parts more.
    pub fn add(&self, parts: u64) {
        self.0.fetch_add(parts, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Progress {
    /// A step of so many parts.
    pub fn begin(step: &'static str, parts: u64) -> Self {
        let counted = Counter::default();
        if !io::stderr().is_terminal() {
            let shown = tokio::spawn(lines(step, parts, counted.clone()));
            return Self { counted, shown, bar: None };
        }
        // Of a few parts nobody wants to know how many there are a second.
        let look = if parts < FEW { "{msg:11} {wide_bar} {pos:>6}/{len} {elapsed:>13}" } else { MANY_LOOK };
        let style = ProgressStyle::with_template(look);
        let style = style.map(|style| style.with_key("rate", rate));
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(parts).with_style(style).with_message(step);
        let shown = tokio::spawn(moves(bar.clone(), counted.clone()));
        Self { counted, shown, bar: Some(bar) }
    }

    /// Counts its parts.
    pub fn counter(&self) -> &Counter {
        &self.counted
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shown.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Parts a second, since the step began.
fn rate(state: &ProgressState, to: &mut dyn fmt::Write) {
    let seconds = state.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
    // What cannot be shown is left out.
    write!(to, "{:.0}/s", state.pos() as f64 / seconds).ok();
}

async fn moves(bar: ProgressBar, counted: Counter) {
    let mut look = time::interval(BAR_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        bar.set_position(counted.count());
    }
}

async fn lines(step: &'static str, parts: u64, counted: Counter) {
    let began = Instant::now();
    let mut look = time::interval_at(began + LINE_EVERY, LINE_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        say(&format!("{step} {}/{parts} after {:.0} s", counted.count(), began.elapsed().as_secs_f64()));
    }
}

/// Says one thing on stderr. Nobody is left to tell if it is closed.
pub fn say(line: &str) {
    writeln!(io::stderr().lock(), "{line}").ok();
}
